package image

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra/image/internal/rootfs"
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
func (b *baker) newTree() (*rootfs.Tree, error) {
	dir, err := b.folder("tree")
	return &rootfs.Tree{Dir: dir}, err
}

// stand makes a tree of all that the chain has by now, to do the next step in: a stack of
// what each of them left, or the one where all is done.
func (b *baker) stand(ctx context.Context) (*rootfs.Tree, func() error, error) {
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
		t.Clamp = b.chain[0].Base.Time
		for _, e := range b.chain {
			if err := b.unpack(t, e); err != nil {
				return nil, nil, err
			}
		}
		if _, err := t.Scan(ctx); err != nil {
			return nil, nil, err
		}
		b.flat = t
	}
	return b.flat, func() error { return nil }, nil
}

// unpack unpacks the layers of an entry over a tree.
func (b *baker) unpack(t *rootfs.Tree, e *entry) error {
	for _, l := range e.Layers {
		if err := t.Unpack(b.cache.blob(l)); err != nil {
			return err
		}
	}
	if e.Base == nil {
		return nil
	}
	if err := clean(t); err != nil { // of what a foreign base has
		return err
	}
	return t.ClampTimes()
}

// try tells why there can be no stacks in the cache.
func (b *baker) try() error {
	dir, err := b.folder("try")
	if err != nil {
		return err
	}
	if err := rootfs.Stackable(dir); err != nil {
		return fmt.Errorf("there can be no overlay in %s: %w", b.Cache, err)
	}
	return nil
}

// stacked makes the tree as a stack.
func (b *baker) stacked(ctx context.Context) (*rootfs.Tree, func() error, error) {
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
	dir, err := b.folder("stack")
	if err != nil {
		return nil, nil, err
	}
	t, done, err := rootfs.Stack(lowers, dir, b.chain[0].Base.Time)
	if err != nil {
		return nil, nil, err
	}
	return t, done, ctx.Err()
}

// grow unpacks the layers of an entry for stacks, unless that is there.
func (b *baker) grow(e *entry) error {
	if _, err := os.Stat(b.cache.tree(e)); err == nil {
		return nil
	}
	t, err := b.newTree()
	if err != nil {
		return err
	}
	t.Clamp, t.Marks = b.chain[0].Base.Time, e.Base == nil
	if err := b.unpack(t, e); err != nil {
		return err
	}
	return b.cache.keepTree(e, t.Dir)
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
