package git

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// Tree is a set of files in memory, an fs.FS that never changes. Symbolic links
// are listed, but not followed: opening one is an error.
type Tree struct {
	nodes map[string]*node // by path; folders too, "." is the root
}

// node is one file or folder; it is its own fs.FileInfo and fs.DirEntry.
type node struct {
	name    string
	mode    fs.FileMode
	data    []byte
	entries []fs.DirEntry // of a folder, by name
}

func (n *node) Name() string               { return n.name }
func (n *node) Size() int64                { return int64(len(n.data)) }
func (n *node) Mode() fs.FileMode          { return n.mode }
func (n *node) Type() fs.FileMode          { return n.mode.Type() }
func (n *node) ModTime() time.Time         { return time.Time{} }
func (n *node) IsDir() bool                { return n.mode.IsDir() }
func (n *node) Sys() any                   { return nil }
func (n *node) Info() (fs.FileInfo, error) { return n, nil }

// NewTree returns files by path as a Tree. Paths that no tree can hold are left
// out.
func NewTree(files map[string][]byte) *Tree {
	nodes := make(map[string]*node, len(files))
	for p, data := range files {
		if fs.ValidPath(p) && p != "." {
			nodes[p] = &node{name: path.Base(p), mode: 0o444, data: data}
		}
	}
	return newTree(nodes)
}

// newTree adds the folders to a set of files.
func newTree(files map[string]*node) *Tree {
	t := &Tree{nodes: map[string]*node{".": {name: ".", mode: fs.ModeDir | 0o555}}}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		t.add(p, files[p])
	}
	for _, n := range t.nodes {
		slices.SortFunc(n.entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return t
}

func (t *Tree) add(p string, n *node) {
	parent := t.nodes[path.Dir(p)]
	if parent == nil {
		parent = &node{name: path.Base(path.Dir(p)), mode: fs.ModeDir | 0o555}
		t.add(path.Dir(p), parent)
	}
	t.nodes[p] = n
	parent.entries = append(parent.entries, n)
}

// With returns a copy with some files changed; nil data removes a file.
func (t *Tree) With(changes map[string][]byte) *Tree {
	files := map[string]*node{}
	for p, n := range t.nodes {
		if !n.IsDir() {
			files[p] = n
		}
	}
	for p, data := range changes {
		if data == nil {
			delete(files, p)
		} else if checkPath(p) == nil {
			files[p] = &node{name: path.Base(p), mode: 0o444, data: data}
		}
	}
	return newTree(files)
}

func (t *Tree) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n := t.nodes[name]
	if n == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

type linkError struct{}

func (linkError) Error() string { return "is a symbolic link, which is not followed: use a real file" }

// Open opens a file or folder.
func (t *Tree) Open(name string) (fs.File, error) {
	n, err := t.find("open", name)
	if err != nil {
		return nil, err
	}
	if n.mode&fs.ModeSymlink != 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: linkError{}}
	}
	if n.IsDir() {
		return &openDir{node: n}, nil
	}
	return &openFile{n, bytes.NewReader(n.data)}, nil
}

// Stat describes a file or folder.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	n, err := t.find("stat", name)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ReadFile returns a copy of a file's content.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	n, err := t.find("read", name)
	if err != nil {
		return nil, err
	}
	if n.mode&fs.ModeSymlink != 0 {
		return nil, &fs.PathError{Op: "read", Path: name, Err: linkError{}}
	}
	if n.IsDir() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	return bytes.Clone(n.data), nil
}

// ReadDir lists a folder by name.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := t.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	return slices.Clone(n.entries), nil
}

type openFile struct {
	node *node
	*bytes.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.node, nil }
func (f *openFile) Close() error               { return nil }

type openDir struct {
	node *node
	at   int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.node, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.node.name, Err: fs.ErrInvalid}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.node.entries[d.at:]
	if n > 0 {
		if len(rest) == 0 {
			return nil, io.EOF
		}
		rest = rest[:min(n, len(rest))]
	}
	d.at += len(rest)
	return slices.Clone(rest), nil
}
