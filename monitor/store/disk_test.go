package store

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// badDisk is a disk that can be full or broken, and that forgets on powerLoss
// what nobody synced: bytes written since a file's last Sync, and names made,
// changed or removed since the last SyncDir of their folder.
type badDisk struct {
	osDisk
	mu     sync.Mutex
	room   int64 // bytes that can be written before ENOSPC; <0 no bound
	broken bool  // syncs, renames and truncations fail with EIO
	fuse   int   // operations that change something until all of those fail with EIO; <0 never
	synced map[string]int64
	undo   []undo

	// fail is asked before each operation, which are create, open, append,
	// truncate, rename, link, remove, syncdir, write, sync and read. What it
	// returns the operation returns; a short is half done before.
	fail func(op, name string) error
}

// short is how a write or a read ends that is done in part only.
type short struct{ error }

func (s short) Error() string { return fmt.Sprint("a part only, ", s.error) }

// ask is called without the lock.
func (d *badDisk) ask(op, name string) error {
	if d.fail == nil {
		return nil
	}
	return d.fail(op, name)
}

// undo takes back one change of a folder.
type undo struct {
	dir  string
	back func()
	keep func() // forget what back would need
}

func newBadDisk() *badDisk { return &badDisk{room: -1, fuse: -1, synced: map[string]int64{}} }

// dead counts one operation.
func (d *badDisk) dead() bool {
	if d.fuse > 0 {
		d.fuse--
	}
	return d.fuse == 0
}

func (d *badDisk) change(dir string, back, keep func()) {
	d.undo = append(d.undo, undo{dir, back, keep})
}

func (d *badDisk) Create(name string) (file, error) {
	if err := d.ask("create", name); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead() {
		return nil, syscall.EIO
	}
	f, err := d.osDisk.Create(name)
	if err != nil {
		return nil, err
	}
	d.synced[name] = 0
	d.change(filepath.Dir(name), func() { os.Remove(name) }, nil)
	return &badFile{f, d, name}, nil
}

func (d *badDisk) Append(name string) (file, int64, error) {
	if err := d.ask("append", name); err != nil {
		return nil, 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead() {
		return nil, 0, syscall.EIO
	}
	_, err := os.Stat(name)
	f, size, err2 := d.osDisk.Append(name)
	if err2 != nil {
		return nil, 0, err2
	}
	if err != nil {
		d.synced[name] = 0
		d.change(filepath.Dir(name), func() { os.Remove(name) }, nil)
	}
	return &badFile{f, d, name}, size, nil
}

func (d *badDisk) Open(name string) (file, int64, error) {
	if err := d.ask("open", name); err != nil {
		return nil, 0, err
	}
	f, size, err := d.osDisk.Open(name)
	if err != nil {
		return nil, 0, err
	}
	return &badFile{f, d, name}, size, nil
}

func (d *badDisk) Link(from, to string) error {
	if err := d.ask("link", to); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead() || d.broken {
		return syscall.EIO
	}
	if err := d.osDisk.Link(from, to); err != nil {
		return err
	}
	if synced, ok := d.synced[from]; ok {
		d.synced[to] = synced
	}
	d.change(filepath.Dir(to), func() { os.Remove(to); delete(d.synced, to) }, nil)
	return nil
}

func (d *badDisk) Truncate(name string, size int64) error {
	if err := d.ask("truncate", name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead() || d.broken {
		return syscall.EIO
	}
	if err := d.osDisk.Truncate(name, size); err != nil {
		return err
	}
	if s, ok := d.synced[name]; ok {
		d.synced[name] = min(s, size)
	}
	return nil
}

func (d *badDisk) Rename(from, to string) error {
	if err := d.ask("rename", to); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead() || d.broken {
		return syscall.EIO
	}
	saved := fmt.Sprintf("%s.trash%d", to, len(d.undo))
	had := os.Link(to, saved) == nil
	if err := os.Rename(from, to); err != nil {
		return err
	}
	before, known := d.synced[to]
	d.synced[to] = d.synced[from]
	delete(d.synced, from)
	d.change(filepath.Dir(to), func() {
		os.Rename(to, from)
		d.synced[from] = d.synced[to]
		if had {
			os.Rename(saved, to)
		}
		if delete(d.synced, to); known {
			d.synced[to] = before
		}
	}, func() { os.Remove(saved) })
	return nil
}

func (d *badDisk) Remove(name string) error {
	if err := d.ask("remove", name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead() {
		return syscall.EIO
	}
	saved := fmt.Sprintf("%s.trash%d", name, len(d.undo))
	if err := os.Rename(name, saved); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOENT}
	}
	d.change(filepath.Dir(name), func() { os.Rename(saved, name) }, func() { os.Remove(saved) })
	return nil
}

func (d *badDisk) SyncDir(dir string) error {
	if err := d.ask("syncdir", dir); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead() || d.broken {
		return syscall.EIO
	}
	left := d.undo[:0:0]
	for _, u := range d.undo {
		if u.dir != dir {
			left = append(left, u)
		} else if u.keep != nil {
			u.keep()
		}
	}
	d.undo = left
	return nil
}

// powerLoss forgets. lost chooses which changes of folders are among it:
// file systems may write them in any order.
func (d *badDisk) powerLoss(lost func() bool, cut func(synced, size int64) int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := len(d.undo) - 1; i >= 0; i-- {
		if lost() {
			d.undo[i].back()
		} else if d.undo[i].keep != nil {
			d.undo[i].keep()
		}
	}
	d.undo = nil
	for name, synced := range d.synced {
		if info, err := os.Stat(name); err == nil && info.Size() > synced && !strings.Contains(name, ".trash") {
			os.Truncate(name, cut(synced, info.Size()))
		}
	}
	clear(d.synced)
	d.room, d.broken, d.fuse = -1, false, -1
}

type badFile struct {
	file
	d    *badDisk
	name string
}

func (f *badFile) ReadAt(b []byte, off int64) (int, error) {
	if err := f.d.ask("read", f.name); err != nil {
		if half, ok := err.(short); ok {
			n, _ := f.file.ReadAt(b[:len(b)/2], off)
			return n, half.error
		}
		return 0, err
	}
	return f.file.ReadAt(b, off)
}

func (f *badFile) Write(b []byte) (int, error) {
	failed := f.d.ask("write", f.name)
	if _, half := failed.(short); failed != nil && !half {
		return 0, failed
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.dead() {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, syscall.EIO
	}
	if half, ok := failed.(short); ok {
		n, _ := f.file.Write(b[:len(b)/2])
		return n, half.error
	}
	n := int64(len(b))
	if f.d.room >= 0 && n > f.d.room {
		n, _ := f.file.Write(b[:f.d.room])
		f.d.room = 0
		return n, syscall.ENOSPC
	}
	if f.d.room >= 0 {
		f.d.room -= n
	}
	return f.file.Write(b)
}

func (f *badFile) Sync() error {
	if err := f.d.ask("sync", f.name); err != nil {
		return err
	}
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.d.dead() || f.d.broken {
		return syscall.EIO
	}
	f.d.synced[f.name] = 1 << 62
	if info, err := f.file.(*os.File).Stat(); err == nil {
		f.d.synced[f.name] = info.Size()
	}
	return nil
}
