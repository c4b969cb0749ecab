package packages

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// put makes a file what it should be: written beside, flushed and renamed, so that it
// is never half there; a link in its place is replaced, not followed.
func put(f file) error {
	if f.Content == nil {
		if err := os.Remove(f.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", f.Path, err)
		}
		return nil
	}
	dir, name := filepath.Split(f.Path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	beside := filepath.Join(dir, ".steer-"+name)
	os.Remove(beside) // of a run that was cut off
	w, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	_, err = w.Write(f.Content)
	if err == nil {
		err = w.Chmod(0o644) // whatever the umask: apt reads as another user
	}
	if err == nil {
		err = w.Sync()
	}
	err = errors.Join(err, w.Close())
	if err == nil {
		err = os.Rename(beside, f.Path)
	}
	if err != nil {
		os.Remove(beside)
		return fmt.Errorf("write %s: %w", f.Path, err)
	}
	return nil
}
