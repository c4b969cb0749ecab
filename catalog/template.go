package catalog

import (
	"embed"
	"io/fs"
)

//go:embed template
var template embed.FS

// Template is a new definitions repository, by path: small, commented and valid.
func Template() map[string][]byte {
	files := map[string][]byte{}
	err := fs.WalkDir(template, "template", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path[len("template/"):]], err = template.ReadFile(path)
		return err
	})
	if err != nil {
		panic("BUG: the embedded template cannot be read: " + err.Error())
	}
	return files
}
