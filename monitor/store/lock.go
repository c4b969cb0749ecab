//go:build unix

package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"steer/base/fault"
)

// lock keeps other processes out of dir until the file is closed. The kernel
// drops it with the process, so a crash leaves nothing to clean up.
func lock(dir string) (*os.File, error) {
	name := filepath.Join(dir, "LOCK")
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock metric store %s: %w", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock metric store %s: %w", dir, err)
		}
		pid, _ := io.ReadAll(io.LimitReader(f, 20))
		return nil, fault.New(fault.Conflict, "open metric store %s: process %s uses it (stop that one first, or give this one another --data folder)", dir, strings.TrimSpace(string(pid)))
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return f, nil
}
