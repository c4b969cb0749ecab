package store

import (
	"io"
	"os"
	"path/filepath"
)

// disk is what the engine asks of the file system; tests put one in between
// that is full or broken.
type disk interface {
	MkdirAll(dir string) error
	Create(name string) (file, error) // empty, for writing and reading
	Open(name string) (file, int64, error)
	Append(name string) (file, int64, error) // made if missing
	Truncate(name string, size int64) error
	Rename(from, to string) error
	Link(from, to string) error
	Remove(name string) error
	SyncDir(dir string) error
}

type file interface {
	io.Writer
	io.ReaderAt
	io.Closer
	Sync() error
}

type osDisk struct{}

func (osDisk) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

func (osDisk) Create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (osDisk) Open(name string) (file, int64, error) { return opened(os.Open(name)) }

func (osDisk) Append(name string) (file, int64, error) {
	return opened(os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644))
}

func opened(f *os.File, err error) (file, int64, error) {
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// Truncate cuts a file and waits until that is on disk.
func (osDisk) Truncate(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

func (osDisk) Rename(from, to string) error { return os.Rename(from, to) }
func (osDisk) Link(from, to string) error   { return os.Link(from, to) }
func (osDisk) Remove(name string) error     { return os.Remove(name) }

func (osDisk) SyncDir(dir string) error {
	d, err := os.Open(filepath.Clean(dir))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// readAll reads a whole file through d. Less than that is an error: who cuts off a
// torn tail must not take a short read for one.
func readAll(d disk, name string) ([]byte, error) {
	f, size, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		if err == nil || err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}

// writeAll writes b whole or fails.
func writeAll(f io.Writer, b []byte) error {
	n, err := f.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
