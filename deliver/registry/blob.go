package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// files is the folder with the contents.
type files struct {
	dir  string
	free int64 // bytes that writing leaves
}

func openFiles(dir string, free int64) (files, error) {
	f := files{dir, free}
	for _, d := range []string{"blobs/sha256", "blobs/sha512", "uploads", "trash"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return f, fmt.Errorf("open registry: %w", err)
		}
	}
	// What was being removed when Steer stopped may be needed: it is put back, and
	// judged anew.
	left, err := os.ReadDir(filepath.Join(dir, "trash"))
	if err != nil {
		return f, fmt.Errorf("open registry: %w", err)
	}
	for _, e := range left {
		algorithm, hexed, _ := strings.Cut(e.Name(), "-")
		if d, err := ParseDigest(algorithm + ":" + hexed); err == nil {
			if err := f.restore(d); err != nil {
				return f, fmt.Errorf("open registry: %w", err)
			}
		}
	}
	return f, nil
}

func (f files) path(d Digest) string {
	algorithm, hexed := d.split()
	return filepath.Join(f.dir, "blobs", algorithm, hexed)
}

func (f files) trash(d Digest) string {
	return filepath.Join(f.dir, "trash", strings.Replace(string(d), ":", "-", 1))
}

// restore puts back what was on its way out; what has come anew meanwhile stays.
func (f files) restore(d Digest) error {
	if err := os.Link(f.trash(d), f.path(d)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Remove(f.trash(d))
}

// open returns a blob for reading.
func (f files) open(d Digest) (*os.File, int64, error) {
	file, err := os.Open(f.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, Fail(BlobUnknown, http.StatusNotFound, "blob %s: there is none (push it first)", d)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read blob: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, 0, fmt.Errorf("read blob: %w", err)
	}
	return file, info.Size(), nil
}

// size is that of a blob; touch says that somebody counts on it: a blob that nothing
// refers to is kept for a while from then on.
func (f files) size(d Digest, touch bool) (int64, error) {
	info, err := os.Stat(f.path(d))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, Fail(BlobUnknown, http.StatusNotFound, "blob %s: there is none (push it first)", d)
	}
	if err != nil {
		return 0, fmt.Errorf("read blob: %w", err)
	}
	if touch && time.Since(info.ModTime()) > grace/24 {
		now := time.Now()
		if err := os.Chtimes(f.path(d), now, now); err != nil {
			return 0, fmt.Errorf("keep blob: %w", err)
		}
	}
	return info.Size(), nil
}

// keep puts a complete file under its name, for good.
func (f files) keep(file *os.File, d Digest) error {
	if err := file.Sync(); err != nil {
		return f.trouble(err)
	}
	// The age of a blob counts from here, however long it was on its way. One that is
	// there already may be damaged: this one is not.
	now := time.Now()
	if err := os.Chtimes(file.Name(), now, now); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), f.path(d)); err != nil {
		return f.trouble(err)
	}
	return syncFolder(filepath.Dir(f.path(d)))
}

// write keeps a small blob.
func (f files) write(d Digest, data []byte) error {
	if err := f.room(int64(len(data))); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Join(f.dir, "uploads"), "manifest-*")
	if err != nil {
		return f.trouble(err)
	}
	defer os.Remove(file.Name()) // fails once it is kept
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		return f.trouble(err)
	}
	return f.keep(file, d)
}

// room says no when n more bytes would leave too little space on the disk.
func (f files) room(n int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(f.dir, &s); err != nil {
		return fmt.Errorf("ask for space on the disk: %w", err)
	}
	if left := int64(s.Bavail) * int64(s.Bsize); left-n < f.free {
		return Fail(Unavailable, http.StatusInsufficientStorage,
			"the disk of the registry has %d MiB left, of which %d stay free for everything else (make room, or lower registry.keep_free_mb)", left>>20, f.free>>20)
	}
	return nil
}

// trouble words an error of writing.
func (f files) trouble(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return Fail(Unavailable, http.StatusInsufficientStorage, "the disk of the registry is full (make room there): %w", err)
	}
	return fmt.Errorf("write to the registry: %w", err)
}

// syncFolder makes renames in a folder survive power loss.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
