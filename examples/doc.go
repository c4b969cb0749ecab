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
var archive []byte

// Files returns the files of this folder.
func Files() fs.FS {
	files, err := txtar.FS(txtar.Parse(archive))
	if err != nil {
		panic(fmt.Sprintf("BUG: examples.txtar: %v", err)) // a test reads it as well
	}
	return files
}
