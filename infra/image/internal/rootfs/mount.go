package rootfs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// overlay mounts folders on top of each other, lowest first; see overlayfs in the
// documentation of the kernel. What is done there lands in upper, an empty folder beside
// an empty one for the kernel to work in; without upper it can only be read. The mount
// stands in no list of mounts: it is an open file, and ends with the last who has that
// open, also by kill -9.
func overlay(lowers []string, upper, work string) (*os.File, error) {
	type made struct {
		fd  int
		err error
	}
	out := make(chan made)
	go func() {
		// The thread gets mounts of its own, and ends with them: it is not unlocked.
		runtime.LockOSThread()
		fd, err := overlayHere(lowers, upper, work)
		out <- made{fd, err}
	}()
	m := <-out
	if m.err != nil {
		return nil, fmt.Errorf("make an overlay: %w", m.err)
	}
	return os.NewFile(uintptr(m.fd), "stack"), nil
}

func overlayHere(lowers []string, upper, work string) (fd int, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		return -1, fmt.Errorf("have mounts of its own: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return -1, fmt.Errorf("keep mounts private: %w", err)
	}
	var open []int
	defer func() {
		for _, fd := range open {
			unix.Close(fd)
		}
	}()
	// Files that are open have short names without marks that mean something to the
	// kernel, which takes one page of options.
	name := func(dir string) string {
		fd, e := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", dir, e))
			return ""
		}
		open = append(open, fd)
		return fmt.Sprintf("/proc/self/fd/%d", fd)
	}
	var below []string
	for i := range lowers {
		below = append(below, name(lowers[len(lowers)-1-i]))
	}
	// A file of the upper folder is whole, and a folder is that folder; see changesAbove.
	// What is lost when the machine ends is not in the cache either.
	options := "lowerdir=" + strings.Join(below, ":") + ",redirect_dir=off,metacopy=off"
	if upper != "" {
		options += ",index=on,volatile,upperdir=" + name(upper) + ",workdir=" + name(work)
	}
	if err != nil {
		return -1, err
	}
	const at = "/proc" // there is one everywhere; only this thread sees what lies on it
	// The last stack may be busy for a moment: a program that is being started has all that
	// is open here until it runs.
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		err := unix.Mount("overlay", at, "overlay", 0, options)
		if err == nil {
			break
		}
		if err != unix.EBUSY || time.Since(start) > 10*time.Second {
			return -1, fmt.Errorf("mount: %w", err)
		}
	}
	fd, err = unix.OpenTree(unix.AT_FDCWD, at, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	return fd, errors.Join(err, unix.Unmount(at, unix.MNT_DETACH)) // at once, not when the thread has ended
}
