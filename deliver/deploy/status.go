package deploy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"steer/base/database"
	"steer/base/id"
)

// Placements says what runs where, by service and environment.
func (d *Deployer) Placements(ctx context.Context) ([]Placement, error) {
	db := d.o.DB.Read()
	rows, err := placements(ctx, db, "")
	if err != nil {
		return nil, fmt.Errorf("list placements: %w", err)
	}
	running, err := deploys(ctx, db, ` WHERE state IN ('queued', 'running')`)
	if err != nil {
		return nil, fmt.Errorf("list placements: %w", err)
	}
	held, err := holds(ctx, db, place{})
	if err != nil {
		return nil, fmt.Errorf("list placements: %w", err)
	}
	pinned, err := pins(ctx, db, "")
	if err != nil {
		return nil, fmt.Errorf("list placements: %w", err)
	}
	nodes, err := d.o.Driver.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list placements: %w", err)
	}
	all := map[place]*Placement{}
	at := func(p place) *Placement {
		if all[p] == nil {
			all[p] = &Placement{Service: p.service, Environment: p.environment, Nodes: []Node{}, State: Down}
		}
		return all[p]
	}
	for _, r := range rows {
		p := at(r.place)
		p.Version, p.Since, p.Deploy, p.Number = r.current.Version, r.since, r.deploy, r.number
		if r.previous != nil {
			p.Previous = r.previous.Version
		}
		p.Watch, p.Warm = future(r.watch), future(r.warm)
		if r.role() && d.o.Hosts != nil {
			if p.Nodes, err = d.o.Hosts.Nodes(ctx, r.environment, r.service, r.current.Version, r.current.Commit); err != nil {
				return nil, fmt.Errorf("list placements: %w", err)
			}
			p.Number = len(p.Nodes)
		}
	}
	for _, n := range nodes {
		p := place{n.Environment, n.Service}
		at(p).Nodes = append(at(p).Nodes, d.node1(n, slices.Contains(d.o.Balancer.Serving(p.environment, p.service), n.ID)))
	}
	for _, p := range all {
		p.judge()
	}
	for _, y := range running {
		p := at(place{y.Environment, y.Service})
		p.State, p.Deploy = Deploying, y.ID
	}
	for _, h := range held {
		at(place{h.Environment, h.Service}).Hold = &h
	}
	r := make([]Placement, 0, len(all))
	for k, p := range all {
		p.Address = d.o.Balancer.Address(k.environment, k.service)
		for _, pin := range pinned {
			if pin.Service == p.Service {
				p.Pinned = append(p.Pinned, pin.Version)
			}
		}
		r = append(r, *p)
	}
	slices.SortFunc(r, func(a, b Placement) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Environment, b.Environment))
	})
	return r, nil
}

// Placement says what runs of a service in an environment.
func (d *Deployer) Placement(ctx context.Context, e id.Environment, s id.Service) (Placement, bool, error) {
	all, err := d.Placements(ctx)
	for _, p := range all {
		if p.Environment == e && p.Service == s {
			return p, true, nil
		}
	}
	return Placement{}, false, err
}

func future(t time.Time) *time.Time {
	if !t.After(time.Now()) {
		return nil
	}
	return moment(database.Micros(t))
}

// judge sets the state from the nodes.
func (p *Placement) judge() {
	healthy := 0
	for _, n := range p.Nodes {
		if n.Serving && n.State == "healthy" {
			healthy++
		}
	}
	switch {
	case p.Version == "" || healthy == 0:
		p.State = Down
	case healthy < p.Number:
		p.State = Degraded
	default:
		p.State = Serving
	}
}

func (d *Deployer) node1(i Instance, serving bool) Node {
	n := Node{ID: i.ID, Index: i.Index, Version: i.Version, State: "healthy", Serving: serving, Ports: i.Numbers, Address: i.Address, PID: i.PID,
		Started: i.Started, Restarts: i.Restarts, LastExit: i.LastExit, Host: i.Host}
	ill := d.ill(i)
	if ill != nil {
		n.Reason = ill.Error()
	}
	d.mu.Lock()
	stopping := d.stopping[i.ID]
	d.mu.Unlock()
	within := max(i.Health.Within.Std(), time.Second)
	switch {
	case stopping:
		n.State = "draining"
	case !i.Running && !i.Started.IsZero():
		n.State = "dead"
	case ill != nil && (i.Started.IsZero() || time.Since(i.Started) < within):
		n.State = "starting"
	case ill != nil:
		n.State = "unhealthy"
	}
	return n
}
