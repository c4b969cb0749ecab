package place

import (
	"errors"
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra"
)

// MakeFolder makes a folder at a path, and those above it that are missing; see
// Place.Folder.
func MakeFolder(h *infra.Host, at string, a Access) error {
	if err := MakeParents(at); err != nil {
		return err
	}
	p, err := Open(at)
	if err != nil {
		return fmt.Errorf("make %s: %w", at, err)
	}
	defer p.Close()
	return p.Folder(h, a)
}

// Folder makes a folder there, in place of what is none, or gives the one that is there
// its owner and rights.
func (p Place) Folder(h *infra.Host, a Access) error {
	st, ok, err := p.Stat()
	if err == nil && ok && TypeOf(st) != "directory" {
		err, ok = p.Remove(), false // who compared looked whether it may go
	}
	if err == nil && !ok {
		err = p.newFolder(h, a)
	}
	if err == nil {
		st, _, err = p.Stat()
	}
	if err == nil {
		err = a.Give(h, p, st)
	}
	return err
}

// newFolder makes it beside and moves it to its place when it has its owner and rights: so
// that nobody looks into it, or finds it wanting, before.
func (p Place) newFolder(h *infra.Host, a Access) error {
	next := p.beside()
	if err := next.Remove(); err != nil {
		return err
	}
	if err := unix.Mkdirat(next.folder, next.name, 0o700); err != nil {
		return p.Failed("make", err)
	}
	st, _, err := next.Stat()
	if err == nil {
		a.Mode = modeOf(a.Mode.bits(0o755 | st.Mode&unix.S_ISGID)) // which folders inherit
		err = a.Give(h, next, st)
	}
	if err != nil {
		next.Remove()
		return err
	}
	return next.rename(p)
}

// MakeParents makes the folders above a path that are missing.
func MakeParents(p string) error {
	dir := path.Dir(p)
	fd, err := OpenFolder(dir)
	if err == nil {
		return unix.Close(fd)
	}
	if !errors.Is(err, unix.ENOENT) || dir == "/" {
		if errors.Is(err, unix.ENOTDIR) {
			return fault.New(fault.Conflict, "make %s: there is something else than a folder above it (remove that, or name another path)", p)
		}
		return fmt.Errorf("make %s: %w", p, err)
	}
	if err := MakeParents(dir); err != nil {
		return err
	}
	up, err := Open(dir)
	if err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	defer up.Close()
	if err := unix.Mkdirat(up.folder, up.name, 0o755); err != nil && err != unix.EEXIST {
		return up.Failed("make", err)
	}
	st, ok, err := up.Stat()
	if err == nil && ok && TypeOf(st) == "symlink" {
		return fault.New(fault.Conflict, "make %s: %s is a symlink that leads nowhere (remove it, or make what it leads to)", p, dir)
	}
	if err == nil {
		err = Access{Mode: "0755"}.Give(nil, up, st) // whatever the umask
	}
	return err
}
