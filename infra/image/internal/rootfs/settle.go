package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Settle makes what is on disk equal to what a layer of these changes makes of it, so that
// it is the same for what follows whether it was just done or comes from the cache: times
// are clamped, and what did not change, with sockets, is gone from the upper folder of a
// stack.
func (t *Tree) Settle(changes []Change) error {
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

// settleFlat does it in a tree that is no stack. Names that a file got besides unchanged
// ones become files: a layer has no links to what is below.
func (t *Tree) settleFlat(changed map[string]bool) error {
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

// ClampTimes does it with a whole tree that was unpacked.
func (t *Tree) ClampTimes() error {
	all, _, err := t.walk()
	if err != nil {
		return fmt.Errorf("look at %s: %w", t.Dir, err)
	}
	for p, n := range all {
		err = errors.Join(err, t.setTime(p, n.mtime))
	}
	return err
}

// unlink makes a name of a file a file of its own. The folder's time stays.
func (t *Tree) unlink(p string, n node) error {
	in, err := os.Open(t.file(p))
	if err != nil {
		return err
	}
	defer in.Close()
	beside := t.file(p) + ".steer-new"
	if err := writeAt(unix.AT_FDCWD, beside, in); err != nil {
		return err
	}
	err = errors.Join(os.Lchown(beside, int(n.uid), int(n.gid)), unix.Chmod(beside, n.mode&0o7777))
	for key, value := range xattrsOf(n.xattrs) {
		err = errors.Join(err, unix.Lsetxattr(beside, key, []byte(value), 0))
	}
	err = errors.Join(err, os.Rename(beside, t.file(p)))
	if up, ok := t.nodes[path.Dir(p)]; ok {
		err = errors.Join(err, t.setTime(path.Dir(p), up.mtime))
	}
	return err
}

func (t *Tree) setTime(p string, mtime int64) error { return setTime(unix.AT_FDCWD, t.file(p), mtime) }

// Weight is about what changed files take on disk, in bytes.
func (t *Tree) Weight(changes []Change) (sum int64) {
	if t.above != nil {
		t = t.above
	}
	const block = 4096
	for _, c := range changes {
		sum += block // of the name, and of what is known of it
		if n := t.nodes[c.path]; n.regular() {
			sum += (n.size + block - 1) / block * block
		}
	}
	return sum
}
