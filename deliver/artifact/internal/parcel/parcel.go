// Package parcel makes and reads what package managers of hosts install: .deb
// (deb(5)) and .rpm (format of version 4, as RPM's manual describes it).
//
// The same Parcel gives the same bytes: no time but Parcel.Time, no owner but root.
package parcel

import (
	"cmp"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// Kinds of parcels, which are the endings of their files too.
const (
	Deb = "deb"
	RPM = "rpm"
)

// Parcel is what a package is made of.
type Parcel struct {
	Name         string
	Version      string // with digits and dots only
	Architecture string // in Debian's words: all, amd64, arm64, …
	Summary      string // one line
	Maintainer   string
	Homepage     string
	Depends      []string // "name", "name (>= 1.2)"
	Scripts      Scripts
	Files        []File    // any order; folders above them need not be named
	Time         time.Time // of everything in it; whole seconds
}

// Scripts run on the host, for sh; "" is none.
type Scripts struct{ BeforeInstall, AfterInstall, BeforeRemove, AfterRemove string }

// File is a file, a folder or a link of a parcel.
type File struct {
	Path string // on the host, without the first /
	Mode fs.FileMode
	Link string // target
	Size int64
	Open func() (io.ReadCloser, error)
}

// perm is the mode as hosts get it: executable or not, never writable for others.
func (f File) perm() int64 {
	switch {
	case f.Mode.IsDir(), f.Mode&0o111 != 0:
		return 0o755
	}
	return 0o644
}

// config tells whether people of the host may change the file, and keep what they
// wrote when the next version comes.
func (f File) config() bool { return f.Mode.IsRegular() && strings.HasPrefix(f.Path, "etc/") }

// FileName is what the package's file is called by custom.
func (p Parcel) FileName(kind string) string {
	if kind == Deb {
		return p.Name + "_" + p.Version + "_" + p.Architecture + ".deb"
	}
	return p.Name + "-" + p.Version + "-1." + rpmArchitecture(p.Architecture) + ".rpm"
}

// sorted are the files by path.
func (p Parcel) sorted() []File {
	return slices.SortedFunc(slices.Values(p.Files), func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
}

// installed is the size of all files in bytes.
func (p Parcel) installed() (n int64) {
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}

// above are the folders above a path, from the outermost.
func above(name string) (all []string) {
	for up := path.Dir(name); up != "." && up != "/"; up = path.Dir(up) {
		all = append(all, up)
	}
	slices.Reverse(all)
	return all
}

// Scratch makes a temporary file; whoever gets it removes it.
type Scratch func() (io.ReadWriteSeeker, func(), error)
