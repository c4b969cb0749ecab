package fleet

import (
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/work"
)

// stage is a fleet of two hosts whose visits the test plays.
type stage struct {
	*Fleet
	t         *testing.T
	mu        sync.Mutex
	now       time.Time
	wanted    Wanted
	answer    func(t Task) (Outcome, error)
	events    []event.Event
	trouble   []string
	incidents map[int64]time.Time // that may follow a change
	opened    map[string]Trouble  // the newest of each key
	over      []string
}

func newStage(t *testing.T, db *database.DB) *stage {
	s := &stage{t: t, now: noon, opened: map[string]Trouble{}}
	s.wanted = Wanted{Name: "web", Commit: "commit-1", Digest: "d1", Settings: Settings{Every: time.Hour, Dead: 10 * time.Minute},
		Hosts: []Declared{{Name: "a", Group: "web", Owner: "ops", Environment: "ci", Roles: []string{"web"}}, {Name: "b", Group: "web", Roles: []string{"web"}, Made: true}}}
	s.answer = func(t Task) (Outcome, error) { return s.same(), nil }
	quiet := slog.New(slog.DiscardHandler)
	queue, err := work.New(t.Context(), work.Options{DB: db, Instance: "test", Poll: 5 * time.Millisecond, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	locked := func(f func()) { s.mu.Lock(); defer s.mu.Unlock(); f() }
	s.Fleet, err = New(t.Context(), Options{
		DB: db, Work: queue, Log: quiet,
		Now: func() (now time.Time) { locked(func() { now = s.now }); return now },
		Journal: func(_ context.Context, _ *sql.Tx, e *event.Event) error {
			locked(func() { s.events = append(s.events, *e) })
			return nil
		},
		Wanted: func(context.Context) (w []Wanted, _ error) { locked(func() { w = []Wanted{s.wanted} }); return w, nil },
		Visit: func(_ context.Context, t Task) (Outcome, error) {
			s.mu.Lock()
			answer := s.answer
			s.mu.Unlock()
			return answer(t)
		},
		Open: func(_ context.Context, _ *sql.Tx, t Trouble) error {
			locked(func() { s.trouble, s.opened[t.Key] = append(s.trouble, t.Key), t })
			return nil
		},
		Close: func(_ context.Context, key, _ string) { locked(func() { s.over = append(s.over, key) }) },
		Followed: func(_ context.Context, p Place, from, until time.Time) (all []int64, _ error) {
			locked(func() {
				for n, at := range s.incidents {
					if !at.Before(from) && at.Before(until) && p.Group == "web" {
						all = append(all, n)
					}
				}
			})
			return all, nil
		},
		Propose: func(_ context.Context, d Drift, commit bool, _ id.Person, _ string) (Proposal, error) {
			return Proposal{Drift: d, Commit: map[bool]string{true: "commit-9"}[commit]}, nil
		},
		Roles: func(context.Context) ([]Role, error) { return []Role{{Name: "web"}, {Name: "unused"}}, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { queue.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return s
}

func (s *stage) same() Outcome {
	return Outcome{Counts: map[string]int{"ok": 2}, Hash: "h", Leaves: map[string]string{"file:/a": "1", "file:/b": "1"}, Tests: []Test{{Name: "t", Status: "passed"}}}
}

// rest steps until nothing is under way.
func (s *stage) rest() {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		if err := s.Step(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		running, err := unfinished(s.t.Context(), s.o.DB.Read())
		if err != nil {
			s.t.Fatal(err)
		}
		if len(running) == 0 {
			w, err := s.world(s.t.Context(), []Wanted{s.wanted})
			if err != nil {
				s.t.Fatal(err)
			}
			if groups, visits := Plan(w); len(groups)+len(visits) == 0 {
				return
			}
		}
		if time.Now().After(end) {
			s.t.Fatalf("it does not come to rest: %v", running)
		}
	}
}

func (s *stage) ask(r Request) Visit {
	s.t.Helper()
	v, err := s.Request(s.t.Context(), r, "ada", "why")
	if err != nil {
		s.t.Fatal(err)
	}
	s.rest()
	last, err := s.Visit(s.t.Context(), v[len(v)-1].ID)
	if err != nil {
		s.t.Fatal(err)
	}
	return last
}

// set changes what is played, and returns what was told since.
func (s *stage) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.events, s.trouble, s.over = nil, nil, nil
}

func (s *stage) told(kind string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Type == kind {
			n++
		}
	}
	return n
}

func (s *stage) detail(name string) Detail {
	s.t.Helper()
	d, err := s.Detail(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

// TestRecords: what visits find becomes records, events and incidents, on both
// databases.
func TestRecords(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStage(t, db)
		ctx := t.Context()
		s.rest()
		o, err := s.Overview(ctx)
		if err != nil || len(o.Hosts) != 2 || o.Hosts[0].State != AsDeclared || o.Groups[0].Phase != Done || o.Groups[0].Good != "commit-1" || o.Hosts[0].Next.Before(noon.Add(time.Hour)) {
			t.Fatalf("%+v %v", o, err)
		}

		// A visit that finds nothing is quiet.
		s.set(func() {})
		s.ask(Request{Hosts: []string{"web"}, Kind: Converge})
		if s.told(event.HostChanged)+s.told(event.HostDrifted)+s.told(event.HostConverged) != 0 || s.told(event.HostAsked) != 2 {
			t.Errorf("%+v", s.events)
		}

		// Drift is put right or left; three times within a day is an incident.
		drift := func(status string) func(Task) (Outcome, error) {
			return func(t Task) (Outcome, error) {
				o := s.same()
				if t.Host == "a" {
					o.Counts, o.Hash, o.Leaves = map[string]int{status: 1, "ok": 1}, "other", map[string]string{"file:/a": "2", "file:/b": "1"}
					o.Changes = []Change{{Ref: "file:/a", Role: "web", Place: "roles/web.yaml:3", Status: status, Action: "update", Drift: true, Fields: []Field{{Name: "mode", Old: "0600", New: "0644"}}}}
				}
				return o, nil
			}
		}
		for n := 1; n <= 3; n++ {
			s.set(func() { s.answer = drift("changed") })
			v := s.ask(Request{Hosts: []string{"a"}, Kind: Converge})
			if v.Drift != 1 || s.told(event.HostDrifted) != 1 || slices.Contains(s.trouble, "drift/a/file:/a") != (n == 3) {
				t.Errorf("%d: %+v %v", n, v, s.trouble)
			}
		}
		s.set(func() { s.answer = drift("drifted") })
		s.ask(Request{Hosts: []string{"a"}, Kind: Converge})
		d := s.detail("a")
		if d.Host.State != HasDrifted || d.Host.Drifts != 1 || d.Drifts[0].State != DriftOpen || d.Drifts[1].Heals != 3 || len(d.Siblings) != 1 || d.Siblings[0].Equal || strings.Join(d.Siblings[0].Differ, " ") != "file:/a" || len(d.Tests) != 1 {
			t.Errorf("%+v", d)
		}
		p, err := s.Propose(ctx, d.Drifts[0].ID, false, "ada", "")
		if err != nil || p.Commit != "" || s.detail("a").Drifts[0].State != DriftOpen {
			t.Errorf("%+v %v", p, err)
		}
		if p, err = s.Propose(ctx, d.Drifts[0].ID, true, "ada", "better"); err != nil || p.Drift.State != DriftAccepted || p.Drift.By != "ada" || s.told(event.DriftAccepted) != 1 {
			t.Errorf("%+v %v", p, err)
		}
		if _, err = s.Propose(ctx, d.Drifts[0].ID, true, "ada", ""); fault.Of(err) != fault.Conflict {
			t.Errorf("%v", err)
		}

		// What a host tells is put right, unless somebody paused it.
		s.set(func() { s.answer = func(Task) (Outcome, error) { return s.same(), nil } })
		if err := s.Pause(ctx, Pause{Scope: "host", Name: "b", Person: "ada", Reason: "looking"}); err != nil {
			t.Fatal(err)
		}
		c := Change{Ref: "file:/b", Status: "drifted", Action: "update", Hints: []string{"logged in then: bob"}}
		for range 2 { // a report may come twice
			if err := s.Saw(ctx, "b", c, true); err != nil {
				t.Fatal(err)
			}
		}
		s.rest()
		if d := s.detail("b"); d.Host.State != HasDrifted || d.Host.Drifts != 1 || !d.Drifts[0].Live || len(d.Drifts[0].Hints) != 1 || d.Host.Paused == nil || s.told(event.HostDrifted) != 1 {
			t.Errorf("%+v", d)
		}
		if err := s.Passed(ctx, "b", "file:/b"); err != nil || s.detail("b").Host.Drifts != 0 {
			t.Errorf("%v", err)
		}
		if err := s.Saw(ctx, "b", c, true); err != nil {
			t.Fatal(err)
		}
		s.set(func() {
			s.answer = func(t Task) (Outcome, error) {
				o := s.same()
				o.Counts, o.Changes = map[string]int{"changed": 1}, []Change{{Ref: "file:/b", Status: "changed", Action: "update", Drift: true}}
				return o, nil
			}
		})
		if err := s.Resume(ctx, "host", "b", "ada", ""); err != nil {
			t.Fatal(err)
		}
		s.rest()
		if d := s.detail("b"); d.Host.Drifts != 0 || d.Visits[0].Cause != "drift" || strings.Join(d.Visits[0].Refs, " ") != "file:/b" || d.Drifts[0].State != DriftHealed {
			t.Errorf("%+v", d)
		}
		if err := s.Saw(ctx, "nobody", c, true); fault.Of(err) != fault.NotFound {
			t.Errorf("%v", err)
		}

		// Who does not answer, and who is broken, is an incident until it is over.
		s.set(func() {
			s.answer = func(Task) (Outcome, error) { return Outcome{}, fault.New(fault.Unavailable, "gone") }
		})
		s.ask(Request{Hosts: []string{"a"}, Kind: Converge})
		if h := s.detail("a").Host; h.State != Unreachable || h.Silent.IsZero() || !slices.Contains(s.trouble, "host/a") || s.told(event.HostUnreachable) != 1 {
			t.Errorf("%+v %v", h, s.trouble)
		}
		s.set(func() {
			s.answer = func(Task) (Outcome, error) {
				o := s.same()
				o.Tests = []Test{{Name: "it answers", Status: "failed"}}
				return o, nil
			}
		})
		if v := s.ask(Request{Hosts: []string{"a"}, Kind: Converge}); v.State != Broken || v.Error != "tests fail: it answers" {
			t.Errorf("%+v", v)
		}
		if h := s.detail("a").Host; h.State != HasFailed || h.Failing != 1 || !h.Silent.IsZero() {
			t.Errorf("%+v", h)
		}
		s.set(func() { s.answer = func(Task) (Outcome, error) { return s.same(), nil } })
		s.ask(Request{Hosts: []string{"a"}, Kind: Converge})
		if h := s.detail("a").Host; h.State != AsDeclared || !slices.Contains(s.over, "host/a") {
			t.Errorf("%+v %v", h, s.over)
		}

		// Who goes back is left there.
		if v := s.ask(Request{Hosts: []string{"a"}, Kind: Back}); v.State != Passed || s.detail("a").Host.Paused == nil || s.detail("a").Host.State != HasDrifted {
			t.Errorf("%+v %+v", v, s.detail("a").Host)
		}

		// All of it on one page, and the habits.
		night, err := s.Tonight(ctx, noon.Add(-time.Minute), noon.Add(time.Minute))
		if err != nil || len(night.Failed) != 2 || len(night.Drifted) != 5 || night.Quiet == 0 || len(night.Pauses) != 1 {
			t.Errorf("%d failed, %d drifted, %d quiet, %+v %v", len(night.Failed), len(night.Drifted), night.Quiet, night.Pauses, err)
		}
		s.set(func() { s.now = noon.Add(3 * time.Hour) })
		if o, err = s.Overview(ctx); err != nil || len(late(o, s.now)) != 2 || o.Habits.Around != 6 || o.Habits.Unattended <= 0 || o.Habits.Unattended >= 1 {
			t.Errorf("%+v %v", o.Habits, err)
		}
		roles, err := s.Roles(ctx)
		if err != nil || len(roles) != 2 || strings.Join(roles[0].Hosts, " ") != "a b" || len(roles[1].Hosts) != 0 {
			t.Errorf("%+v %v", roles, err)
		}
		// Old visits go, quiet ones first; a host that nobody declares is kept and said so.
		s.set(func() { s.now = noon.Add(8 * 24 * time.Hour); s.wanted.Hosts = s.wanted.Hosts[:1] })
		if err := s.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		all, err := s.Visits(ctx, Filter{Limit: 500})
		if err != nil || len(all) == 0 || slices.ContainsFunc(all, func(v Visit) bool { return v.Cause == "change" && v.Counts["changed"] == 0 && v.State == Passed }) {
			t.Errorf("%+v %v", all, err)
		}
		if d := s.detail("b"); !d.Host.Gone {
			t.Errorf("%+v", d.Host)
		}
		for _, wrong := range []struct {
			r    Request
			kind fault.Kind
		}{
			{Request{Hosts: []string{"nobody"}, Kind: Converge}, fault.NotFound},
			{Request{Hosts: []string{"a"}, Kind: Heal}, fault.Invalid},
			{Request{Hosts: []string{"a"}, Kind: Rebuild}, fault.Invalid},
		} {
			if _, err := s.Request(ctx, wrong.r, "ada", ""); fault.Of(err) != wrong.kind {
				t.Errorf("%+v: %v", wrong.r, err)
			}
		}
		if _, err := s.Detail(ctx, "nobody"); fault.Of(err) != fault.NotFound {
			t.Error(err)
		}
	})
}

// TestDecide: a change that waits goes on or not as somebody says, and only the one
// that was read.
func TestDecide(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStage(t, db)
		ctx := t.Context()
		s.set(func() {
			s.wanted.Settings.Approve = true
			s.answer = func(t Task) (Outcome, error) {
				o := s.same()
				if t.Kind == Look {
					o.Counts = map[string]int{"planned": 1}
				}
				return o, nil
			}
		})
		s.rest()
		phase := func(want string) {
			t.Helper()
			if o, err := s.Overview(ctx); err != nil || o.Groups[0].Phase != want {
				t.Fatalf("%+v %v, want %s", o.Groups, err, want)
			}
		}
		phase(Asking)
		if s.told(event.GroupAsks) != 1 {
			t.Errorf("%+v", s.events)
		}
		if _, err := s.Decide(ctx, "web", "commit-0", true, "ada", ""); fault.Of(err) != fault.Conflict {
			t.Errorf("%v", err)
		}
		if g, err := s.Decide(ctx, "web", "commit-1", false, "ada", "too late"); err != nil || g.Reason != "refused by ada: too late" {
			t.Errorf("%+v %v", g, err)
		}
		s.rest()
		phase(Failed)
		if all, err := s.Visits(ctx, Filter{Kind: Converge}); err != nil || len(all) != 0 {
			t.Errorf("%+v %v", all, err)
		}
		if _, err := s.Decide(ctx, "web", "commit-1", true, "bob", "all right"); err != nil {
			t.Error(err)
		}
		s.rest()
		phase(Done)
		if all, err := s.Visits(ctx, Filter{Kind: Converge}); err != nil || len(all) != 2 {
			t.Errorf("%+v %v", all, err)
		}
		if _, err := s.Decide(ctx, "web", "commit-1", true, "bob", ""); fault.Of(err) != fault.Conflict {
			t.Errorf("%v", err)
		}
		for _, p := range []Pause{{Scope: "host", Name: "x", Reason: "y"}, {Scope: "all", Name: "x", Reason: "y"}, {Scope: "room", Reason: "y"}, {Scope: "all"}} {
			if err := s.Pause(ctx, p); err == nil {
				t.Errorf("%+v is taken", p)
			}
		}
	})
}

// TestInsecure: since when a host lacks security updates is kept until it lacks none.
func TestInsecure(t *testing.T) {
	n := func(i int) *int { return &i }
	e := &end{}
	for hour, c := range []struct {
		security *int
		asked    bool // for patches
		want     int  // hour since when; -1: none
	}{{n(0), true, -1}, {n(2), true, 1}, {nil, false, 1}, {n(1), true, 1}, {n(0), true, -1}, {n(3), true, 5}, {nil, true, -1}} {
		e.now = noon.Add(time.Duration(hour) * time.Hour)
		o := Outcome{Security: c.security}
		if c.asked {
			o.Updates = n(5)
		}
		e.take(o, nil)
		want := time.Time{}
		if c.want >= 0 {
			want = noon.Add(time.Duration(c.want) * time.Hour)
		}
		if !e.h.Insecure.Equal(want) {
			t.Errorf("hour %d: since %s, want %s", hour, e.h.Insecure, want)
		}
	}
}
