package login

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// largest bounds a file that is read; what is larger is an error.
const largest = 4 << 20

func (o *house) path(name string) string { return filepath.Join(o.root, name) }

// read reads a file; one that is not there is empty. Pipes and links of users are not
// followed into anything else than files.
func (o *house) read(name string) ([]byte, error) {
	f, err := os.OpenFile(o.path(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if is, err := f.Stat(); err != nil || !is.Mode().IsRegular() || is.Size() > largest {
		return nil, errors.Join(err, fmt.Errorf("%s is no file of at most %d bytes", name, largest))
	}
	return io.ReadAll(io.LimitReader(f, largest))
}

// write replaces a file whole. It keeps owner and rights of one that is there.
func (o *house) write(name string, content []byte) error {
	path, mode, uid, gid := o.path(name), fs.FileMode(0o644), 0, 0
	if is, err := os.Lstat(path); err == nil && is.Mode().IsRegular() {
		mode = is.Mode().Perm()
		if s, ok := is.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(s.Uid), int(s.Gid)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".steer-login-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync()); os.Geteuid() == 0 {
		err = errors.Join(err, f.Chown(uid, gid))
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) //nolint:errcheck // the first error tells more
	}
	return err
}

func (o *house) exists(name string) bool {
	_, err := os.Lstat(o.path(name))
	return err == nil
}
