package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// folder is where the artifact of a digest is unpacked.
func (d *Driver) folder(digest string) string {
	return filepath.Join(d.o.Dir, "versions", strings.ReplaceAll(digest, ":", "-"))
}

// Bring has an artifact unpacked by unpack, unless it is there, and keeps it for a
// minute, in which a node of it may be started.
func (d *Driver) Bring(ctx context.Context, digest string, unpack func(ctx context.Context, digest, dir string) error) error {
	d.expect(digest, 1)
	time.AfterFunc(time.Minute, func() { d.expect(digest, -1) })
	return d.put(ctx, digest, unpack)
}

// version unpacks an artifact unless it is there.
func (d *Driver) version(ctx context.Context, digest string) error {
	return d.put(ctx, digest, d.o.Unpack)
}

func (d *Driver) put(ctx context.Context, digest string, unpack func(ctx context.Context, digest, dir string) error) error {
	if digest == "" || strings.ContainsAny(digest, "/\\") || strings.HasPrefix(digest, ".") {
		return fault.New(fault.Invalid, "unpack artifact %q: that is no digest", digest)
	}
	to := d.folder(digest)
	if _, err := os.Stat(to); err == nil {
		return nil // also while another one is being unpacked, which may take long
	}
	d.unpack.Lock()
	defer d.unpack.Unlock()
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	tmp := to + ".tmp"
	if err := remove(tmp); err != nil {
		return fmt.Errorf("unpack artifact %s: %w", digest, err)
	}
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return fmt.Errorf("unpack artifact %s: %w", digest, err)
	}
	err := unpack(ctx, digest, tmp)
	if err == nil {
		err = seal(tmp)
	}
	if err == nil {
		err = os.Rename(tmp, to)
	}
	if err != nil {
		remove(tmp)
		return fmt.Errorf("unpack artifact %s: %w", digest, err)
	}
	return nil
}

// seal makes an unpacked artifact read-only, since nodes share it, and brings it
// to disk, since its folder's name promises that it is whole.
func seal(dir string) error {
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeSymlink != 0 || path == dir {
			return err
		}
		i, err := e.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, i.Mode().Perm()&^0o222)
	})
	if err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

// remove removes a sealed folder.
func remove(dir string) error {
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			os.Chmod(path, 0o755)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// forget removes unpacked artifacts that no node uses.
func (d *Driver) forget(used map[string]bool) {
	d.unpack.Lock()
	defer d.unpack.Unlock()
	d.mu.Lock()
	for _, n := range d.nodes {
		used[n.digest] = true
	}
	for digest := range d.coming {
		used[digest] = true
	}
	d.mu.Unlock()
	folders := map[string]bool{}
	for digest := range used {
		folders[filepath.Base(d.folder(digest))] = true
	}
	entries, err := os.ReadDir(filepath.Join(d.o.Dir, "versions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Error("cannot tidy unpacked artifacts", "error", err)
	}
	for _, e := range entries {
		if !folders[e.Name()] {
			remove(filepath.Join(d.o.Dir, "versions", e.Name()))
		}
	}
}
