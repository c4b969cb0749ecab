package fleet

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
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

// Hosts that followed the newest commit keep to it when their role gets a pipeline,
// until somebody deploys.
func TestPipelineIsAdopted(t *testing.T) {
	m := newSim(Settings{Every: time.Hour, Canary: 1, Dead: 10 * time.Minute}, "a", "b")
	m.settle(t)
	m.took()
	m.Wanted[0].Commit, m.Wanted[0].Digest = "", ""
	m.is(t, "")
	m.Now = m.Now.Add(67 * time.Minute)
	m.is(t, "converge a commit-1 schedule; converge b commit-1 schedule")
	m.push(1) // deployed as it is
	m.is(t, "")
	m.push(2)
	m.is(t, "canary; converge a commit-2 change; following; converge b commit-2 change; done")
	// Without one before, nobody goes there.
	n := newSim(Settings{Every: time.Hour}, "a")
	n.Wanted[0].Commit, n.Wanted[0].Digest = "", ""
	n.is(t, "")
}

// hosts is a fleet on a database, whose hosts are in memory.
type hosts struct {
	*Fleet
	t  *testing.T
	mu sync.Mutex
	// bad are commits that break the host, silent is whether it answers.
	bad     map[string]bool
	silent  bool
	now     time.Time
	follows string // commit of its last visit
}

func newHosts(t *testing.T, db *database.DB) *hosts {
	h := &hosts{t: t, bad: map[string]bool{}, now: noon}
	quiet := slog.New(slog.DiscardHandler)
	queue, err := work.New(t.Context(), work.Options{DB: db, Instance: "test", Poll: 5 * time.Millisecond, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	h.Fleet, err = New(t.Context(), Options{
		DB: db, Work: queue, Log: quiet,
		Journal: func(context.Context, *sql.Tx, *event.Event) error { return nil },
		Now: func() time.Time {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.now
		},
		Wanted: func(ctx context.Context) ([]Wanted, error) {
			w := Wanted{Name: "web", Settings: Settings{Canary: 1, Dead: 10 * time.Minute}, Waits: "waits for a deploy",
				Hosts: []Declared{{Name: "a", Group: "web", Environment: "ci", Roles: []string{"web"}, Piped: []string{"base", "web"}}}}
			targets, err := h.Targets(ctx)
			for _, t := range targets {
				w.Commit, w.Digest, w.Waits = t.Commit, "d-"+t.Commit, ""
			}
			return []Wanted{w}, err
		},
		Visit: func(_ context.Context, t Task) (Outcome, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.silent {
				return Outcome{}, fault.New(fault.Unavailable, "no answer")
			}
			h.follows = t.Commit
			if h.bad[t.Commit] {
				return Outcome{}, errors.New("broken")
			}
			return Outcome{Hash: t.Commit}, nil
		},
		Open:     func(context.Context, *sql.Tx, Trouble) error { return nil },
		Close:    func(context.Context, string, string) {},
		Followed: func(context.Context, Place, time.Time, time.Time) ([]int64, error) { return nil, nil },
		Propose:  func(context.Context, Drift, bool, id.Person, string) (Proposal, error) { return Proposal{}, nil },
		Roles:    func(context.Context) ([]Role, error) { return nil, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { queue.Run(ctx) })
	done.Go(func() { h.Run(ctx) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return h
}

// deploy has the host follow a commit, and says what came of it.
func (h *hosts) deploy(deploy int64, role, commit string) string {
	h.t.Helper()
	target := Target{Deploy: deploy, Role: role, Environment: "ci", Commit: commit, Version: "b1", Who: "ada"}
	for range 2 { // saying it twice is saying it once
		if err := h.Follow(h.t.Context(), target); err != nil {
			h.t.Fatal(err)
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		state, text, err := h.Followed(h.t.Context(), target)
		if err != nil {
			h.t.Fatal(err)
		}
		if state != Running {
			return strings.TrimSpace(state + " " + text)
		}
		if time.Now().After(end) {
			h.t.Fatalf("not in time: %s %s", state, text)
		}
		h.Wake()
	}
}

func (h *hosts) at(commit string) {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		got := h.follows
		h.mu.Unlock()
		if got == commit {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("the host follows %q, not %q", got, commit)
		}
	}
}

func TestTargets(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		h := newHosts(t, db)
		o, err := h.Overview(t.Context())
		if err != nil || o.Groups[0].Phase != "" || o.Groups[0].Reason != "waits for a deploy" {
			t.Errorf("%+v %v", o.Groups, err)
		}
		if _, err := h.Request(t.Context(), Request{Hosts: []string{"a"}, Kind: Converge}, "ada", ""); err == nil || err.Error() != "visit a: waits for a deploy" {
			t.Error(err)
		}
		// The first one breaks it; the second try does not.
		h.bad["c1"] = true
		if got := h.deploy(1, "web", "c1"); got != "failed web: a failed: broken" {
			t.Error(got)
		}
		if err := h.Withdraw(t.Context(), "web", "ci", 0); err != nil {
			t.Fatal(err)
		}
		h.mu.Lock()
		h.bad["c1"] = false
		h.mu.Unlock()
		if got := h.deploy(2, "web", "c1"); got != "passed" {
			t.Error(got)
		}
		// Two roles of a host: the newest deploy counts, and is left where it was when a
		// later one of the other role is withdrawn.
		if got := h.deploy(3, "base", "c2"); got != "passed" {
			t.Error(got)
		}
		h.at("c2")
		h.mu.Lock()
		h.bad["c3"] = true
		h.mu.Unlock()
		if got := h.deploy(4, "web", "c3"); !strings.HasPrefix(got, "failed web: a failed") {
			t.Error(got)
		}
		if err := h.Withdraw(t.Context(), "web", "ci", 2); err != nil {
			t.Fatal(err)
		}
		h.at("c2")
		targets, err := h.Targets(t.Context())
		if text := fmt.Sprint(targets); err != nil || len(targets) != 2 || targets[0].Deploy != 2 || targets[1].Deploy != 3 || targets[1].Who != "ada" {
			t.Errorf("%s %v", text, err)
		}
		some, err := h.Following(t.Context(), "web", "ci")
		if err != nil || len(some) != 1 || some[0].Name != "a" {
			t.Errorf("%+v %v", some, err)
		}
		// A deploy does not wait for ever for hosts that are gone.
		h.mu.Lock()
		h.silent = true
		h.mu.Unlock()
		gone := Target{Deploy: 5, Role: "web", Environment: "ci", Commit: "c5", Version: "b5"}
		if err := h.Follow(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			d, err := h.Detail(t.Context(), "a")
			if err != nil || time.Now().After(end) {
				t.Fatalf("%+v %v", d.Host, err)
			}
			if d.Host.State == Unreachable {
				break
			}
		}
		if state, text, err := h.Followed(t.Context(), gone); state != Running || err != nil {
			t.Error(state, text, err)
		}
		h.mu.Lock()
		h.now = h.now.Add(11 * time.Minute)
		h.mu.Unlock()
		if state, text, err := h.Followed(t.Context(), gone); state != Broken || text != "web: none of its hosts answers (no answer)" || err != nil {
			t.Error(state, text, err)
		}
		if state, text, err := h.Followed(t.Context(), Target{Role: "web", Environment: "production"}); state != Broken || err != nil || !strings.Contains(text, "no host of production has the role web any more") {
			t.Error(state, text, err)
		}
	})
}
