package deploy

import (
	"strings"
	"testing"
	"time"

	"steer/base/database/databasetest"
	"steer/base/fault"
	"steer/base/id"
)

// An environment that gets another driver moves with its next deploy.
func TestDriverOfAnEnvironmentChanges(t *testing.T) {
	m, other := newMachine(), newMachine()
	s := start(t, databasetest.SQLite(t), m, func(o *Options, s *steer) {
		o.Driver = Drivers{DriverProcess: m, DriverDocker: other}
		s.env.Warm = 0
	})
	s.deploy("b1")
	s.env.Driver = DriverDocker
	y := s.deploy("b1")
	if y.Unchanged {
		t.Fatal("nothing was done")
	}
	until(t, "the nodes have moved", func() bool { return len(m.versions(shop)) == 0 && len(other.versions(shop)) == 2 })
	back, err := s.Rollback(t.Context(), "shop", "production", "", "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	s.ended(back.ID)
	until(t, "the nodes are back", func() bool { return len(m.versions(shop)) == 2 && len(other.versions(shop)) == 0 })
	s.env.Driver = "ssh"
	if y := s.ended(s.request("b2").ID); y.State != Failed || !strings.Contains(y.Failure.Message, `there is no driver "ssh" here (known: docker, process)`) {
		t.Fatalf("%+v", y.Failure)
	}
}

func TestProcessesRunNoImages(t *testing.T) {
	s := start(t, databasetest.SQLite(t), newMachine(), func(o *Options, s *steer) { s.kind = "oci-image" })
	_, err := s.Request(t.Context(), nil, Request{Service: "shop", Environment: "production", Version: "b1"})
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "environment production runs processes (set driver: docker") {
		t.Fatal(err)
	}
	s.env.Driver = DriverDocker
	if y := s.deploy("b1"); y.release.Kind != "oci-image" || y.release.Driver != DriverDocker {
		t.Fatalf("%+v", y.release)
	}
}

func TestDeployWaitsForItsDriverAndSaysSo(t *testing.T) {
	m := newMachine()
	m.away = true
	s := start(t, databasetest.SQLite(t), m, nil)
	y := s.request("b1")
	until(t, "the reason is told", func() bool {
		now, err := s.Get(t.Context(), y.ID)
		return err == nil && now.State == Running && now.Step == "start node 1 of b1; tried again, since the engine does not answer"
	})
	m.mu.Lock()
	m.away = false
	m.mu.Unlock()
	if y = s.ended(y.ID); y.State != Passed {
		t.Fatalf("%+v", y.Failure)
	}
}

// A node that waits for a machine or an image is not ill, until its driver says so.
func TestNodesMayWait(t *testing.T) {
	m := newMachine()
	s := start(t, databasetest.SQLite(t), m, nil)
	change := func(f func(*Instance)) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for k, n := range m.nodes {
			if n.Waiting != "" {
				f(&n)
				m.nodes[k] = n
			}
		}
	}
	wait := func(v id.Version) Deploy {
		t.Helper()
		m.mu.Lock()
		m.waiting = "it cannot be scheduled: 0/3 nodes are available"
		m.mu.Unlock()
		y := s.request(v)
		until(t, "the reason is told for longer than nodes may be ill", func() bool {
			now, err := s.Get(t.Context(), y.ID)
			return err == nil && now.State == Running && now.Step == "node 2 of "+string(v)+" waits: it cannot be scheduled: 0/3 nodes are available" && time.Since(*now.Started) > 400*time.Millisecond
		})
		return y
	}
	y := wait("b1")
	p, _, err := s.Placement(t.Context(), "production", "shop")
	if err != nil || len(p.Nodes) != 2 || p.Nodes[0].State != "starting" || p.Nodes[0].Reason != "it cannot be scheduled: 0/3 nodes are available" {
		t.Errorf("%v %+v", err, p.Nodes)
	}
	change(func(i *Instance) { i.Running, i.Started, i.Waiting = true, time.Now(), "" })
	if y = s.ended(y.ID); y.State != Passed {
		t.Fatalf("%+v", y.Failure)
	}
	y = wait("b2")
	change(func(i *Instance) { i.LastExit = "not started within 5m: it cannot be scheduled" })
	if y = s.ended(y.ID); y.State != Failed || !strings.Contains(y.Failure.Message, "of b2: not started within 5m: it cannot be scheduled") {
		t.Fatalf("%+v", y)
	}
}
