package infra

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"
)

// DiskTrouble tells that an error is about the disk: nothing can be written there until
// somebody makes room, or mounts it otherwise.
func DiskTrouble(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS)
}

// OnDisk adds to an error of the disk, of writing to path, which file system it is
// about, how full that is, and what to do. Other errors stay as they are.
func OnDisk(path string, err error) error {
	if !DiskTrouble(err) {
		return err
	}
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w (the file system with %s is mounted read-only: the kernel does that after errors of the disk, see dmesg; mount -o remount,rw allows writing again)", err, path)
	}
	var s syscall.Statfs_t
	at := path // what is not there yet will be in the folder above
	for syscall.Statfs(at, &s) != nil && at != filepath.Dir(at) {
		at = filepath.Dir(at)
	}
	room := fmt.Sprintf("%d of %d KiB", s.Bavail*uint64(s.Bsize)>>10, s.Blocks*uint64(s.Bsize)>>10)
	if s.Files > 0 && s.Ffree == 0 {
		room = fmt.Sprintf("%d of %d inodes", s.Ffree, s.Files)
	}
	if errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w (a quota of the file system of %s is used up, where %s are free: make room, or raise the quota)", err, path, room)
	}
	return fmt.Errorf("%w (where %s are free: make room, the next visit does the rest)", err, room)
}
