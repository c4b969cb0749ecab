package rootfs

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// ErrLinked says that a stack cannot show what was done: a file below was changed that
// has several names, and the others still have it as it was.
var ErrLinked = errors.New("a file with several names was changed")

// place in a stack that changesAbove still has to look at.
type place struct {
	path  string
	below bool // the folder is one below, too
	hides bool // nothing of that shows
}

// changesAbove tells what the upper folder of a stack changes of what is below, sorted,
// as a comparison of whole trees would: not what was only touched. Marks of the kernel are
// a device 0/0 for what is gone, and an attribute of folders that hide what is below.
func (t *Tree) changesAbove(ctx context.Context) ([]Change, error) {
	if linked, err := t.linkedBelow(); err != nil || linked {
		return nil, cmp.Or(err, ErrLinked)
	}
	now := map[string]node{}
	var all []Change
	todo := []place{{below: true}}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		entries, err := os.ReadDir(t.above.file(at.path))
		if err != nil {
			return nil, err
		}
		if at.below && at.hides {
			gone, err := t.hidden(at.path, entries)
			if err != nil {
				return nil, err
			}
			all = append(all, gone...)
		}
		for _, e := range entries {
			p := path.Join(at.path, e.Name())
			if len(now) >= MostFiles {
				return nil, fault.New(fault.Invalid, "there are more than %d files", MostFiles)
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			n, err := t.above.look(p)
			if err != nil {
				return nil, err
			}
			var old node
			was := false
			if at.below {
				old, err = t.below.look(p)
				if was = err == nil && old.mode&unix.S_IFMT != unix.S_IFSOCK; err != nil && !errors.Is(err, fs.ErrNotExist) {
					return nil, err
				}
			}
			switch kind := n.mode & unix.S_IFMT; {
			case kind == unix.S_IFCHR && n.rdev == 0, kind == unix.S_IFSOCK:
				if was {
					all = append(all, Change{path: p, gone: true})
				}
				continue
			case strings.HasPrefix(e.Name(), whiteout):
				return nil, noSuchName(p)
			}
			now[p] = n
			same := false
			if was && n.same(old) {
				if same = true; n.regular() {
					if same, err = t.sameBytes(p); err != nil {
						return nil, err
					}
				}
			}
			if !same {
				all = append(all, Change{path: p})
			}
			if n.dir() {
				todo = append(todo, place{p, was && old.dir(), at.hides || t.above.attribute(p, "trusted.overlay.opaque") == "y"})
			}
		}
	}
	sortChanges(all)
	t.above.nodes = now
	return all, nil
}

// hidden are the names below that a folder hides, but for those that it has itself.
func (t *Tree) hidden(dir string, entries []os.DirEntry) ([]Change, error) {
	below, err := os.ReadDir(t.below.file(dir))
	if err != nil {
		return nil, err
	}
	var gone []Change
	for _, e := range below {
		if e.Type()&fs.ModeSocket == 0 && !slices.ContainsFunc(entries, func(a os.DirEntry) bool { return a.Name() == e.Name() }) {
			gone = append(gone, Change{path: path.Join(dir, e.Name()), gone: true})
		}
	}
	return gone, nil
}

// linkedBelow tells whether something was done to a file below that has several names: the
// kernel keeps an index of those, beside what it works on, which begins with #.
func (t *Tree) linkedBelow() (bool, error) {
	all, err := os.ReadDir(t.index)
	return slices.ContainsFunc(all, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), "#") }), err
}

// sameBytes compares a file of the same size above and below.
func (t *Tree) sameBytes(p string) (bool, error) {
	a, err := os.OpenFile(t.above.file(p), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer a.Close()
	b, err := os.OpenFile(t.below.file(p), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false, err
	}
	defer b.Close()
	for x, y := make([]byte, 64<<10), make([]byte, 64<<10); ; {
		n, err := io.ReadFull(a, x)
		m, err2 := io.ReadFull(b, y)
		if n != m || !bytes.Equal(x[:n], y[:m]) {
			return false, nil
		}
		if err != nil || err2 != nil { // the end of both
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return true, nil
			}
			return false, errors.Join(err, err2)
		}
	}
}
