package fleet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
)

// images play hosts that are made of an image.
type images struct {
	mu       sync.Mutex
	s        *stage
	image    int             // the newest
	of       map[string]int  // which one each host is of
	need     map[string]int  // which one each commit needs at least
	missing  map[string]bool // commits whose image nobody finds
	tampered map[string]bool
	log      []string
	most     int // hosts that were visited while one was made anew
}

func (m *images) answer(t Task) (Outcome, error) {
	m.mu.Lock()
	m.log = append(m.log, fmt.Sprintf("%s %s %s", t.Kind, t.Host, t.Cause))
	if t.Kind == Rebuild {
		m.mu.Unlock()
		err := m.s.Step(m.s.t.Context()) // so that another would begin
		running, err2 := unfinished(m.s.t.Context(), m.s.o.DB.Read())
		if err := errors.Join(err, err2); err != nil {
			return Outcome{}, err
		}
		m.mu.Lock()
		if m.missing[t.Commit] {
			defer m.mu.Unlock()
			m.of[t.Host] = 0
			return Outcome{}, fault.New(fault.Unavailable, "no such image")
		}
		m.most = max(m.most, len(running))
		m.of[t.Host], m.tampered[t.Host] = m.image, false
	}
	defer m.mu.Unlock()
	if t.First && m.of[t.Host] == 0 {
		m.of[t.Host] = m.image
	}
	if m.of[t.Host] == 0 {
		return Outcome{}, fault.New(fault.Unavailable, "there is none")
	}
	o := m.s.same()
	if m.tampered[t.Host] {
		o.Changes = append(o.Changes, Change{Ref: loginRef, Status: "planned", Action: "replace", Fields: []Field{{Name: "password of root", Old: "set", New: "locked"}}})
	}
	if m.of[t.Host] < m.need[t.Commit] {
		o.Tests = []Test{{Name: "a", Status: "failed", Severity: "page"}}
		o.Changes = append(o.Changes, Change{Ref: "file:/a", Status: "planned", Action: "replace", Fields: []Field{{Name: "content", Text: "@@"}}})
	}
	o.Changes = append(o.Changes, Change{Ref: "command:always", Status: "planned", Action: "run"})
	return o, nil
}

func (m *images) took() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, l := range m.log {
		if strings.HasPrefix(l, Rebuild) {
			all = append(all, l)
		}
	}
	m.log = nil
	return strings.Join(all, "; ")
}

func (m *images) tamper(hosts ...string) {
	m.s.set(func() { m.s.now = m.s.now.Add(2 * time.Hour) })
	m.mu.Lock()
	for _, h := range hosts {
		m.tampered[h] = true
	}
	m.mu.Unlock()
	m.s.rest()
}

func (m *images) is(what, want string) {
	m.s.t.Helper()
	m.s.rest()
	if got := m.took(); got != want {
		m.s.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func newImages(t *testing.T, db *database.DB) (*stage, *images) {
	s := newStage(t, db)
	m := &images{s: s, image: 1, of: map[string]int{}, need: map[string]int{"commit-1": 1, "commit-2": 2, "commit-3": 2, "commit-4": 3}, missing: map[string]bool{"commit-4": true}, tampered: map[string]bool{}}
	s.set(func() {
		s.answer = m.answer
		s.wanted.Settings.Canary = 1
		for i := range s.wanted.Hosts {
			h := &s.wanted.Hosts[i]
			h.Made, h.Immutable, h.NoLogin = true, true, true
		}
	})
	s.rest()
	m.took()
	return s, m
}

// TestImmutable: hosts that are never changed are made anew: when they drifted, one at
// a time, and for a change; never again and again for an image that is not as declared.
func TestImmutable(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s, m := newImages(t, db)
		if h := s.detail("a").Host; h.State != AsDeclared || !h.NoLogin {
			t.Fatalf("%+v", h)
		}
		m.tamper("a", "b")
		m.is("both drifted", "rebuild a drift; rebuild b drift")
		if m.most != 1 {
			t.Errorf("%d hosts were away at once", m.most)
		}
		said := slices.ContainsFunc(s.events, func(e event.Event) bool {
			return e.Type == event.HostDrifted && e.Summary == "a is not as its image: login:off (password of root set)"
		})
		if !said || s.told(event.HostRebuilt) != 2 {
			t.Errorf("told %+v", s.events)
		}
		d := s.detail("a")
		if d.Host.State != AsDeclared || len(d.Drifts) != 1 || d.Drifts[0].State != DriftHealed || d.Drifts[0].By != event.Steer || d.Visits[0].Reason != "not as its image: login:off (password of root set)" {
			t.Errorf("%+v", d)
		}
		if _, err := s.Request(t.Context(), Request{Hosts: []string{"a"}, Kind: Heal, Refs: []string{loginRef}}, "ada", ""); fault.Of(err) != fault.Conflict {
			t.Errorf("heal: %v", err)
		}
		// Somebody said stop.
		if err := s.Pause(t.Context(), Pause{Scope: "host", Name: "a", Person: "ada", Reason: "I look"}); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.tampered["a"] = true
		m.mu.Unlock()
		s.ask(Request{Hosts: []string{"a"}, Kind: Converge})
		if h := s.detail("a").Host; h.State != HasDrifted {
			t.Errorf("%+v", h)
		}
		m.is("paused", "")
		if err := s.Resume(t.Context(), "host", "a", "ada", ""); err != nil {
			t.Fatal(err)
		}
		m.is("resumed", "rebuild a drift")
		// The third time within a day is an incident.
		s.set(func() {})
		m.tamper("a")
		m.is("once more", "rebuild a drift")
		if !slices.Contains(s.trouble, "drift/a/login:off") {
			t.Errorf("trouble %v", s.trouble)
		}
		// A change whose image is not there yet: one host shows it, and the group goes back.
		s.set(func() { s.wanted.Commit, s.wanted.Digest = "commit-2", "d2" })
		m.is("no image yet", "rebuild a change")
		o, err := s.Overview(t.Context())
		if err != nil || o.Groups[0].Phase != Failed || !strings.Contains(o.Groups[0].Reason, "its image is not as declared: file:/a (bake it anew with steer bake, ") || s.detail("b").Host.State != AsDeclared || s.detail("a").Host.State != AsDeclared {
			t.Errorf("%+v %v", o.Groups[0], err)
		}
		// With its image, all get it, one after the other.
		m.mu.Lock()
		m.image, m.most = 2, 0
		m.mu.Unlock()
		s.set(func() { s.wanted.Commit, s.wanted.Digest = "commit-3", "d3" })
		m.is("with its image", "rebuild a change; rebuild b change")
		if o, err = s.Overview(t.Context()); err != nil || o.Groups[0].Phase != Done || m.most != 1 {
			t.Errorf("%+v %v, %d at once", o.Groups[0], err, m.most)
		}
		// One whose image nobody finds costs a host, which comes back as it was.
		s.set(func() { s.wanted.Commit, s.wanted.Digest = "commit-4", "d4" })
		m.is("no such image", "rebuild a change")
		if o, err = s.Overview(t.Context()); err != nil || o.Groups[0].Phase != Failed || o.Groups[0].Reason != "a could not be made anew: no such image" {
			t.Errorf("%+v %v", o.Groups[0], err)
		}
		s.set(func() { s.now = s.now.Add(3 * time.Minute) })
		m.is("a little later", "rebuild a drift")
		if h := s.detail("a").Host; h.State != AsDeclared || h.Commit != "commit-3" {
			t.Errorf("%+v", h)
		}
		// An image that is no good is not tried again and again.
		m.mu.Lock()
		m.image = 1
		m.mu.Unlock()
		m.tamper("b")
		m.is("the image is old", "rebuild b drift")
		s.set(func() { s.now = s.now.Add(5 * time.Hour) })
		m.is("later", "")
		if h := s.detail("b").Host; h.State != HasFailed || !strings.Contains(h.Error, "its image is not as declared") {
			t.Errorf("%+v", h)
		}
		m.tamper("a")
		m.is("another host would get it, too", "")
		// Without a word about it, people decide.
		s, m = newImages(t, databasetest.SQLite(t))
		s.set(func() { s.wanted.Hosts[0].NoLogin = false })
		m.tamper("a")
		m.is("nobody said replace", "")
		if h := s.detail("a").Host; h.State != HasDrifted {
			t.Errorf("%+v", h)
		}
		s.set(func() { s.wanted.Settings.Replace = true })
		m.is("replace", "rebuild a drift")
	})
}

// TestEnter: a command on a host that nobody can log in to is in the journal before
// it begins, and the host is made anew once automation may.
func TestEnter(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s, m := newImages(t, db)
		s.set(func() { s.wanted.Hosts[1].NoLogin = false })
		never := func(context.Context) (int, error) { t.Error("it ran"); return 0, nil }
		e := Entry{Host: "a", Command: []string{"sh", "-c", "df  -h"}, Person: "ada", Reason: "incident 12"}
		for want, change := range map[string]func(*Entry){
			"has no such host": func(e *Entry) { e.Host = "c" },
			"logging in is on": func(e *Entry) { e.Host = "b" },
			"say why":          func(e *Entry) { e.Reason = " " },
			"name a command":   func(e *Entry) { e.Command = nil },
		} {
			wrong := e
			change(&wrong)
			if err := s.Enter(t.Context(), wrong, never); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		if s.told(event.HostEntered) != 0 || s.detail("a").Host.Touched != nil {
			t.Error("what was refused counts")
		}
		err := s.Enter(t.Context(), e, func(context.Context) (int, error) {
			if s.told(event.HostEntered) != 1 || s.told(event.HostsPaused) != 1 || s.detail("a").Host.Touched == nil {
				t.Errorf("before: %+v", s.events)
			}
			return 3, nil
		})
		if err != nil || s.told(event.HostEntered) != 2 {
			t.Errorf("%v %+v", err, s.events)
		}
		if last := s.events[len(s.events)-1]; last.Summary != "sh -c df -h on a ended with code 3" || last.Actor != "ada" || last.Reason != "incident 12" {
			t.Errorf("%+v", last)
		}
		if err := s.Enter(t.Context(), e, func(context.Context) (int, error) { return 0, errors.New("cut") }); err == nil || s.told(event.HostsPaused) != 1 {
			t.Errorf("%v, paused %d times", err, s.told(event.HostsPaused))
		}
		m.is("paused", "")
		if err := s.Resume(t.Context(), "host", "a", "ada", ""); err != nil {
			t.Fatal(err)
		}
		m.is("resumed", "rebuild a entered")
		if d := s.detail("a"); d.Host.Touched != nil || d.Visits[0].Reason != "ada was on it: incident 12" {
			t.Errorf("%+v", d.Host)
		}
	})
}
