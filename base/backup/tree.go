package backup

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Tree adds what is below the folder dir under the name as, in each folder the
// files before the folders. It passes over names for which skip is true, and
// what goes away meanwhile. A link, a socket, or a name that cannot be in an
// archive is left out with a note. For as ".", dir is the data folder itself.
func (w *Writer) Tree(dir, as string, skip func(name string) bool) error {
	var folders []string
	err := each(dir, func(e fs.DirEntry) error {
		name := path.Join(as, e.Name())
		if skip != nil && skip(name) {
			return nil
		}
		if e.IsDir() {
			folders = append(folders, e.Name())
			return nil
		}
		err := checkFile(name)
		if err == nil && !e.Type().IsRegular() {
			err = fmt.Errorf("it is no file but %s", kind(e.Type()))
		}
		if err != nil {
			w.Note("%q is left out: %v", name, err)
			return nil
		}
		if err := w.Copy(name, filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, f := range folders {
		name := path.Join(as, f)
		if err := checkName(name); err != nil {
			w.Note("%q is left out: %v", name, err)
			continue
		}
		if err := w.Dir(name); err != nil {
			return err
		}
		if err := w.Tree(filepath.Join(dir, f), name, skip); err != nil {
			return err
		}
	}
	return nil
}

// each hands on the entries of a folder, however many there are. One that is gone
// is empty.
func each(dir string, f func(fs.DirEntry) error) error {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(1000)
		for _, e := range entries {
			if err := f(e); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func kind(t fs.FileMode) string {
	switch {
	case t&fs.ModeSymlink != 0:
		return "a symbolic link"
	case t&fs.ModeSocket != 0:
		return "a socket"
	case t&fs.ModeNamedPipe != 0:
		return "a pipe"
	}
	return "a device"
}
