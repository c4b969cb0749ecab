// Package examples carries the sample service and its definitions in the binary,
// for the tour:
//
//	catalog/          the service, as it is in its own repository
//	catalog-slow/     pricing.go.txt, a change that passes its tests and is slow in production
//	definitions/      a definitions repository for it
//
// The service is a module of its own, and a folder of another module cannot be
// embedded; so all files are embedded as one text, which go generate makes.
package examples

import (
	_ "embed"
	"fmt"
	"io/fs"

	"golang.org/x/tools/txtar"
)

//go:generate go test -run TestArchive -update .

//go:embed examples.txtar
var text []byte

// Files are the files of this folder.
var Files fs.FS = archive{}

type archive struct{}

// Open reads the text each time: the tour runs once.
func (archive) Open(name string) (fs.File, error) {
	files, err := txtar.FS(txtar.Parse(text))
	if err != nil {
		return nil, fmt.Errorf("read examples: %w", err)
	}
	return files.Open(name)
}
