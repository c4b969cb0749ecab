package flow

import (
	"cmp"
	"context"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

// Options are what the measuring needs.
type Options struct {
	Journal *journal.Journal
	Now     func() time.Time
}

// Flow measures from a journal. It is safe for concurrent use.
type Flow struct {
	journal *journal.Journal
	now     func() time.Time
}

// New returns a Flow over a journal.
func New(o Options) (*Flow, error) {
	if o.Journal == nil {
		return nil, fault.New(fault.Invalid, "make flow: it needs a journal")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Flow{o.Journal, o.Now}, nil
}

const (
	page   = 1000
	most   = 200_000 // events that one answer may be made from
	longer = 366 * 24 * time.Hour
)

// Figures measures. Deployments of the whole journal are read, since only they
// tell which was the first and which version is new; of incidents and builds,
// those since q.Since.
func (f *Flow) Figures(ctx context.Context, q Query) (Figures, error) {
	q.Environment = cmp.Or(q.Environment, id.Environment("production"))
	if q.Until.IsZero() {
		q.Until = f.now()
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-usual)
	}
	if !q.Since.Before(q.Until) {
		return Figures{}, fault.New(fault.Invalid, "figures of %s: since %s is not before until %s", q.Environment, q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339))
	}
	if q.Until.Sub(q.Since) > 10*longer {
		return Figures{}, fault.New(fault.TooMuch, "figures of %s: at most ten years at once", q.Environment)
	}
	var events []event.Event
	for _, part := range []journal.Query{
		{Types: []string{event.Deployed, event.Upgraded, event.RolledBack}, Environment: q.Environment, Service: q.Service, Until: q.Until},
		{Types: []string{event.IncidentOpened, event.IncidentClosed, event.RunFinished}, Service: q.Service, Since: q.Since, Until: q.Until},
	} {
		part.Limit = page
		for {
			list, err := f.journal.Read(ctx, part)
			if err != nil {
				return Figures{}, err
			}
			if events = append(events, list...); len(events) > most {
				return Figures{}, fault.New(fault.TooMuch, "figures of %s: more than %d events (ask about one service, or a shorter time)", q.Environment, most)
			}
			if len(list) < page {
				break
			}
			part.After = list[len(list)-1].Seq
		}
	}
	q.Since, q.Until = q.Since.UTC(), q.Until.UTC()
	return measure(events, q), nil
}
