package rootfs

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// Decompress reads a tar, tar.gz or tar.zst.
func Decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	head, _ := b.Peek(4)
	switch {
	case len(head) > 1 && head[0] == 0x1f && head[1] == 0x8b:
		return gzip.NewReader(b)
	case string(head) == "\x28\xb5\x2f\xfd":
		z, err := zstd.NewReader(b, zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(b), nil
}

// Unpack unpacks a layer, or a whole root file system, over what is there.
func (t *Tree) Unpack(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("unpack a layer: %w", err)
	}
	defer f.Close()
	if err := t.unpack(f); err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	return nil
}

// unpacker puts files below a folder. Links in it lead nowhere else: the kernel takes
// the folder for / while it looks for names.
type unpacker struct {
	root   int
	parent int    // folder that is open
	open   string // its path
	times  map[string]int64
	marks  bool // what a layer takes away is marked for a stack, since it is not here
}

func (t *Tree) unpack(r io.Reader) error {
	z, err := Decompress(r)
	if err != nil {
		return err
	}
	defer z.Close()
	root, err := unix.Open(t.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	u := &unpacker{root: root, parent: -1, times: map[string]int64{}, marks: t.Marks}
	defer u.close()
	in := tar.NewReader(z)
	for n := 0; ; n++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && n > MostFiles {
			err = fault.New(fault.Invalid, "there are more than %d files", MostFiles)
		}
		if err != nil {
			return err
		}
		if err := u.put(h, in); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	for p, mtime := range u.times { // of folders, after what is in them
		if err := u.touch(p, mtime); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	// What decompresses may have more to say, like that a sum is wrong.
	_, err = io.Copy(io.Discard, z)
	return err
}

func (u *unpacker) close() {
	unix.Close(u.root)
	if u.parent >= 0 {
		unix.Close(u.parent)
	}
}

// folder opens the folder of a path, and makes it where it is missing.
func (u *unpacker) folder(dir string) (int, error) {
	if u.parent >= 0 && u.open == dir {
		return u.parent, nil
	}
	fd, err := u.find(dir)
	if err == unix.ENOENT && dir != "." {
		up, err2 := u.folder(path.Dir(dir))
		if err2 != nil {
			return -1, err2
		}
		if err2 := unix.Mkdirat(up, path.Base(dir), 0o755); err2 != nil {
			return -1, err2
		}
		fd, err = u.find(dir)
	}
	if err != nil {
		return -1, err
	}
	if u.parent >= 0 {
		unix.Close(u.parent)
	}
	u.parent, u.open = fd, dir
	return fd, nil
}

func (u *unpacker) find(dir string) (int, error) {
	return unix.Openat2(u.root, dir, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
}

// put puts one entry in place.
func (u *unpacker) put(h *tar.Header, in io.Reader) error {
	p := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if p == "" {
		return nil // the root itself is as it is made
	}
	at, err := u.folder(path.Dir(p))
	if err != nil {
		return err
	}
	base := path.Base(p)
	if gone, ok := strings.CutPrefix(base, whiteout); ok {
		return u.takeAway(path.Dir(p), at, gone)
	}
	var st unix.Stat_t
	if err := unix.Fstatat(at, base, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && (h.Typeflag != tar.TypeDir || st.Mode&unix.S_IFMT != unix.S_IFDIR) {
		if err := removeAt(at, base); err != nil {
			return err
		}
	}
	mode := uint32(h.Mode) & 0o7777
	switch h.Typeflag {
	case tar.TypeDir:
		if err = unix.Mkdirat(at, base, 0o700); err == unix.EEXIST {
			err = nil
		}
	case tar.TypeReg:
		err = writeAt(at, base, in)
	case tar.TypeSymlink:
		err = unix.Symlinkat(h.Linkname, at, base)
	case tar.TypeLink:
		return u.hardlink(strings.TrimPrefix(path.Clean("/"+h.Linkname), "/"), at, base)
	case tar.TypeChar:
		err = unix.Mknodat(at, base, unix.S_IFCHR|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	case tar.TypeBlock:
		err = unix.Mknodat(at, base, unix.S_IFBLK|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	case tar.TypeFifo:
		err = unix.Mknodat(at, base, unix.S_IFIFO|0o600, 0)
	default:
		return fault.New(fault.Invalid, "an entry of the unknown kind %q", h.Typeflag)
	}
	if err != nil {
		return err
	}
	if err := unix.Fchownat(at, base, h.Uid, h.Gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeSymlink {
		if err := unix.Fchmodat(at, base, mode, 0); err != nil { // after the owner, which takes set-user-ID away
			return err
		}
		for key, value := range h.PAXRecords {
			if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
				if err := unix.Lsetxattr(fmt.Sprintf("/proc/self/fd/%d/%s", at, base), name, []byte(value), 0); err != nil {
					return fmt.Errorf("set attribute %s: %w", name, err)
				}
			}
		}
	}
	if h.Typeflag == tar.TypeDir {
		u.times[p] = h.ModTime.Unix()
		return nil
	}
	return setTime(at, base, h.ModTime.Unix())
}

func writeAt(at int, base string, in io.Reader) error {
	fd, err := unix.Openat(at, base, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	_, err = io.Copy(f, in)
	return errors.Join(err, f.Close())
}

// hardlink gives a file one more name.
func (u *unpacker) hardlink(target string, at int, base string) error {
	from, err := u.find(path.Dir(target))
	if err != nil {
		return err
	}
	defer unix.Close(from)
	return unix.Linkat(from, path.Base(target), at, base, 0)
}

// takeAway does what a whiteout says; .wh..opq empties the folder.
func (u *unpacker) takeAway(dir string, at int, name string) error {
	if u.marks {
		return unix.Mknodat(at, name, unix.S_IFCHR, 0)
	}
	if name != ".wh..opq" {
		return removeAt(at, name)
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d", at))
	for _, e := range entries {
		err = errors.Join(err, removeAt(at, e.Name()))
	}
	return err
}

// removeAt removes a file, or a folder with what is in it. os.RemoveAll follows no links
// below the folder that is open.
func removeAt(at int, base string) error {
	if base == "" || base == "." || base == ".." || strings.Contains(base, "/") {
		return fault.New(fault.Invalid, "%q cannot be taken away", base)
	}
	return os.RemoveAll(fmt.Sprintf("/proc/self/fd/%d/%s", at, base))
}

func (u *unpacker) touch(p string, mtime int64) error {
	at, err := u.folder(path.Dir(p))
	if err != nil {
		return err
	}
	if err := setTime(at, path.Base(p), mtime); err != unix.ENOENT { // a later entry replaced it
		return err
	}
	return nil
}

func setTime(at int, base string, mtime int64) error {
	ts := unix.Timespec{Sec: mtime}
	return unix.UtimesNanoAt(at, base, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// Newest is the latest time in a tree that was just unpacked, but for the root, in Unix
// seconds. Times after now do not count.
func (t *Tree) Newest() int64 {
	newest := int64(0)
	filepath.WalkDir(t.Dir, func(path string, d os.DirEntry, err error) error { //nolint:errcheck // what cannot be read is told by the scan
		if err != nil || path == t.Dir {
			return err
		}
		if is, err := d.Info(); err == nil {
			newest = max(newest, is.ModTime().Unix())
		}
		return nil
	})
	return min(newest, time.Now().Unix())
}
