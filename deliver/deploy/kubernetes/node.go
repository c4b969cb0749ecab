package kubernetes

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
	"steer/deliver/deploy/kubernetes/internal/api"
)

// Pauses before something that went wrong is tried again.
const (
	shortRest = time.Second
	longRest  = 30 * time.Second
)

// patience is how long the cluster may take for what it does at once if it is well.
const patience = 30 * time.Second

// node is one node under supervision.
type node struct {
	d      *Driver
	s      *space
	name   string // of its objects
	old    bool   // there was an earlier Steer that had it
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the supervisor has ended

	mu      sync.Mutex
	rec     record
	running bool
	waiting string
	unsure  string
}

func newNode(d *Driver, s *space, r record, old bool) *node {
	n := &node{d: d, s: s, name: d.name(r.ID), old: old, rec: r, done: make(chan struct{}), waiting: "it is made in the cluster"}
	n.ctx, n.cancel = context.WithCancel(d.closing)
	if old {
		n.running, n.unsure = !r.Started.IsZero() && !r.Ended, errNotSeen.Error()
	}
	return n
}

func (n *node) instance() deploy.Instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := deploy.Instance{Spec: n.rec.Spec, Running: n.running, Numbers: map[string]int{}, Address: map[string]string{}, Started: n.rec.Started,
		Restarts: n.rec.Restarts, LastExit: n.rec.LastExit, Waiting: n.waiting, Unsure: n.unsure, Host: n.rec.Machine}
	for _, name := range n.rec.Ports {
		i.Numbers[name] = n.rec.Inside[name]
		if n.rec.IP != "" {
			i.Address[name] = net.JoinHostPort(n.rec.IP, strconv.Itoa(n.rec.Inside[name]))
		}
	}
	return i
}

// supervise keeps up with a node until it or the driver ends. It leaves what is in
// the cluster as it is: ending that is up to them.
func (n *node) supervise() {
	defer close(n.done)
	changed, end := n.s.changes(n.name)
	defer end()
	if n.old { // what the server hands in works from then on
		select {
		case <-n.d.ready:
		case <-n.ctx.Done():
			return
		}
	}
	rest := shortRest
	for {
		again, err := n.step()
		if err != nil && n.ctx.Err() == nil {
			n.failed(err)
			again, rest = rest, min(2*rest, longRest)
		} else {
			rest = shortRest
		}
		timer := time.NewTimer(again)
		select {
		case <-n.ctx.Done():
			timer.Stop()
			return
		case <-changed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// step takes in what the cluster says, and makes what is not there. It says when to
// look again if nothing changes.
func (n *node) step() (time.Duration, error) {
	set, pods, err := n.s.see(n.name)
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.unsure = err.Error()
		return time.Hour, nil
	}
	again := n.look(set, pods)
	switch {
	case set == nil:
		err = n.d.make(n.ctx, n.s, n.rec.Spec, n.ref())
	case set.Spec.Replicas != 1:
		n.d.log.Warn("somebody changed how many pods a node has; it is one", "node", n.rec.ID, "was", set.Spec.Replicas)
		err = n.s.Call(n.ctx, "PATCH", n.s.Path(api.ReplicaSets, n.name), nil, map[string]any{"spec": map[string]any{"replicas": 1}}, nil)
	}
	return again, err
}

func (n *node) ref() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rec.Ref
}

// look takes in what the cluster says.
func (n *node) look(set *replicaSet, pods []*podObject) (again time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.rec
	again = time.Hour
	var hopeless bool
	n.running, n.waiting, hopeless = n.rec.look(set, pods)
	n.unsure = ""
	if arrive := n.d.o.Arrive.Std(); n.waiting != "" && n.rec.Started.IsZero() {
		switch left := arrive - time.Since(n.rec.Created); {
		case hopeless:
			n.rec.LastExit = "not started: " + n.waiting
		case left <= 0:
			n.rec.LastExit = "not started within " + n.d.o.Arrive.String() + ": " + n.waiting
		default:
			again = left
		}
	}
	if n.rec.same(was) {
		return again
	}
	if n.rec.LastExit != was.LastExit {
		n.d.log.Warn("a node does not run as it should", "node", n.rec.ID, "why", n.rec.LastExit)
	}
	if err := n.rec.save(n.d.o.Dir); err != nil {
		n.rec, n.unsure, again = was, "cannot record what became of it: "+err.Error(), shortRest
		n.d.log.Error("cannot record a node", "node", n.rec.ID, "error", err)
	}
	return again
}

// failed notes why what a node needs could not be made.
func (n *node) failed(err error) {
	n.d.log.Error("cannot make a node's objects in the cluster", "node", n.rec.ID, "error", err)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting = err.Error(); fault.Of(err) != fault.Unavailable {
		n.rec.LastExit = "not started: " + err.Error()
	}
}
