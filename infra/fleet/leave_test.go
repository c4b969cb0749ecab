package fleet

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
)

// Whatever happens: who is destroyed is declared no more, was made by Steer, and its
// entry says so or its time is over; nobody paused or stopped it, and nobody is there.
// And whoever is all that goes.
func TestLeaveProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		yes := func(name string) bool { return rapid.Bool().Draw(t, name) }
		w := World{Now: noon, Hosts: map[string]Host{}, Groups: map[string]Group{}}
		if yes("all paused") {
			w.Paused = &Pause{Scope: "all"}
		}
		want := Wanted{Name: "web", Commit: "c", Digest: "d"}
		if yes("destroys") {
			want.Destroys = []string{"web"}
		}
		var may []string
		for n := range rapid.IntRange(1, 5).Draw(t, "hosts") {
			h := Host{Name: fmt.Sprintf("web-%d", n), Group: "web", State: rapid.SampledFrom([]string{Waiting, AsDeclared, HasDrifted, HasFailed, Unreachable, Stopped}).Draw(t, "state"),
				Gone: yes("gone"), Made: yes("made"), Visited: noon.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "minutes")) * time.Minute)}
			h.Entry = rapid.SampledFrom([]string{"web", "other"}).Draw(t, "entry")
			if yes("how known") {
				h.How = json.RawMessage(`{}`)
			}
			if yes("for a time") {
				h.Until = noon.Add(-time.Minute)
			}
			if yes("paused") {
				h.Paused = &Pause{Scope: "host"}
			}
			if yes("visited") {
				h.Running = 7
			}
			w.Hosts[h.Name] = h
			if !h.Gone {
				want.Hosts = append(want.Hosts, Declared{Name: h.Name, Group: "web", Made: h.Made, Lent: h.Lent})
			}
			wants := h.Gone && h.Made && h.How != nil && (!h.Until.IsZero() || h.Entry == "web" && len(want.Destroys) > 0)
			stopped := w.Paused != nil || h.Paused != nil || h.State == Stopped || h.Running != 0
			tried := h.State == HasFailed && noon.Sub(h.Visited) < retryDestroy
			if wants && !stopped && !tried {
				may = append(may, h.Name)
			}
		}
		w.Wanted = []Wanted{want}
		_, visits := Plan(w)
		var destroyed []string
		for _, v := range visits {
			if v.Kind == Destroy {
				destroyed = append(destroyed, v.Host)
			} else if h := w.Hosts[v.Host]; h.Gone || h.State == Stopped {
				t.Fatalf("%s of %+v", v.Kind, h)
			}
		}
		if !slices.Equal(destroyed, may) {
			t.Fatalf("destroyed %v, may %v", destroyed, may)
		}
	})
}

// A host that came later is made also when nobody visits its group by itself, and
// without a change of the group.
func TestLater(t *testing.T) {
	m := newSim(Settings{Canary: 1}, "a")
	m.is(t, "following; converge a commit-1 change; done")
	m.Wanted[0].Hosts = append(m.Wanted[0].Hosts, Declared{Name: "b", Group: "web", Made: true})
	m.Hosts["b"] = Host{Name: "b", Group: "web", State: Waiting, Seen: noon}
	m.is(t, "converge b commit-1 schedule")
	// None at all is a group, too.
	n := newSim(Settings{Canary: 1})
	n.is(t, "done")
}

func TestEnding(t *testing.T) {
	host := func(lasts time.Duration) Host {
		return Host{Name: "a", Seen: noon, Lent: Lent{Until: noon.Add(lasts)}}
	}
	for _, c := range []struct {
		h     Host
		after time.Duration
		want  bool
	}{
		{host(8 * time.Hour), 6*time.Hour + 59*time.Minute, false},
		{host(8 * time.Hour), 7 * time.Hour, true},
		{host(20 * time.Minute), 14 * time.Minute, false},
		{host(20 * time.Minute), 15 * time.Minute, true},
		{Host{Name: "a", Seen: noon}, 1000 * time.Hour, false},
		{Host{Name: "a", Seen: noon, Warned: true, Lent: Lent{Until: noon}}, time.Hour, false},
	} {
		if got := ending(World{Now: noon.Add(c.after), Hosts: map[string]Host{"a": c.h}}); (len(got) > 0) != c.want {
			t.Errorf("%v after %s: %v", c.h.Until, c.after, got)
		}
	}
}

// TestPower: who stops a host keeps automation away from it without an incident; who
// starts it lets it on. Hosts that nobody declares any more go, or are destroyed by
// somebody.
func TestPower(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStage(t, db)
		ctx := t.Context()
		lent := Lent{Entry: "web", Ways: []string{Off, Kill}, How: json.RawMessage(`{"name":"b"}`)}
		s.set(func() { s.wanted.Hosts[1].Lent = lent; s.wanted.Settings.Replace = true })
		s.rest()

		// The host is gone for everybody, and nobody minds.
		s.set(func() {
			s.answer = func(t Task) (Outcome, error) {
				if t.Host == "b" && t.Kind != Off && t.Kind != Kill {
					return Outcome{}, fault.New(fault.Unavailable, "gone")
				}
				return s.same(), nil
			}
		})
		if v := s.ask(Request{Hosts: []string{"b"}, Kind: Kill}); v.State != Passed {
			t.Errorf("%+v", v)
		}
		h := s.detail("b").Host
		if h.State != Stopped || h.Error != "killed by ada: why" || h.Paused == nil || h.Paused.Person != "ada" || h.Paused.Reason != "killed: why" || !h.Next.IsZero() || h.How != nil {
			t.Errorf("%+v", h)
		}
		s.set(func() { s.now = noon.Add(3 * time.Hour) })
		s.rest()
		if h := s.detail("b").Host; h.State != Stopped || len(s.trouble) > 0 || s.told(event.HostUnreachable) > 0 {
			t.Errorf("%+v %v", h, s.trouble)
		}
		if o, err := s.Overview(ctx); err != nil || len(late(o, s.now)) != 0 {
			t.Errorf("%+v %v", late(o, s.now), err)
		}
		for _, r := range []Request{{Hosts: []string{"b"}, Kind: Converge}, {Hosts: []string{"b"}, Kind: Look}} {
			if _, err := s.Request(ctx, r, "ada", ""); fault.Of(err) != fault.Conflict {
				t.Error(err)
			}
		}
		if err := s.Resume(ctx, "host", "b", "ada", ""); fault.Of(err) != fault.Conflict {
			t.Error(err)
		}
		// Also when only the group goes on, nobody visits it.
		if err := s.o.DB.Tx(ctx, func(tx *sql.Tx) error { return exec(ctx, tx, `DELETE FROM fleet_pause`) }); err != nil {
			t.Fatal(err)
		}
		s.rest()
		if h := s.detail("b").Host; h.State != Stopped || h.Visited.After(noon) {
			t.Errorf("%+v", h)
		}
		// It cannot be started, then it can.
		s.ask(Request{Hosts: []string{"b"}, Kind: Off})
		if v := s.ask(Request{Hosts: []string{"b"}, Kind: Start}); v.State != Broken || s.detail("b").Host.State != Stopped || s.detail("b").Host.Paused == nil {
			t.Errorf("%+v %+v", v, s.detail("b").Host)
		}
		s.set(func() {
			s.answer = func(t Task) (Outcome, error) { o := s.same(); o.Up = t.Kind == Start; return o, nil }
		})
		if v := s.ask(Request{Hosts: []string{"b"}, Kind: Start}); v.State != Passed || s.told(event.HostStarted) != 1 {
			t.Errorf("%+v", v)
		}
		if h := s.detail("b").Host; h.State != AsDeclared || h.Paused != nil || h.Tests != 1 || h.Next.IsZero() {
			t.Errorf("%+v", h)
		}
		// What somebody paused before stays paused.
		if err := s.Pause(ctx, Pause{Scope: "host", Name: "b", Person: "bob", Reason: "mine"}); err != nil {
			t.Fatal(err)
		}
		s.ask(Request{Hosts: []string{"b"}, Kind: Off})
		s.ask(Request{Hosts: []string{"b"}, Kind: Start})
		if h := s.detail("b").Host; h.State != AsDeclared || h.Paused == nil || h.Paused.Person != "bob" {
			t.Errorf("%+v", h)
		}
		// One that could not be stopped is as before.
		if err := s.Resume(ctx, "host", "b", "bob", ""); err != nil {
			t.Fatal(err)
		}
		s.set(func() {
			s.answer = func(Task) (Outcome, error) { return Outcome{}, fault.New(fault.NotFound, "no such host") }
		})
		if v := s.ask(Request{Hosts: []string{"b"}, Kind: Kill}); v.State != Broken || s.detail("b").Host.State != AsDeclared || s.detail("b").Host.Paused != nil || s.told(event.HostFailed) != 1 || len(s.trouble) > 0 {
			t.Errorf("%+v %+v", v, s.detail("b").Host)
		}
		for kind, host := range map[string]string{Freeze: "b", Start: "a", Destroy: "a"} {
			if _, err := s.Request(ctx, Request{Hosts: []string{host}, Kind: kind}, "ada", ""); err == nil {
				t.Errorf("%s of %s goes", kind, host)
			}
		}

		// It is there for a time, which is told, and goes.
		s.set(func() {
			s.answer = func(Task) (Outcome, error) { return s.same(), nil }
			s.wanted.Hosts[1].Until, s.wanted.Hosts[1].By, s.wanted.Hosts[1].Why = s.now.Add(2*time.Hour), "eva", "tests"
		})
		s.rest()
		s.set(func() { s.now = s.now.Add(61 * time.Minute) })
		s.rest()
		if s.told(event.HostEnds) != 1 {
			t.Errorf("%+v", s.events)
		}
		// Gone from the definitions while somebody looks into it: it stays so long.
		if err := s.Pause(ctx, Pause{Scope: "host", Name: "b", Person: "bob", Reason: "mine"}); err != nil {
			t.Fatal(err)
		}
		var how string
		s.set(func() {
			s.wanted.Hosts = s.wanted.Hosts[:1]
			s.answer = func(t Task) (Outcome, error) {
				if t.Kind == Destroy {
					how = string(t.How)
				}
				return s.same(), nil
			}
		})
		s.rest()
		if h := s.detail("b").Host; !h.Gone || h.Paused == nil {
			t.Errorf("%+v", h)
		}
		if err := s.Resume(ctx, "host", "b", "bob", ""); err != nil {
			t.Fatal(err)
		}
		s.rest()
		if _, err := s.Detail(ctx, "b"); fault.Of(err) != fault.NotFound || how != `{"name":"b"}` || s.told(event.HostDestroyed) != 1 {
			t.Errorf("%v %s %+v", err, how, s.events)
		}

		// One that was found is destroyed by whoever wants it.
		s.seen.Lock()
		s.unmanaged = []Unmanaged{{Address: "docker://stray", Name: "stray", Found: "docker"}}
		s.seen.Unlock()
		s.set(func() {
			s.answer = func(Task) (Outcome, error) { return Outcome{}, fault.New(fault.Unavailable, "the engine is away") }
		})
		if v := s.ask(Request{Hosts: []string{"stray"}, Kind: Destroy}); v.State != Broken || s.detail("stray").Host.State != HasFailed {
			t.Errorf("%+v", v)
		}
		s.set(func() { s.answer = func(Task) (Outcome, error) { return Outcome{}, nil } })
		if v := s.ask(Request{Hosts: []string{"stray"}, Kind: Destroy}); v.State != Passed || !slices.Contains(s.over, "host/stray") {
			t.Errorf("%+v %v", v, s.over)
		}
		if o, err := s.Overview(ctx); err != nil || len(o.Unmanaged) != 0 || len(o.Hosts) != 1 {
			t.Errorf("%+v %v", o, err)
		}
		if _, err := s.Request(ctx, Request{Hosts: []string{"stray"}, Kind: Destroy}, "ada", ""); fault.Of(err) != fault.NotFound {
			t.Error(err)
		}
	})
}
