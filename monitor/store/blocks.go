package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"steer/monitor/store/internal/block"
	"steer/monitor/store/internal/schema"
)

// blockSet is the block files: blocks/STEP-KEEP/START-OLD-NEW.blk, where START
// is the first slot and OLD to NEW are the flushes whose points it holds. Later
// flushes win. A file whose flushes are all in another file of the same stretch
// is what a compaction left behind.
type blockSet struct {
	disk disk
	dir  string
	log  *slog.Logger

	mu    sync.RWMutex
	files []*blockFile // newest flush first

	version atomic.Uint64 // grows with every new file
	damaged atomic.Uint64
}

type blockFile struct {
	*block.Reader
	f        file
	path     string
	old, new uint64
	size     int64
	refs     atomic.Int32 // 1 for the set, 1 for each reader
	bad      atomic.Bool  // something in it is damaged
	told     atomic.Int64 // when the log was told that reading failed, seconds
}

func (b *blockFile) release() {
	if b.refs.Add(-1) == 0 {
		b.f.Close()
	}
}

func blockPath(dir string, m block.Meta, old, new uint64) string {
	archive := strings.ReplaceAll(schema.Archive{Step: m.Step, Keep: m.Keep}.String(), ":", "-")
	return filepath.Join(dir, archive, fmt.Sprintf("%012d-%08d-%08d.blk", m.Start, old, new))
}

func parseBlockName(name string) (old, new uint64, ok bool) {
	parts := strings.Split(strings.TrimSuffix(name, ".blk"), "-")
	if len(parts) < 3 || !strings.HasSuffix(name, ".blk") {
		return 0, 0, false
	}
	old, err := strconv.ParseUint(parts[len(parts)-2], 10, 64)
	new, err2 := strconv.ParseUint(parts[len(parts)-1], 10, 64)
	return old, new, err == nil && err2 == nil && old <= new
}

// openBlocks opens what is there, removes what interrupted work left and sets
// damaged files aside.
func openBlocks(d disk, dir string, log *slog.Logger) (*blockSet, error) {
	set := &blockSet{disk: d, dir: dir, log: log}
	if err := d.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		if strings.HasSuffix(path, ".tmp") {
			return d.Remove(path)
		}
		old, new, ok := parseBlockName(e.Name())
		if !ok {
			return nil
		}
		b, err := set.open(path, old, new)
		if errors.Is(err, block.ErrDamaged) {
			set.damaged.Add(1)
			log.Error("block set aside: it is damaged; the rest is served", "file", path, "err", err)
			return d.Rename(path, path+".damaged")
		}
		if err != nil {
			return err
		}
		set.files = append(set.files, b)
		return nil
	})
	if err != nil {
		set.close()
		return nil, fmt.Errorf("open blocks: %w", err)
	}
	set.sort()
	stretches := map[block.Meta][]*blockFile{}
	for _, b := range set.files {
		stretches[b.Meta] = append(stretches[b.Meta], b)
	}
	for _, b := range slices.Clone(set.files) {
		if slices.ContainsFunc(stretches[b.Meta], b.replacedBy) {
			if err := set.remove(b); err != nil {
				set.close()
				return nil, err
			}
		}
	}
	return set, nil
}

// replacedBy says whether c was made of b among others.
func (b *blockFile) replacedBy(c *blockFile) bool {
	return b != c && b.Meta == c.Meta && c.old <= b.old && b.new <= c.new
}

func (set *blockSet) open(path string, old, new uint64) (*blockFile, error) {
	f, size, err := set.disk.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := block.Open(f, size)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open block %s: %w", path, err)
	}
	b := &blockFile{Reader: r, f: f, path: path, old: old, new: new, size: size}
	b.refs.Store(1)
	return b, nil
}

func (set *blockSet) sort() {
	slices.SortStableFunc(set.files, func(a, b *blockFile) int {
		return cmp.Or(cmp.Compare(b.new, a.new), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Start, b.Start))
	})
}

func (set *blockSet) add(files ...*blockFile) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.files = append(slices.Clone(set.files), files...)
	set.sort()
	set.version.Add(1)
}

// replace exchanges files in one step.
func (set *blockSet) replace(old, new []*blockFile) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.files = slices.DeleteFunc(slices.Clone(set.files), func(b *blockFile) bool { return slices.Contains(old, b) })
	set.files = append(set.files, new...)
	set.sort()
	set.version.Add(1)
	for _, b := range old {
		b.release()
	}
}

// forget takes a file out of the set but leaves it on disk.
func (set *blockSet) forget(b *blockFile) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.files = slices.DeleteFunc(slices.Clone(set.files), func(c *blockFile) bool { return c == b })
	b.release()
}

func (set *blockSet) remove(b *blockFile) error {
	if err := set.disk.Remove(b.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove block: %w", err)
	}
	set.forget(b)
	return nil
}

// use returns the files with a step, newest flush first; each has to be
// released.
func (set *blockSet) use(step int64) []*blockFile {
	set.mu.RLock()
	defer set.mu.RUnlock()
	var files []*blockFile
	for _, b := range set.files {
		if b.Step == step {
			b.refs.Add(1)
			files = append(files, b)
		}
	}
	return files
}

// pin returns every file; each has to be released.
func (set *blockSet) pin() []*blockFile {
	set.mu.RLock()
	defer set.mu.RUnlock()
	files := slices.Clone(set.files)
	for _, b := range files {
		b.refs.Add(1)
	}
	return files
}

func (set *blockSet) all() []*blockFile {
	set.mu.RLock()
	defer set.mu.RUnlock()
	return set.files // never changed in place
}

// report notes that reading b went wrong.
func (set *blockSet) report(b *blockFile, err error) {
	if errors.Is(err, block.ErrDamaged) {
		if b.bad.Swap(true) {
			return // said once
		}
	} else if now, told := time.Now().Unix(), b.told.Load(); now-told < 60 || !b.told.CompareAndSwap(told, now) {
		return // said in this minute
	}
	set.damaged.Add(1)
	set.log.Error("part of a block left out: it cannot be read; the rest is served", "file", b.path, "err", err)
}

func (set *blockSet) size() (n int, bytes int64) {
	for _, b := range set.all() {
		n++
		bytes += b.size
	}
	return n, bytes
}

func (set *blockSet) lastGen() (gen uint64) {
	for _, b := range set.files {
		gen = max(gen, b.new)
	}
	return gen
}

func (set *blockSet) maxID() (id uint32) {
	for _, b := range set.files {
		last, err := b.MaxID()
		if err != nil {
			set.report(b, err)
		}
		id = max(id, last)
	}
	return id
}

func (set *blockSet) close() {
	set.mu.Lock()
	defer set.mu.Unlock()
	for _, b := range set.files {
		b.release()
	}
	set.files = nil
}
