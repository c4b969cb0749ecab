// Package converge makes the host on which it runs what a manifest says: it
// arranges the resources, compares each, changes what differs, remembers what it
// created, and removes what is no longer declared.
package converge

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/config"
	"steer/infra"
)

// Options are how a run goes.
type Options struct {
	Host  *infra.Host
	Kinds infra.Kinds
	Dir   string // for the state; DefaultDir when empty
	// DryRun compares only.
	DryRun bool
	// Unattended keeps to what resources say about drift: report and ask leave it.
	Unattended bool
	// Part: the manifest is a part of a larger one. What it names and does not have is
	// elsewhere.
	Part bool
	// Tags, when given, are those of which a resource needs one to be looked at.
	Tags []string
	// Refs, when given, are the only resources that are looked at.
	Refs []string
	// Tell notifies resources as if something had changed that notifies them.
	Tell []string
	// Parallel is how many resources are worked on at a time, default twice the CPUs.
	Parallel int
	// By is who wants it, for the state and for others who wait.
	By string
	// Keep, if given, is the manifest as infra.Encode writes it: the host keeps it in
	// ManifestFile, also when something of it cannot be done. Runs with DryRun, Tags or Refs,
	// which are not all that the host should be, keep nothing.
	Keep []byte
	// Version names the definitions, for the list of generations.
	Version string
	// Name tells the run from others, for those who lose the connection to it.
	Name string
	// Guard, unless nil, watches over what the run changes.
	Guard *Guard

	guarding int // the generation that a guard undoes
	// Event gets every result, one at a time, in the order in which they are there.
	Event func(Event)
}

// DefaultDir is where hosts remember.
const DefaultDir = "/var/lib/steer-host"

// Status is how a resource came out of a run.
type Status string

// The statuses.
const (
	OK      Status = "ok"      // as declared
	Planned Status = "planned" // would be changed
	Changed Status = "changed"
	Failed  Status = "failed"
	Skipped Status = "skipped"
	Drifted Status = "drifted" // differs, and is left so by its policy
)

// Event is the result of one resource.
type Event struct {
	Ref    string     `json:"ref"`
	Role   string     `json:"role,omitempty"`
	Place  string     `json:"place,omitempty"`
	Status Status     `json:"status"`
	Diff   infra.Diff `json:"diff,omitzero"`
	// Drift: what differs was as declared once, and the declaration has not changed.
	Drift bool          `json:"drift,omitempty"`
	Why   string        `json:"why,omitempty"` // of an error, of a skip, of a removal, of a restart
	Took  time.Duration `json:"took"`          // nanoseconds
}

// Report is the result of a run.
type Report struct {
	Counts     map[Status]int `json:"counts"`
	Generation int            `json:"generation"`
	Hash       string         `json:"hash"` // of the state of all resources: equal on equal hosts
	// Leaves are the hashes of each resource's state, by reference.
	Leaves map[string]string `json:"leaves,omitempty"`
	// CutOff tells of the run before this one, when it was ended in the middle.
	CutOff *Applying `json:"cut_off,omitempty"`
	// Notes are for people: of a generation that nobody confirmed, of what a rollback
	// cannot undo.
	Notes []string `json:"notes,omitempty"`
	// Remembers: an earlier run found or made everything as declared, so that drift can be
	// told from changes of the declaration.
	Remembers bool `json:"remembers,omitempty"`
	// Unconfirmed: the generation will be undone unless Confirm is called within the time
	// of its guard.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Told are resources that were notified, and not by the way told: for the parts of
	// the manifest that come after this one.
	Told []string      `json:"told,omitempty"`
	Took time.Duration `json:"took"` // nanoseconds
}

// Failed tells whether something is not as declared in spite of the run.
func (r Report) Failed() bool { return r.Counts[Failed]+r.Counts[Skipped] > 0 }

// Changes is how much a run changed or, dry, would change.
func (r Report) Changes() int { return r.Counts[Changed] + r.Counts[Planned] }

// run is one run.
type run struct {
	Options
	all    []infra.Declared // declared ones, then those to remove
	before [][]int
	gone   int    // index of the first to remove
	back   []undo // of a rollback: what each of all undoes
	backTo int    // and the generation whose state it brings back

	mu       sync.Mutex // guards what follows, and calls of Event
	state    State
	dirty    bool
	status   []Status
	notified map[string]bool
	failed   map[string]string // role → the resource that failed
	leaves   map[string]string
	counts   map[Status]int
	held     map[int]Event // in a dry run, results of the stage under way
	marked   error         // why the state could not be written
	records  *records
	watched  func() // ends what the guard watches
	notes    []string
}

// Run converges this host to the manifest, or with DryRun tells what it would do. The
// error is about the run as a whole; of single resources the events and the report
// tell.
func Run(ctx context.Context, m infra.Manifest, o Options) (Report, error) {
	start := time.Now()
	o = o.filled()
	r, release, err := begin(o)
	if err != nil {
		return Report{}, err
	}
	defer release()
	report := Report{CutOff: r.state.Applying, Remembers: len(r.state.Leaves) > 0}
	r.all, r.gone = slices.Clone(m.Resources), len(m.Resources)
	defer r.prepare(ctx)()
	order, before, err := stages(r.all, o.Part)
	if err != nil {
		return Report{}, err
	}
	r.before = before
	if order, err = r.addRemovals(order); err != nil {
		return Report{}, err
	}
	r.status = make([]Status, len(r.all))
	// The run before may have been cut off before it could tell them.
	for _, ref := range slices.Concat(r.state.Pending, o.Tell) {
		r.notified[ref] = true
	}
	for _, stage := range order {
		r.stage(ctx, stage)
	}
	report.Counts, report.Hash, report.Leaves = r.counts, rootHash(r.leaves), r.leaves
	if o.Part {
		report.Told = slices.Sorted(maps.Keys(r.notified))
	}
	return r.end(ctx, report, start)
}

func (o Options) filled() Options {
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if dir, err := filepath.Abs(o.Dir); err == nil {
		o.Dir = dir // its guard works elsewhere
	}
	if o.Parallel <= 0 {
		o.Parallel = 2 * runtime.NumCPU()
	}
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	return o
}

// begin locks the host, unless nothing is changed, and reads what it remembers.
func begin(o Options) (_ *run, release func(), err error) {
	r := &run{Options: o, notified: map[string]bool{}, failed: map[string]string{}, leaves: map[string]string{}, counts: map[Status]int{}}
	unlock := func() {}
	if !o.DryRun {
		if unlock, err = lock(o.Dir); err != nil {
			return nil, nil, err
		}
	}
	if r.state, err = ReadState(o.Dir); err == nil {
		err = r.unconfirmed()
	}
	if err == nil && !o.DryRun {
		r.reserve()
	}
	if err == nil && !o.DryRun && len(o.Keep) > 0 && len(o.Tags)+len(o.Refs) == 0 {
		err = r.remember(func() error { return keep(o.Dir, o.Keep) })
	}
	if err != nil {
		unlock()
		return nil, nil, err
	}
	return r, func() { r.leave(); unlock() }, nil
}

// end writes down what the run did.
func (r *run) end(ctx context.Context, report Report, start time.Time) (Report, error) {
	var err error
	if !r.DryRun {
		err = r.finish(ctx, report)
	}
	report.Generation, report.Notes, report.Took = r.state.Generation, r.notes, time.Since(start)
	report.Unconfirmed = r.Guard != nil && r.records != nil
	return report, errors.Join(ctx.Err(), err)
}

// prepare lets one resource of each kind read what all of them share, beside what else
// is done. The function that it returns waits for that.
func (r *run) prepare(ctx context.Context) (wait func()) {
	var wg sync.WaitGroup
	asked := map[string]bool{}
	for i, d := range r.all {
		if p, ok := d.Resource.(infra.Prepared); ok && !asked[d.Kind] && r.wanted(i) {
			asked[d.Kind] = true
			wg.Go(func() { p.Prepare(ctx, r.Host) })
		}
	}
	return wg.Wait
}

// partial tells whether the run looks at some resources only.
func (r *run) partial() bool { return len(r.Tags)+len(r.Refs) > 0 }

// leave lets go of what the run holds: from here on the guard counts.
func (r *run) leave() {
	if r.watched != nil {
		r.watched()
	}
	if r.records != nil {
		r.records.close()
	}
}

// addRemovals appends what was created earlier and is no longer declared, newest
// first, after everything else.
func (r *run) addRemovals(order [][]int) ([][]int, error) {
	if r.partial() {
		return order, nil
	}
	declared := map[string]bool{}
	for _, d := range r.all {
		declared[d.Ref()] = true
	}
	for _, o := range slices.Backward(r.state.Owned) {
		if declared[o.ref()] {
			continue
		}
		kind, ok := r.Kinds.Find(o.Kind)
		if !ok {
			continue // of a later version of the program
		}
		resource := kind.New()
		if err := config.Decode("state of this host", []byte(o.Absent), resource); err != nil {
			return nil, fmt.Errorf("remove %s:%s, which is no longer declared: %w", o.Kind, o.ID, err)
		}
		r.all = append(r.all, infra.Declared{Kind: o.Kind, ID: o.ID, Resource: resource, Role: o.Role, Heal: infra.HealDrift, Sensitive: o.Sensitive})
		r.before = append(r.before, nil)
		order = append(order, []int{len(r.all) - 1})
	}
	return order, nil
}

// stage works on resources that are independent but for what before says.
func (r *run) stage(ctx context.Context, stage []int) {
	if r.DryRun {
		r.held = make(map[int]Event, len(stage))
		defer r.tellHeld(stage)
	}
	if len(stage) == 1 || r.Parallel == 1 {
		for _, i := range stage {
			r.one(ctx, i)
		}
		return
	}
	done := make(map[int]chan struct{}, len(stage))
	for _, i := range stage {
		done[i] = make(chan struct{})
	}
	// Workers take them in order, so that whoever is waited for is taken before who
	// waits.
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range min(r.Parallel, len(stage)) {
		wg.Go(func() {
			for n := int(taken.Add(1)) - 1; n < len(stage); n = int(taken.Add(1)) - 1 {
				i := stage[n]
				for _, b := range r.before[i] {
					if c, ok := done[b]; ok && !r.DryRun {
						<-c
					}
				}
				r.one(ctx, i)
				close(done[i])
			}
		})
	}
	wg.Wait()
}

func (r *run) finish(ctx context.Context, report Report) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.marked != nil && r.records == nil {
		return r.marked // nothing was changed
	}
	if ctx.Err() != nil {
		return nil // what was cut off stays marked
	}
	if r.state.Applying != nil {
		r.state.Applying, r.dirty = nil, true
	}
	whole := !r.partial() && !report.Failed() && r.back == nil
	if whole && r.state.Hash != report.Hash {
		r.state.Hash, r.state.Leaves, r.dirty = report.Hash, r.leaves, true
	}
	if r.back != nil && r.records != nil {
		r.state.Hash, r.state.Leaves, r.dirty = "", nil, true // the next run finds out
	}
	if left := r.undelivered(); !slices.Equal(left, r.state.Pending) {
		r.state.Pending, r.dirty = left, true
	}
	if r.guarding > 0 {
		r.guarded()
	}
	if !r.dirty {
		return nil
	}
	if whole {
		r.state.Converged = time.Now().UTC().Truncate(time.Second)
	}
	if r.records != nil {
		if err := r.remember(func() error { return r.records.finish(r, report) }); err != nil {
			return err
		}
	}
	return r.remember(func() error { return r.state.write(r.Dir) })
}

// undelivered lists pending notifications of resources that could not be told yet.
func (r *run) undelivered() []string {
	var left []string
	for i, d := range r.all {
		if ref := d.Ref(); r.notified[ref] && (r.status[i] == Failed || r.status[i] == Skipped) {
			left = append(left, ref)
		}
	}
	for _, ref := range r.state.Pending {
		// A rollback does not know those that it has nothing to do with.
		if r.back != nil && r.notified[ref] && !slices.Contains(left, ref) && !slices.ContainsFunc(r.all, func(d infra.Declared) bool { return d.Ref() == ref }) {
			left = append(left, ref)
		}
	}
	slices.Sort(left)
	return left
}
