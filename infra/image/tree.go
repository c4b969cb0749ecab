package image

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// mostFiles bounds a tree.
const mostFiles = 2_000_000

// tree is a root file system in a folder, and what is known to be in it.
type tree struct {
	dir   string
	clamp int64           // no time is later, in Unix seconds
	nodes map[string]node // by path without the first slash; the root is not in it
	// Of a stack: what it stands on, the folder that has what is changed, and that of the
	// kernel with files that have several names.
	below, above *tree
	index        string
	marks        bool // it is one layer, for a stack; see unpacker
}

// node is one file.
type node struct {
	mode     uint32 // with the type
	uid, gid uint32
	size     int64
	mtime    int64 // Unix seconds, clamped
	rdev     uint64
	link     string
	xattrs   string // see readXattrs
	sum      [sha256.Size]byte
	// The same place and time of change mean the same contents: nobody can set the
	// second.
	place inode
	ctime syscall.Timespec
}

type inode struct{ dev, ino uint64 }

func (n node) dir() bool     { return n.mode&unix.S_IFMT == unix.S_IFDIR }
func (n node) regular() bool { return n.mode&unix.S_IFMT == unix.S_IFREG }

// same tells whether two files cannot be told apart in an image.
func (n node) same(o node) bool {
	n.place, n.ctime, o.place, o.ctime = inode{}, syscall.Timespec{}, inode{}, syscall.Timespec{}
	if n.dir() && o.dir() {
		n.size = o.size // of its list of names
	}
	return n == o
}

// change is a path that a layer has to have.
type change struct {
	path string
	gone bool
}

// scan looks at all files anew, and tells what changed since the last time, sorted.
// Sockets are not looked at: they mean nothing without who listens.
func (t *tree) scan(ctx context.Context) ([]change, error) {
	if t.above != nil {
		all, err := t.changesAbove(ctx)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", t.above.dir, err)
		}
		return all, nil
	}
	now, read, err := t.walk()
	if err == nil {
		err = t.sums(ctx, now, read)
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", t.dir, err)
	}
	var all []change
	for p, n := range now {
		if old, ok := t.nodes[p]; !ok || !n.same(old) {
			all = append(all, change{path: p})
		}
	}
	for p := range t.nodes {
		// What was below a folder that is gone, or is no folder any more, is gone with it.
		if _, ok := now[p]; !ok {
			if up := path.Dir(p); up == "." || now[up].dir() {
				all = append(all, change{path: p, gone: true})
			}
		}
	}
	sortChanges(all)
	t.nodes = now
	return all, nil
}

func sortChanges(all []change) {
	slices.SortFunc(all, func(a, b change) int { return strings.Compare(a.path, b.path) })
}

// walk looks at the whole tree, and lists the files whose contents may have changed.
func (t *tree) walk() (now map[string]node, read []string, err error) {
	now = map[string]node{}
	todo := []string{""}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		entries, err := os.ReadDir(t.file(at))
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			p := path.Join(at, e.Name())
			n, err := t.look(p)
			if err != nil {
				return nil, nil, err
			}
			switch {
			case strings.HasPrefix(e.Name(), whiteout):
				return nil, nil, noSuchName(p)
			case len(now) >= mostFiles:
				return nil, nil, fault.New(fault.Invalid, "there are more than %d files", mostFiles)
			case n.mode&unix.S_IFMT == unix.S_IFSOCK:
				continue
			case n.dir():
				todo = append(todo, p)
			case n.regular():
				if old, ok := t.nodes[p]; ok && old.place == n.place && old.ctime == n.ctime && old.size == n.size {
					n.sum = old.sum
				} else {
					read = append(read, p)
				}
			}
			now[p] = n
		}
	}
	return now, read, nil
}

func noSuchName(p string) error {
	return fault.New(fault.Invalid, "/%s: no image can have a file whose name begins with %s", p, whiteout)
}

// sums reads the contents of files, some at a time.
func (t *tree) sums(ctx context.Context, now map[string]node, read []string) error {
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.NumCPU())
	for part := range slices.Chunk(read, 64) {
		g.Go(func() error {
			sums := map[string][sha256.Size]byte{}
			h := sha256.New()
			for _, p := range part {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				f, err := os.OpenFile(t.file(p), os.O_RDONLY|unix.O_NOFOLLOW, 0)
				if err != nil {
					return err
				}
				h.Reset()
				_, err = io.Copy(h, f)
				f.Close()
				if err != nil {
					return err
				}
				sums[p] = [sha256.Size]byte(h.Sum(nil))
			}
			mu.Lock()
			defer mu.Unlock()
			for p, sum := range sums {
				n := now[p]
				n.sum = sum
				now[p] = n
			}
			return nil
		})
	}
	return g.Wait()
}

func (t *tree) file(p string) string { return t.dir + "/" + p }

// look reads what a file is, without its contents.
func (t *tree) look(p string) (node, error) {
	var st unix.Stat_t
	name := t.file(p)
	if err := unix.Lstat(name, &st); err != nil {
		return node{}, fmt.Errorf("%s: %w", name, err)
	}
	n := node{mode: st.Mode, uid: st.Uid, gid: st.Gid, mtime: min(st.Mtim.Sec, t.clamp), place: inode{st.Dev, st.Ino}, ctime: syscall.Timespec(st.Ctim)}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		n.size = st.Size
	case unix.S_IFCHR, unix.S_IFBLK:
		n.rdev = st.Rdev
	case unix.S_IFLNK:
		var err error
		if n.link, err = os.Readlink(name); err != nil {
			return n, err
		}
		return n, nil
	}
	var err error
	n.xattrs, err = readXattrs(name)
	return n, err
}

// readXattrs reads the extended attributes that belong to a file wherever it is:
// capabilities, access lists, and what users set.
func readXattrs(name string) (string, error) {
	buf := make([]byte, 1024)
	n, err := unix.Llistxattr(name, buf)
	if err == unix.ERANGE {
		buf = make([]byte, 64<<10)
		n, err = unix.Llistxattr(name, buf)
	}
	if err == unix.ENOTSUP || n == 0 && err == nil {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the attributes of %s: %w", name, err)
	}
	all := map[string]string{}
	for key := range strings.SplitSeq(strings.TrimRight(string(buf[:n]), "\x00"), "\x00") {
		if key != "security.capability" && !strings.HasPrefix(key, "user.") && !strings.HasPrefix(key, "system.posix_acl_") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(name, key, value)
		if err != nil {
			return "", fmt.Errorf("read attribute %s of %s: %w", key, name, err)
		}
		all[key] = string(value[:n])
	}
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s\x00%d\x00%s", key, len(all[key]), all[key])
	}
	return b.String(), nil
}

// xattrsOf parts what readXattrs joined.
func xattrsOf(joined string) map[string]string {
	all := map[string]string{}
	for joined != "" {
		key, rest, _ := strings.Cut(joined, "\x00")
		length, rest, _ := strings.Cut(rest, "\x00")
		n := 0
		if _, err := fmt.Sscan(length, &n); err != nil || n > len(rest) {
			return all
		}
		all[key], joined = rest[:n], rest[n:]
	}
	return all
}
