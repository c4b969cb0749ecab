package followup

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/journal"
)

const tick = time.Second

// Run follows incidents until ctx ends: those that open, and those about which
// something happened or whose time came.
func (f *Followups) Run(ctx context.Context) error {
	var position int64
	begun := false
	var last string
	for {
		err := error(nil)
		if !begun {
			if position, err = f.o.Journal.Last(ctx); err == nil {
				err = f.begun(ctx)
			}
			begun = err == nil
		} else {
			position, err = f.step(ctx, position)
		}
		if err != nil && ctx.Err() == nil && err.Error() != last {
			f.o.Log.Error("follow incidents up", "error", err)
			last = err.Error()
		}
		if err == nil {
			last = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tick):
		}
	}
}

// begun takes up what happened while nobody looked. Before the first incident that
// was followed up, only those count that still have time.
func (f *Followups) begun(ctx context.Context) error {
	newest, err := rows(ctx, f.o.DB.Read(), "ORDER BY incident DESC LIMIT 1")
	if err != nil {
		return err
	}
	since := f.o.Now().Add(-f.o.Within.Std())
	if len(newest) == 1 {
		since = newest[0].Opened.Add(-time.Minute)
	}
	q := journal.Query{Types: []string{event.IncidentOpened}, Since: since, Limit: page}
	for {
		list, err := f.o.Journal.Read(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := f.look(ctx, number(e.Subject)); err != nil {
				return err
			}
		}
		if len(list) < page {
			break
		}
		q.After = list[len(list)-1].Seq
	}
	return f.those(ctx, func(row) bool { return true })
}

// step reads what happened since a position, and looks at the incidents that it may
// be about.
func (f *Followups) step(ctx context.Context, position int64) (int64, error) {
	services, subjects := map[string]bool{}, map[string]bool{}
	hosts := false
	for {
		list, err := f.o.Journal.Read(ctx, journal.Query{After: position, Limit: page})
		if err != nil {
			return position, err
		}
		for _, e := range list {
			position = e.Seq
			if !slices.Contains(about, e.Type) && e.Type != event.IncidentOpened && e.Type != event.IncidentClosed {
				continue
			}
			if e.Type == event.IncidentOpened {
				if err := f.look(ctx, number(e.Subject)); err != nil {
					return e.Seq - 1, err
				}
			}
			services[string(e.Service)], subjects[e.Subject] = true, true
			hosts = hosts || e.Service == "" || e.Type == event.StageFinished
		}
		if len(list) < page {
			break
		}
	}
	now := f.o.Now()
	return position, f.those(ctx, func(r row) bool {
		return !r.due.IsZero() && !r.due.After(now) || r.Service != "" && services[string(r.Service)] || r.Service == "" && hosts || subjects[incidentRef(r.Incident)]
	})
}

// those looks at incidents that are not settled, and not long over.
func (f *Followups) those(ctx context.Context, want func(row) bool) error {
	list, err := rows(ctx, f.o.DB.Read(), "WHERE state IN ('following', 'without') AND opened >= $1 ORDER BY incident DESC LIMIT 1000", database.Micros(f.o.Now().Add(-listens)))
	if err != nil {
		return err
	}
	for _, r := range list {
		if !want(r) {
			continue
		}
		if err := f.look(ctx, r.Incident); err != nil {
			return err
		}
	}
	return nil
}

func (f *Followups) look(ctx context.Context, number int64) error {
	if _, err := f.Get(ctx, number); err != nil && fault.Of(err) != fault.NotFound {
		return err
	}
	return nil
}

func number(subject string) int64 {
	n, _ := strconv.ParseInt(strings.TrimPrefix(subject, "incident/"), 10, 64)
	return n
}
