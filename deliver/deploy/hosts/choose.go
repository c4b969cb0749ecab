package hosts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// choose picks the host for a node: the one with the fewest nodes of its release, then
// of its service, then of all. "" when there is none.
func choose(s deploy.Spec, candidates []string, nodes map[string][]deploy.Spec) string {
	type count struct {
		host                  string
		release, service, all int
	}
	var counts []count
	for _, h := range candidates {
		c := count{host: h, all: len(nodes[h])}
		for _, n := range nodes[h] {
			if n.Environment != s.Environment || n.Service != s.Service {
				continue
			}
			c.service++
			if n.Release == s.Release {
				c.release++
			}
		}
		counts = append(counts, c)
	}
	if len(counts) == 0 {
		return ""
	}
	return slices.MinFunc(counts, func(a, b count) int {
		return cmp.Or(cmp.Compare(a.release, b.release), cmp.Compare(a.service, b.service), cmp.Compare(a.all, b.all), cmp.Compare(a.host, b.host))
	}).host
}

// placed are the nodes of each host. The caller holds mu.
func (d *Driver) placed() map[string][]deploy.Spec {
	all := map[string][]deploy.Spec{}
	for _, r := range d.nodes {
		if r.Stopped.IsZero() {
			all[r.Host] = append(all[r.Host], r.Spec)
		}
	}
	return all
}

// present are the hosts of patterns that are there.
func (d *Driver) present(ctx context.Context, patterns []string) (there []string, err error) {
	if len(patterns) == 0 {
		return nil, fault.New(fault.Invalid, "the nodes have no hosts (write hosts: [GROUP] beside their services in environments.yaml, and deploy again)")
	}
	names, err := d.o.Hosts(patterns)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	var hosts []*host
	for _, name := range names {
		if d.closed {
			d.mu.Unlock()
			return nil, fault.New(fault.Unavailable, "Steer is stopping")
		}
		hosts = append(hosts, d.attend(name))
	}
	d.mu.Unlock()
	why := ""
	limited, cancel := context.WithTimeout(ctx, acquainting)
	defer cancel()
	for _, h := range hosts {
		if err := h.met(ctx, limited.Done()); ctx.Err() != nil {
			return nil, ctx.Err()
		} else if err != nil {
			why += "; " + err.Error()
			continue
		}
		there = append(there, h.name)
	}
	if len(there) == 0 {
		return nil, fault.New(fault.Unavailable, "no host of %s is there%s", strings.Join(patterns, ", "), why)
	}
	return there, nil
}

// move starts nodes elsewhere whose host is away too long.
func (d *Driver) move(ctx context.Context) {
	d.mu.Lock()
	var lost []*record
	for _, r := range d.nodes {
		if h := d.hosts[r.Host]; r.Stopped.IsZero() && !r.stopping && h != nil && h.away != nil && time.Since(h.since) >= d.o.Away.Std() {
			lost = append(lost, r)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(lost, func(a, b *record) int { return strings.Compare(a.ID, b.ID) })
	known := map[string][]string{}
	for _, r := range lost {
		patterns := strings.Join(r.Hosts, " ")
		if known[patterns] == nil {
			// Without others it stays where it is, and says that its host is away.
			known[patterns], _ = d.o.Hosts(r.Hosts)
		}
		if err := d.moveTo(r, known[patterns]); err != nil && ctx.Err() == nil {
			d.log.Error("cannot move a node to another host", "node", r.ID, "error", err)
		}
	}
}

// moveTo gives a node to another one of these hosts that is there, if any is.
func (d *Driver) moveTo(r *record, names []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var there []string
	for _, name := range names {
		if h := d.attend(name); h.away == nil && h.state != nil {
			there = append(there, name)
		}
	}
	h := d.hosts[choose(r.Spec, there, d.placed())]
	if h == nil || !r.Stopped.IsZero() || r.stopping {
		return nil
	}
	was, from := *r, d.hosts[r.Host]
	r.Left = append(slices.DeleteFunc(slices.Clone(r.Left), func(n string) bool { return n == h.name }), r.Host)
	r.Host, r.Running, r.PID = h.name, false, 0
	if !r.Started.IsZero() {
		r.Moved = fmt.Sprintf("host %s was away for %s (%v)", from.name, d.o.Away, from.away)
		r.Before, r.Restarts, r.LastExit = r.Restarts+1, r.Restarts+1, r.Moved
	}
	if err := deploy.Save(d.o.Dir, *r); err != nil {
		*r = was
		return err
	}
	d.log.Warn("a node is moved to another host", "node", r.ID, "from", from.name, "to", h.name, "error", from.away)
	go h.settle() //nolint:errcheck // tried again, and told by the node
	return nil
}
