package place

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// Place is where something stands: an open folder, and a name in it. Working with
// the open folder, nobody can put another one under the path in the meantime.
type Place struct {
	Path, name string
	folder     int // descriptor
}

// Open opens the place of a path. Without its folder the error is fs.ErrNotExist.
func Open(p string) (Place, error) {
	dir, name := path.Split(p)
	fd, err := OpenFolder(path.Clean(dir))
	return Place{p, name, fd}, err
}

// Close closes the folder.
func (p Place) Close() { unix.Close(p.folder) }

// In is the place of a name in the folder that stands there, which is open as f.
func (p Place) In(f *os.File, name string) Place {
	return Place{path.Join(p.Path, name), name, int(f.Fd())}
}

// sibling is the place of another name in the same folder.
func (p Place) sibling(name string) Place {
	return Place{path.Join(path.Dir(p.Path), name), name, p.folder}
}

// OpenFolder opens a folder by its path. Links on the way are followed only when
// root (or whoever runs this) made them: a user who owns a folder on the way could
// else turn what is written there to any place of the host.
func OpenFolder(p string) (int, error) {
	const flags = unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC
	fd, err := unix.Openat2(unix.AT_FDCWD, p, &unix.OpenHow{Flags: flags, Resolve: unix.RESOLVE_NO_SYMLINKS})
	switch err {
	case nil:
		return fd, nil
	case unix.ENOENT, unix.ENOTDIR:
		return -1, &fs.PathError{Op: "open", Path: p, Err: err}
	}
	// A link is on the way, or the kernel is older than 5.6.
	at, err := unix.Open("/", flags, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: "/", Err: err}
	}
	left := strings.Split(p, "/")
	for links := 0; len(left) > 0; {
		name := left[0]
		left = left[1:]
		if name == "" || name == "." {
			continue
		}
		fd, to, err := step(at, name)
		if err == nil && to != "" {
			left = append(strings.Split(to, "/"), left...)
			from := "." // where the link stands
			if strings.HasPrefix(to, "/") {
				from = "/"
			}
			if fd, err = unix.Openat(at, from, flags, 0); err == nil && links == 40 {
				unix.Close(fd)
				err = unix.ELOOP
			}
			links++
		}
		unix.Close(at)
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: p, Err: err}
		}
		at = fd
	}
	return at, nil
}

// step opens a name in a folder: another folder, or where a link leads.
func step(at int, name string) (fd int, to string, err error) {
	fd, err = unix.Openat(at, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, "", err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return -1, "", err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return fd, "", nil
	case unix.S_IFLNK:
		defer unix.Close(fd)
		if st.Uid != 0 && int(st.Uid) != os.Geteuid() {
			return -1, "", fmt.Errorf("%s on the way is a link that user %d made, and only links of root are followed (name the path where it leads)", name, st.Uid)
		}
		to, err := readlink(fd, "")
		return -1, to, err
	}
	unix.Close(fd)
	return -1, "", unix.ENOTDIR
}

func readlink(fd int, name string) (string, error) {
	b := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, name, b)
	if err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// Stat tells what stands there; ok is false when nothing does.
func (p Place) Stat() (st unix.Stat_t, ok bool, err error) {
	switch err := unix.Fstatat(p.folder, p.name, &st, unix.AT_SYMLINK_NOFOLLOW); err {
	case nil:
		return st, true, nil
	case unix.ENOENT:
		return st, false, nil
	default:
		return st, false, p.Failed("look at", err)
	}
}

// Read opens what stands there, which is no link, for reading.
func (p Place) Read(flags int) (*os.File, error) {
	fd, err := unix.Openat(p.folder, p.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return nil, p.Failed("read", err)
	}
	return os.NewFile(uintptr(fd), p.Path), nil
}

// Remove takes away what is no folder, or a folder in which nothing is.
func (p Place) Remove() error {
	err := unix.Unlinkat(p.folder, p.name, 0)
	if err == unix.EISDIR {
		err = unix.Unlinkat(p.folder, p.name, unix.AT_REMOVEDIR)
	}
	if err != nil && err != unix.ENOENT {
		return p.Failed("remove", err)
	}
	return nil
}

// Real is the path of the place for programs, without links that could be changed.
func (p Place) Real() string {
	dir, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(p.folder))
	if err != nil {
		return p.Path
	}
	return path.Join(dir, p.name)
}

// beside is a name in the same folder for what takes the place of this. It is always
// the same, so that what a cut off run left is cleared away by the next.
func (p Place) beside() Place {
	h := fnv.New32a()
	h.Write([]byte(p.name))
	return p.sibling(fmt.Sprintf(".steer-%08x.new", h.Sum32()))
}

// Failed words an error about the place, with the way out where one is known.
func (p Place) Failed(action string, err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		err = of.Err // it may name the file beside
	}
	way := ""
	switch {
	case errors.Is(err, unix.EBUSY):
		way = " (something is mounted there: change it where it is mounted from)"
	case errors.Is(err, unix.EPERM) && os.Geteuid() == 0:
		way = " (it may be immutable: look with lsattr, clear with chattr -i)"
	case errors.Is(err, unix.EROFS):
		way = " (the file system is mounted read-only)"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		way = " (what was there before is untouched)"
	}
	return fmt.Errorf("%w%s", &fs.PathError{Op: action, Path: p.Path, Err: err}, way)
}

// Missing is the error of who wants to write where no folder is.
func Missing(p string, err error) error {
	if errors.Is(err, unix.ENOTDIR) {
		return fault.New(fault.Conflict, "write %s: %s is no folder", p, path.Dir(p))
	}
	return fault.New(fault.NotFound, "write %s: there is no folder %s (declare it: directory: %s)", p, path.Dir(p), path.Dir(p))
}

// Nowhere tells that a path has no folder (yet), so that nothing stands there.
func Nowhere(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR)
}

// TypeOf names what stands at a place.
func TypeOf(st unix.Stat_t) string {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symlink"
	case unix.S_IFIFO:
		return "pipe"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// GiveWay says why what stands at a place must not be replaced by something else.
// Never by itself goes what cannot be had again: a folder with something in it.
func (p Place) GiveWay(st unix.Stat_t, want string, force bool) error {
	is := TypeOf(st)
	if !force {
		return fault.New(fault.Conflict, "%s is a %s, not a %s (remove it, or write force: true)", p.Path, is, want)
	}
	if is != "directory" {
		return nil
	}
	f, err := p.Read(unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Readdirnames(1); err != io.EOF {
		return fault.New(fault.Conflict, "%s is a directory with something in it, not a %s (force only takes away an empty one: remove what is in it)", p.Path, want)
	}
	return nil
}

// Mounted tells whether something is mounted at a place, which has a file system of its
// own or not.
func (p Place) Mounted() bool {
	var st unix.Statx_t
	err := unix.Statx(p.folder, p.name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &st)
	return err == nil && st.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}

// Exists tells whether something stands at a path.
func Exists(p string) bool {
	_, err := os.Lstat(p)
	return err == nil
}
