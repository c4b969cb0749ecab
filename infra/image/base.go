package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/image/internal/rootfs"
)

var suiteName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// base finds or makes what the image begins with.
func (b *baker) base(ctx context.Context) (*entry, bool, error) {
	from := b.From
	suite, debian := strings.CutPrefix(from, "debian:")
	_, err := os.Stat(from)
	switch {
	case (debian || err != nil) && suiteName.MatchString(suite):
		return b.debian(ctx, suite)
	case err != nil:
		return nil, false, fault.New(fault.NotFound, "bake from %s: it is no suite of Debian, like bookworm, and no file: %w", from, err)
	}
	if len(b.Packages) > 0 {
		return nil, false, fault.New(fault.Invalid, "bake from %s: packages are for a suite of Debian (declare them in the role)", from)
	}
	sum, err := b.sumOfBase(from)
	if err != nil {
		return nil, false, fmt.Errorf("bake from %s: %w", from, err)
	}
	k := key(formatVersion, "file", sum, runtime.GOARCH, b.epochKey())
	if e, ok := b.cached(k); ok {
		return e, true, nil
	}
	e, err := b.file(ctx, k, from)
	if err != nil {
		return nil, false, fmt.Errorf("bake from %s: %w", from, err)
	}
	return e, false, nil
}

// epochKey is what a time that is given changes.
func (b *baker) epochKey() string {
	if b.Epoch.IsZero() {
		return ""
	}
	return fmt.Sprint(b.Epoch.Unix())
}

// sumOfBase is sumOf, remembered: large files take longer to read than all the rest when
// nothing changed.
func (b *baker) sumOfBase(from string) (string, error) {
	start := time.Now()
	id, changed, err := identity(from)
	if err != nil {
		return sumOf(from) // which knows better what is wrong
	}
	k := key(formatVersion, "sum", id)
	if e, ok := b.cached(k); ok {
		return e.Hash, nil
	}
	sum, err := sumOf(from)
	// One that was just changed may change again without the clock telling.
	if err != nil || start.Sub(changed) < 2*time.Second {
		return sum, err
	}
	if _, err := b.folder("sum"); err != nil {
		return "", err
	}
	return sum, b.cache.put(k, b.dir, &entry{Hash: sum})
}

// sumOf is a digest of a file, or of the index of a layout, which has the digests of
// everything else.
func sumOf(path string) (string, error) {
	if is, err := os.Stat(path); err != nil {
		return "", err
	} else if is.IsDir() {
		path = filepath.Join(path, "index.json")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("%w (name an OCI layout, the file of one, or a tar of a root file system)", err)
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), err
}

// file makes a base of an image, or of a root file system.
func (b *baker) file(ctx context.Context, k, from string) (*entry, error) {
	t, err := b.newTree()
	if err != nil {
		return nil, err
	}
	src, err := b.open(from, filepath.Join(b.dir, "archive"))
	if err != nil {
		return nil, err
	}
	for _, l := range src.files {
		if err := t.Unpack(l); err != nil {
			return nil, err
		}
	}
	e := &entry{Base: &base{Config: src.config, Name: filepath.Base(from), Time: src.time}}
	return e, b.finishBase(ctx, k, t, e, src)
}

// finishBase keeps a base: its own layers, or one made of the tree.
func (b *baker) finishBase(ctx context.Context, k string, t *rootfs.Tree, e *entry, src source) error {
	if !b.Epoch.IsZero() {
		e.Base.Time = b.Epoch.Unix()
	}
	if t.Clamp = e.Base.Time; t.Clamp <= 0 {
		t.Clamp = t.Newest()
		e.Base.Time = t.Clamp
	}
	if err := clean(t); err != nil {
		return err
	}
	if _, err := t.Scan(ctx); err != nil {
		return err
	}
	all := t.All()
	var err error
	if e.Base.Facts, err = b.facts(ctx, t); err != nil {
		return fmt.Errorf("look into the base: %w", err)
	}
	if err := t.Settle(all); err != nil {
		return fmt.Errorf("keep the base: %w", err)
	}
	if len(src.layers) == 0 {
		if err := b.keep(e, t, all); err != nil {
			return err
		}
	} else {
		e.Layers, e.Weight = src.layers, t.Weight(all)
		for i, l := range e.Layers {
			if err := b.keepCopy(src.files[i], l); err != nil {
				return fmt.Errorf("keep the base: %w", err)
			}
		}
	}
	if err := b.cache.keepTree(e, t.Dir); err != nil {
		return err
	}
	return b.cache.put(k, b.dir, e)
}

// facts looks into a tree. Folders that a program needs to run there are not of the tree.
func (b *baker) facts(ctx context.Context, t *rootfs.Tree) (f infra.Facts, err error) {
	for _, name := range []string{"proc", "dev"} {
		if _, e := os.Lstat(filepath.Join(t.Dir, name)); errors.Is(e, fs.ErrNotExist) {
			defer func() {
				if e := os.Remove(filepath.Join(t.Dir, name)); !errors.Is(e, fs.ErrNotExist) {
					err = errors.Join(err, e)
				}
			}()
		}
	}
	in, err := b.Enter(ctx, t.Dir, nil)
	if err != nil {
		return f, err
	}
	f, err = in.Facts()
	return f, errors.Join(err, in.Close())
}

// keepCopy keeps a layer that somebody else wrote.
func (b *baker) keepCopy(from string, l rootfs.Layer) error {
	file := filepath.Join(b.dir, "layer"+layerSuffix)
	if err := copyFile(from, file); err != nil {
		return err
	}
	return os.Rename(file, b.cache.blob(l))
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
