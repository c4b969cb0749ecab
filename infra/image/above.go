package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// errLinked says that a stack cannot show what was done: a file below was changed that
// has several names, and the others still have it as it was.
var errLinked = errors.New("a file with several names was changed")

// place in a stack that changesAbove still has to look at.
type place struct {
	path  string
	below bool // the folder is one below, too
	hides bool // nothing of that shows
}

// changesAbove tells what the upper folder of a stack changes of what is below, sorted,
// as a comparison of whole trees would: not what was only touched. Marks of the kernel are
// a device 0/0 for what is gone, and an attribute of folders that hide what is below.
func (t *tree) changesAbove(ctx context.Context) ([]change, error) {
	if linked, err := t.linkedBelow(); err != nil || linked {
		return nil, cmp.Or(err, errLinked)
	}
	now := map[string]node{}
	var all []change
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
			if len(now) >= mostFiles {
				return nil, fault.New(fault.Invalid, "there are more than %d files", mostFiles)
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
					all = append(all, change{path: p, gone: true})
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
				all = append(all, change{path: p})
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
func (t *tree) hidden(dir string, entries []os.DirEntry) ([]change, error) {
	below, err := os.ReadDir(t.below.file(dir))
	if err != nil {
		return nil, err
	}
	var gone []change
	for _, e := range below {
		if e.Type()&fs.ModeSocket == 0 && !slices.ContainsFunc(entries, func(a os.DirEntry) bool { return a.Name() == e.Name() }) {
			gone = append(gone, change{path: path.Join(dir, e.Name()), gone: true})
		}
	}
	return gone, nil
}

// attribute of a file; empty without it.
func (t *tree) attribute(p, name string) string {
	b := make([]byte, 256)
	n, err := unix.Lgetxattr(t.file(p), name, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}

// linkedBelow tells whether something was done to a file below that has several names: the
// kernel keeps an index of those, beside what it works on, which begins with #.
func (t *tree) linkedBelow() (bool, error) {
	all, err := os.ReadDir(t.index)
	return slices.ContainsFunc(all, func(e os.DirEntry) bool { return !strings.HasPrefix(e.Name(), "#") }), err
}

// sameBytes compares a file of the same size above and below.
func (t *tree) sameBytes(p string) (bool, error) {
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

// settle makes what is on disk equal to what a layer of these changes makes of it, so that
// it is the same for what follows whether it was just done or comes from the cache: times
// are clamped, and what did not change, with sockets, is gone from the upper folder of a
// stack.
func (t *tree) settle(changes []change) error {
	changed := map[string]bool{}
	for _, c := range changes {
		changed[c.path] = true
	}
	if t.above == nil {
		return t.settleFlat(changed)
	}
	keep := map[string]bool{".": true}
	for _, c := range withFolders(changes) {
		keep[c.path] = true
	}
	var folders []string
	var prune func(dir string) error
	prune = func(dir string) error {
		entries, err := os.ReadDir(t.above.file(dir))
		for _, e := range entries {
			p := path.Join(dir, e.Name())
			switch n, ok := t.above.nodes[p]; {
			case !keep[p]:
				err = errors.Join(err, os.RemoveAll(t.above.file(p)))
			case ok && n.dir():
				folders = append(folders, p)
				err = errors.Join(err, prune(p))
			case ok:
				err = errors.Join(err, t.above.setTime(p, n.mtime))
			}
		}
		return err
	}
	err := prune("")
	for _, p := range folders {
		err = errors.Join(err, t.above.setTime(p, t.above.nodes[p].mtime))
	}
	return err
}

// clampTimes does it with a whole tree that was unpacked.
func (t *tree) clampTimes() error {
	all, _, err := t.walk()
	if err != nil {
		return fmt.Errorf("look at %s: %w", t.dir, err)
	}
	for p, n := range all {
		err = errors.Join(err, t.setTime(p, n.mtime))
	}
	return err
}

// settleFlat does it in a tree that is no stack. Names that a file got besides unchanged
// ones become files: a layer has no links to what is below.
func (t *tree) settleFlat(changed map[string]bool) error {
	names := map[inode]string{}
	for p, n := range t.nodes {
		if n.regular() && !changed[p] {
			names[n.place] = p
		}
	}
	for p := range changed {
		n, ok := t.nodes[p]
		if !ok {
			continue
		}
		if _, linked := names[n.place]; linked && n.regular() {
			if err := t.unlink(p, n); err != nil {
				return err
			}
		}
		if err := t.setTime(p, n.mtime); err != nil {
			return err
		}
		fresh, err := t.look(p)
		if err != nil {
			return err
		}
		fresh.sum = n.sum
		t.nodes[p] = fresh
	}
	return nil
}

// unlink makes a name of a file a file of its own. The folder's time stays.
func (t *tree) unlink(p string, n node) error {
	beside := t.file(p) + ".steer-new"
	if err := copyFile(t.file(p), beside); err != nil {
		return err
	}
	err := errors.Join(os.Lchown(beside, int(n.uid), int(n.gid)), unix.Chmod(beside, n.mode&0o7777))
	for key, value := range xattrsOf(n.xattrs) {
		err = errors.Join(err, unix.Lsetxattr(beside, key, []byte(value), 0))
	}
	err = errors.Join(err, os.Rename(beside, t.file(p)))
	if up, ok := t.nodes[path.Dir(p)]; ok {
		err = errors.Join(err, t.setTime(path.Dir(p), up.mtime))
	}
	return err
}

func (t *tree) setTime(p string, mtime int64) error { return setTime(unix.AT_FDCWD, t.file(p), mtime) }

// weight is about what files take on disk.
func (t *tree) weight(changes []change) (sum int64) {
	const block = 4096
	for _, c := range changes {
		sum += block // of the name, and of what is known of it
		if n := t.nodes[c.path]; n.regular() {
			sum += (n.size + block - 1) / block * block
		}
	}
	return sum
}
