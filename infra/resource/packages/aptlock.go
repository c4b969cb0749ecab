package packages

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
)

// aptLocks are the files that apt and dpkg lock while they work.
func aptLocks() []string {
	return []string{"/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"}
}

// free waits until nobody holds a lock, at most within. apt waits for some of its
// locks itself, but not for that of the index, and not in old versions.
func free(ctx context.Context, locks []string, within time.Duration) error {
	start := time.Now()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		who, file := "", ""
		for _, name := range locks {
			if who = holder(name); who != "" {
				file = name
				break
			}
		}
		if who == "" {
			return nil
		}
		if time.Since(start) >= within {
			return fault.New(fault.Unavailable, "%s has held %s for %s: wait for its end, or look why it hangs, then run again", who, file, within)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, which holds %s: %w", who, file, ctx.Err())
		case <-tick.C:
		}
	}
}

// holder names the process that holds a lock, or is empty.
func holder(file string) string {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return "" // never locked
	}
	defer f.Close()
	l := syscall.Flock_t{Type: syscall.F_WRLCK}
	if syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &l) != nil || l.Type == syscall.F_UNLCK {
		return ""
	}
	if l.Pid <= 0 {
		return "a process outside of this container"
	}
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", l.Pid))
	return strings.TrimSpace(fmt.Sprintf("process %d %s", l.Pid, strings.TrimSpace(string(name))))
}
