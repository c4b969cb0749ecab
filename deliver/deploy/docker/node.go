package docker

import (
	"context"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// Pauses before a container is started again.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
	calm       = time.Minute // a container that ran so long begins again with firstPause
	lookAgain  = time.Second // after the engine did not answer
)

// node is one node under supervision.
type node struct {
	d      *Driver
	ctx    context.Context // ends when the supervisor is to end
	cancel context.CancelFunc
	done   chan struct{} // closed when it has

	mu      sync.Mutex
	rec     record
	running bool
	unsure  string
}

func newNode(d *Driver, r record) *node {
	n := &node{d: d, rec: r, done: make(chan struct{})}
	n.ctx, n.cancel = context.WithCancel(d.closing)
	if !r.Started.IsZero() && !r.Ended { // it may run; the first look tells
		n.running, n.unsure = true, "it was not looked at since Steer started"
	}
	return n
}

func (n *node) instance() deploy.Instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := deploy.Instance{Spec: n.rec.Spec, Running: n.running, Numbers: map[string]int{}, Address: map[string]string{}, Started: n.rec.Started,
		Restarts: n.rec.Restarts, LastExit: n.rec.LastExit, Unsure: n.unsure}
	for name, port := range n.rec.Numbers {
		i.Numbers[name] = port
		i.Address[name] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	if n.running {
		i.PID = n.rec.PID
	}
	return i
}

// supervise keeps a container running until the node or the driver ends. It leaves
// the container as it is: ending it is up to them.
func (n *node) supervise() {
	defer close(n.done)
	name, pause := n.d.name(n.rec.ID), time.Duration(0)
	for n.ctx.Err() == nil {
		c, err := n.d.inspect(n.ctx, name)
		if n.look(c, err); err != nil {
			n.wait(lookAgain)
			continue
		}
		if c != nil && c.State.Running {
			// It answers when the container has ended.
			r, err := n.d.engine.open(n.ctx, "POST", "/containers/"+url.PathEscape(name)+"/wait", nil, nil, "")
			if err == nil {
				var b [512]byte
				_, err = r.Body.Read(b[:])
				r.Body.Close()
			}
			if err != nil {
				n.wait(50 * time.Millisecond) // the engine is about to go, or the container
			}
			continue
		}
		if !n.rec.Started.IsZero() {
			select { // one that died while Steer was away
			case <-n.d.ready:
			case <-n.ctx.Done():
				return
			}
		}
		if n.rec.Lasted >= calm {
			pause = min(pause, firstPause)
		}
		if !n.wait(pause) {
			return
		}
		pause = min(max(2*pause, firstPause), lastPause)
		if err := n.start(c); err != nil && n.ctx.Err() == nil {
			if fault.Of(err) == fault.Unavailable {
				pause = firstPause // nothing is wrong with the node
				n.look(nil, err)
				continue
			}
			n.d.log.Error("cannot start a container", "node", n.rec.ID, "error", err, "again_in", pause)
			n.mu.Lock()
			n.rec.LastExit = "not started: " + err.Error()
			n.mu.Unlock()
		}
	}
}

// look takes in what the engine says of the container.
func (n *node) look(c *container, err error) {
	if n.ctx.Err() != nil {
		return
	}
	if fault.Of(err) == fault.Unavailable || err == nil {
		n.d.answers(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if err != nil {
		n.unsure = err.Error()
		return
	}
	was := n.rec
	n.unsure = ""
	if c != nil && c.State.Running {
		n.running = true
		if n.rec.Started.Equal(c.State.StartedAt) {
			return
		}
		if !n.rec.Started.IsZero() && n.rec.LastExit != deploy.StoppedWithSteer {
			n.rec.Restarts++
		}
		if !n.rec.Started.IsZero() && !n.rec.Ended {
			n.rec.LastExit = "restarted, and not by Steer"
		}
		n.rec.Started, n.rec.PID, n.rec.Ended, n.rec.Numbers = c.State.StartedAt, c.State.Pid, false, c.published(n.rec.Spec)
	} else {
		n.running = false
		if n.rec.Started.IsZero() || n.rec.Ended {
			return
		}
		n.rec.LastExit = "its container was removed"
		if c != nil {
			n.rec.LastExit = c.how(n.rec.Spec)
		}
		n.rec.PID, n.rec.Ended, n.rec.Lasted = 0, true, time.Since(n.rec.Started)
		n.d.log.Warn("a node ended by itself", "node", n.rec.ID, "exit", n.rec.LastExit, "after", n.rec.Lasted.Round(time.Millisecond))
	}
	if err := n.rec.save(n.d.o.Dir); err != nil {
		n.rec, n.unsure = was, "cannot record what became of it: "+err.Error()
		n.d.log.Error("cannot record a node", "node", n.rec.ID, "error", err)
	}
}

// start starts the container, and makes it if there is none.
func (n *node) start(c *container) error {
	ctx, name := n.ctx, n.d.name(n.rec.ID)
	if c == nil {
		i, release, err := n.d.image(ctx, n.rec.Spec)
		if err != nil {
			return err
		}
		defer release()
		n.mu.Lock()
		n.rec.Ref = i.ref
		n.mu.Unlock()
		if err := n.d.create(ctx, n.rec.Spec, i); err != nil {
			return err
		}
	}
	n.d.passStats()
	err := n.d.engine.call(ctx, "POST", "/containers/"+url.PathEscape(name)+"/start", nil, nil, nil)
	if fault.Of(err) == fault.NotFound {
		return nil // removed just now: the next look tells, and it is made again
	}
	return err
}

// wait returns true after t, false when the supervisor is to end.
func (n *node) wait(t time.Duration) bool {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-n.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// rest stops the container until the next start of Steer.
func (n *node) rest() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.d.halt(context.Background(), n.d.name(n.rec.ID), n.rec.Grace); err != nil {
		return err
	}
	n.running, n.rec.PID, n.rec.Ended, n.rec.LastExit = false, 0, true, deploy.StoppedWithSteer
	return n.rec.save(n.d.o.Dir)
}
