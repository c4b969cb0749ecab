package process

import (
	"net"
	"strconv"
	"sync"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// Pauses before a process is started again.
const (
	firstPause = time.Second
	lastPause  = 30 * time.Second
	calm       = time.Minute // a process that ran so long begins again with firstPause
)

// node is one node under supervision.
type node struct {
	d       *Driver
	digest  string
	halt    sync.Once
	halting chan struct{} // closed when the node is to stop for good
	done    chan struct{} // closed when the supervisor has ended

	mu      sync.Mutex
	rec     record
	process *process // nil when there is none
}

func newNode(d *Driver, r record) *node {
	return &node{d: d, digest: r.Digest, rec: r, halting: make(chan struct{}), done: make(chan struct{})}
}

func (n *node) instance() deploy.Instance {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := deploy.Instance{Spec: n.rec.Spec, Numbers: n.rec.Numbers, Address: map[string]string{}, Started: n.rec.Started,
		Restarts: n.rec.Restarts, LastExit: n.rec.LastExit}
	for name, port := range n.rec.Numbers {
		i.Address[name] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	if n.process != nil {
		i.Running, i.PID = true, n.process.pid
	}
	return i
}

// supervise keeps a process running until the node halts or the driver closes. It
// leaves the process as it is: ending it is up to them.
func (n *node) supervise() {
	defer close(n.done)
	pause := time.Duration(0)
	n.mu.Lock()
	p := n.process
	again := p == nil && n.rec.Started != (time.Time{})
	n.mu.Unlock()
	if again {
		select { // a node that died while Steer was away
		case <-n.d.ready:
		case <-n.halting:
			return
		case <-n.d.closing:
			return
		}
	}
	for {
		if p == nil {
			if !n.wait(pause) {
				return
			}
			pause = min(max(2*pause, firstPause), lastPause)
			var err error
			if p, err = n.spawn(); err != nil {
				if fault.Of(err) == fault.Unavailable && again {
					pause = firstPause // nothing is wrong with the node, and what it needs will come
					continue
				}
				n.d.log.Error("cannot start a node", "node", n.rec.ID, "error", err, "again_in", pause)
				n.mu.Lock()
				n.rec.LastExit = "not started: " + err.Error()
				n.mu.Unlock()
				continue
			}
		}
		select {
		case <-n.halting:
			return
		case <-n.d.closing:
			return
		case <-p.ended:
		}
		if p.group() { // the rest of a shell command, which holds the ports
			p.kill()
		}
		n.mu.Lock()
		n.process = nil
		n.rec.PID, n.rec.LastExit = 0, p.exit
		ran := time.Since(n.rec.Started)
		err := n.rec.save(n.d.o.Dir)
		n.mu.Unlock()
		if err != nil {
			n.d.log.Error("cannot record the end of a node", "node", n.rec.ID, "error", err)
		}
		if ran >= calm || pause == 0 {
			pause = firstPause
		}
		n.d.log.Warn("a node ended by itself", "node", n.rec.ID, "exit", p.exit, "after", ran.Round(time.Millisecond), "again_in", pause)
		p, again = nil, true
	}
}

// wait returns true after d, false when there is no next start.
func (n *node) wait(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-n.halting:
		return false
	case <-n.d.closing:
		return false
	case <-t.C:
		return true
	}
}

// end stops the process, if there is one, after the supervisor has ended.
func (n *node) end(why string) error {
	n.mu.Lock()
	p, grace := n.process, n.rec.Grace
	n.mu.Unlock()
	if p == nil {
		return nil
	}
	if err := p.stop(grace); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process = nil
	n.rec.PID, n.rec.LastExit = 0, why
	return n.rec.save(n.d.o.Dir)
}
