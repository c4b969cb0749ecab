package state

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"steer/base/event"
	"steer/base/id"
	"steer/catalog"
)

// evaluate asks a check's query and acts on what it finds.
func (e *Engine) evaluate(ctx context.Context, t *tracked) {
	t.mu.Lock()
	c := t.check
	t.mu.Unlock()
	now := e.now()
	limited, cancel := context.WithTimeout(ctx, e.o.Timeout.Std())
	defer cancel()
	series, err := e.o.Query(limited, c.Query, now.Add(-c.Window.Std()), now)
	if ctx.Err() != nil {
		return
	}
	if err != nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", e.o.Timeout)
	}
	r := reading{err: err}
	if err == nil {
		r = read(c, series)
	}
	if err := e.apply(ctx, t, c, r, now); err != nil {
		// What was not written has not happened: the next reading finds the same.
		e.logFailure(ctx, "record state of check "+t.key, err)
	}
}

// apply takes a reading into a check's memory and does what follows, all in one
// transaction or not at all.
func (e *Engine) apply(ctx context.Context, t *tracked, c catalog.Check, r reading, now time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.removed || rule(c) != t.rule {
		return nil // it changed while the query ran
	}
	m, change := step(c, t.memory, r, now, max(c.Window.Std(), 3*e.o.Interval.Std()))
	if empty := r.err != nil || r.value == nil; empty != t.blind {
		t.blind, t.mark = empty, e.intake()
	}
	do := leave
	if r.err == nil {
		held := e.hold(t, m, now)
		do = decide(m, t.level, held)
		if held && decide(m, t.level, false) == open {
			if t.held.IsZero() {
				t.held = now
			}
		} else {
			t.held = time.Time{}
		}
	}
	if change == nil && do == leave && same(m, t.memory) {
		t.memory = m
		return nil
	}
	var changes []event.Event
	if do == open || do == replace {
		changes = e.changes(ctx, c, now)
	}
	number, level := t.incident, t.level
	err := e.db.Tx(ctx, func(tx *sql.Tx) error {
		if err := save(ctx, tx, t.key, t.rule, m); err != nil {
			return err
		}
		w := writing{e, tx, t, c, m, change, changes, now}
		var err error
		number, level, err = w.all(ctx, do)
		return err
	})
	if err != nil {
		return err
	}
	t.memory, t.incident, t.level = m, number, level
	return nil
}

// same says whether b need not be stored when a is. What a restart may lose is
// the last value; while something is pending also the time of the last look
// counts, because pending time is what a restart must not lose.
func same(a, b memory) bool {
	if pending, _ := a.pending(); pending != "" && a.Seen != b.Seen {
		return false
	}
	a.Seen, a.Value, a.From, a.Error = b.Seen, b.Value, b.From, b.Error
	return a == b
}

func (e *Engine) intake() int64 {
	if e.o.Intake == nil {
		return 0
	}
	return e.o.Intake()
}

// changes asks what changed before now. An incident opens also without it.
func (e *Engine) changes(ctx context.Context, c catalog.Check, now time.Time) []event.Event {
	if e.o.Changes == nil {
		return nil
	}
	list, err := e.o.Changes(ctx, c.Service, c.Environment, now)
	if err != nil {
		e.logFailure(ctx, "look for changes before an incident of "+Key(c), err)
	}
	return list
}

// kept is what an incident keeps of the changes before it: the newest, and the
// suspect; details of an event that are longer than a page stay in the journal.
func kept(changes []event.Event, suspect *event.Event) []event.Event {
	const most, page = 20, 4 << 10
	var list []event.Event
	for n, c := range changes {
		if n >= most && (suspect == nil || c.ID != suspect.ID) {
			continue
		}
		if len(c.Data) > page {
			c.Data = nil
		}
		list = append(list, c)
	}
	return list
}

// writing is what one transaction about a check needs.
type writing struct {
	e       *Engine
	tx      *sql.Tx
	t       *tracked
	c       catalog.Check
	m       memory
	change  *transition
	changes []event.Event
	now     time.Time
}

// all journals the change of state and brings the incident in line. It returns
// the incident that is active afterwards.
func (w writing) all(ctx context.Context, do action) (number int64, level string, err error) {
	number, level = w.t.incident, w.t.level
	var suspect *event.Event
	began := w.now
	if w.change != nil {
		began = w.change.Began
	}
	if do == open || do == replace {
		suspect = w.e.suspect(w.changes, began)
	}
	var current Incident
	if number != 0 {
		if current, err = one(ctx, w.tx, number); err != nil {
			return 0, "", err
		}
	}
	note, err := w.changed(ctx, current, suspect)
	if err != nil {
		return 0, "", err
	}
	if do == finish || do == replace {
		if current.Resolved == nil {
			if _, err := w.e.end(ctx, w.tx, number, event.Steer, w.over(do), note, w.now); err != nil {
				return 0, "", err
			}
		}
		number, level = 0, ""
	}
	if do == open || do == replace {
		i, err := w.e.begin(ctx, w.tx, w.incident(began, suspect), note)
		if err != nil {
			return 0, "", err
		}
		number, level = i.ID, i.Level
	}
	return number, level, nil
}

func (w writing) over(do action) string {
	if do == replace {
		return "values are there again, and the check is CRITICAL: a new incident says so"
	}
	if w.t.level == NoData {
		return "values are there again: " + finding(w.c, w.m)
	}
	return "recovered: " + finding(w.c, w.m)
}

// changed journals the change of state, or that it begins or ends to be unknown,
// and returns the event's id, "" if there was nothing to say.
func (w writing) changed(ctx context.Context, current Incident, suspect *event.Event) (string, error) {
	if w.change == nil && w.m.Unknown == w.t.memory.Unknown {
		return "", nil
	}
	d := struct {
		Check   string    `json:"check"`
		From    string    `json:"from"`
		To      string    `json:"to"`
		Unknown bool      `json:"unknown,omitempty"`
		Value   *float64  `json:"value,omitempty"`
		Series  string    `json:"series,omitempty"`
		Began   time.Time `json:"began,omitzero"`
		Query   string    `json:"query"`
	}{w.t.key, w.m.State, w.m.State, w.m.Unknown, w.m.Value, w.m.From, time.Time{}, w.c.Query}
	text := fmt.Sprintf("Check %s was %s, and what it is now is not known", w.t.key, w.m.State)
	if !w.m.Unknown {
		text = fmt.Sprintf("Check %s is known again: still %s", w.t.key, w.m.State)
	}
	if w.change != nil {
		d.From, d.To, d.Began = w.change.From, w.change.To, w.change.Began
		text = fmt.Sprintf("Check %s is %s, was %s: %s", w.t.key, d.To, d.From, finding(w.c, w.m))
	}
	data, err := json.Marshal(d)
	if err != nil {
		return "", fmt.Errorf("journal change of check %s: %w", w.t.key, err)
	}
	note := event.Event{
		ID: id.New(), Source: source, Type: event.CheckChanged, Subject: "check/" + w.t.key, Time: w.now, Data: data,
		Summary: text, Reason: reason(w.c, w.m), Service: w.c.Service, Environment: w.c.Environment,
		Version: current.Version, Chain: current.Chain, Cause: current.Event,
	}
	if suspect != nil {
		note.Version, note.Chain, note.Cause = suspect.Version, suspect.Chain, suspect.ID
	}
	return note.ID, w.e.journal.Append(ctx, w.tx, &note)
}

// incident is the new incident of the check.
func (w writing) incident(began time.Time, suspect *event.Event) Incident {
	c := w.c
	i := Incident{
		kind: byCheck, Check: w.t.key, Service: c.Service, Environment: c.Environment, Team: c.Team, Severity: cmp.Or(c.Severity, "ticket"),
		Level: w.m.State, Title: title(c, w.m.State), Summary: summary(c, w.m, w.changes, suspect, w.now), Query: c.Query,
		Value: w.m.Value, Runbook: c.Runbook, Began: began, Opened: w.now, Changes: kept(w.changes, suspect),
	}
	if w.m.Value != nil {
		_, i.Bound = bound(c, w.m.State, *w.m.Value)
	}
	if i.Level == Critical {
		i.Rollback = i.Severity == "page"
		if c.Rollback != nil {
			i.Rollback = *c.Rollback
		}
	}
	if suspect != nil {
		i.Cause, i.Chain, i.Version = suspect.ID, suspect.Chain, suspect.Version
		i.Environment = cmp.Or(i.Environment, suspect.Environment)
	} else if last := newestDeploy(w.changes, serving); last != nil {
		i.Version = last.Version
	}
	return i
}
