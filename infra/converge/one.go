package converge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"steer/base/fault"
	"steer/infra"
)

// one compares a resource, and changes it if it differs and may be changed.
func (r *run) one(ctx context.Context, i int) {
	if e, shown := r.result(ctx, i); shown {
		r.done(i, e)
	}
}

// result is what comes of a resource. What nobody asked for is not shown.
func (r *run) result(ctx context.Context, i int) (e Event, shown bool) {
	d := r.all[i]
	start := time.Now()
	e = Event{Ref: d.Ref(), Role: d.Role, Place: d.Place}
	if !r.wanted(i) && !r.toTell(d) {
		r.mu.Lock()
		r.status[i] = OK
		r.mu.Unlock()
		return e, false
	}
	if why := r.blocked(ctx, i); why != "" {
		if e.Status, e.Why = Skipped, why; i >= r.gone && r.back == nil {
			e.Why = "no longer declared; " + why
		}
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
	return e, true
}

// done takes over a result, and tells it.
func (r *run) done(i int, e Event) {
	d := r.all[i]
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status[i] = e.Status
	r.counts[e.Status]++
	if e.Status == Changed {
		r.records.changed(e.Ref)
	}
	if e.Status == Failed {
		if _, already := r.failed[d.Role]; !already {
			r.failed[d.Role] = d.Ref()
		}
	}
	if r.held != nil {
		r.held[i] = e
		return
	}
	r.Event(e)
}

// tellHeld tells the results of a stage in the order of the roles: two plans of the same
// read the same, whoever was compared first.
func (r *run) tellHeld(stage []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, i := range stage {
		if e, ok := r.held[i]; ok {
			r.Event(e)
		}
	}
	r.held = nil
}

func (r *run) wanted(i int) bool {
	if r.back != nil {
		return !r.back[i].Told
	}
	if len(r.Refs) > 0 && !slices.Contains(r.Refs, r.all[i].Ref()) {
		return false
	}
	if len(r.Tags) == 0 {
		return true
	}
	for _, t := range r.all[i].Tags {
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
	if r.back != nil {
		return "" // as much as can be is put back
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
	if r.back != nil && r.back[i].Why != "" {
		e.Status, e.Why = Drifted, "cannot be undone: "+r.back[i].Why
		return e
	}
	if p, ok := d.Resource.(infra.Purger); ok && p.Purges() != "" && within(p.Purges(), r.Dir) {
		return fail(fault.New(fault.Invalid, "purge: in %s is what Steer remembers of this host, %s (name another folder)", p.Purges(), r.Dir))
	}
	if r.wanted(i) { // else it is only told
		var err error
		if diff, err = d.Resource.Diff(ctx, r.Host); err != nil {
			return fail(fmt.Errorf("compare: %w", err))
		}
	}
	notified := r.toTell(d)
	e.Diff = diff
	if !diff.Empty() && !removal && r.back == nil {
		b, err := json.Marshal(d.Resource)
		e.Drift = err == nil && strings.HasPrefix(r.state.Leaves[r.anonymous(d.Ref())], declaredHash([]byte(r.anonymous(string(b)))))
	}
	if removal {
		e.Why = "no longer declared"
	}
	switch {
	case diff.Empty() && !notified:
		e.Status = OK
		switch {
		case removal:
			r.forget(i)
		case r.back != nil:
			if err := r.reown(ctx, i); err != nil {
				return fail(err)
			}
		default:
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
	case r.Unattended && e.Drift && d.Heal != "" && d.Heal != infra.HealDrift:
		e.Status, e.Why = Drifted, "left as it is: heal is "+string(d.Heal)
		r.leaf(ctx, d, diff)
		return e
	}
	if err := r.mark(d); err != nil {
		return fail(err)
	}
	if err := r.record(ctx, i, diff, notified); err != nil {
		return fail(err)
	}
	if err := r.own(i, diff); err != nil {
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
	if removal || r.back != nil {
		r.forget(i)
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

// mark puts on disk, before anything is changed, that a run is under way, and whom it
// will have to notify: so that a run that is cut off is noticed and finished by the next
// one. The first change makes a generation, and wakes its guard.
func (r *run) mark(d infra.Declared) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.marked != nil {
		return r.marked
	}
	changed, was := false, r.state
	if r.records == nil {
		if r.marked = r.begins(d); r.marked != nil {
			return r.marked
		}
		changed = true
	}
	for _, ref := range d.Notify {
		if !slices.Contains(r.state.Pending, ref) {
			r.state.Pending, changed = append(r.state.Pending, ref), true
		}
	}
	if !changed {
		return nil
	}
	if r.marked = r.remember(func() error { return r.state.write(r.Dir) }); r.marked != nil && r.state.Generation > was.Generation {
		r.discard(was)
	}
	return r.marked
}

// begins makes the generation of the run, but for the state.
func (r *run) begins(d infra.Declared) error {
	n := r.state.Generation + 1
	var records *records
	err := r.remember(func() (err error) {
		records, err = openRecords(r.Dir, n)
		return err
	})
	if err != nil {
		return err
	}
	was := r.state
	r.records, r.state.Generation = records, n
	r.state.Applying = &Applying{Since: time.Now().UTC().Truncate(time.Second), By: r.By, First: d.Ref(), Generation: n}
	records.meta.Name, records.meta.By, records.meta.Version = r.Name, r.By, r.Version
	if r.back != nil {
		records.meta.BackTo = &r.backTo
	}
	if err = r.remember(records.describe); err == nil {
		err = r.remember(r.guard)
	}
	if err == nil && r.back != nil { // what the host should be is not known before the next run
		err = forgetManifest(r.Dir)
	}
	if err != nil {
		r.discard(was)
	}
	return err
}

// discard takes back a generation that could not begin. Its guard finds its folder gone.
func (r *run) discard(was State) {
	if r.watched != nil {
		r.watched()
		r.watched = nil
	}
	r.records.close()
	os.RemoveAll(r.records.dir)
	r.records, r.state = nil, was
}

// own remembers what is created, to remove it when it is no longer declared. What a
// rollback brings back is remembered as it was.
func (r *run) own(i int, diff infra.Diff) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.all[i]
	if r.back != nil {
		o := r.back[i].Owned
		if o == nil || r.back[i].Told {
			return nil
		}
		if is := r.state.owned(o.ref()); is != nil && *is == *o {
			return nil
		}
		r.dirty = true
		return r.remember(func() error { return r.state.own(r.Dir, *o) })
	}
	gone, ok := d.Resource.(infra.Removable)
	if !ok || diff.Action != infra.Create || r.state.owns(d.Ref()) {
		return nil
	}
	b, err := yaml.Marshal(gone.Absent())
	if err != nil {
		return fmt.Errorf("remember that %s is created here: %w", d.Ref(), err)
	}
	r.dirty = true
	o := Owned{Kind: d.Kind, ID: d.ID, Role: d.Role, Absent: string(b), Sensitive: d.Sensitive}
	return r.remember(func() error { return r.state.own(r.Dir, o) })
}

// reown remembers again whether something was created here that is as a rollback wants
// it without a change.
func (r *run) reown(ctx context.Context, i int) error {
	r.mu.Lock()
	is, was := r.state.owned(r.back[i].Ref), r.back[i].Owned
	r.mu.Unlock()
	if r.DryRun || r.back[i].Told || is == nil && was == nil || is != nil && was != nil && *is == *was {
		return nil
	}
	err := r.mark(r.all[i])
	if err == nil {
		err = r.record(ctx, i, infra.Diff{}, false)
	}
	if err == nil {
		err = r.own(i, infra.Diff{})
	}
	r.forget(i)
	return err
}

// forget drops what was removed, or what a rollback found not to be created here.
func (r *run) forget(i int) {
	if r.DryRun {
		return
	}
	ref := r.all[i].Ref()
	if r.back != nil {
		if ref = r.back[i].Ref; r.back[i].Owned != nil || r.back[i].Told {
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.disown(ref)
	r.dirty = true
}

// leaf notes the state of a resource, as a hash over what is declared, what differs
// from it, and what the declaration leaves open.
func (r *run) leaf(ctx context.Context, d infra.Declared, diff infra.Diff) {
	declared, err := json.Marshal(d.Resource) // a tenth of the time of YAML
	if err != nil {
		return
	}
	state := ""
	if !diff.Empty() {
		b, _ := json.Marshal(diff)
		state = string(b)
	}
	if s, ok := d.Resource.(infra.Stated); ok {
		if is, err := s.State(ctx, r.Host); err == nil {
			state += "\x00" + is
		}
	}
	sum := sha256.Sum256([]byte(r.anonymous(state)))
	leaf := declaredHash([]byte(r.anonymous(string(declared)))) + hex.EncodeToString(sum[:16])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leaves[r.anonymous(d.Ref())] = leaf
}

// anonymous is a text without what tells the host from its equals: its names and
// addresses.
func (r *run) anonymous(text string) string {
	for _, own := range append([]string{r.Host.Facts.FQDN, r.Host.Facts.Name}, r.Host.Facts.Addresses...) {
		if len(own) > 2 && own != "localhost" && strings.Contains(text, own) {
			text = strings.ReplaceAll(text, own, "{host}")
		}
	}
	return text
}

// declaredHash is the beginning of a leaf: as long as it stays, the definitions have
// not changed, and what differs is drift.
func declaredHash(resource []byte) string {
	sum := sha256.Sum256(resource)
	return hex.EncodeToString(sum[:16])
}

// rootHash is one hash over all leaves.
func rootHash(leaves map[string]string) string {
	h := sha256.New()
	for _, ref := range slices.Sorted(maps.Keys(leaves)) {
		fmt.Fprintf(h, "%s\x00%s\x00", ref, leaves[ref])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
