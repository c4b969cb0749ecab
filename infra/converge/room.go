package converge

import (
	"fmt"
	"os"
	"path/filepath"

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
	if !infra.DiskTrouble(err) || os.Remove(filepath.Join(r.Dir, reserveFile)) != nil {
		return err
	}
	r.notes = append(r.notes, fmt.Sprintf("the disk with %s is full: what this run remembers takes the %d MiB that are kept for that", r.Dir, reserveSize>>20))
	return write()
}
