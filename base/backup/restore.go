package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"steer/base/fault"
)

// stagePrefix begins the name of the folder that an archive is unpacked to,
// inside of the one to restore: the one above may be out of reach, or on another
// disk. A data folder that holds one is not complete, see Interrupted.
const stagePrefix = ".restore-"

// Restore unpacks an archive into dir, which must be absent or empty. Nothing of
// it counts before all of it is there, agrees with the manifest, and is on disk;
// when it fails, the folder is as it was. Paths and links cannot lead out of dir.
func Restore(ctx context.Context, in io.Reader, dir string, tell func(name string)) (sum Summary, err error) {
	made, err := prepare(dir)
	if err != nil {
		return sum, err
	}
	defer func() {
		if err != nil && made {
			os.Remove(dir)
		}
	}()
	stage, err := os.MkdirTemp(dir, stagePrefix+"*")
	if err != nil {
		return sum, fmt.Errorf("restore into %s: %w", dir, err)
	}
	defer os.RemoveAll(stage)
	root, err := os.OpenRoot(stage)
	if err != nil {
		return sum, fmt.Errorf("restore into %s: %w", dir, err)
	}
	defer root.Close()
	u := unpacker{root: root}
	u.syncs.SetLimit(16)
	sum, err = read(&ended{ctx, in}, stage, func(h *tar.Header, body io.Reader) error {
		if tell != nil {
			tell(h.Name)
		}
		return u.take(h, body)
	})
	if err = errors.Join(err, u.syncs.Wait()); err != nil {
		return sum, fmt.Errorf("restore into %s: nothing was restored: %w", dir, err)
	}
	if err := publish(stage, dir); err != nil {
		return sum, fmt.Errorf("restore into %s: nothing was restored: %w", dir, err)
	}
	return sum, nil
}

// prepare makes the folder, or checks that it is empty.
func prepare(dir string) (made bool, err error) {
	if err := Interrupted(dir); err != nil {
		return false, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return false, fmt.Errorf("restore into %s: %w", dir, err)
		}
		return true, nil
	}
	if err != nil {
		return false, fault.New(fault.Invalid, "restore into %s: %w (choose an empty or a new folder)", dir, err)
	}
	for _, e := range entries {
		if e.Name() != "lost+found" { // of an empty disk
			return false, fault.New(fault.Conflict, "restore into %s: the folder is not empty, it holds %s (choose an empty or a new one)", dir, e.Name())
		}
	}
	return false, nil
}

// Interrupted says whether dir holds half a restore, as fault.Conflict: one that
// was killed, or that still runs.
func Interrupted(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // whoever wants to use it finds out
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagePrefix) {
			return fault.New(fault.Conflict, "data folder %s: a restore into it was interrupted, or still runs: it holds %s (if none runs, empty the folder and restore again)", dir, e.Name())
		}
	}
	return nil
}

// unpacker writes files below root.
type unpacker struct {
	root  *os.Root
	last  string         // folder that was made last
	syncs errgroup.Group // files on their way to disk
}

func (u *unpacker) take(h *tar.Header, body io.Reader) error {
	if h.Typeflag == tar.TypeDir {
		return u.folder(h.Name)
	}
	if err := u.folder(path.Dir(h.Name)); err != nil {
		return err
	}
	f, err := u.root.OpenFile(h.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fs.FileMode(h.Mode)&0o777|0o600)
	if errors.Is(err, fs.ErrExist) {
		return fault.New(fault.Invalid, "%s is in the archive twice, so it was altered", h.Name)
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, body); err != nil {
		f.Close()
		return err
	}
	// Waiting for one file after the other takes many times as long.
	u.syncs.Go(func() error { return errors.Join(f.Sync(), f.Close()) })
	return nil
}

func (u *unpacker) folder(name string) error {
	if name == u.last {
		return nil
	}
	u.last = name
	return u.root.MkdirAll(name, 0o700)
}

// publish brings the folders to disk and moves everything to its place. The
// stage goes last: while it is there, no server starts.
func publish(stage, dir string) (err error) {
	err = filepath.WalkDir(stage, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return syncFolder(path)
	})
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(stage)
	if err != nil {
		return err
	}
	var moved []string
	defer func() {
		if err != nil {
			for _, path := range moved {
				os.RemoveAll(path)
			}
		}
	}()
	for _, e := range entries {
		to := filepath.Join(dir, e.Name())
		if err := os.Rename(filepath.Join(stage, e.Name()), to); err != nil {
			return err
		}
		moved = append(moved, to)
	}
	if err := syncFolder(dir); err != nil {
		return err
	}
	if err := os.Remove(stage); err != nil {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// ended stops reading when ctx ends.
type ended struct {
	ctx context.Context
	in  io.Reader
}

func (e *ended) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.in.Read(p)
}
