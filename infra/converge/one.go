package converge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.yaml.in/yaml/v4"

	"steer/infra"
)

// one compares a resource, and changes it if it differs and may be changed.
func (r *run) one(ctx context.Context, i int) {
	d := r.all[i]
	start := time.Now()
	e := Event{Ref: d.Ref(), Role: d.Role, Place: d.Place}
	if !r.wanted(d) && !r.toTell(d) {
		r.mu.Lock()
		r.status[i] = OK
		r.mu.Unlock()
		return
	}
	if why := r.blocked(ctx, i); why != "" {
		e.Status, e.Why = Skipped, why
	} else {
		e = r.work(ctx, i, e)
	}
	if l, ok := d.Resource.(infra.Live); ok && r.Host.Facts.Offline && e.Why == "" {
		e.Why = l.LeftOut()
	}
	if d.Sensitive {
		e.Diff = e.Diff.Masked()
		if e.Status == Failed {
			e.Why = "the message is not shown, since the resource uses a secret"
		}
	}
	e.Took = time.Since(start)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status[i] = e.Status
	r.counts[e.Status]++
	if e.Status == Failed {
		if _, already := r.failed[d.Role]; !already {
			r.failed[d.Role] = d.Ref()
		}
	}
	r.Event(e)
}

func (r *run) wanted(d infra.Declared) bool {
	if len(r.Tags) == 0 {
		return true
	}
	for _, t := range d.Tags {
		if slices.Contains(r.Tags, t) {
			return true
		}
	}
	return false
}

// toTell tells whether a resource was notified: that is not lost when no tag selects
// it.
func (r *run) toTell(d infra.Declared) bool {
	_, can := d.Resource.(infra.Notified)
	r.mu.Lock()
	defer r.mu.Unlock()
	return can && r.notified[d.Ref()]
}

// blocked says why a resource is not touched: what it waits for, or something that
// its role wrote before it, failed.
func (r *run) blocked(ctx context.Context, i int) string {
	if ctx.Err() != nil {
		return "the run was ended"
	}
	if r.DryRun {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.marked != nil {
		return "the host cannot remember what is done: " + r.marked.Error()
	}
	for _, b := range r.before[i] {
		if s := r.status[b]; s == Failed || s == Skipped {
			return fmt.Sprintf("%s %s", r.all[b].Ref(), s)
		}
	}
	if ref, ok := r.failed[r.all[i].Role]; ok {
		return ref + " failed before it"
	}
	return ""
}

// work does it. The result has a status.
func (r *run) work(ctx context.Context, i int, e Event) Event {
	d := r.all[i]
	removal := i >= r.gone
	fail := func(err error) Event {
		e.Status, e.Why = Failed, err.Error()
		return e
	}
	var diff infra.Diff
	if r.wanted(d) { // else it is only told
		var err error
		if diff, err = d.Resource.Diff(ctx, r.Host); err != nil {
			return fail(fmt.Errorf("compare: %w", err))
		}
	}
	notified := r.toTell(d)
	e.Diff = diff
	if removal {
		e.Why = "no longer declared"
	}
	switch {
	case diff.Empty() && !notified:
		e.Status = OK
		if removal {
			r.forget(d)
		} else {
			r.leaf(ctx, d, diff)
		}
		return e
	case diff.Action == infra.Report:
		return r.reported(ctx, d, diff, e)
	case r.DryRun:
		e.Status = Planned
		if diff.Empty() {
			e.Diff.Action = infra.Run
		}
		if notified {
			e.Why = "notified"
		}
		r.leaf(ctx, d, diff)
		r.tell(d)
		return e
	case r.Unattended && !diff.Empty() && d.Heal != "" && d.Heal != infra.HealDrift:
		e.Status, e.Why = Drifted, "left as it is: heal is "+string(d.Heal)
		r.leaf(ctx, d, diff)
		return e
	}
	if err := r.mark(d, diff); err != nil {
		return fail(err)
	}
	if !diff.Empty() {
		err := d.Resource.Apply(ctx, r.Host, diff)
		r.Host.Changed()
		if err != nil {
			return fail(err)
		}
		if diff.Action != infra.Run {
			left, err := d.Resource.Diff(ctx, r.Host)
			if err != nil {
				return fail(fmt.Errorf("compare again: %w", err))
			}
			if left.Action == infra.Report {
				return r.reported(ctx, d, left, e)
			}
			if !left.Empty() {
				return fail(fmt.Errorf("was applied and still differs: %s", left))
			}
		}
		r.tell(d)
	}
	if notified {
		err := d.Resource.(infra.Notified).Notify(ctx, r.Host)
		r.Host.Changed()
		if err != nil {
			return fail(fmt.Errorf("notified: %w", err))
		}
		r.mu.Lock()
		delete(r.notified, d.Ref())
		r.mu.Unlock()
		e.Why = "notified"
		if diff.Empty() {
			e.Diff.Action = infra.Run
			r.tell(d)
		}
	}
	e.Status = Changed
	if removal {
		r.forget(d)
	} else {
		r.leaf(ctx, d, infra.Diff{})
	}
	return e
}

// reported is the result of a difference that nobody wants to be changed.
func (r *run) reported(ctx context.Context, d infra.Declared, diff infra.Diff, e Event) Event {
	e.Status, e.Why, e.Diff = Drifted, "only reported, as it is declared", diff
	r.leaf(ctx, d, diff)
	return e
}

// tell marks those that a changed resource notifies.
func (r *run) tell(d infra.Declared) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ref := range d.Notify {
		r.notified[ref] = true
	}
}

// mark puts on disk, before anything is changed, that a run is under way, what it is
// about to create, and whom it will have to notify: so that a run that is cut off is
// noticed and finished by the next one.
func (r *run) mark(d infra.Declared, diff infra.Diff) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := false
	if r.state.Applying == nil {
		r.state.Applying, changed = &Applying{Since: time.Now().UTC().Truncate(time.Second), By: r.By, First: d.Ref()}, true
	}
	for _, ref := range d.Notify {
		if !slices.Contains(r.state.Pending, ref) {
			r.state.Pending, changed = append(r.state.Pending, ref), true
		}
	}
	if !changed {
		return r.own(d, diff)
	}
	if err := r.state.write(r.Dir); err != nil {
		r.marked = err
	}
	return r.own(d, diff)
}

// own remembers what is created, to remove it when it is no longer declared.
func (r *run) own(d infra.Declared, diff infra.Diff) error {
	gone, ok := d.Resource.(infra.Removable)
	if r.marked != nil || !ok || diff.Action != infra.Create || r.state.owns(d.Ref()) {
		return r.marked
	}
	b, err := yaml.Marshal(gone.Absent())
	if err != nil {
		return fmt.Errorf("remember that %s is created here: %w", d.Ref(), err)
	}
	r.dirty = true
	return r.state.own(r.Dir, Owned{Kind: d.Kind, ID: d.ID, Role: d.Role, Absent: string(b)})
}

// forget drops what was removed.
func (r *run) forget(d infra.Declared) {
	if r.DryRun {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.Owned, r.dirty = slices.DeleteFunc(r.state.Owned, func(o Owned) bool { return o.Kind == d.Kind && o.ID == d.ID }), true
}

// leaf notes the state of a resource, as a hash over what is declared, what differs
// from it, and what the declaration leaves open.
func (r *run) leaf(ctx context.Context, d infra.Declared, diff infra.Diff) {
	declared, err := json.Marshal(d.Resource) // a tenth of the time of YAML
	if err != nil {
		return
	}
	h := sha256.New()
	h.Write(declared)
	if !diff.Empty() {
		json.NewEncoder(h).Encode(diff)
	}
	if s, ok := d.Resource.(infra.Stated); ok {
		if state, err := s.State(ctx, r.Host); err == nil {
			fmt.Fprintf(h, "\x00%s", state)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaves[d.Ref()] = hex.EncodeToString(h.Sum(nil)[:16])
}

// rootHash is one hash over all leaves.
func rootHash(leaves map[string]string) string {
	h := sha256.New()
	for _, ref := range slices.Sorted(maps.Keys(leaves)) {
		fmt.Fprintf(h, "%s\x00%s\x00", ref, leaves[ref])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
