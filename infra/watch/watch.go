// Package watch sees drift on the host on which it runs: what the kernel and systemd
// tell about files and units leads to a comparison of just the resources that they
// belong to.
package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/infra"
)

// Options are what a watcher works with.
type Options struct {
	// Busy tells whether a run of ours changes the host: then nothing is compared
	// before its end.
	Busy func() bool
	// Drift gets each difference once, and its end, one call at a time.
	Drift func(infra.Drift)
	// Note gets what is not watched and why, or nothing, at the begin of a round and
	// when that changes.
	Note func(string)
	Log  *slog.Logger
}

// Watcher remembers which drift was told.
type Watcher struct {
	o     Options
	known map[string]string // hashes of differences, by reference
}

// Times of the watch.
const (
	settle  = 100 * time.Millisecond // between a change and its comparison: changes come in groups
	again   = 250 * time.Millisecond // while a run of ours is under way
	restful = 20 * time.Millisecond  // between readings of what the kernel tells
	costly  = 20 * time.Millisecond  // for one comparison
	unaided = 30 * time.Second       // between comparisons of what nobody tells about
)

// New returns a watcher that knows no drift.
func New(o Options) *Watcher {
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Note == nil {
		o.Note = func(string) {}
	}
	return &Watcher{o: o, known: map[string]string{}}
}

// round is a watch over one manifest.
type round struct {
	*Watcher
	all   []infra.Declared
	units map[string][]int // resources by unit

	mu      sync.Mutex
	pending map[int]bool      // true: something was told of it just now
	rest    map[int]time.Time // not to be compared again before
	wake    chan struct{}
}

// Run compares all resources, and from then on those of which something is told, until
// ctx ends. It may be called again with other resources.
func (w *Watcher) Run(ctx context.Context, all []infra.Declared) error {
	r := &round{Watcher: w, all: all, units: map[string][]int{}, pending: map[int]bool{}, rest: map[int]time.Time{}, wake: make(chan struct{}, 1)}
	refs := map[string]bool{}
	for _, d := range all {
		refs[d.Ref()] = true
	}
	maps.DeleteFunc(w.known, func(ref, _ string) bool { return !refs[ref] })
	f, err := openFiles()
	if err != nil {
		return err
	}
	var supervised []int
	for i, d := range all {
		if s, ok := d.Resource.(infra.Supervised); ok {
			for _, u := range s.Units() {
				r.units[u] = append(r.units[u], i)
			}
			supervised = append(supervised, i)
		}
		if s, ok := d.Resource.(infra.Watched); ok {
			for _, p := range s.Watch() {
				f.want(p, i)
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	blind := f.cover() // before the first comparison: what changes after it is told
	r.note(f.trees.note, blind)
	context.AfterFunc(ctx, f.close)
	wg.Go(func() {
		noted := f.trees.note
		f.read(ctx, func(some []int) {
			if f.trees.note != noted {
				noted = f.trees.note
				r.note(noted, blind)
			}
			r.touch(some, true)
		})
	})
	if len(supervised) > 0 {
		wg.Go(func() { r.listen(ctx, supervised) })
	}
	r.touchAll()
	r.work(ctx, blind != nil)
	return nil
}

// note tells what is not watched.
func (r *round) note(deep string, blind error) {
	if blind != nil {
		deep = fmt.Sprintf("files are compared every %s only: %v", unaided, blind)
	}
	if deep != "" {
		r.o.Log.Warn(deep)
	}
	r.o.Note(deep)
}

// touch notes that resources may differ; told says that somebody did something just now.
func (r *round) touch(some []int, told bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range some {
		r.pending[i] = r.pending[i] || told
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *round) touchAll() {
	some := make([]int, len(r.all))
	for i := range some {
		some[i] = i
	}
	r.touch(some, false)
}

// work compares what was touched, a little later.
func (r *round) work(ctx context.Context, blind bool) {
	poll := time.NewTicker(unaided)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-poll.C:
			if !blind {
				continue
			}
			r.touchAll()
		}
		for wait := settle; ; wait = again {
			if !pause(ctx, wait) {
				return
			}
			if r.o.Busy == nil || !r.o.Busy() {
				break
			}
		}
		r.mu.Lock()
		told := r.due(time.Now())
		r.mu.Unlock()
		some := slices.Sorted(maps.Keys(told))
		h := infra.NewHost(ctx)
		w := &witness{root: "/", now: time.Now(), host: h}
		for _, i := range some {
			if ctx.Err() != nil {
				return
			}
			start := time.Now()
			r.compare(ctx, h, i, told[i], w)
			if took := time.Since(start); took > costly {
				r.rest[i] = time.Now().Add(min(9*took, unaided))
			}
		}
	}
}

// due takes what has to be compared now. What takes long, like a large tree in which
// much comes and goes, takes no more than a tenth of the time.
func (r *round) due(now time.Time) map[int]bool {
	due, later := map[int]bool{}, time.Duration(0)
	for i, told := range r.pending {
		if wait := r.rest[i].Sub(now); wait <= 0 {
			due[i] = told
			delete(r.pending, i)
		} else if later == 0 || wait < later {
			later = wait
		}
	}
	if later > 0 {
		time.AfterFunc(later, func() { r.touch(nil, false) })
	}
	return due
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// compare tells what differs, when that is news. Nobody can tell by looking whether a
// command shall run, so these are left to runs.
func (r *round) compare(ctx context.Context, h *infra.Host, i int, told bool, w *witness) {
	d := r.all[i]
	_, watched := d.Resource.(infra.Watched)
	_, supervised := d.Resource.(infra.Supervised)
	if !watched && !supervised {
		return
	}
	diff, err := d.Resource.Diff(ctx, h)
	if err != nil {
		// The next run tells it too, to those who can do something about it.
		r.o.Log.Debug("compare", "resource", d.Ref(), "error", err)
		return
	}
	if r.o.Busy != nil && r.o.Busy() { // a run began meanwhile, and may have been seen half done
		r.touch([]int{i}, told)
		return
	}
	if diff.Action == infra.Report {
		return
	}
	// Of the values themselves, also of secret ones: another value is news.
	b, err := json.Marshal(diff)
	if err != nil {
		return
	}
	sum := sha256.Sum256(b)
	is := string(sum[:])
	if diff.Empty() {
		is = ""
	}
	if r.known[d.Ref()] == is {
		return
	}
	if r.known[d.Ref()] = is; is == "" {
		delete(r.known, d.Ref())
	}
	if d.Sensitive {
		diff = diff.Masked()
	}
	drift := infra.Drift{Ref: d.Ref(), Role: d.Role, Place: d.Place, Heal: d.Heal, Action: diff.Action, Fields: diff.Fields, At: time.Now().UTC()}
	if told && is != "" { // of what differed before, those who are there now say nothing
		drift.Hints = w.hints(ctx, d)
	}
	r.o.Drift(drift)
}

// listen hears about units, and asks now and then where nobody tells.
func (r *round) listen(ctx context.Context, supervised []int) {
	for ctx.Err() == nil {
		connected := false // what differs by then did so before
		err := listen(ctx, func(unit string) {
			if unit == "" {
				r.touch(supervised, connected)
				connected = true
			} else if some := r.units[unit]; len(some) > 0 {
				r.touch(some, true)
			}
		})
		if ctx.Err() != nil {
			return
		}
		wait := time.Second // systemd starts itself anew when it is updated
		if err != nil && strings.Contains(err.Error(), "no such file") {
			wait = unaided
		}
		r.o.Log.Debug("units", "error", err)
		if !pause(ctx, wait) {
			return
		}
		r.touch(supervised, false)
	}
}
