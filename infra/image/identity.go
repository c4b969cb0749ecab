package image

import (
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// identity tells a file from all others, and from itself before it changed, without
// reading it: nobody can set the time of change.
func identity(file string) (id string, changed time.Time, err error) {
	whole, err := filepath.Abs(file)
	if err != nil {
		return "", time.Time{}, err
	}
	var st unix.Stat_t
	if err := unix.Stat(whole, &st); err != nil {
		return "", time.Time{}, fmt.Errorf("look at %s: %w", file, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return identity(filepath.Join(whole, "index.json"))
	}
	id = fmt.Sprintln(whole, st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano())
	return id, time.Unix(st.Ctim.Unix()), nil
}
