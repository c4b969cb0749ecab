package rootfs

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
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

// MostFiles bounds a tree.
const MostFiles = 2_000_000

// Tree is a root file system in a folder, and what is known to be in it.
type Tree struct {
	Dir   string
	Clamp int64 // no time is later, in Unix seconds
	Marks bool  // it is one layer, for a stack: what that takes away is marked, since it is not here

	nodes map[string]node // by path without the first slash; the root is not in it
	// Of a stack: what it stands on, the folder that has what is changed, and that of the
	// kernel with files that have several names.
	below, above *Tree
	index        string
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

// Change is a path that a layer has to have.
type Change struct {
	path string
	gone bool
}

// String is the path, after a - when it is gone.
func (c Change) String() string {
	if c.gone {
		return "-" + c.path
	}
	return c.path
}

// Scan looks at all files anew, and tells what changed since the last time, sorted.
// Sockets are not looked at: they mean nothing without who listens.
func (t *Tree) Scan(ctx context.Context) ([]Change, error) {
	if t.above != nil {
		all, err := t.changesAbove(ctx)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", t.above.Dir, err)
		}
		return all, nil
	}
	now, read, err := t.walk()
	if err == nil {
		err = t.sums(ctx, now, read)
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", t.Dir, err)
	}
	var all []Change
	for p, n := range now {
		if old, ok := t.nodes[p]; !ok || !n.same(old) {
			all = append(all, Change{path: p})
		}
	}
	for p := range t.nodes {
		// What was below a folder that is gone, or is no folder any more, is gone with it.
		if _, ok := now[p]; !ok {
			if up := path.Dir(p); up == "." || now[up].dir() {
				all = append(all, Change{path: p, gone: true})
			}
		}
	}
	sortChanges(all)
	t.nodes = now
	return all, nil
}

func sortChanges(all []Change) {
	slices.SortFunc(all, func(a, b Change) int { return strings.Compare(a.path, b.path) })
}

// walk looks at the whole tree, and lists the files whose contents may have changed.
func (t *Tree) walk() (now map[string]node, read []string, err error) {
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
			case len(now) >= MostFiles:
				return nil, nil, fault.New(fault.Invalid, "there are more than %d files", MostFiles)
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
func (t *Tree) sums(ctx context.Context, now map[string]node, read []string) error {
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

func (t *Tree) file(p string) string { return t.Dir + "/" + p }

// look reads what a file is, without its contents.
func (t *Tree) look(p string) (node, error) {
	var st unix.Stat_t
	name := t.file(p)
	if err := unix.Lstat(name, &st); err != nil {
		return node{}, fmt.Errorf("%s: %w", name, err)
	}
	n := node{mode: st.Mode, uid: st.Uid, gid: st.Gid, mtime: min(st.Mtim.Sec, t.Clamp), place: inode{st.Dev, st.Ino}, ctime: syscall.Timespec(st.Ctim)}
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
