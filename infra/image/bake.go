package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"steer/infra"
	"steer/infra/image/internal/rootfs"
)

// Options are what is baked, and how.
type Options struct {
	From     string   // a suite of Debian; an OCI layout, the file of one or of docker save, or a tar of a root file system
	Packages []string // in the base besides the smallest that has apt
	Mirror   string   // of Debian; empty: that of apt here
	Cache    string   // folder
	Room     int64    // bytes that the cache may have
	Fresh    bool     // nothing is taken from the cache
	// Epoch is what no file is later than. Zero: the time of the base.
	Epoch time.Time
	Name  string // of the image, also what templates see as the host's name

	// Enter starts this program within a tree; binds are folders here by the folder of
	// the tree that they cover.
	Enter func(ctx context.Context, root string, binds map[string]string) (Inside, error)
	// Steps makes the steps of the roles on a host of these facts.
	Steps func(infra.Facts) ([]Step, error)
	// Done gets each part of the image when it is there, one at a time.
	Done func(Part)
	// Slow gets told why the quick way cannot be gone, if so.
	Slow func(why error)
	// Last, if given, is called with the finished tree entered, before anything is
	// written: tests. An error ends it.
	Last func(Inside) error

	Config Settings
	Layout string // file, or folder, to write the image to; empty: none. A file when it ends with .tar
	RootFS string // file .tar, .tar.gz or .tar.zst; empty: none
}

// Settings are what the image says of itself.
type Settings struct {
	Entrypoint, Cmd []string
	Env             []string // NAME=VALUE
	Labels          map[string]string
	Created         time.Time // zero: the time of the base
	Tags            []string  // names like shop:1
}

// Step is a part of the roles that becomes a layer.
type Step struct {
	Title string
	Input json.RawMessage // everything that what it does depends on, but for the steps before
}

// Inside is this program within the tree.
type Inside interface {
	Facts() (infra.Facts, error)
	// Apply applies a step; told are resources that earlier ones notified, and those
	// that still have to be told are returned.
	Apply(step int, told []string) ([]string, error)
	// Check compares everything, and returns the hash of the state.
	Check() (hash string, err error)
	Close() error
}

// Part is the base, or what a step became.
type Part struct {
	Title  string
	Layers []rootfs.Layer
	Cached bool
	Took   time.Duration
}

// Image is what was baked.
type Image struct {
	Digest string // of the manifest
	Config string // of the configuration: what engines call the ID of the image
	RootFS string // of the tar of the root file system, if it was written
	Hash   string // of the state: that of steer plan
	Size   int64  // of all layers, compressed
	Parts  []Part
	Took   time.Duration
}

type baker struct {
	Options
	cache *cache
	used  map[string]bool
	parts []Part
	chain []*entry // the base, then a step each
	start time.Time
	dir   string       // to work in; empty until there is work
	done  func() error // removes it
	flat  *rootfs.Tree // where stacks cannot be, the one tree that all is done in
	tried bool         // whether stacks can be
	noWay error        // why they cannot
}

// Bake makes an image.
func Bake(ctx context.Context, o Options) (_ Image, err error) {
	if err := checkRoot(); err != nil {
		return Image{}, err
	}
	b := &baker{Options: o, used: map[string]bool{}, start: time.Now()}
	defer func() { err = b.full(err) }()
	if b.cache, err = openCache(o.Cache); err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, b.cache.close()) }()
	img, err := b.bake(ctx)
	if b.dir != "" {
		err = errors.Join(err, b.done())
	}
	if err != nil {
		return Image{}, err
	}
	img.Parts, img.Took = b.parts, time.Since(b.start)
	return img, b.cache.room(o.Room, b.used)
}

func (b *baker) bake(ctx context.Context) (Image, error) {
	e, cached, err := b.base(ctx)
	if err != nil {
		return Image{}, err
	}
	b.add("base "+e.Base.Name, e, cached, b.start)
	steps, err := b.Steps(e.Base.Facts)
	if err != nil {
		return Image{}, err
	}
	hash, err := b.all(ctx, steps)
	if err != nil {
		return Image{}, err
	}
	img, err := b.write(hash)
	img.Hash = hash
	return img, err
}

// cached finds an entry, and keeps it from going.
func (b *baker) cached(k string) (*entry, bool) {
	b.used[k] = true
	if b.Fresh {
		return nil, false
	}
	return b.cache.get(k)
}

func (b *baker) add(title string, e *entry, cached bool, since time.Time) {
	b.chain = append(b.chain, e)
	b.parts = append(b.parts, Part{Title: title, Layers: e.Layers, Cached: cached, Took: time.Since(since)})
	b.Done(b.parts[len(b.parts)-1])
}

// all does the steps that the cache does not have, and what follows them.
func (b *baker) all(ctx context.Context, steps []Step) (hash string, err error) {
	k := b.chain[0].key
	var told []string
	anew := false
	for i, s := range steps {
		start := time.Now()
		k = key(k, string(s.Input))
		e, cached := b.cached(k)
		if !cached || anew {
			if e, err = b.step(ctx, k, i, told); err != nil {
				return "", err
			}
			cached, anew = false, true
		}
		told = e.Told
		b.add(s.Title, e, cached, start)
	}
	k = key(k, "check")
	e, cached := b.cached(k)
	if cached && !anew && b.Last == nil && b.RootFS == "" {
		return e.Hash, nil
	}
	return b.last(ctx, k)
}

// enter prepares the tree for programs, and starts this one in there. What is read of
// mirrors, and packages from there, stay outside of the tree.
func (b *baker) enter(ctx context.Context, t *rootfs.Tree) (Inside, func() error, error) {
	takeDown, err := scaffold(ctx, t.Dir)
	if err != nil {
		return nil, nil, err
	}
	in, err := b.Enter(ctx, t.Dir, map[string]string{
		"/var/lib/apt/lists":      filepath.Join(b.dir, "lists"),
		"/var/cache/apt/archives": filepath.Join(b.cache.dir, "debs"),
	})
	if err != nil {
		return nil, nil, errors.Join(err, takeDown())
	}
	return in, func() error { return errors.Join(in.Close(), takeDown()) }, nil
}

// step applies one step, and keeps what it changed.
func (b *baker) step(ctx context.Context, k string, i int, told []string) (*entry, error) {
	t, done, err := b.stand(ctx)
	if err != nil {
		return nil, err
	}
	e, err := b.stepIn(ctx, t, k, i, told)
	err = errors.Join(err, done())
	if errors.Is(err, rootfs.ErrLinked) { // once more, where it shows
		b.noWay = err
		return b.step(ctx, k, i, told)
	}
	return e, err
}

func (b *baker) stepIn(ctx context.Context, t *rootfs.Tree, k string, i int, told []string) (*entry, error) {
	in, leave, err := b.enter(ctx, t)
	if err != nil {
		return nil, err
	}
	e := &entry{}
	e.Told, err = in.Apply(i, told)
	if err = errors.Join(err, leave()); err != nil {
		return nil, err
	}
	if err := clean(t); err != nil {
		return nil, err
	}
	changes, err := t.Scan(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.Settle(changes); err != nil {
		return nil, fmt.Errorf("tidy the tree: %w", err)
	}
	if len(changes) > 0 {
		if err := b.keep(e, t, changes); err != nil {
			return nil, err
		}
		if upper := t.Upper(); upper != "" {
			if err := b.cache.keepTree(e, upper); err != nil {
				return nil, err
			}
		}
	}
	return e, b.cache.put(k, b.dir, e)
}

// keep writes a layer of changes into the cache.
func (b *baker) keep(e *entry, t *rootfs.Tree, changes []rootfs.Change) error {
	file := filepath.Join(b.dir, "layer"+layerSuffix)
	l, err := t.WriteLayer(file, changes)
	if err != nil {
		return err
	}
	e.Layers, e.Weight = []rootfs.Layer{l}, t.Weight(changes)
	if err := os.Rename(file, b.cache.blob(l)); err != nil {
		return fmt.Errorf("keep a layer: %w", err)
	}
	return nil
}

// last checks the finished tree, and writes it.
func (b *baker) last(ctx context.Context, k string) (hash string, err error) {
	t, done, err := b.stand(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, done()) }()
	if b.RootFS != "" {
		if err := t.Write(b.RootFS + ".new"); err != nil {
			return "", err
		}
	}
	in, leave, err := b.enter(ctx, t)
	if err != nil {
		return "", err
	}
	hash, err = in.Check()
	if err == nil && b.Last != nil {
		err = b.Last(in)
	}
	if err = errors.Join(err, leave()); err != nil {
		if b.RootFS != "" {
			err = errors.Join(err, os.Remove(b.RootFS+".new"))
		}
		return "", err
	}
	return hash, b.cache.put(k, b.dir, &entry{Hash: hash})
}

func shortTitle(s string) string { return strings.ToValidUTF8(s[:min(len(s), 1000)], "") }
