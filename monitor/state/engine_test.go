package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/event"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/metric"
	"steer/catalog"
)

// world is what an engine sees of the outside.
type world struct {
	t       *testing.T
	db      *database.DB
	journal *journal.Journal

	mu      sync.Mutex
	checks  []catalog.Check
	values  map[string]float64 // by query; absent: no value
	failing error
	points  int64
	changes []event.Event
	lost    error // of Changes
	refuse  error // of Opened
	opened  []Incident
	closed  []Incident
}

func newWorld(t *testing.T, db *database.DB) *world {
	t.Helper()
	j, err := journal.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, db: db, journal: j, values: map[string]float64{}, points: 1}
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) engine() *Engine {
	w.t.Helper()
	e, err := New(w.t.Context(), Options{
		Config: Config{Interval: config.Duration(5 * time.Second), Timeout: config.Duration(10 * time.Second)},
		DB:     w.db, Journal: w.journal,
		Query: func(ctx context.Context, target string, from, until time.Time) ([]metric.Series, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			v, ok := w.values[target]
			if !ok {
				v = math.NaN()
			}
			return []metric.Series{{Name: target, Start: from.Unix(), Step: 10, Values: []float64{v, math.NaN()}}}, w.failing
		},
		Checks: func() []catalog.Check { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.checks) },
		Changes: func(context.Context, id.Service, id.Environment, time.Time) ([]event.Event, error) {
			return w.changes, w.lost
		},
		Intake: func() int64 { w.mu.Lock(); defer w.mu.Unlock(); return w.points },
		Opened: func(_ context.Context, _ *sql.Tx, i Incident) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.refuse == nil {
				w.opened = append(w.opened, i)
			}
			return w.refuse
		},
		Closed: func(_ context.Context, _ *sql.Tx, i Incident) error {
			w.set(func() { w.closed = append(w.closed, i) })
			return nil
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// run lets an engine run for a time, and returns it.
func (w *world) run(d time.Duration) *Engine {
	w.t.Helper()
	e := w.engine()
	w.let(e, d)
	return e
}

func (w *world) let(e *Engine, d time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	if err := e.Run(ctx); err != nil {
		w.t.Error(err)
	}
}

func (w *world) state(e *Engine, key, want string) Status {
	w.t.Helper()
	for _, s := range e.Statuses() {
		if s.Key == key {
			if s.State != want {
				w.t.Errorf("%s is %s (%s), want %s", key, s.State, s.Reason, want)
			}
			return s
		}
	}
	w.t.Errorf("no check %s", key)
	return Status{}
}

func (w *world) incidents(e *Engine, state string, want int) []Incident {
	w.t.Helper()
	list, err := e.Incidents(w.t.Context(), Filter{State: state})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(list) != want {
		w.t.Fatalf("%d incidents %s, want %d: %+v", len(list), state, want, list)
	}
	return list
}

func (w *world) types() string {
	w.t.Helper()
	list, err := w.journal.Read(w.t.Context(), journal.Query{Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	var types []string
	for _, e := range list {
		types = append(types, map[string]string{
			event.CheckChanged: "check", event.IncidentOpened: "opened", event.IncidentAcked: "acked", event.IncidentClosed: "closed",
		}[e.Type])
	}
	return strings.Join(types, " ")
}

func slow() catalog.Check {
	return catalog.Check{
		Name: "slow", Service: "catalog", Environment: "production", Team: "storefront", Query: "ttfb", Window: config.Duration(time.Minute),
		Above: limit(300), For: config.Duration(30 * time.Second), NoData: "nodata", Severity: "page",
	}
}

// bubble runs f with a clock of its own, on a database in it.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, err := database.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "steer.db"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		f(t, newWorld(t, db))
	})
}

func TestIncidentFromDeployToRecovery(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.checks = []catalog.Check{slow()}
		w.values["ttfb"] = 120
		e := w.run(20 * time.Second)
		w.state(e, "catalog/slow", OK)

		deployed, err := w.journal.Record(t.Context(), event.Event{
			Type: event.Upgraded, Subject: "deploy/2", Summary: "catalog b2 serves in production", Service: "catalog",
			Environment: "production", Version: "b2", Chain: "c2", Time: time.Now(),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.changes = []event.Event{deployed}
		w.values["ttfb"] = 412
		w.let(e, 20*time.Second)
		if s := w.state(e, "catalog/slow", OK); s.Pending != Critical || s.PendingSince == nil || !strings.Contains(s.Reason, "ttfb = 412, above 300; CRITICAL when that lasts for 30s") {
			t.Errorf("pending %q: %s", s.Pending, s.Reason)
		}

		// A restart keeps what is pending: 12 more seconds are enough.
		e = w.engine()
		w.let(e, 12*time.Second)
		s := w.state(e, "catalog/slow", Critical)
		i := w.incidents(e, Open, 1)[0]
		if s.Incident != i.ID || i.ID != 1 || i.Chain != "c2" || i.Cause != deployed.ID || i.Version != "b2" || !i.Rollback || i.Level != Critical || *i.Value != 412 || *i.Bound != 300 || i.Team != "storefront" {
			t.Errorf("incident %+v", i)
		}
		if c, ok := i.Suspect(); !ok || c.Subject != "deploy/2" {
			t.Errorf("suspect %v %v", c, ok)
		}
		if i.Title != "catalog: slow is CRITICAL in production" || !strings.HasPrefix(i.Summary, "ttfb = 412, above 300 for 30s. ") || !strings.HasSuffix(i.Summary, "before: catalog b2 serves in production") {
			t.Errorf("%q %q", i.Title, i.Summary)
		}
		if len(w.opened) != 1 || w.opened[0].Event != i.Event {
			t.Errorf("opened %+v", w.opened)
		}
		noted, err := w.journal.Get(t.Context(), i.Event)
		if err != nil || noted.Chain != "c2" || noted.Version != "b2" || noted.Subject != "incident/1" {
			t.Errorf("%+v %v", noted, err)
		}
		if change, err := w.journal.Get(t.Context(), noted.Cause); err != nil || change.Type != event.CheckChanged || change.Cause != deployed.ID {
			t.Errorf("cause %+v %v", change, err)
		}

		w.values["ttfb"] = 100
		e = w.run(6 * time.Second)
		w.state(e, "catalog/slow", OK)
		i = w.incidents(e, Resolved, 1)[0]
		if len(w.closed) != 1 || i.ResolvedBy != event.Steer || !strings.HasPrefix(i.ResolveReason, "recovered: ttfb = 100") {
			t.Errorf("closed %+v", i)
		}

		// Soon again: a new incident that knows the one before.
		w.values["ttfb"] = 500
		e = w.run(40 * time.Second)
		if i = w.incidents(e, Open, 1)[0]; i.ID != 2 || i.Previous != 1 {
			t.Errorf("second incident %+v", i)
		}
		if got := w.types(); got != "check  check opened check closed check opened" {
			t.Errorf("journal: %s", got)
		}
	})
}

func TestNothingHappensWithoutItsTransaction(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := slow()
		c.For = 0
		w.checks, w.values["ttfb"], w.refuse = []catalog.Check{c}, 500, errors.New("mail is full")
		e := w.run(20 * time.Second)
		w.state(e, "catalog/slow", NoData)
		w.incidents(e, "", 0)
		if got := w.types(); got != "" {
			t.Errorf("journal: %s", got)
		}
		w.refuse = nil
		w.let(e, 6*time.Second)
		w.state(e, "catalog/slow", Critical)
		if i := w.incidents(e, Open, 1)[0]; i.ID != 1 {
			t.Errorf("number %d: refused incidents left a gap", i.ID)
		}
	})
}

func TestIncidentOpensWithoutItsChanges(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := slow()
		c.For = 0
		w.checks, w.values["ttfb"], w.lost = []catalog.Check{c}, 500, errors.New("timeline is away")
		e := w.run(6 * time.Second)
		if i := w.incidents(e, Open, 1)[0]; i.Chain != "" || i.Changes == nil || !strings.HasSuffix(i.Summary, "Nothing is known to have changed shortly before.") {
			t.Errorf("%+v", i)
		}
	})
}

func TestFailingQueryIsNeverOK(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := slow()
		c.For = 0
		w.checks, w.values["ttfb"] = []catalog.Check{c}, 500
		e := w.run(6 * time.Second)
		w.values["ttfb"], w.failing = 1, errors.New("store is away")
		w.let(e, time.Minute)
		if s := w.state(e, "catalog/slow", Critical); !s.Stale || s.Unknown || !strings.Contains(s.Reason, "store is away") {
			t.Errorf("%+v", s)
		}
		w.let(e, 5*time.Minute)
		if s := w.state(e, "catalog/slow", Critical); !s.Unknown || !strings.HasPrefix(s.Reason, "unknown") {
			t.Errorf("%+v", s)
		}
		w.incidents(e, Active, 1)
		if got := w.types(); got != "check opened check" {
			t.Errorf("journal: %s", got)
		}
		w.values["ttfb"], w.failing = 600, nil
		w.let(e, 6*time.Second)
		if s := w.state(e, "catalog/slow", Critical); s.Unknown || s.Stale {
			t.Errorf("%+v", s)
		}
		if got := w.types(); got != "check opened check check" {
			t.Errorf("journal: %s", got)
		}
	})
}

func TestSilence(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := slow()
		c.For = 0
		w.checks = []catalog.Check{c}
		e := w.run(time.Minute) // never deployed: it waits
		w.state(e, "catalog/slow", NoData)
		w.incidents(e, "", 0)
		w.values["ttfb"] = 100
		w.let(e, 6*time.Second)
		delete(w.values, "ttfb")
		w.let(e, 6*time.Second)
		if i := w.incidents(e, Open, 1)[0]; i.Level != NoData || i.Rollback || i.Value != nil {
			t.Errorf("silent: %+v", i)
		}
		w.values["ttfb"] = 500 // other news
		w.let(e, 6*time.Second)
		list := w.incidents(e, "", 2)
		if list[0].Level != Critical || list[0].Previous != 1 || list[1].State != Resolved {
			t.Errorf("replaced: %+v", list)
		}
		delete(w.values, "ttfb")
		w.let(e, 6*time.Second)
		w.state(e, "catalog/slow", NoData)
		if i := w.incidents(e, Open, 1)[0]; i.ID != 2 {
			t.Errorf("silence ended incident 2: %+v", i)
		}
	})
}

func TestTotalBlindnessIsOneIncident(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for n := range 5 {
			c := slow()
			c.Name, c.Query, c.For = fmt.Sprint("slow", n), fmt.Sprint("q", n), 0
			w.checks = append(w.checks, c)
			w.values[c.Query] = 1
		}
		w.checks[4].NoData = "critical" // also held back, and no reason to roll back
		e := w.run(20 * time.Second)
		w.set(func() { clear(w.values) })
		w.let(e, 20*time.Second)
		i := w.incidents(e, Active, 1)[0]
		if i.Check != blindKey || i.Severity != "page" || !strings.Contains(i.Summary, "5 checks see nothing") {
			t.Errorf("%+v", i)
		}
		e = w.run(30 * time.Second) // a restart says nothing new
		w.incidents(e, "", 1)

		// Points of one series arrive: sight is back, but the others get time.
		w.set(func() { w.points++; w.values["q0"] = 1 })
		w.let(e, 20*time.Second)
		w.incidents(e, Active, 0)
		w.set(func() { w.points++ })
		w.let(e, time.Minute)
		list := w.incidents(e, Active, 4)
		for _, i := range list {
			if i.Check == blindKey || i.Check == "catalog/slow0" {
				t.Errorf("%+v", i)
			}
		}
	})
}

func TestOneSilentCheckAmongManyIsItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		for n := range 4 {
			c := slow()
			c.Name, c.Query, c.For = fmt.Sprint("slow", n), fmt.Sprint("q", n), 0
			w.checks = append(w.checks, c)
			w.values[c.Query] = 1
		}
		e := w.run(20 * time.Second)
		w.set(func() { delete(w.values, "q2") })
		w.let(e, 20*time.Second)
		w.incidents(e, "", 0) // nothing has arrived since
		w.set(func() { w.points++ })
		w.let(e, 6*time.Second)
		if i := w.incidents(e, Active, 1)[0]; i.Check != "catalog/slow2" {
			t.Errorf("%+v", i)
		}
		// The store dies while three checks still see old values.
		w.set(func() { delete(w.values, "q1") })
		w.let(e, patienceOfTest)
		if i := w.incidents(e, Active, 2)[0]; i.Check != blindKey {
			t.Errorf("%+v", i)
		}
	})
}

const patienceOfTest = patience + 10*time.Second

func TestRemovedCheckEndsItsIncident(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		c := slow()
		c.For = 0
		w.checks, w.values["ttfb"] = []catalog.Check{c}, 500
		e := w.run(6 * time.Second)
		w.set(func() { w.checks = nil })
		w.let(e, 6*time.Second)
		w.incidents(e, Active, 1) // perhaps it is only being read
		w.set(func() { w.checks = []catalog.Check{c} })
		w.let(e, 6*time.Second)
		w.set(func() { w.checks = nil })
		e = w.run(20 * time.Second)
		if i := w.incidents(e, Resolved, 1)[0]; i.ResolveReason != "check removed" {
			t.Errorf("%+v", i)
		}
		if len(e.Statuses()) != 0 {
			t.Error(e.Statuses())
		}
		w.set(func() { w.checks = []catalog.Check{c} })
		w.let(e, 6*time.Second)
		w.incidents(e, Active, 1)
	})
}

func TestOtherBoundsBeginAnew(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.checks, w.values["ttfb"] = []catalog.Check{slow()}, 350
		e := w.run(25 * time.Second)
		w.set(func() { w.checks[0].Above = limit(340) })
		w.let(e, 20*time.Second)
		if s := w.state(e, "catalog/slow", NoData); s.Pending != Critical {
			t.Errorf("%+v", s)
		}
		w.let(e, 16*time.Second)
		w.state(e, "catalog/slow", Critical)
	})
}

func TestHungQueryStopsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		e := w.engine()
		inner := e.o.Query
		e.o.Query = func(ctx context.Context, target string, from, until time.Time) ([]metric.Series, error) {
			if target == "hang" {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return inner(ctx, target, from, until)
		}
		for n := range 8 {
			c := slow()
			c.Name, c.Query, c.For = fmt.Sprint(n), fmt.Sprint("q", n), 0
			if n == 3 {
				c.Query = "hang"
			}
			w.checks, w.values[c.Query] = append(w.checks, c), 1
		}
		w.let(e, 30*time.Second)
		for _, s := range e.Statuses() {
			if s.Check.Query == "hang" {
				if s.State != NoData || !strings.Contains(s.Reason, "no answer within 10s") {
					t.Errorf("%+v", s)
				}
			} else if s.State != OK || time.Since(*s.Seen) > 6*time.Second {
				t.Errorf("%+v", s)
			}
		}
	})
}
