package image

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"steer/infra"
)

// cache keeps what was made, by key: a folder each, which appears whole. Trees that are
// worked on stand beside, and are removed by the next run when theirs was killed.
type cache struct {
	dir  string
	lock *os.File // shared by those who use entries
}

// entry is what one step made.
type entry struct {
	key    string
	Layers []Layer `json:"layers,omitempty"` // of a base several; of a step none when it changed nothing
	Told   []string
	Hash   string `json:"hash,omitempty"` // of the state, of the last check
	Base   *base  `json:"base,omitempty"`
}

// formatVersion is part of every key: it grows when the same input gives other bytes.
const formatVersion = "steer bake 1"

// key sums up everything that led to something.
func key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func openCache(dir string) (*cache, error) {
	for _, d := range []string{"entries", "work", "debs"} { // apt reads the last as another user
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("open the cache: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil {
		f.Close()
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	c := &cache{dir, f}
	return c, c.alone(c.sweep)
}

// alone does something to the list of folders in work while no other run does.
func (c *cache) alone(do func() error) error {
	f, err := os.Open(filepath.Join(c.dir, "work"))
	if err != nil {
		return fmt.Errorf("open the cache: %w", err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("open the cache: %w", err)
	}
	return do()
}

func (c *cache) close() error { return c.lock.Close() }

// sweep removes the work of runs that were killed.
func (c *cache) sweep() error {
	all, err := os.ReadDir(filepath.Join(c.dir, "work"))
	if err != nil {
		return fmt.Errorf("open the cache: %w", err)
	}
	for _, e := range all {
		dir := filepath.Join(c.dir, "work", e.Name())
		f, err := os.Open(dir)
		if err != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err = os.RemoveAll(dir)
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("remove what a run that was cut off left: %w", err)
		}
	}
	return nil
}

// work makes a folder to work in.
func (c *cache) work() (dir string, done func() error, err error) {
	var f *os.File
	err = c.alone(func() error {
		if dir, err = os.MkdirTemp(filepath.Join(c.dir, "work"), ""); err == nil {
			f, err = os.Open(dir)
		}
		if err == nil {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX) // while it is held, nobody sweeps it
		}
		return err
	})
	if err != nil {
		return "", nil, fmt.Errorf("make a folder to work in: %w", err)
	}
	return dir, func() error { return errors.Join(os.RemoveAll(dir), f.Close()) }, nil
}

const entryFile = "entry.json"

func (c *cache) path(key string) string { return filepath.Join(c.dir, "entries", key) }

// blob is the file of a layer of an entry.
func (c *cache) blob(key string, l Layer) string {
	return filepath.Join(c.path(key), strings.TrimPrefix(l.Digest, "sha256:")+".tar.gz")
}

// get finds an entry, and marks it as used.
func (c *cache) get(key string) (*entry, bool) {
	b, err := os.ReadFile(filepath.Join(c.path(key), entryFile))
	e := &entry{key: key}
	if err != nil || json.Unmarshal(b, e) != nil {
		return nil, false
	}
	now := time.Now()
	os.Chtimes(c.path(key), now, now) //nolint:errcheck // it goes earlier, that is all
	return e, true
}

// put keeps an entry whose layers are files of its digests in dir, which it takes.
func (c *cache) put(key, dir string, e *entry) error {
	e.key = key
	b, err := json.MarshalIndent(e, "", " ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, entryFile), b, 0o600)
	}
	if err == nil {
		old := dir + ".old" // of a run that was as fast, or not wanted any more
		if err = os.Rename(c.path(key), old); err == nil {
			err = os.RemoveAll(old)
		} else if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		err = errors.Join(err, os.Rename(dir, c.path(key)))
	}
	if err != nil {
		return fmt.Errorf("keep a layer: %w", err)
	}
	return nil
}

// room makes room: what was not used for longest goes until the rest is smaller than
// size, but for what is used now. While others bake, nothing goes.
func (c *cache) room(size int64, used map[string]bool) error {
	if syscall.Flock(int(c.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	type item struct {
		path string
		used time.Time
		size int64
	}
	var all []item
	var sum int64
	for _, sub := range []string{"entries", "debs"} {
		entries, err := os.ReadDir(filepath.Join(c.dir, sub))
		if err != nil {
			return fmt.Errorf("make room in the cache: %w", err)
		}
		for _, e := range entries {
			i := item{path: filepath.Join(c.dir, sub, e.Name())}
			err := filepath.WalkDir(i.path, func(_ string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				is, err := d.Info()
				if err == nil {
					i.size += is.Size()
					i.used = latest(i.used, is.ModTime())
				}
				return err
			})
			if err != nil {
				return fmt.Errorf("make room in the cache: %w", err)
			}
			sum += i.size
			if !used[e.Name()] {
				all = append(all, i)
			}
		}
	}
	slices.SortFunc(all, func(a, b item) int { return cmp.Compare(a.used.UnixNano(), b.used.UnixNano()) })
	for _, i := range all {
		if sum <= size {
			break
		}
		// Under another name first: an entry is whole or not there.
		gone := filepath.Join(c.dir, "work", filepath.Base(i.path))
		if err := os.Rename(i.path, gone); err != nil {
			return fmt.Errorf("make room in the cache: %w", err)
		}
		if err := os.RemoveAll(gone); err != nil {
			return fmt.Errorf("make room in the cache: %w", err)
		}
		sum -= i.size
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// base is where an image begins.
type base struct {
	Facts  infra.Facts `json:"facts"`
	Time   int64       `json:"time"`             // Unix seconds: no file is later
	Config *config     `json:"config,omitempty"` // of an image
	Name   string      `json:"name"`
}
