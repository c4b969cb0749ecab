package converge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"steer/infra"
)

// A host keeps room for what it has to remember: on a full disk, where a run may be the
// one that makes room, it could else do nothing.
const (
	reserveFile = "reserve"
	reserveSize = 1 << 20
	reserveOf   = 16 * reserveSize // of so much free room; with less there is no reserve
)

// reserve takes the room, if there is enough.
func (r *run) reserve() {
	name := filepath.Join(r.Dir, reserveFile)
	if _, err := os.Lstat(name); err == nil || r.Host.Facts.Offline {
		return
	}
	var s unix.Statfs_t
	if unix.Statfs(r.Dir, &s) != nil || s.Bavail < reserveOf/uint64(s.Bsize) {
		return
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return // the run itself will tell
	}
	defer f.Close()
	if unix.Fallocate(int(f.Fd()), 0, 0, reserveSize) != nil {
		if _, err := f.Write(make([]byte, reserveSize)); err != nil {
			os.Remove(name)
		}
	}
}

// remember writes something into the host's memory, if need be in the room of the
// reserve. It may be called twice.
func (r *run) remember(write func() error) error {
	err := write()
	if !noRoom(err) || os.Remove(filepath.Join(r.Dir, reserveFile)) != nil {
		return err
	}
	at, _, _ := fileSystem(r.Dir)
	r.notes = append(r.notes, fmt.Sprintf("%s is full: what this run remembers takes the %d MiB that are kept for that", at, reserveSize>>20))
	return write()
}

func noRoom(err error) bool { return errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.ENOSPC) }

// withRoom adds to an error for want of room which file system is full, of what, and
// what to do. Without a path in the error it is the one given.
func withRoom(err error, path string) error {
	if !noRoom(err) {
		return err
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		path = p.Path
	} else if l, ok := errors.AsType[*os.LinkError](err); ok {
		path = l.New
	}
	at, s, ok := fileSystem(path)
	switch {
	case !ok:
		return err
	case errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("%w: the quota of %s is used up: raise it or make room there, and run again", err, at)
	case s.Files > 0 && s.Ffree == 0:
		return fmt.Errorf("%w: %s is full, all of its %d names (inodes) are used: remove files there, and run again", err, at, s.Files)
	}
	size := func(blocks uint64) float64 { return float64(blocks) * float64(s.Bsize) / (1 << 20) }
	return fmt.Errorf("%w: %s is full, %.2f of %.2f MiB are free: make room there, and run again", err, at, size(s.Bavail), size(s.Blocks))
}

// fileSystem is where the file system of a path is mounted, and how full it is. What is
// not there yet is in the file system of the folder above.
func fileSystem(path string) (at string, s unix.Statfs_t, ok bool) {
	var st, up unix.Stat_t
	path = filepath.Clean(path)
	for unix.Stat(path, &st) != nil {
		if path == "/" || path == "." {
			return "", s, false
		}
		path = filepath.Dir(path)
	}
	if unix.Statfs(path, &s) != nil {
		return "", s, false
	}
	for path != "/" && unix.Stat(filepath.Dir(path), &up) == nil && up.Dev == st.Dev {
		path = filepath.Dir(path)
	}
	return path, s, true
}

// pathOf is what a resource stands at, empty if it is at no path.
func pathOf(r infra.Resource) string {
	if related, ok := r.(infra.Related); ok {
		for _, name := range related.Gives() {
			if path, ok := strings.CutPrefix(name, "path:"); ok {
				return path
			}
		}
	}
	return ""
}
