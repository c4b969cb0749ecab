package fleet

import (
	"errors"
	"slices"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
)

// TestSeverity: the incident of a host has the highest severity of the tests that fail
// and of its group, and rises when worse comes; so has that of a group.
func TestSeverity(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStage(t, db)
		s.rest()
		fails := func(severities ...string) func(Task) (Outcome, error) {
			return func(t Task) (Outcome, error) {
				o := s.same()
				for _, one := range severities {
					o.Tests = append(o.Tests, Test{Name: "is " + one, Status: "failed", Severity: one})
				}
				return o, nil
			}
		}
		visit := func(answer func(Task) (Outcome, error)) string {
			t.Helper()
			s.set(func() { s.answer = answer })
			s.ask(Request{Hosts: []string{"a"}, Kind: Converge})
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Contains(s.trouble, "host/a") {
				return "quiet"
			}
			return s.opened["host/a"].Severity
		}
		for _, c := range []struct {
			name   string
			answer func(Task) (Outcome, error)
			want   string
		}{
			{"info alone", fails("info"), "info"},
			{"it rises", fails("info", "ticket"), "ticket"},
			{"and is told once", fails("info", "ticket"), "quiet"},
			{"it rises again", fails("page", "info"), "page"},
			{"less is no news", fails("ticket"), "quiet"},
			{"what is no test is a ticket", func(Task) (Outcome, error) { return Outcome{}, errors.New("no room") }, "quiet"},
		} {
			if got := visit(c.answer); got != c.want {
				t.Errorf("%s: %s, want %s", c.name, got, c.want)
			}
		}
		if h := s.detail("a").Host; h.Severity != "ticket" {
			t.Errorf("%+v", h)
		}
		if visit(fails()); s.detail("a").Host.Severity != "" {
			t.Error("it stays severe when all is well")
		}
		s.set(func() { s.wanted.Settings.Severity = "page" })
		if got := visit(fails("info")); got != "page" {
			t.Errorf("the group says page, it is %s", got)
		}
		visit(fails())

		// A change that fails its tests is an incident of the group.
		s.set(func() { s.wanted.Settings.Severity, s.wanted.Commit, s.wanted.Digest = "", "commit-2", "d2" })
		s.set(func() {
			s.answer = func(v Task) (Outcome, error) {
				if v.Commit == "commit-2" {
					return fails("page")(v)
				}
				return s.same(), nil
			}
		})
		s.rest()
		if g := s.opened["group/web"]; g.Severity != "page" || g.Owner != "ops" || g.Env != "ci" {
			t.Errorf("%+v", g)
		}
	})
}

// TestBudget: a rebuild that takes longer than it may is an incident, until one does not.
func TestBudget(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStage(t, db)
		s.rest()
		s.set(func() {
			s.wanted.Settings.Within = 5 * time.Minute
			s.answer = func(t Task) (Outcome, error) {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.now = s.now.Add(6 * time.Minute); t.Kind != Rebuild {
					s.now = s.now.Add(-6 * time.Minute)
				}
				return s.same(), nil
			}
		})
		s.ask(Request{Hosts: []string{"b"}, Kind: Rebuild})
		if got := s.opened["rebuild/web"]; got.Title != "Making b anew took 6m0s, more than 5m0s" || got.Severity != "ticket" {
			t.Errorf("%+v", got)
		}
		s.set(func() { s.wanted.Settings.Within = 10 * time.Minute })
		if v := s.ask(Request{Hosts: []string{"b"}, Kind: Rebuild}); v.State != Passed || !slices.Contains(s.over, "rebuild/web") || len(s.trouble) > 0 || s.told(event.HostRebuilt) != 1 {
			t.Errorf("%+v %v %v", v, s.over, s.trouble)
		}
	})
}

// TestRollback: a page takes a deploy back, and so does a test that says so; one that
// denies it does not.
func TestRollback(t *testing.T) {
	yes, no := true, false
	failed := func(severity string, rollback *bool) Test {
		return Test{Status: "failed", Severity: severity, Rollback: rollback}
	}
	for _, c := range []struct {
		name      string
		tests     []Test // none: something else failed
		severity  string // of the host
		ofGroup   string
		rollsBack bool
	}{
		{"a ticket", []Test{failed("ticket", nil)}, "ticket", "", false},
		{"a page", []Test{failed("ticket", nil), failed("page", nil)}, "page", "", true},
		{"a page that denies it", []Test{failed("page", &no)}, "page", "", false},
		{"one of two pages denies it", []Test{failed("page", &no), failed("page", nil)}, "page", "", true},
		{"a ticket that says so", []Test{failed("ticket", &yes)}, "ticket", "", true},
		{"one that passed", []Test{{Status: "passed", Severity: "page", Rollback: &yes}, failed("info", nil)}, "info", "", false},
		{"a page of the group", []Test{failed("info", nil)}, "page", "page", true},
		{"a resource", nil, "ticket", "", false},
		{"a resource, where the group says page", nil, "page", "page", true},
	} {
		e := &end{v: Visit{Tests: c.tests}, h: Host{Severity: c.severity}, settings: Settings{Severity: c.ofGroup}, testsOnly: c.tests != nil}
		if got := e.rollback(); got != c.rollsBack {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
