package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/work"
)

// visit makes one visit. It may be called again after a death in the middle: hosts
// notice a run that was cut off, and finish it.
func (f *Fleet) visit(ctx context.Context, j work.Job) error {
	var b body
	if err := j.Decode(&b); err != nil {
		return err
	}
	v, err := f.record(ctx, b.Visit)
	switch {
	case fault.Of(err) == fault.NotFound:
		return nil // forgotten
	case err != nil:
		return err
	case v.State == Passed || v.State == Broken:
		return f.closeAgain(ctx, v.Host) // a death came between the end and this
	}
	v.Attempts++
	v.State = Running
	if v.Started.IsZero() {
		v.Started = f.o.Now().UTC()
	}
	if err := f.o.DB.Tx(ctx, func(tx *sql.Tx) error { return writeVisit(ctx, tx, v) }); err != nil {
		return err
	}
	hosts, err := readHosts(ctx, f.o.DB.Read())
	if err != nil {
		return err
	}
	out, err := f.o.Visit(ctx, Task{Visit: v, To: b.To, Attempt: v.Attempts, First: hosts[v.Host].Contact.IsZero(), How: hosts[v.Host].How})
	if ctx.Err() != nil {
		return context.Cause(ctx) // the server stops: it is made again
	}
	if fault.Of(err) == fault.Conflict && f.o.Now().Sub(v.Started) < patience {
		return work.Snooze(3 * time.Second) // another run is under way there, perhaps ours from before a death
	}
	return f.ended(context.WithoutCancel(ctx), v, out, err)
}

// patience is how long a visit waits for another run on its host.
const patience = 30 * time.Minute

// gaveUp ends a visit whose job cannot be done.
func (f *Fleet) gaveUp(ctx context.Context, j work.Job, why error) {
	var b body
	if j.Decode(&b) != nil {
		return
	}
	v, err := f.record(ctx, b.Visit)
	if err == nil && v.State != Passed && v.State != Broken {
		err = f.ended(ctx, v, Outcome{}, fmt.Errorf("given up after %d attempts: %w", j.Attempt, why))
	}
	if err != nil && fault.Of(err) != fault.NotFound {
		f.o.Log.Error("end a visit that was given up", "visit", b.Visit, "error", err)
	}
}

// ended writes down what came of a visit, and tells of it.
func (f *Fleet) ended(ctx context.Context, v Visit, o Outcome, failure error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.Wake()
	hosts, err := readHosts(ctx, f.o.DB.Read())
	if err != nil {
		return err
	}
	groups, err := readGroups(ctx, f.o.DB.Read())
	if err != nil {
		return err
	}
	h, g := hosts[v.Host], groups[v.Group]
	if h.Name == "" {
		return nil // no definition had it, ever
	}
	e := &end{Fleet: f, v: v, h: h, was: h, now: f.o.Now().UTC()}
	if wanted, err := f.o.Wanted(ctx); err != nil {
		f.o.Log.Warn("read how hosts are kept", "group", v.Group, "error", err) // what was done counts all the same
	} else if i := slices.IndexFunc(wanted, func(w Wanted) bool { return w.Name == v.Group }); i >= 0 {
		e.settings = wanted[i].Settings
		for _, d := range wanted[i].Hosts {
			if d.Name == h.Name {
				e.piped = d.Piped
			}
		}
	}
	switch v.Commit {
	case g.Candidate:
		e.digest = g.Digest
	case g.Good:
		e.digest = g.GoodWas
	}
	e.take(o, failure)
	err = f.o.DB.Tx(ctx, func(tx *sql.Tx) error { return e.write(ctx, tx) })
	if err == nil && e.h.State != HasFailed && e.h.State != Unreachable && (e.was.State == HasFailed || e.was.State == Unreachable) {
		f.o.Close(ctx, "host/"+h.Name, e.over())
	}
	if err == nil {
		e.closeErosion(ctx)
	}
	if err == nil && e.rebuilt() && !e.slow() {
		f.o.Close(ctx, "rebuild/"+v.Group, fmt.Sprintf("%s was made anew in %s", h.Name, round(e.h.Rebuild)))
	}
	return err
}

// end is how a visit ends.
type end struct {
	*Fleet
	v        Visit
	h, was   Host
	digest   string   // of what the host should be
	settings Settings // of its group
	now      time.Time
	piped    []string // its roles with a pipeline
	// testsOnly says that nothing but tests failed.
	testsOnly bool
	unseen    bool // the visit looked at no resource
	events    []event.Event
}

// take works out what the visit means for the host.
func (e *end) take(o Outcome, failure error) {
	v, h := &e.v, &e.h
	v.Finished, v.Counts, v.Hash, v.Tests, v.Changes, v.Cut, v.CutOff, v.Notes = e.now, o.Counts, o.Hash, o.Tests, o.Changes, o.Cut, o.CutOff, o.Notes
	h.Visited = e.now
	if e.switched(o, failure) {
		return
	}
	unreachable := fault.Of(failure) == fault.Unavailable
	switch {
	case unreachable:
		v.State, v.Error = Broken, failure.Error()
		if h.Silent.IsZero() {
			h.Silent = e.now
		}
		h.State, h.Error, h.Severity = Unreachable, failure.Error(), e.severity()
		return
	case failure != nil:
		v.State, v.Error = Broken, failure.Error()
	default:
		v.State = Passed
	}
	h.Contact, h.Silent = e.now, time.Time{}
	if o.Facts != nil {
		h.Facts = o.Facts
	}
	if o.Updates != nil {
		h.Updates, h.Security, h.Reboot = o.Updates, o.Security, o.Reboot
		if h.Security == nil || *h.Security == 0 {
			h.Insecure = time.Time{}
		} else if h.Insecure.IsZero() {
			h.Insecure = e.now
		}
	}
	e.erode(o.Erosion)
	failing := failing(o.Tests)
	switch {
	case failure != nil:
	case o.FailedConverge:
		v.State, v.Error = Broken, broken(o.Changes)
	case len(failing) > 0:
		e.testsOnly = true
		v.State, v.Error = Broken, "tests fail: "+strings.Join(failing[:min(len(failing), 5)], ", ")
	}
	if v.Kind == Look {
		if failure != nil {
			return // a plan that cannot be made says nothing about the host
		}
		return
	}
	h.Generation, h.Hash = max(o.Generation, h.Generation), o.Hash
	if o.Leaves != nil {
		h.Leaves = o.Leaves
	}
	if o.Checks != nil {
		h.Checks = o.Checks
	}
	if len(v.Refs) == 0 && v.Kind != Back && failure == nil {
		h.Tests, h.Failing = len(o.Tests), len(failing)
	}
	if v.Kind == Back {
		h.Digest = "" // another state than the definitions'
	}
	if len(v.Refs) == 0 {
		h.Commit = v.Commit
	}
	if v.Kind == Rebuild && failure == nil {
		h.Rebuilt, h.Rebuild = e.now, v.Finished.Sub(v.Started)
	}
	unfit := e.unchanged(failure)
	for _, c := range v.Changes {
		if c.Drift {
			v.Drift++
		}
	}
	if h.Severity = ""; v.State == Broken {
		h.Severity = e.severity()
	}
	switch {
	case unfit != "":
		v.State, v.Error = Broken, unfit
		h.State, h.Error, h.Severity = HasFailed, unfit, e.severity()
	case h.Stray != "" && failure == nil: // what else fails may come of that
		h.State, h.Error, h.Severity = HasDrifted, h.Stray, ""
	case v.State == Broken:
		h.State, h.Error = HasFailed, v.Error
	case v.Kind == Back:
		h.State, h.Error = HasDrifted, "it went back to an earlier generation"
	case slices.ContainsFunc(v.Changes, func(c Change) bool { return c.Status == "drifted" }):
		h.State, h.Error = HasDrifted, ""
	case len(v.Refs) > 0 && (h.State == HasFailed || h.State == HasDrifted): // a part says nothing of the whole
	default:
		h.State, h.Error, h.Converged = AsDeclared, "", e.now
	}
	if v.State == Passed && len(v.Refs) == 0 && v.Kind != Back {
		h.Digest = e.digest
	}
}

// rebuilt tells that the visit made the host anew, until it was as declared.
func (e *end) rebuilt() bool { return e.v.Kind == Rebuild && e.v.State == Passed }

// slow tells that this took longer than it may.
func (e *end) slow() bool { return e.settings.Within > 0 && e.h.Rebuild > e.settings.Within }

func round(d time.Duration) time.Duration { return d.Round(time.Second / 10) }

// failing names the tests that fail.
func failing(tests []Test) (names []string) {
	for _, t := range tests {
		if t.Status == "failed" {
			names = append(names, t.Name)
		}
	}
	return names
}

// broken sums up what failed.
func broken(changes []Change) string {
	for _, c := range changes {
		if c.Status == "failed" {
			why := strings.Join(strings.Fields(c.Why), " ")
			return c.Ref + ": " + why[:min(len(why), 200)]
		}
	}
	return "some resources are not as declared"
}

// write stores everything in one transaction.
func (e *end) write(ctx context.Context, tx *sql.Tx) error {
	if err := writeVisit(ctx, tx, e.v); err != nil {
		return err
	}
	if err := writeHost(ctx, tx, e.h); err != nil {
		return err
	}
	if err := e.remember(ctx, tx); err != nil {
		return err
	}
	if err := e.settle(ctx, tx); err != nil {
		return err
	}
	trouble, err := e.drifts(ctx, tx)
	if err != nil {
		return err
	}
	if ev, ok := e.tell(); ok {
		if err := e.o.Journal(ctx, tx, &ev); err != nil {
			return err
		}
		failed := e.h.State == HasFailed && (e.was.State != HasFailed || e.worse()) || e.h.State == Unreachable && e.was.State != Unreachable && e.was.State != Waiting
		// What a change broke is an incident of the group.
		if failed && e.v.Kind != Look && e.v.Cause != "change" {
			t := e.trouble("host/"+e.h.Name, ev.Summary, e.h.Error, ev.ID)
			t.Severity, t.Rollback, t.Roles = e.h.Severity, e.rollback(), e.piped
			trouble = append(trouble, t)
		}
	}
	worn, err := e.eroded(ctx, tx)
	if err != nil {
		return err
	}
	trouble = append(trouble, worn...)
	if e.rebuilt() && e.slow() {
		trouble = append(trouble, e.trouble("rebuild/"+e.v.Group, fmt.Sprintf("Making %s anew took %s, more than %s", e.h.Name, round(e.h.Rebuild), e.settings.Within),
			"That is longer than its group allows (converge: drill: within): after a loss it will be away for as long.", ""))
	}
	for _, t := range trouble {
		if err := e.o.Open(ctx, tx, t); err != nil {
			return err
		}
	}
	return nil
}

// worse tells that what fails now is worse than what failed before.
func (e *end) worse() bool {
	return e.h.Severity != e.was.Severity && worst(e.h.Severity, e.was.Severity) == e.h.Severity
}

func (e *end) trouble(key, title, summary, cause string) Trouble {
	return Trouble{Key: key, Severity: worst("ticket", e.settings.Severity), Host: e.h.Name, Group: e.h.Group, Owner: e.h.Owner, Env: e.h.Environment, Title: title, Summary: summary, Cause: cause}
}

// tell is the event of a visit; one that found all as declared is none.
func (e *end) tell() (event.Event, bool) {
	v, h := e.v, e.h
	ev := event.Event{Source: source, Subject: "host/" + h.Name, Actor: v.Actor, Reason: v.Reason, Environment: h.Environment}
	failing := failing(v.Tests)
	took := time.Duration(0)
	if !v.Started.IsZero() { // else it was given up before it began
		took = v.Finished.Sub(v.Started)
	}
	ev.Data = []byte(encoded(map[string]any{"visit": v.ID, "kind": v.Kind, "cause": v.Cause, "commit": v.Commit, "counts": v.Counts, "tests": len(v.Tests), "failing": failing[:min(len(failing), 20)],
		"group": v.Group, "seconds": took.Seconds()}))
	changed := v.Counts["changed"]
	if v.CutOff != "" {
		ev.Reason = strings.TrimSpace(ev.Reason + " (the run before was cut off: " + v.CutOff + ")")
	}
	switch {
	case v.Kind == Look:
		return ev, false
	case v.State == Passed && switches(v.Kind):
		e.toldSwitched(&ev)
		return ev, true
	case e.unseen:
		ev.Type, ev.Summary = event.HostFailed, fmt.Sprintf("%s of %s failed: %s", v.Kind, h.Name, v.Error)
		return ev, true
	case h.State == Unreachable:
		ev.Type, ev.Summary = event.HostUnreachable, h.Name+" does not answer"
		return ev, e.was.State != Unreachable
	case h.Stray != "" && h.State == HasDrifted:
		ev.Type, ev.Summary = event.HostDrifted, h.Name+" is "+h.Stray
		return ev, e.was.Stray != h.Stray
	case v.State == Broken:
		ev.Type, ev.Summary = event.HostFailed, fmt.Sprintf("%s is not as declared: %s", h.Name, v.Error)
		if v.Cause == "drill" {
			ev.Summary = fmt.Sprintf("The rebuild of %s for practice failed: %s", h.Name, v.Error)
		}
		return ev, e.was.State != HasFailed || e.was.Error != h.Error || changed > 0 || e.worse()
	case v.Kind == Rebuild:
		ev.Type, ev.Summary = event.HostRebuilt, fmt.Sprintf("%s was made anew in %s", h.Name, round(h.Rebuild))
	case v.Kind == Back:
		ev.Type, ev.Summary = event.HostRolledBack, fmt.Sprintf("%s went back: %s", h.Name, count(changed, "resource", "resources"))
	case v.Drift > 0 && v.Drift >= changed:
		ev.Type, ev.Summary = event.HostDrifted, fmt.Sprintf("%s had drifted: %s", h.Name, refs(v.Changes))
	case changed > 0:
		ev.Type, ev.Summary = event.HostChanged, fmt.Sprintf("%s changed: %s", h.Name, refs(v.Changes))
	case e.was.State != h.State:
		ev.Type, ev.Summary = event.HostConverged, fmt.Sprintf("%s is as declared", h.Name)
	default:
		return ev, false
	}
	return ev, true
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// refs names some changes.
func refs(changes []Change) string {
	var names []string
	for _, c := range changes {
		if c.Status == "changed" || c.Status == "drifted" {
			names = append(names, c.Ref)
		}
	}
	text := strings.Join(names[:min(len(names), 3)], ", ")
	if more := len(names) - 3; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// turned are the events of a group that came into another phase.
func (f *Fleet) turned(was, is Group) []event.Event {
	if was.Phase == is.Phase && was.Candidate == is.Candidate {
		return nil
	}
	e := event.Event{Source: source, Subject: "group/" + is.Name, Reason: is.Reason, Data: []byte(encoded(is))}
	switch is.Phase {
	case Asking:
		e.Type, e.Summary = event.GroupAsks, fmt.Sprintf("%s waits for somebody who agrees to %s", is.Name, short(is.Candidate))
	case Failed:
		e.Type, e.Summary = event.GroupFailed, fmt.Sprintf("%s does not get its change %s: %s", is.Name, short(is.Candidate), is.Reason)
	case Done:
		if was.Phase == "" || was.Good == is.Good {
			return nil
		}
		e.Type, e.Summary = event.GroupFollows, fmt.Sprintf("All hosts of %s follow %s", is.Name, short(is.Good))
	default:
		if was.Candidate == is.Candidate {
			return nil
		}
		e.Type, e.Summary = event.GroupBegins, fmt.Sprintf("%s is on its way to %s", short(is.Candidate), is.Name)
	}
	return []event.Event{e}
}
