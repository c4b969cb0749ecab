package command

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"steer/base/fault"
)

// bundle is files of a role that another tool reads on the host: the one to start
// with, and what it refers to, under the same names.
type bundle struct {
	Files []string `yaml:"files,omitempty" doc:"Other files of the role that it needs, which lie beside it under these names."`
	// Contents are the files, read where the definitions are.
	Contents map[string]string `yaml:"contents,omitempty" doc:"The files themselves, by name; filled in from the role."`
}

func (b *bundle) check(key, first string) []error {
	var errs []error
	if first == "" {
		errs = append(errs, fault.New(fault.Invalid, "%s: is missing", key))
	}
	names := map[string]string{key: first}
	for i, name := range b.Files {
		names["files["+strconv.Itoa(i)+"]"] = name
	}
	for name := range b.Contents {
		names["contents."+name] = name
	}
	for key, name := range names {
		if name != "" && (path.IsAbs(name) || path.Clean(name) != name || strings.HasPrefix(name, "..")) {
			errs = append(errs, fault.New(fault.Invalid, "%s: %q is no name of a file of the role (write one like site.pp or templates/a.conf)", key, name))
		}
	}
	return errs
}

func (b *bundle) read(first string, read func(string) ([]byte, error)) error {
	contents := map[string]string{}
	for _, name := range append([]string{first}, b.Files...) {
		text, err := read(name)
		if err != nil {
			return err
		}
		if !utf8.Valid(text) {
			return fault.New(fault.Invalid, "%s is no text (put other files on the host with a resource of their own)", name)
		}
		contents[name] = string(text)
	}
	b.Contents = contents
	return nil
}

// unpack writes the files into a new folder that only root can read.
func (b *bundle) unpack() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "steer-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for the files of the role: %w", err)
	}
	remove = func() { os.RemoveAll(dir) }
	for _, name := range slices.Sorted(maps.Keys(b.Contents)) {
		file := filepath.Join(dir, "files", filepath.FromSlash(name))
		if err = os.MkdirAll(filepath.Dir(file), 0o700); err == nil {
			err = os.WriteFile(file, []byte(b.Contents[name]), 0o600)
		}
		if err != nil {
			remove()
			return "", nil, fmt.Errorf("write the files of the role: %w", err)
		}
	}
	return dir, remove, nil
}
