package deploy

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

func TestDeployAndRollback(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		m := newMachine()
		s := start(t, db, m, nil)
		first := s.deploy("b1")
		if first.Previous != "" || first.Kind != KindDeploy || first.Chain != "chain-b1" || first.Digest != "sha256:b1" || len(first.Steps) < 3 {
			t.Fatalf("%+v", first)
		}
		m.watch(shop)
		second := s.deploy("b2")
		s.expectServing("b1", "b1", "b2", "b2")
		p := s.placement()
		if p.Version != "b2" || p.Previous != "b1" || p.State != Serving || p.Number != 2 || len(p.Nodes) != 4 || p.Watch == nil || p.Warm == nil || p.Address["http"] == "" || p.Deploy != second.ID {
			t.Fatalf("%+v", p)
		}
		starts := m.starts
		back, err := s.Rollback(context.Background(), "shop", "production", "", "ada", "too slow")
		if err != nil {
			t.Fatal(err)
		}
		back = s.ended(back.ID)
		if back.State != Passed || back.Kind != KindRollback || back.Version != "b1" || back.Previous != "b2" || m.starts != starts {
			t.Fatalf("%+v, %d nodes started", back, m.starts-starts)
		}
		s.expectServing("b1", "b1")
		if p := s.placement(); p.Version != "b1" || p.Previous != "" || p.Watch != nil || p.State != Serving {
			t.Fatalf("%+v", p)
		}
		if m.least < 2 {
			t.Fatalf("only %d nodes served at some time", m.least)
		}
		var got []string
		for _, e := range s.events() {
			got = append(got, e.Summary)
			if e.Subject != "deploy/1" && e.Chain != "chain-b2" || e.Actor != "ada" {
				t.Errorf("%+v", e)
			}
		}
		want := []string{"Deploy of shop b1 to production began (first version)", "shop b1 serves in production, its first version there",
			"Deploy of shop b2 to production began (b1 serves)", "shop b2 serves in production (before: b1)",
			"Rollback of shop in production from b2 to b1 began", "shop is back at b1 in production (from b2)"}
		if !slices.Equal(got, want) {
			t.Fatalf("%q", got)
		}
		events := s.events()
		var types []string
		for _, e := range events {
			types = append(types, e.Type)
		}
		if !slices.Equal(types, []string{event.DeployStarted, event.Deployed, event.DeployStarted, event.Upgraded, event.DeployStarted, event.RolledBack}) {
			t.Fatal(types)
		}
		if events[3].Cause != events[2].ID || events[4].Cause != events[3].ID {
			t.Error("the chain of causes is broken")
		}
		if string(events[3].Data) != fmt.Sprintf(`{"deploy":2,"kind":"deploy","previous":"b1","digest":"sha256:b2","commit":"c0ffee","committed":"2023-11-14T22:13:20Z","asked":%q}`, second.Created.UTC().Format(time.RFC3339Nano)) {
			t.Errorf("%s", events[3].Data)
		}
		if l, err := s.Deploys(t.Context(), Filter{Service: "shop", Limit: 2}); err != nil || len(l) != 2 || l[0].ID != 3 {
			t.Errorf("%v %v", l, err)
		}
		if b, _ := json.Marshal(s.placement()); strings.Contains(string(b), "null") {
			t.Errorf("null in %s", b)
		}
	})
}

func TestFailedDeployLeavesTheOldVersionServing(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	s.deploy("b1")
	m.watch(shop)
	m.sick("b2", errors.New("status 500"))
	y := s.ended(s.request("b2").ID)
	if y.State != Failed || y.Failure == nil {
		t.Fatalf("%+v", y)
	}
	f := *y.Failure
	if !strings.HasPrefix(f.Message, "node 1 of b2 was not healthy within 300ms: GET /healthz on 127.0.0.1:3000") || !strings.HasSuffix(f.Message, ": status 500") {
		t.Error(f.Message)
	}
	if len(f.Log) != 20 || f.Log[19] != "cannot log in with (sensitive)" || f.Elapsed < 0.3 || !strings.HasPrefix(f.Probe, "GET /healthz") {
		t.Errorf("%+v", f)
	}
	if last := y.Steps[len(y.Steps)-1]; last.State != Passed && last.State != Failed {
		t.Errorf("%+v", y.Steps)
	}
	s.expectServing("b1", "b1")
	if p := s.placement(); p.Version != "b1" || p.State != Serving || m.least != 2 {
		t.Fatalf("%+v, least %d", p, m.least)
	}
	events := s.events()
	if e := events[len(events)-1]; e.Type != event.DeployFailed || !strings.HasSuffix(e.Summary, "b1 serves on") || strings.Contains(string(e.Data), "hunter22") {
		t.Fatalf("%+v", e)
	}
	// The first deploy of all leaves nothing behind.
	m.sick("b2", nil)
	s.deploy("b2")
}

func TestFirstDeployThatFailsLeavesNothing(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	m.sick("b1", errors.New("status 500"))
	if y := s.ended(s.request("b1").ID); y.State != Failed {
		t.Fatalf("%+v", y)
	}
	s.expectServing()
	if _, err := s.Rollback(t.Context(), "shop", "production", "", "ada", ""); fault.Of(err) != fault.Conflict {
		t.Fatal(err)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t, databasetest.SQLite(t), newMachine(), nil)
	for _, c := range []struct {
		service id.Service
		env     id.Environment
		version id.Version
		kind    fault.Kind
		want    string
	}{
		{"shop", "prodution", "b1", fault.NotFound, `deploy shop to "prodution": no environment "prodution" (did you mean "production"?)`},
		{"shp", "production", "b1", fault.NotFound, `deploy shp to production: environment production has no nodes for shp (add it to services of a group in environments.yaml)`},
		{"shop", "production", "b99", fault.NotFound, `deploy shop b99 to production: no version "b99" of shop (known: b1, b2, b3, b4, b5)`},
		{"shop", "production", "../x", fault.Invalid, `version name "../x"`},
	} {
		_, err := s.Request(t.Context(), nil, Request{Service: c.service, Environment: c.env, Version: c.version})
		if fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v %v, want %v %s", fault.Of(err), err, c.kind, c.want)
		}
	}
	s.env.Config = map[string]map[string]string{"all": {"X": "secret:MISSING"}}
	if _, err := s.Request(t.Context(), nil, Request{Service: "shop", Environment: "production", Version: "b1"}); err == nil || !strings.Contains(err.Error(), "no secret MISSING") {
		t.Error(err)
	}
}

func TestOneAtATimeAndRollbackEndsIt(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, func(o *Options, _ *steer) {
		artifact := o.Artifact
		o.Artifact = func(ctx context.Context, s id.Service, v id.Version) (Artifact, error) {
			a, err := artifact(ctx, s, v)
			a.Manifest.Run.Health.Within *= 1000
			return a, err
		}
	})
	s.deploy("b1")
	m.sick("b2", errors.New("not yet"))
	y := s.request("b2")
	until(t, "waiting", func() bool { y, _ := s.Get(t.Context(), y.ID); return strings.HasPrefix(y.Step, "wait") })
	_, err := s.Request(t.Context(), nil, Request{Service: "shop", Environment: "production", Version: "b3", Actor: "bob"})
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), fmt.Sprintf("deploy shop b3 to production: deploy %d of b2 by ada (because) is under way since ", y.ID)) {
		t.Fatal(err)
	}
	if p := s.placement(); p.State != Deploying || p.Version != "b1" {
		t.Fatalf("%+v", p)
	}
	back, err := s.Rollback(t.Context(), "shop", "production", "", "bob", "stop it")
	if err != nil {
		t.Fatal(err)
	}
	if back = s.ended(back.ID); back.State != Passed || back.Version != "b1" || back.Previous != "b2" {
		t.Fatalf("%+v", back)
	}
	if y = s.ended(y.ID); y.State != Failed || y.Failure.Message != "ended by a rollback to b1 by bob" {
		t.Fatalf("%+v", y)
	}
	s.expectServing("b1", "b1")
}

func TestLatestForceAndNothingToDo(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	dry, err := s.DryRun(t.Context(), Request{Service: "shop", Environment: "production", Version: id.Latest})
	if err != nil || dry.Version != "b5" || dry.State != Planned || len(dry.Steps) != 4 || dry.ID != 0 {
		t.Fatalf("%+v %v", dry, err)
	}
	if y := s.deploy(id.Latest); y.Version != "b5" || m.starts != 2 {
		t.Fatalf("%+v", y)
	}
	if y := s.deploy("b5"); !y.Unchanged || len(y.Steps) != 0 || m.starts != 2 {
		t.Fatalf("%+v, %d started", y, m.starts)
	}
	y, err := s.Request(t.Context(), nil, Request{Service: "shop", Environment: "production", Version: "b5", Actor: "ada", Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if y = s.ended(y.ID); y.State != Passed || y.Unchanged || m.starts != 4 {
		t.Fatalf("%+v, %d started", y, m.starts)
	}
	// Another configuration is another release of the same version.
	s.env.Config = map[string]map[string]string{"all": {"LEVEL": "debug"}}
	if y := s.deploy("b5"); y.Unchanged || m.starts != 6 {
		t.Fatalf("%+v, %d started", y, m.starts)
	}
}

func TestReconcilerRepairsAndScales(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	s.env.Warm = 0
	s.deploy("b1")
	m.lose(shop)
	until(t, "two nodes serve", func() bool { return m.serving(shop) == 2 })
	s.number = 3
	until(t, "three nodes serve", func() bool { return m.serving(shop) == 3 })
	m.watch(shop)
	s.number = 1
	until(t, "one node", func() bool { return m.serving(shop) == 1 && len(m.versions(shop)) == 1 })
	s.number = 0 // taken out of the environment by an edit: nothing is stopped
	s.deployNothing()
	if m.least < 1 || m.serving(shop) != 1 {
		t.Fatal("no node served for a moment")
	}
}

// deployNothing waits for two rounds of the reconciler.
func (s *steer) deployNothing() {
	for range 2 {
		if err := s.tend(context.Background()); err != nil {
			s.t.Fatal(err)
		}
		s.repairs.Wait()
	}
}

func TestWarmNodesEnd(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	s.deploy("b1")
	s.deploy("b2")
	s.expectServing("b1", "b1", "b2", "b2")
	if _, err := s.db.Write().Exec(`UPDATE deploy_placement SET warm_until = 1`); err != nil {
		t.Fatal(err)
	}
	s.expectServing("b2", "b2")
	// Then a rollback starts them anew.
	y, err := s.Rollback(t.Context(), "shop", "production", "b1", "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	if y = s.ended(y.ID); y.State != Passed || m.starts != 6 {
		t.Fatalf("%+v", y)
	}
	if _, err := s.Rollback(t.Context(), "shop", "production", "b1", "ada", ""); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "b1 serves already") {
		t.Fatal(err)
	}
	if y, err = s.Rollback(t.Context(), "shop", "production", "b4", "ada", ""); err != nil { // never was there
		t.Fatal(err)
	}
	if y = s.ended(y.ID); y.State != Passed || y.Version != "b4" {
		t.Fatalf("%+v", y)
	}
}

func (s *steer) auto(i Incident) (y Deploy, why string) {
	s.t.Helper()
	if err := s.db.Tx(context.Background(), func(tx *sql.Tx) (err error) {
		y, why, err = s.AutoRollback(context.Background(), tx, i)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return y, why
}

func TestAutoRollback(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	i := Incident{Service: "shop", Environment: "production", Ref: "incident/7", Check: "slow-first-byte: 812 is above 300", Cause: "event-of-7"}
	refused := func(want string) {
		t.Helper()
		if y, why := s.auto(i); y.ID != 0 || !strings.Contains(why, want) {
			t.Fatalf("%+v %q, want %q", y, why, want)
		}
	}
	refused("nothing of it was deployed")
	s.deploy("b1")
	refused("there is no version before b1")
	s.deploy("b2")
	if err := s.Hold(t.Context(), "production", "shop", "ada", "I am looking at it"); err != nil {
		t.Fatal(err)
	}
	refused("ada holds automation there (I am looking at it)")
	if h := s.placement().Hold; h == nil || h.By != "ada" {
		t.Fatalf("%+v", h)
	}
	if err := s.Deployer.Release(t.Context(), "production", "shop", "ada", "done"); err != nil {
		t.Fatal(err)
	}
	m.watch(shop)
	i.Environment = "" // a check of all environments
	y, why := s.auto(i)
	if y.ID == 0 || y.Kind != KindAutoRollback || y.Version != "b1" || y.Previous != "b2" || y.Chain != "chain-b2" || y.Actor != event.Steer {
		t.Fatalf("%+v %q", y, why)
	}
	if y = s.ended(y.ID); y.State != Passed || m.least < 2 {
		t.Fatalf("%+v", y)
	}
	refused("b1 came by a auto-rollback")
	pins, err := s.Pins(t.Context(), "shop")
	if err != nil || len(pins) != 1 || pins[0].Version != "b2" || pins[0].By != event.Steer || pins[0].Reason != "incident/7: slow-first-byte: 812 is above 300" {
		t.Fatalf("%+v %v", pins, err)
	}
	// Automation keeps away from the bad version, people may have it.
	r := Request{Service: "shop", Environment: "production", Version: "b2", Automatic: true}
	if _, err := s.Request(t.Context(), nil, r); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "b2 is pinned out by steer since") {
		t.Fatal(err)
	}
	if err := s.Unpin(t.Context(), "shop", "b2", "ada", "repaired"); err != nil {
		t.Fatal(err)
	}
	if err := s.Unpin(t.Context(), "shop", "b2", "ada", "repaired"); fault.Of(err) != fault.NotFound {
		t.Fatal(err)
	}
	s.deploy("b2")
	if _, err := s.db.Write().Exec(`UPDATE deploy_placement SET watch_until = 1`); err != nil {
		t.Fatal(err)
	}
	refused("its watch time is over")
	if err := s.Hold(t.Context(), "production", "shop", "ada", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Request(t.Context(), nil, Request{Service: "shop", Environment: "production", Version: "b3", Automatic: true}); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "ada holds automation") {
		t.Fatal(err)
	}
	s.deploy("b3") // by a person
	for _, e := range s.events() {
		if e.Type == event.VersionPinned && (e.Cause != "event-of-7" || e.Chain != "chain-b2" || e.Subject != "version/shop/b2") {
			t.Errorf("%+v", e)
		}
	}
}

func TestAutoRollbackEndsADeployUnderWay(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	s.deploy("b1")
	s.deploy("b2")
	m.sick("b3", errors.New("not yet"))
	y := s.request("b3")
	until(t, "waiting", func() bool { y, _ := s.Get(t.Context(), y.ID); return strings.HasPrefix(y.Step, "wait") })
	back, why := s.auto(Incident{Service: "shop", Environment: "production", Ref: "incident/7", Check: "slow"})
	if why != "" || s.ended(back.ID).State != Passed || s.ended(y.ID).State != Failed {
		t.Fatalf("%+v %q", back, why)
	}
	s.expectServing("b1", "b1")
}

// A deploy is killed after each of its changes in turn. The next Steer brings it
// to its end, and all the time two nodes serve.
func TestDeathAtEveryStep(t *testing.T) {
	for at := 1; ; at++ {
		m := newMachine()
		db := databasetest.SQLite(t)
		first := start(t, db, m, func(_ *Options, s *steer) { s.env.Warm = 0 })
		first.deploy("b1")
		m.watch(shop)
		m.mu.Lock()
		m.crashAt = m.calls + at
		m.mu.Unlock()
		y := first.request("b2")
		died := false
		until(t, "crash or end", func() bool {
			select {
			case <-m.hung:
				died = true
			default:
			}
			y, _ = first.Get(t.Context(), y.ID)
			return died || y.Finished != nil
		})
		first.kill()
		second := start(t, db, m, func(_ *Options, s *steer) { s.env.Warm = 0 })
		if y = second.ended(y.ID); y.State != Passed {
			t.Fatalf("death after change %d: %+v", at, y)
		}
		second.expectServing("b2", "b2")
		if m.least < 2 {
			t.Fatalf("death after change %d: only %d nodes served at some time", at, m.least)
		}
		second.kill()
		if !died {
			if at < 5 {
				t.Fatalf("only %d changes", at)
			}
			return
		}
	}
}

func TestNodesThatDieAreTold(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	s.deploy("b1")
	m.mu.Lock()
	for k, n := range m.nodes {
		n.Restarts, n.LastExit = 1, "exit status 7"
		m.nodes[k] = n
		break
	}
	m.mu.Unlock()
	until(t, "event", func() bool {
		var n int
		if err := s.db.Read().QueryRow(`SELECT count(*) FROM journal_event WHERE type = $1`, event.NodeDied).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n == 1
	})
}

func TestRequestInATransaction(t *testing.T) {
	s := start(t, databasetest.SQLite(t), newMachine(), nil)
	var y Deploy
	for version, state := range map[id.Version]string{"b1": Passed, "b99": Failed} {
		if err := s.db.Tx(t.Context(), func(tx *sql.Tx) (err error) {
			y, err = s.Request(t.Context(), tx, Request{Service: "shop", Environment: "production", Version: version, Chain: "mine", Automatic: true})
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if y = s.ended(y.ID); y.State != state || y.Chain != "mine" {
			t.Fatalf("%+v", y)
		}
	}
	wrong := errors.New("wrong")
	if err := s.db.Tx(t.Context(), func(tx *sql.Tx) error {
		if _, err := s.Request(t.Context(), tx, Request{Service: "shop", Environment: "production", Version: "b2"}); err != nil {
			return err
		}
		return wrong
	}); err != wrong {
		t.Fatal(err)
	}
	if l, err := s.Deploys(t.Context(), Filter{}); err != nil || len(l) != 2 {
		t.Fatalf("%v %v", l, err)
	}
}
