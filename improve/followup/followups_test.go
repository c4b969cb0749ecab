package followup

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/journal"
)

// world is what follow-ups look at.
type world struct {
	t         *testing.T
	db        *database.DB
	journal   *journal.Journal
	incidents map[int64]Incident
	reminded  []int64
	now       time.Time
	f         *Followups
}

func newWorld(t *testing.T, db *database.DB) *world {
	w := &world{t: t, db: db, incidents: map[int64]Incident{}}
	var err error
	if w.journal, err = journal.New(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	w.open()
	return w
}

// open is a start of the server.
func (w *world) open() {
	w.t.Helper()
	var err error
	if w.f, err = New(w.t.Context(), Options{
		Config: Config{Within: config.Duration(7 * 24 * time.Hour), Remind: config.Duration(24 * time.Hour)}, DB: w.db, Journal: w.journal,
		Now:    func() time.Time { return w.now },
		Checks: func() []Watched { return []Watched{{"shop/slow", 5 * time.Minute}, {"shop/new", time.Minute}} },
		Incident: func(_ context.Context, number int64) (Incident, error) {
			i, ok := w.incidents[number]
			if !ok {
				return i, fault.New(fault.NotFound, "incident %d: there is none", number)
			}
			return i, nil
		},
		Remind: func(_ context.Context, _ *sql.Tx, i Incident, f Followup) error {
			if f.Next == "" {
				w.t.Errorf("reminded of nothing: %+v", f)
			}
			w.reminded = append(w.reminded, i.Number)
			return nil
		},
	}); err != nil {
		w.t.Fatal(err)
	}
}

// happens records a story, and an incident about it.
func (w *world) happens(s *story, number int64, opened int) {
	w.t.Helper()
	i := known7(s, 0).incident
	i.Number, i.Began, i.Opened, i.Resolved, i.Event = number, at(opened), at(opened), at(opened+5), fmt.Sprint("opened", number)
	w.incidents[number] = i
	s.events = append(s.events, event.Event{ID: i.Event, Type: event.IncidentOpened, Time: i.Opened, Subject: incidentRef(number), Service: "shop", Summary: "opened"})
	w.record(s)
}

func (w *world) record(s *story) {
	w.t.Helper()
	for _, e := range s.events {
		if !strings.HasPrefix(e.ID, "opened") {
			e.ID = ""
		}
		if _, err := w.journal.Record(w.t.Context(), e); err != nil {
			w.t.Fatal(err)
		}
	}
	s.events = nil
}

func (w *world) get(number int64, want string) Followup {
	w.t.Helper()
	f, err := w.f.Get(w.t.Context(), number)
	if o := outline(f); err != nil || o != want {
		w.t.Errorf("incident %d:\n got %s %v\nwant %s", number, o, err, want)
	}
	return f
}

// told are the events of a type, by whom.
func (w *world) told(kind string) (all []string) {
	w.t.Helper()
	list, err := w.journal.Read(w.t.Context(), journal.Query{Types: []string{kind}})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range list {
		all = append(all, fmt.Sprintf("%s %s", e.Actor, e.Summary))
	}
	return all
}

func TestPeopleSay(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		s := faulty()
		s.run(20, 3, "acceptance", 1)
		s.run(25, 4, "acceptance", 1)
		s.add(26, event.Event{Type: event.ChangeMerged, Subject: "commit/cafe0123456789", Service: "shop", Chain: "c5", Summary: "ada changed shop"})
		s.run(30, 5, "acceptance", 0)
		s.add(40, event.Event{Type: event.Upgraded, Subject: "deploy/4", Service: "shop", Environment: "production", Version: "b5", Chain: "c5", Data: data(d{"kind": "deploy"}), Summary: "shop b5 serves"})
		w.happens(s, 7, 10)
		w.now = at(41)
		ctx := t.Context()
		w.get(7, "following deploy/3 check/shop/slow run/3/acceptance deploy/4 run/5/acceptance -")

		for _, c := range []struct {
			step, ref, want string
		}{
			{"tests", "", `there is no step "tests" (use quick-fix, check, test, fix, test-passes, check-passes)`},
			{Test, "nonsense", "write run/12/acceptance"},
			{Test, "run/5/acceptance", "no such test failed since the incident began"},
			{Test, "run/99/acceptance", "no such test failed"},
			{Test, "run/x/", "no such test failed"},
			{Check, "check/shop/new", "let it see the fault first"},
			{Fix, "deploy/2", "it was not deployed since the incident opened"},
			{Fix, "commit/cafe", "it was not deployed"}, // too short to be one
			{Fix, "deploy/3", "it was not deployed"},    // a rollback fixes nothing
			{TestPasses, "run/4/acceptance", "no such test passed"},
			{CheckPasses, "check/shop/other", "the check is not OK"},
			{CheckPasses, "", "found no evidence that could be confirmed"},
			{QuickFix, "deploy/77", "nothing is in the journal about it"},
			{Test, "https://", "is no address"},
			{Test, "https://" + strings.Repeat("x", 500), "at most 500"},
		} {
			if _, err := w.f.Learn(ctx, 7, c.step, c.ref, "", "ada"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %s: %v, want %s", c.step, c.ref, err, c.want)
			}
		}
		if _, err := w.f.Learn(ctx, 8, Test, "", "", "ada"); fault.Of(err) != fault.NotFound {
			t.Error(err)
		}
		must := func(f Followup, err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		must(w.f.Learn(ctx, 7, Fix, "commit/cafe012", "", "ada"))
		must(w.f.Learn(ctx, 7, Test, "", "", "ada"))
		if _, err := w.f.Learn(ctx, 7, Test, "", "", "bob"); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "confirmed by ada") {
			t.Error(err)
		}
		if _, err := w.f.Doubt(ctx, 7, Test, " ", "bob"); fault.Of(err) != fault.Invalid {
			t.Error(err)
		}
		must(w.f.Doubt(ctx, 7, Test, "it wanted for disk", "bob"))
		w.get(7, "following deploy/3 check/shop/slow run/4/acceptance commit/cafe012 run/5/acceptance -")
		must(w.f.Learn(ctx, 7, Test, "https://example.com/load-test/3", "by hand", "bob"))
		w.get(7, "following deploy/3 check/shop/slow https://example.com/load-test/3 commit/cafe012 - -")
		if _, err := w.f.Waive(ctx, 7, []string{Test}, "no", "ada"); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "test is given") {
			t.Error(err)
		}
		for _, steps := range [][]string{{"nothing"}, nil} {
			if _, err := w.f.Waive(ctx, 7, steps, "", "ada"); fault.Of(err) != fault.Invalid {
				t.Error(err)
			}
		}
		if _, err := w.f.Waive(ctx, 7, []string{"nothing"}, "x", "ada"); fault.Of(err) != fault.Invalid {
			t.Error(err)
		}
		if _, err := w.f.Doubt(ctx, 7, Return, "x", "ada"); fault.Of(err) != fault.Conflict {
			t.Error(err)
		}

		w.open() // who said what survives a restart
		must(w.f.Waive(ctx, 7, nil, "it is enough", "grace"))
		f := w.get(7, "waived deploy/3 check/shop/slow https://example.com/load-test/3 commit/cafe012 waived waived")
		if f.Steps[2].By != "bob" || f.Steps[2].Reason != "by hand" || f.Steps[4].By != "grace" || f.Steps[4].Reason != "it is enough" {
			t.Errorf("%+v", f.Steps)
		}
		must(w.f.Doubt(ctx, 7, TestPasses, "look again", "ada"))
		must(w.f.Learn(ctx, 7, TestPasses, "run/5/acceptance", "", "ada"))
		for kind, want := range map[string][]string{
			event.IncidentLearned: {"ada Incident 7, fix: shop b5 serves", "ada Incident 7, test: run 3: stage acceptance failed on b3, passed on b5",
				"bob Incident 7, test: seen elsewhere: https://example.com/load-test/3", "ada Incident 7, test-passes: acceptance"},
			event.IncidentDoubted: {"bob Incident 7, test: run/3/acceptance is no evidence", "ada Incident 7, test-passes: not waived any more"},
			event.IncidentWaived:  {"grace Incident 7 goes without test-passes", "grace Incident 7 goes without check-passes"},
		} {
			if got := w.told(kind); !slices.Equal(got, want) {
				t.Errorf("%s:\n got %q\nwant %q", kind, got, want)
			}
		}
	})
}

func TestIncidentsEnd(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		ctx := t.Context()
		w.happens(faulty(), 7, 10)
		w.now = at(30)
		if err := w.f.begun(ctx); err != nil { // it opened while nobody looked
			t.Fatal(err)
		}
		position, err := w.journal.Last(ctx)
		if err != nil {
			t.Fatal(err)
		}
		step := func(now int) {
			t.Helper()
			w.now = at(now)
			if position, err = w.f.step(ctx, position); err != nil {
				t.Fatal(err)
			}
		}
		states := func(want string) {
			t.Helper()
			list, err := w.f.List(ctx, Filter{})
			var got []string
			for _, f := range list {
				got = append(got, fmt.Sprint(f.Incident, " ", f.State, " ", f.Done))
			}
			if s := strings.Join(got, ", "); s != want || err != nil {
				t.Errorf("%s %v, want %s", s, err, want)
			}
		}
		states("7 following 2")
		step(day)
		if len(w.reminded) > 0 {
			t.Errorf("reminded too soon of %v", w.reminded)
		}
		step(day + 15)
		w.open()
		step(2 * day)
		if !slices.Equal(w.reminded, []int64{7}) {
			t.Errorf("reminded of %v, want once of 7", w.reminded)
		}
		step(7*day + 15)
		states("7 without 2")
		if got := w.told(event.IncidentLeft); len(got) != 1 || got[0] != "steer Incident 7 ended without an improvement" {
			t.Error(got)
		}

		// The same again, by now with all steps.
		s := faulty()
		for n := range s.events {
			s.events[n].Time = s.events[n].Time.Add(8 * 24 * time.Hour)
		}
		w.happens(s, 8, 8*day+10)
		step(8*day + 20)
		s.run(8*day+21, 3, "acceptance", 1)
		s.run(8*day+22, 4, "acceptance", 0)
		s.deploy(8*day+23, 9, "b4")
		w.record(s)
		step(8*day + 24)
		states("8 following 5, 7 without 5") // the same test and fix are good for both
		step(8*day + 28)
		states("8 complete 6, 7 complete 6")
		if got := w.told(event.IncidentImproved); len(got) != 2 {
			t.Error(got)
		}
		before, _ := w.journal.Last(ctx)
		step(8*day + 29)
		w.get(8, "complete deploy/3 check/shop/slow run/3/acceptance deploy/9 run/4/acceptance check/shop/slow")
		if after, _ := w.journal.Last(ctx); after != before {
			t.Error("looking tells something")
		}

		// It comes back; then it turns out that it did not.
		s.check(9*day, "shop/slow", "CRITICAL")
		s.check(9*day+5, "shop/slow", "OK")
		w.happens(s, 9, 9*day)
		step(9*day + 10)
		states("9 following 2, 8 returned 6, 7 complete 6")
		if f := w.get(9, "following incident/9 check/shop/slow - - - -"); f.ReturnOf != 8 || !strings.HasPrefix(f.Next, "Incident 8 ended with all steps") {
			t.Errorf("%+v", f)
		}
		if f := w.get(8, "returned deploy/3 check/shop/slow run/3/acceptance deploy/9 run/4/acceptance check/shop/slow"); f.ReturnedAs != 9 {
			t.Errorf("%+v", f)
		}
		shares, err := w.f.Shares(ctx, at(0), at(10*day))
		if s := shares.Total; err != nil || s.Complete != 1 || s.Returned != 1 || s.Following != 1 || *s.Rate != 0.5 {
			t.Errorf("%+v %v", s, err)
		}
		if _, err := w.f.Doubt(ctx, 9, Return, "the measurement was wrong", "ada"); err != nil {
			t.Fatal(err)
		}
		states("9 following 2, 8 complete 6, 7 complete 6")
		step(9*day + 11)
		states("9 following 2, 8 complete 6, 7 complete 6")
		if got := w.told(event.IncidentReturned); len(got) != 1 || got[0] != "steer Incident 8, which had ended with all steps, came back as incident 9" {
			t.Error(got)
		}

		for _, c := range []struct {
			q    Filter
			want int
		}{
			{Filter{State: Complete}, 2}, {Filter{State: Without}, 0}, {Filter{Service: "shop"}, 3}, {Filter{Service: "other"}, 0}, {Filter{Team: "x"}, 0},
			{Filter{Before: 9}, 2}, {Filter{Limit: 1}, 1}, {Filter{Since: at(day)}, 2}, {Filter{Until: at(day)}, 1},
		} {
			if list, err := w.f.List(ctx, c.q); err != nil || len(list) != c.want {
				t.Errorf("%+v: %d %v", c.q, len(list), err)
			}
		}
		if _, err := w.f.List(ctx, Filter{State: "x"}); fault.Of(err) != fault.Invalid {
			t.Error(err)
		}
		if _, err := w.f.Shares(ctx, at(1), at(1)); fault.Of(err) != fault.Invalid {
			t.Error(err)
		}
	})
}

// Incidents of the time before there were follow-ups are left alone.
func TestOldIncidentsAreLeftAlone(t *testing.T) {
	w := newWorld(t, databasetest.SQLite(t))
	w.happens(faulty(), 7, 10)
	w.now = at(8 * day)
	if err := w.f.begun(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.get(7, "without deploy/3 check/shop/slow - - - -") // to look at it blames nobody
	if list, err := w.f.List(t.Context(), Filter{}); err != nil || len(list) != 0 || len(w.told(event.IncidentLeft)) != 0 {
		t.Errorf("%+v %v", list, err)
	}
	if _, err := w.f.Learn(t.Context(), 7, Check, "", "", "ada"); err != nil {
		t.Error(err)
	}
	w.get(7, "without deploy/3 check/shop/slow - - - -")
	if list, err := w.f.List(t.Context(), Filter{}); err != nil || len(list) != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []Config{{}, {Within: 1}, {Within: config.Duration(500 * 24 * time.Hour)}, {Within: config.Duration(time.Hour), Remind: -1}} {
		if err := c.Check(); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := New(t.Context(), Options{}); fault.Of(err) != fault.Invalid {
		t.Error(err)
	}
}
