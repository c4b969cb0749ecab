package deploy

import (
	"context"
	"slices"
	"strings"
	"testing"

	"steer/base/database/databasetest"
	"steer/base/id"
)

func migrating(versions map[id.Version]string) func(*Options, *steer) {
	return func(_ *Options, s *steer) { s.migrate = versions }
}

func TestMigrateRunsOncePerDeployBeforeNewNodes(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, migrating(map[id.Version]string{"b2": "to two", "b3": "to three"}))
	s.deploy("b1")
	plan, err := s.DryRun(t.Context(), Request{Service: "shop", Environment: "production", Version: "b2"})
	if err != nil || plan.Steps[0].Name != "migrate to b2" {
		t.Fatalf("%+v %v", plan.Steps, err)
	}
	y := s.deploy("b2")
	if got := y.Steps[0]; got.Name != "migrate to b2" || got.State != Passed || !slices.Equal(got.Log, []string{"to two with (sensitive)"}) || y.Steps[1].Name != "start node 1 of b2" {
		t.Fatalf("%+v", y.Steps)
	}
	s.deploy("b2") // serves already
	s.deploy("b3")
	back, err := s.Rollback(context.Background(), "shop", "production", "", "ada", "too slow")
	if err != nil {
		t.Fatal(err)
	}
	s.ended(back.ID)
	if want := []string{"b2 to two", "b3 to three"}; !slices.Equal(m.tasks, want) {
		t.Fatalf("%q, want %q", m.tasks, want)
	}
	s.deploy("b3")
	if len(m.tasks) != 3 {
		t.Fatalf("%q: another deploy runs it again", m.tasks)
	}
}

func TestMigrateThatFailsStopsTheDeploy(t *testing.T) {
	for command, want := range map[string]string{
		"fail": "migrate to b2: exit status 3",
		"wait": "migrate to b2: it was not done within 1s (run.migrate_within)",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			m := newMachine()
			s := start(t, databasetest.SQLite(t), m, migrating(map[id.Version]string{"b2": command}))
			s.deploy("b1")
			starts := m.starts
			y := s.ended(s.request("b2").ID)
			if y.State != Failed || y.Failure.Message != want || !slices.Equal(y.Failure.Log, []string{command + " with (sensitive)"}) || y.Steps[0].State != Failed {
				t.Fatalf("%+v %+v", y, y.Failure)
			}
			s.expectServing("b1", "b1")
			if m.starts != starts {
				t.Fatal("a node was started")
			}
		})
	}
}

func TestMigrateRunsAgainAfterACrash(t *testing.T) {
	db, m := databasetest.SQLite(t), newMachine()
	versions := migrating(map[id.Version]string{"b2": "to two"})
	s := start(t, db, m, versions)
	s.deploy("b1")
	m.mu.Lock()
	m.crashAt = m.calls + 1
	m.mu.Unlock()
	y := s.request("b2")
	<-m.hung
	s.kill()
	s = start(t, db, m, versions)
	if y = s.ended(y.ID); y.State != Passed {
		t.Fatalf("%+v", y.Failure)
	}
	if want := []string{"b2 to two", "b2 to two"}; !slices.Equal(m.tasks, want) {
		t.Fatalf("%q, want %q", m.tasks, want)
	}
	n := 0
	for _, step := range y.Steps {
		if strings.HasPrefix(step.Name, "migrate") {
			n++
		}
	}
	if n != 1 {
		t.Fatalf("%+v", y.Steps)
	}
}

func TestRollbackEndsAMigrate(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, migrating(map[id.Version]string{"b2": "wait"}))
	s.deploy("b1")
	y := s.request("b2")
	until(t, "it runs", func() bool { m.mu.Lock(); defer m.mu.Unlock(); return len(m.tasks) == 1 })
	back, err := s.Rollback(context.Background(), "shop", "production", "", "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	if back = s.ended(back.ID); back.State != Passed {
		t.Fatalf("%+v", back.Failure)
	}
	if y = s.ended(y.ID); y.State != Failed || !strings.Contains(y.Failure.Message, "ended by a rollback") {
		t.Fatalf("%+v", y.Failure)
	}
}
