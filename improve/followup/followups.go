package followup

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

//go:embed migrations
var migrations embed.FS

const source = "/steer/followup"

// Options are what following up needs.
type Options struct {
	Config
	DB      *database.DB
	Journal *journal.Journal
	// Incident returns one, or fault.NotFound.
	Incident func(ctx context.Context, number int64) (Incident, error)
	// Checks are those that are watched now.
	Checks func() []Watched
	// Remind tells the team of an incident that steps are open, in the caller's
	// transaction; nil: nobody is reminded.
	Remind func(ctx context.Context, tx *sql.Tx, i Incident, f Followup) error

	Log *slog.Logger
	Now func() time.Time
}

// Followups leads incidents to improvements. It is safe for concurrent use.
type Followups struct {
	o  Options
	mu sync.Mutex // one at a time works something out and stores it
}

// New makes the tables where they are missing.
func New(ctx context.Context, o Options) (*Followups, error) {
	if o.DB == nil || o.Journal == nil || o.Incident == nil || o.Checks == nil {
		return nil, fault.New(fault.Invalid, "make follow-ups: DB, Journal, Incident and Checks are required")
	}
	o.Within = cmp.Or(o.Within, config.Duration(7*24*time.Hour))
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if err := o.DB.Migrate(ctx, "followup", migrations); err != nil {
		return nil, err
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Followups{o: o}, nil
}

// Bounds of what one follow-up is worked out from, and of how long it is looked at
// without anybody asking.
const (
	page    = 1000
	most    = 10_000 // events of a service, the oldest after the incident
	listens = 90 * 24 * time.Hour
	before  = time.Hour // of the incident, in which the faulty deploy is looked for
)

// about are the types of events that are evidence.
var about = []string{
	event.ChangeMerged, event.StageFinished, event.Deployed, event.Upgraded, event.RolledBack, event.PlacementHeld, event.CheckChanged, event.IncidentAcked,
	event.HostFailed, event.HostEroded, event.HostUnreachable, event.HostConverged, event.HostChanged, event.HostDrifted, event.HostRebuilt, event.HostRolledBack,
	event.HostsPaused, event.DriftAccepted, event.GroupFailed, event.GroupFollows, event.GroupRefused, event.DefinitionsChanged,
}

// Get works out the follow-up of an incident. One that is settled stays as it was.
func (f *Followups) Get(ctx context.Context, number int64) (Followup, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was, err := f.row(ctx, number)
	if err != nil || was.settled() {
		return was.Followup, err
	}
	i, err := f.o.Incident(ctx, number)
	if err != nil {
		return Followup{}, err
	}
	return f.update(ctx, i, was, nil)
}

// row is the stored follow-up of an incident, empty if there is none yet.
func (f *Followups) row(ctx context.Context, number int64) (row, error) {
	list, err := rows(ctx, f.o.DB.Read(), "WHERE incident = $1", number)
	if err != nil || len(list) == 0 {
		return row{}, err
	}
	return list[0], nil
}

// settled tells whether nothing is looked for any more, unless a person says something.
func (r row) settled() bool { return r.Finished() || r.State == Returned }

// saying is what a person just said, and how the journal tells it.
type saying struct {
	said
	event event.Event
}

// update works out a follow-up anew, with what was just said, and stores it. It is
// called with f.mu held.
func (f *Followups) update(ctx context.Context, i Incident, was row, just []saying) (Followup, error) {
	all, err := heard(ctx, f.o.DB.Read(), i.Number)
	if err != nil {
		return Followup{}, err
	}
	for _, s := range just {
		all = append(all, s.said)
	}
	known := facts{incident: i, checks: f.o.Checks(), said: all, within: f.o.Within.Std(), now: f.o.Now().UTC(), after: was.ReturnedAs}
	if known.events, err = f.events(ctx, i, all); err != nil {
		return Followup{}, err
	}
	earlier, err := f.earlier(ctx, i, all)
	if err != nil {
		return Followup{}, err
	}
	known.before = earlier.Incident
	is := row{follow(known), was.reminded}
	remind := f.remind(&is, known.now)
	old := was.Incident == 0 && is.State == Without // over before there were follow-ups: nobody was asked for the steps
	if len(just) == 0 && (old || is.equal(was)) {
		return is.Followup, nil
	}
	return is.Followup, f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		for _, s := range just {
			if err := keep(ctx, tx, i.Number, s.said); err != nil {
				return err
			}
		}
		if err := write(ctx, tx, is); err != nil {
			return err
		}
		var events []event.Event
		for _, s := range just {
			events = append(events, s.event)
		}
		events = append(events, turned(i, was.Followup, is.Followup)...)
		if was.ReturnOf != is.ReturnOf {
			some, err := f.returned(ctx, tx, i, was.ReturnOf, earlier)
			if err != nil {
				return err
			}
			events = append(events, some...)
		}
		for n := range events {
			if err := f.o.Journal.Append(ctx, tx, &events[n]); err != nil {
				return err
			}
		}
		if remind {
			return f.o.Remind(ctx, tx, i, is.Followup)
		}
		return nil
	})
}

// equal tells whether b need not be stored when a is.
func (r row) equal(b row) bool {
	x, errX := json.Marshal(r.Followup)
	y, errY := json.Marshal(b.Followup)
	return errX == nil && errY == nil && bytes.Equal(x, y) && r.due.Equal(b.due) && r.reminded.Equal(b.reminded)
}

// remind tells whether the team is reminded now, and notes that it was, or when it will be.
func (f *Followups) remind(r *row, now time.Time) bool {
	if f.o.Remind == nil || f.o.Config.Remind <= 0 || r.State != Following || r.Resolved == nil || !r.reminded.IsZero() {
		return false
	}
	at := r.Resolved.Add(f.o.Config.Remind.Std())
	if now.Before(at) {
		if r.due.IsZero() || at.Before(r.due) {
			r.due = at
		}
		return false
	}
	r.reminded = now
	return true
}

// earlier is the incident of the same check that ended with all steps, and of which
// this one is the return; none if a person said that it is not.
func (f *Followups) earlier(ctx context.Context, i Incident, all []said) (row, error) {
	if slices.ContainsFunc(all, func(s said) bool { return s.Step == Return }) {
		return row{}, nil
	}
	list, err := rows(ctx, f.o.DB.Read(), "WHERE check_key = $1 AND incident < $2 ORDER BY incident DESC LIMIT 1", i.Check, i.Number)
	if err != nil || len(list) == 0 {
		return row{}, err
	}
	switch r := list[0]; {
	case r.State == Complete && r.Settled != nil && i.Opened.Sub(*r.Settled) < listens && !i.Opened.Before(*r.Settled):
		return r, nil
	case r.State == Returned && r.ReturnedAs == i.Number:
		return r, nil
	}
	return row{}, nil
}

// returned marks the incident that came back as i, or takes the mark off when it was none.
func (f *Followups) returned(ctx context.Context, tx *sql.Tx, i Incident, was int64, earlier row) ([]event.Event, error) {
	if was != 0 {
		list, err := rows(ctx, tx, "WHERE incident = $1", was)
		if err != nil || len(list) == 0 {
			return nil, err
		}
		if list[0].ReturnedAs = 0; list[0].State == Returned {
			list[0].State = Complete
		}
		return nil, write(ctx, tx, list[0])
	}
	earlier.State, earlier.ReturnedAs = Returned, i.Number
	return []event.Event{{
		Source: source, Type: event.IncidentReturned, Subject: incidentRef(earlier.Incident), Cause: i.Event, Service: i.Service, Environment: i.Environment,
		Summary: fmt.Sprintf("Incident %d, which had ended with all steps, came back as incident %d", earlier.Incident, i.Number), Chain: i.Chain,
	}}, write(ctx, tx, earlier)
}

// turned tells what became of an incident.
func turned(i Incident, was, is Followup) []event.Event {
	if was.State == is.State {
		return nil
	}
	e := event.Event{Source: source, Subject: incidentRef(i.Number), Service: i.Service, Environment: i.Environment, Version: i.Version, Chain: i.Chain, Cause: i.Event}
	switch is.State {
	case Complete:
		e.Type, e.Summary = event.IncidentImproved, fmt.Sprintf("Incident %d led to an improvement: all steps are done", i.Number)
	case Without:
		e.Type, e.Summary = event.IncidentLeft, fmt.Sprintf("Incident %d ended without an improvement", i.Number)
		e.Reason = "open after " + days(is.Until.Sub(*is.Resolved)) + ": " + strings.Join(is.Open(), ", ")
	default:
		return nil
	}
	return []event.Event{e}
}

// events are those about an incident, in the order of the journal.
func (f *Followups) events(ctx context.Context, i Incident, said []said) ([]event.Event, error) {
	since := i.Began.Add(-before)
	queries := []journal.Query{{Types: []string{event.DefinitionsChanged}, Since: since}}
	if i.ByCheck {
		queries = append(queries, journal.Query{Subject: "check/" + i.Check, Since: since})
	} else if i.Check != "" {
		queries = append(queries, journal.Query{Subject: i.Check, Since: since})
	}
	for _, p := range said {
		if p.Evidence != nil && strings.HasPrefix(p.Evidence.Ref, "check/") {
			queries = append(queries, journal.Query{Subject: p.Evidence.Ref, Since: since})
		}
	}
	queries = append(queries, journal.Query{Subject: incidentRef(i.Number), Since: since})
	for _, h := range i.Hosts {
		queries = append(queries, journal.Query{Subject: "host/" + h, Since: since})
	}
	if i.Service != "" {
		queries = append(queries, journal.Query{Service: i.Service, Types: about, Since: since})
	}
	for _, r := range i.Roles {
		queries = append(queries, journal.Query{Service: id.Service(r), Types: []string{event.StageFinished}, Since: since})
	}
	var all []event.Event
	for _, q := range queries {
		q.Limit = page
		for n := 0; n < most; {
			list, err := f.o.Journal.Read(ctx, q)
			if err != nil {
				return nil, err
			}
			all = append(all, list...)
			if n += len(list); len(list) < page {
				break
			}
			q.After = list[len(list)-1].Seq
		}
	}
	slices.SortFunc(all, func(a, b event.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return slices.CompactFunc(all, func(a, b event.Event) bool { return a.Seq == b.Seq }), nil
}
