package state

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"steer/base/event"
)

// The gate against floods: when the store takes no points at all, every check
// runs empty at once, and an incident for each would only hide the one thing to
// know. So with three checks or more, an incident about missing values waits
// until at least one point has arrived since its check ran empty. If none does,
// and every check sees nothing, one incident says that Steer is blind. When
// points arrive again it ends, and the checks get their window's time to fill.
const (
	fewest   = 3               // with fewer checks each speaks for itself
	patience = 2 * time.Minute // then it is said even if some check still has old values in its window

	blindKey = "steer/blind"
)

// hold says whether a new incident about t must wait. It is called with t.mu
// held, after the reading was taken into t's memory m.
func (e *Engine) hold(t *tracked, m memory, now time.Time) bool {
	if e.o.Intake == nil || m.Value != nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.checks) < fewest {
		return false
	}
	return e.blind != 0 || e.o.Intake() <= t.mark || !e.seeing.IsZero() && now.Before(e.seeing.Add(t.check.Window.Std()))
}

// watchBlindness opens and ends the one incident about it.
func (e *Engine) watchBlindness(ctx context.Context) {
	if e.o.Intake == nil {
		return
	}
	now, points := e.now(), e.o.Intake()
	e.mu.Lock()
	current, mark := e.blind, e.mark
	e.ignored = e.ignored && points <= mark
	ignored := e.ignored
	e.mu.Unlock()
	switch {
	case current != 0 && points > mark:
		err := e.db.Tx(ctx, func(tx *sql.Tx) error {
			_, err := e.end(ctx, tx, current, event.Steer, "measurements arrive again", "", now)
			return err
		})
		if err != nil {
			e.logFailure(ctx, "end incident about blindness", err)
			return
		}
		e.mu.Lock()
		e.blind, e.seeing = 0, now
		e.mu.Unlock()
	case current == 0 && !ignored:
		count, since := e.sightless(points, now)
		if since.IsZero() {
			return
		}
		var i Incident
		err := e.db.Tx(ctx, func(tx *sql.Tx) (err error) {
			i, err = e.begin(ctx, tx, Incident{
				kind: byBlind, Check: blindKey, Severity: "page", Level: NoData, Began: since, Opened: now,
				Title: "Steer is blind: no measurements arrive",
				Summary: fmt.Sprintf("The store takes no points, so %d checks see nothing. Incidents about their missing values are held back until measurements arrive again. "+
					"Look at the receivers, at the disk of the store, and at Steer's log.", count),
			}, "")
			return err
		})
		if err != nil {
			e.logFailure(ctx, "open incident about blindness", err)
			return
		}
		e.mu.Lock()
		e.blind, e.mark = i.ID, points
		e.mu.Unlock()
	}
}

// sightless returns how many checks see nothing, and since when, if that is all
// of them and not their own fault; else the zero time.
func (e *Engine) sightless(points int64, now time.Time) (count int, since time.Time) {
	all, total := true, 0
	for _, t := range e.all() {
		t.mu.Lock()
		if t.known && !t.removed {
			total++
			if t.blind {
				count++
			} else {
				all = false
			}
			if !t.held.IsZero() && points <= t.mark && (since.IsZero() || t.held.Before(since)) {
				since = t.held
			}
		}
		t.mu.Unlock()
	}
	if total < fewest || since.IsZero() || !all && now.Sub(since) < patience {
		return count, time.Time{}
	}
	return count, since
}

// forget is told about every incident that a person resolved.
func (e *Engine) forget(number int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.blind == number {
		e.blind, e.mark, e.ignored = 0, e.intake(), true
	}
}

func (e *Engine) logFailure(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		e.log.Error(what, "error", err)
	}
}
