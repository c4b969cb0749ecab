// Package converge makes the host on which it runs what a manifest says: it
// arranges the resources, compares each, changes what differs, remembers what it
// created, and removes what is no longer declared.
package converge

import (
	"context"
	"errors"
	"fmt"
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
	// Tags, when given, are those of which a resource needs one to be looked at.
	Tags []string
	// Parallel is how many resources are worked on at a time, default twice the CPUs.
	Parallel int
	// By is who wants it, for the state and for others who wait.
	By string
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
	Ref    string        `json:"ref"`
	Role   string        `json:"role,omitempty"`
	Place  string        `json:"place,omitempty"`
	Status Status        `json:"status"`
	Diff   infra.Diff    `json:"diff,omitzero"`
	Why    string        `json:"why,omitempty"` // of an error, of a skip, of a removal, of a restart
	Took   time.Duration `json:"took"`          // nanoseconds
}

// Report is the result of a run.
type Report struct {
	Counts     map[Status]int `json:"counts"`
	Generation int            `json:"generation"`
	Hash       string         `json:"hash"` // of the state of all resources: equal on equal hosts
	// CutOff tells of the run before this one, when it was ended in the middle.
	CutOff *Applying     `json:"cut_off,omitempty"`
	Took   time.Duration `json:"took"` // nanoseconds
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
	gone   int // index of the first to remove

	mu       sync.Mutex // guards what follows, and calls of Event
	state    State
	dirty    bool
	status   []Status
	notified map[string]bool
	failed   map[string]string // role → the resource that failed
	leaves   map[string]string
	counts   map[Status]int
	marked   error // why the state could not be written
}

// Run converges this host to the manifest, or with DryRun tells what it would do. The
// error is about the run as a whole; of single resources the events and the report
// tell.
func Run(ctx context.Context, m infra.Manifest, o Options) (Report, error) {
	start := time.Now()
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.Parallel <= 0 {
		o.Parallel = 2 * runtime.NumCPU()
	}
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	if !o.DryRun {
		release, err := lock(o.Dir)
		if err != nil {
			return Report{}, err
		}
		defer release()
	}
	r := &run{Options: o, notified: map[string]bool{}, failed: map[string]string{}, leaves: map[string]string{}, counts: map[Status]int{}}
	r.all, r.gone = slices.Clone(m.Resources), len(m.Resources)
	defer r.prepare(ctx)()
	order, err := r.begin()
	if err != nil {
		return Report{}, err
	}
	report := Report{CutOff: r.state.Applying}
	r.status = make([]Status, len(r.all))
	for _, ref := range r.state.Pending {
		r.notified[ref] = true // the run before was cut off before it could tell them
	}
	for _, stage := range order {
		r.stage(ctx, stage)
	}
	report.Counts, report.Hash = r.counts, rootHash(r.leaves)
	if !o.DryRun {
		err = r.finish(ctx, report)
	}
	report.Generation, report.Took = r.state.Generation, time.Since(start)
	return report, errors.Join(ctx.Err(), err)
}

// begin reads what the host remembers, and meanwhile arranges what is declared.
func (r *run) begin() (order [][]int, err error) {
	read := make(chan error, 1)
	go func() {
		state, err := ReadState(r.Dir)
		r.state = state
		read <- err
	}()
	order, r.before, err = stages(r.all)
	if err2 := <-read; err2 != nil {
		return nil, err2
	}
	if err != nil {
		return nil, err
	}
	return r.addRemovals(order)
}

// prepare lets one resource of each kind read what all of them share, beside what else
// is done. The function that it returns waits for that.
func (r *run) prepare(ctx context.Context) (wait func()) {
	var wg sync.WaitGroup
	asked := map[string]bool{}
	for _, d := range r.all {
		if p, ok := d.Resource.(infra.Prepared); ok && !asked[d.Kind] && r.wanted(d) {
			asked[d.Kind] = true
			wg.Go(func() { p.Prepare(ctx, r.Host) })
		}
	}
	return wg.Wait
}

// addRemovals appends what was created earlier and is no longer declared, newest
// first, after everything else.
func (r *run) addRemovals(order [][]int) ([][]int, error) {
	if len(r.Tags) > 0 {
		return order, nil
	}
	declared := map[string]bool{}
	for _, d := range r.all {
		declared[d.Ref()] = true
	}
	for _, o := range slices.Backward(r.state.Owned) {
		if declared[o.Kind+":"+o.ID] {
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
		r.all = append(r.all, infra.Declared{Kind: o.Kind, ID: o.ID, Resource: resource, Role: o.Role, Heal: infra.HealDrift})
		r.before = append(r.before, nil)
		order = append(order, []int{len(r.all) - 1})
	}
	return order, nil
}

// stage works on resources that are independent but for what before says.
func (r *run) stage(ctx context.Context, stage []int) {
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
	if r.marked != nil {
		return r.marked
	}
	if ctx.Err() != nil {
		return nil // what was cut off stays marked
	}
	if r.state.Applying != nil {
		r.state.Applying, r.dirty = nil, true
	}
	if r.counts[Changed] > 0 {
		r.state.Generation++
		r.dirty = true
	}
	if whole := len(r.Tags) == 0 && !report.Failed(); whole && r.state.Hash != report.Hash {
		r.state.Hash, r.state.Leaves, r.dirty = report.Hash, r.leaves, true
	}
	if left := r.undelivered(); !slices.Equal(left, r.state.Pending) {
		r.state.Pending, r.dirty = left, true
	}
	if !r.dirty {
		return nil
	}
	if !report.Failed() && len(r.Tags) == 0 {
		r.state.Converged = time.Now().UTC().Truncate(time.Second)
	}
	return r.state.write(r.Dir)
}

// undelivered lists pending notifications of resources that could not be told yet.
func (r *run) undelivered() []string {
	var left []string
	for i, d := range r.all {
		if ref := d.Ref(); r.notified[ref] && (r.status[i] == Failed || r.status[i] == Skipped) {
			left = append(left, ref)
		}
	}
	slices.Sort(left)
	return left
}
