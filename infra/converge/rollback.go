package converge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// Rollback undoes generations of this host, the newest first, until the state is that of
// generation to; fewer than 0 is the one before the newest. It is a generation of its
// own, and reports like Run. What cannot be undone is Drifted, and in the notes.
func Rollback(ctx context.Context, to int, o Options) (_ Report, err error) {
	start := time.Now()
	o.Parallel = 1
	o = o.filled()
	defer func() { err = withRoom(err, o.Dir) }()
	r, release, err := begin(o)
	if err != nil {
		return Report{}, err
	}
	defer release()
	report := Report{CutOff: r.state.Applying}
	newest := r.state.Generation
	if to < 0 {
		to = newest - 1
	}
	switch {
	case newest == 0:
		return Report{}, fault.New(fault.NotFound, "there is nothing to go back to: Steer changed nothing on this host yet")
	case to >= newest:
		return Report{}, fault.New(fault.Invalid, "generation %d is not before the newest one, %d (steer host generations lists them)", to, newest)
	}
	if !o.DryRun { // what the host should be is not known before the next run
		if err := forgetManifest(o.Dir); err != nil {
			return Report{}, err
		}
	}
	var all []undo
	for n := to + 1; n <= newest; n++ {
		some, err := readUndo(o.Dir, n)
		if err != nil {
			return Report{}, err
		}
		all = append(all, some...)
	}
	r.undo(ctx, all, to)
	report.Counts = r.counts
	return r.end(ctx, report, start)
}

func (r *run) undo(ctx context.Context, all []undo, to int) {
	back, resources := compose(all, r.Kinds)
	r.back, r.backTo = back, to
	for i, u := range back {
		d := infra.Declared{Kind: u.Kind, ID: u.id, Resource: resources[i], Role: u.Role, Place: fmt.Sprintf("generation %d", u.generation), Notify: u.Notify, Sensitive: u.Sensitive}
		if u.Why != "" {
			d.Kind, d.ID, _ = strings.Cut(u.Ref, ":")
			r.notes = append(r.notes, fmt.Sprintf("%s cannot be undone: %s", u.Ref, u.Why))
		}
		r.all = append(r.all, d)
	}
	r.gone, r.before, r.status = len(r.all), make([][]int, len(r.all)), make([]Status, len(r.all))
	for _, ref := range r.state.Pending {
		r.notified[ref] = true
	}
	first := len(back)
	if i := slices.IndexFunc(back, func(u undo) bool { return u.Told }); i >= 0 {
		first = i
	}
	// What fails may lack something that is put back only after it: a service its
	// configuration, say. It gets a second chance, in the order of the changes.
	var again []int
	for i := range first {
		e, _ := r.result(ctx, i)
		if e.Status == Failed && !r.DryRun {
			again = append(again, i)
			continue
		}
		r.done(i, e)
	}
	for _, i := range slices.Backward(again) {
		e, _ := r.result(ctx, i)
		r.done(i, e)
	}
	for i := first; i < len(r.all); i++ {
		r.one(ctx, i)
	}
}
