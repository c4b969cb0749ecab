package image

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// folder makes a new folder in the one to work in. Lists of apt last as long as that.
func (b *baker) folder(name string) (string, error) {
	if b.dir == "" {
		dir, done, err := b.cache.work()
		if err != nil {
			return "", err
		}
		b.dir, b.done = dir, done
		if err := os.Mkdir(filepath.Join(dir, "lists"), 0o755); err != nil {
			return "", fmt.Errorf("make a folder to work in: %w", err)
		}
		if err := os.Chmod(dir, 0o755); err != nil { // apt reads lists as another user
			return "", fmt.Errorf("make a folder to work in: %w", err)
		}
	}
	dir, err := os.MkdirTemp(b.dir, name)
	if err != nil {
		return "", fmt.Errorf("make a folder to work in: %w", err)
	}
	return dir, os.Chmod(dir, 0o755)
}

// newTree makes an empty tree.
func (b *baker) newTree() (*tree, error) {
	dir, err := b.folder("tree")
	return &tree{dir: dir}, err
}

// stand makes a tree of all that the chain has by now, to do the next step in: a stack of
// what each of them left, or the one where all is done.
func (b *baker) stand(ctx context.Context) (*tree, func() error, error) {
	if b.noWay == nil && !b.tried {
		b.tried, b.noWay = true, b.try()
	}
	if b.noWay == nil {
		return b.stacked(ctx)
	}
	if b.flat == nil {
		b.Slow(b.noWay)
		t, err := b.newTree()
		if err != nil {
			return nil, nil, err
		}
		t.clamp = b.chain[0].Base.Time
		for _, e := range b.chain {
			if err := b.unpack(t, e); err != nil {
				return nil, nil, err
			}
		}
		if _, err := t.scan(ctx); err != nil {
			return nil, nil, err
		}
		b.flat = t
	}
	return b.flat, func() error { return nil }, nil
}

// unpack unpacks the layers of an entry over a tree.
func (b *baker) unpack(t *tree, e *entry) error {
	for _, l := range e.Layers {
		if err := t.unpackFile(b.cache.blob(l)); err != nil {
			return err
		}
	}
	if e.Base == nil {
		return nil
	}
	if err := t.clean(); err != nil { // of what a foreign base has
		return err
	}
	return t.clampTimes()
}

// try tells why there can be no stacks in the cache: its file system may be one itself, or
// cannot find files by number.
func (b *baker) try() error {
	dir, err := b.folder("try")
	if err != nil {
		return err
	}
	for _, name := range []string{"lower", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return err
		}
	}
	f, err := stack([]string{filepath.Join(dir, "lower")}, filepath.Join(dir, "upper"), filepath.Join(dir, "work"))
	if err != nil {
		return fmt.Errorf("there can be no overlay in %s: %w", b.Cache, err)
	}
	_, err = os.Stat(filepath.Join(dir, "work/index"))
	return errors.Join(err, f.Close())
}

// stacked makes the tree as a stack.
func (b *baker) stacked(ctx context.Context) (_ *tree, done func() error, err error) {
	var lowers []string
	for _, e := range b.chain {
		if e.tree() == "" {
			continue
		}
		if err := b.grow(e); err != nil {
			return nil, nil, err
		}
		lowers = append(lowers, b.cache.tree(e))
	}
	var dirs [2]string
	for i, name := range []string{"upper", "work"} {
		if dirs[i], err = b.folder(name); err != nil {
			return nil, nil, err
		}
	}
	view, err := stack(lowers, dirs[0], dirs[1])
	if err != nil {
		return nil, nil, err
	}
	below := &tree{dir: lowers[0], clamp: b.chain[0].Base.Time}
	done = func() error { return errors.Join(view.Close(), os.RemoveAll(dirs[0]), os.RemoveAll(dirs[1])) }
	if len(lowers) > 1 {
		under, err := stack(lowers, "", "")
		if err != nil {
			return nil, nil, errors.Join(err, done())
		}
		below.dir = openPath(under)
		top := done
		done = func() error { return errors.Join(under.Close(), top()) }
	}
	return &tree{
		dir: openPath(view), clamp: below.clamp, below: below,
		above: &tree{dir: dirs[0], clamp: below.clamp}, index: filepath.Join(dirs[1], "index"),
	}, done, ctx.Err()
}

// openPath is where other processes find an open folder, too.
func openPath(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// grow unpacks the layers of an entry for stacks, unless that is there.
func (b *baker) grow(e *entry) error {
	if _, err := os.Stat(b.cache.tree(e)); err == nil {
		return nil
	}
	t, err := b.newTree()
	if err != nil {
		return err
	}
	t.clamp, t.marks = b.chain[0].Base.Time, e.Base == nil
	if err := b.unpack(t, e); err != nil {
		return err
	}
	return b.cache.keepTree(e, t.dir)
}

// full says what to do when a disk is full.
func (b *baker) full(err error) error {
	if err == nil {
		return nil
	}
	var fs unix.Statfs_t
	if unix.Statfs(b.Cache, &fs) != nil || fs.Blocks == 0 || fs.Bavail > fs.Blocks/100 && uint64(fs.Bsize)*fs.Bavail > 32<<20 && fs.Ffree > 1000 {
		return err
	}
	return fault.New(fault.TooMuch, "%w\nthe file system of the cache, %s, has only %d MiB left, which may be why (make room there, or give --cache with another folder; --cache-size bounds what it keeps)", err, b.Cache, uint64(fs.Bsize)*fs.Bavail>>20)
}
