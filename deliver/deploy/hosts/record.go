package hosts

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"steer/deliver/deploy"
)

// record is what node.json holds: what was seen of the node last.
type record struct {
	deploy.Kept
	Host    string            `json:"host"`
	Running bool              `json:"running"`
	Address map[string]string `json:"address,omitempty"`
	Before  int               `json:"before,omitempty"` // restarts on hosts before
	Moved   string            `json:"moved,omitempty"`  // why it is on this host
	Left    []string          `json:"left,omitempty"`   // hosts where it may run, and should not

	starting, stopping bool // somebody is about to
}

// where are the hosts that have to do with it.
func (r *record) where() (all []string) {
	if r.Stopped.IsZero() {
		all = append(all, r.Host)
	}
	return append(all, r.Left...)
}

// instance is the node as its host, which may be nil, was seen last.
func (r *record) instance(h *host) deploy.Instance {
	i := deploy.Instance{Spec: r.Spec, Host: r.Host, Running: r.Running, PID: r.PID, Numbers: maps.Clone(r.Numbers), Address: maps.Clone(r.Address),
		Started: r.Started, Restarts: r.Restarts, LastExit: r.LastExit}
	switch {
	case h == nil || h.away == nil && h.state == nil:
		i.Unsure = fmt.Sprintf("host %s was not looked at since Steer started", r.Host)
	case h.away != nil:
		i.Unsure = fmt.Sprintf("host %s is away since %s: %v", r.Host, h.since.UTC().Format(time.RFC3339), h.away)
	}
	return i
}

// see takes in what its host says of it, and tells whether that is news. i is nil when
// the host does not have it.
func (r *record) see(i *deploy.Instance, address string) bool {
	was := *r
	if i == nil {
		r.Running, r.PID = false, 0
		return was.Running
	}
	r.Running, r.PID, r.Started, r.Numbers, r.Restarts = i.Running, i.PID, i.Started, i.Numbers, r.Before+i.Restarts
	if i.LastExit != "" {
		r.LastExit = i.LastExit
	} else {
		r.LastExit = r.Moved
	}
	r.Address = map[string]string{}
	for name, port := range i.Numbers {
		r.Address[name] = net.JoinHostPort(address, strconv.Itoa(port))
	}
	return r.Running != was.Running || r.PID != was.PID || !r.Started.Equal(was.Started) || r.Restarts != was.Restarts || r.LastExit != was.LastExit ||
		!maps.Equal(r.Address, was.Address)
}

// ended records that a node was stopped for good. It may run on those hosts.
func (d *Driver) ended(r *record, left ...string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := *r
	r.Stopped, r.PID, r.Running, r.Left = time.Now(), 0, false, append(slices.Clone(r.Left), left...)
	err := deploy.Save(d.o.Dir, *r)
	if err != nil {
		*r = was
	}
	r.stopping = false
	return err
}

// rested records that the nodes of a host ended with Steer.
func (d *Driver) rested(host string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var errs []error
	for _, r := range d.nodes {
		if r.Host == host && r.Stopped.IsZero() {
			r.Running, r.PID, r.LastExit = false, 0, deploy.StoppedWithSteer
			errs = append(errs, deploy.Save(d.o.Dir, *r))
		}
	}
	return errors.Join(errs...)
}
