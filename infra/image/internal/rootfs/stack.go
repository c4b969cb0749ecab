package rootfs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Stack makes a tree of folders on top of each other, lowest first, none of which is
// touched: what is done lands in a folder that it makes in dir, which has to be empty, and
// which done removes.
func Stack(lowers []string, dir string, clamp int64) (_ *Tree, done func() error, err error) {
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, name := range []string{upper, work} {
		if err := errors.Join(os.Mkdir(name, 0o755), os.Chmod(name, 0o755)); err != nil {
			return nil, nil, err
		}
	}
	view, err := overlay(lowers, upper, work)
	if err != nil {
		return nil, nil, err
	}
	below := &Tree{Dir: lowers[0], Clamp: clamp}
	done = func() error { return errors.Join(view.Close(), os.RemoveAll(dir)) }
	if len(lowers) > 1 {
		under, err := overlay(lowers, "", "")
		if err != nil {
			return nil, nil, errors.Join(err, done())
		}
		below.Dir = openPath(under)
		top := done
		done = func() error { return errors.Join(under.Close(), top()) }
	}
	return &Tree{
		Dir: openPath(view), Clamp: clamp, below: below,
		above: &Tree{Dir: upper, Clamp: clamp}, index: filepath.Join(work, "index"),
	}, done, nil
}

// openPath is where other processes find an open folder, too.
func openPath(f *os.File) string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()) }

// Stackable tells why there can be no stacks in a folder, which has to be empty: its file
// system may be one itself, or cannot find files by number.
func Stackable(dir string) error {
	lower := filepath.Join(dir, "lower")
	if err := os.Mkdir(lower, 0o700); err != nil {
		return err
	}
	t, done, err := Stack([]string{lower}, dir, 0)
	if err != nil {
		return err
	}
	_, err = os.Stat(t.index)
	return errors.Join(err, done())
}

// Upper is the folder that has what was changed in a stack; empty: it is none.
func (t *Tree) Upper() string {
	if t.above == nil {
		return ""
	}
	return t.above.Dir
}
