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

	"steer/base/oci"
	"steer/infra"
	"steer/infra/image/internal/rootfs"
)

// cache keeps what was made: a small file by key, and by what it is a layer packed and
// unpacked. Each appears whole, and what is there is never changed, so that others may
// stand on it. What is worked on stands beside, and is removed by the next run when its
// own was killed.
type cache struct {
	dir  string
	boot string   // folder of unpacked layers
	lock *os.File // shared by those who use entries
}

// entry is what one step made.
type entry struct {
	key    string
	Layers []rootfs.Layer `json:"layers,omitempty"` // of a base several; of a step none when it changed nothing
	Told   []string       `json:"told,omitempty"`
	Hash   string         `json:"hash,omitempty"` // of the state, of the last check
	Base   *base          `json:"base,omitempty"`
	Weight int64          `json:"weight,omitempty"` // bytes of the layers when unpacked
}

// base is where an image begins.
type base struct {
	Facts  infra.Facts `json:"facts"`
	Time   int64       `json:"time"`             // Unix seconds: no file is later
	Config *oci.Config `json:"config,omitempty"` // of an image
	Name   string      `json:"name"`
}

// tree is the name of the layers unpacked; empty without any. All it depends on is in it.
func (e *entry) tree() string {
	if len(e.Layers) == 0 {
		return ""
	}
	words := []string{formatVersion}
	for _, l := range e.Layers {
		words = append(words, l.DiffID)
	}
	if e.Base != nil {
		words = append(words, fmt.Sprint("base", e.Base.Time))
	}
	return key(words...)
}

// formatVersion is part of every key: it grows when the same input gives other bytes.
const formatVersion = "steer bake 2"

// key sums up everything that led to something.
func key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func openCache(dir string) (*cache, error) {
	// Layers are on the disk when their entry is, trees need not be, since they can be
	// unpacked again: those of before the machine was started are not trusted.
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	c := &cache{dir: dir, boot: filepath.Join(dir, "trees", strings.TrimSpace(string(boot)))}
	for _, d := range []string{"entries", "layers", "work", "debs", c.boot[len(dir)+1:]} { // apt reads debs as another user
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("open the cache: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	if c.lock, err = os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	if err := syscall.Flock(int(c.lock.Fd()), syscall.LOCK_SH); err != nil {
		return nil, errors.Join(fmt.Errorf("open the cache: %w", err), c.close())
	}
	if err := c.alone(c.sweep); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
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

const layerSuffix, entrySuffix = ".tar.gz", ".json"

func (c *cache) path(key string) string { return filepath.Join(c.dir, "entries", key+entrySuffix) }

// blob is the file of a layer.
func (c *cache) blob(l rootfs.Layer) string {
	return filepath.Join(c.dir, "layers", strings.TrimPrefix(l.Digest, "sha256:")+layerSuffix)
}

// tree is the folder of the layers of an entry.
func (c *cache) tree(e *entry) string { return filepath.Join(c.boot, e.tree()) }

// get finds an entry, and marks it as used.
func (c *cache) get(key string) (*entry, bool) {
	e, err := readEntry(c.path(key))
	if err != nil {
		return nil, false
	}
	now := time.Now()
	os.Chtimes(c.path(key), now, now) //nolint:errcheck // it goes earlier, that is all
	return e, true
}

func readEntry(file string) (*entry, error) {
	b, err := os.ReadFile(file)
	e := &entry{key: strings.TrimSuffix(filepath.Base(file), entrySuffix)}
	if err == nil {
		err = json.Unmarshal(b, e)
	}
	return e, err
}

// put keeps an entry whose layers are there. dir is where to write it first.
func (c *cache) put(key, dir string, e *entry) error {
	e.key = key
	b, err := json.Marshal(e)
	file := filepath.Join(dir, key+entrySuffix)
	if err == nil {
		err = os.WriteFile(file, b, 0o600)
	}
	if err == nil {
		err = os.Rename(file, c.path(key))
	}
	if err != nil {
		return fmt.Errorf("keep a layer: %w", err)
	}
	return nil
}

// keepTree takes a folder as the tree of an entry. Another run may have been as fast, or
// the same came out of other steps: that one stays, since somebody may stand on it.
func (c *cache) keepTree(e *entry, dir string) error {
	err := os.Rename(dir, c.tree(e))
	if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return fmt.Errorf("keep an unpacked layer: %w", err)
	}
	return nil
}

// room makes room: what was not used for longest goes until the rest is smaller than
// size, but for what is used now. While others bake, nothing goes.
func (c *cache) room(size int64, used map[string]bool) error {
	if syscall.Flock(int(c.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil
	}
	if err := c.makeRoom(size, used); err != nil {
		return fmt.Errorf("make room in the cache: %w", err)
	}
	return nil
}

// item is something that can go.
type item struct {
	path string
	used time.Time
	size int64
	*entry
}

func (c *cache) makeRoom(size int64, used map[string]bool) error {
	all, gone, err := c.items()
	if err != nil {
		return err
	}
	now := func(i item) int {
		if i.entry != nil && used[i.key] {
			return 0
		}
		return 1
	}
	slices.SortFunc(all, func(a, b item) int { return cmp.Or(now(a)-now(b), b.used.Compare(a.used)) })
	keep := map[string]bool{} // layers and trees
	sum := int64(0)
	for _, i := range all {
		more := i.size
		var parts []string
		if i.entry != nil && len(i.Layers) > 0 {
			for _, l := range i.Layers {
				if f := c.blob(l); !keep[f] {
					parts, more = append(parts, f), more+l.Size
				}
			}
			if t := c.tree(i.entry); !keep[t] {
				parts, more = append(parts, t), more+i.Weight
			}
		}
		if sum+more > size && now(i) > 0 {
			gone = append(gone, i.path)
			continue
		}
		sum += more
		for _, p := range parts {
			keep[p] = true
		}
	}
	for _, dir := range []string{filepath.Join(c.dir, "layers"), filepath.Dir(c.boot), c.boot} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if p := filepath.Join(dir, e.Name()); !keep[p] && p != c.boot {
				gone = append(gone, p)
			}
		}
	}
	return c.drop(gone)
}

// items lists what can go, and what is of no use.
func (c *cache) items() (all []item, useless []string, err error) {
	for _, sub := range []string{"entries", "debs"} {
		entries, err := os.ReadDir(filepath.Join(c.dir, sub))
		if err != nil {
			return nil, nil, err
		}
		for _, d := range entries {
			is, err := d.Info()
			if err != nil {
				return nil, nil, err
			}
			i := item{path: filepath.Join(c.dir, sub, d.Name()), used: is.ModTime(), size: is.Size()}
			if sub == "entries" {
				if i.entry, err = readEntry(i.path); err != nil { // of an earlier version
					useless = append(useless, i.path)
					continue
				}
			}
			all = append(all, i)
		}
	}
	return all, useless, nil
}

// drop removes things of the cache, each under another name first: what is there is whole.
func (c *cache) drop(gone []string) error {
	if len(gone) == 0 {
		return nil
	}
	dir, done, err := c.work()
	if err != nil {
		return err
	}
	for i, p := range gone {
		err = errors.Join(err, os.Rename(p, filepath.Join(dir, fmt.Sprint(i))))
	}
	return errors.Join(err, done())
}
