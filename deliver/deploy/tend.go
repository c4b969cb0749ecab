package deploy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"sync"
	"time"

	"steer/base/event"
)

// tend probes all nodes, tells of those that died, and repairs every placement
// that no deploy is changing.
func (d *Deployer) tend(ctx context.Context) error {
	nodes, err := d.o.Driver.List(ctx)
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	d.probeAll(ctx, nodes)
	d.deaths(ctx, nodes)
	all, err := placements(ctx, d.o.DB.Read(), "")
	if err != nil {
		return fmt.Errorf("list placements: %w", err)
	}
	places := map[place]*placement{}
	for _, pl := range all {
		places[pl.place] = &pl
	}
	for _, n := range nodes { // those of a first deploy that failed while Steer died
		if p := (place{n.Environment, n.Service}); places[p] == nil {
			places[p] = nil
		}
	}
	for p, pl := range places {
		if pl.role() {
			continue // who keeps hosts keeps them
		}
		unlock := d.tryLock(p)
		if unlock == nil {
			continue // a deploy, or the last repair
		}
		d.repairs.Go(func() {
			defer unlock()
			d.note(p, d.repair(ctx, p))
		})
	}
	return nil
}

// note logs a repair that fails, once.
func (d *Deployer) note(p place, err error) {
	text := ""
	if err != nil && !errors.Is(err, context.Canceled) {
		text = err.Error()
	}
	d.mu.Lock()
	news := d.troubled[p] != text
	d.troubled[p] = text
	d.mu.Unlock()
	if news && text != "" {
		d.log.Error("cannot repair a placement, trying again every second", "service", p.service, "environment", p.environment, "error", err)
	}
}

// repair brings the nodes of a place to what is desired, and returns when it would
// have to wait. The caller holds the lock of p.
func (d *Deployer) repair(ctx context.Context, p place) error {
	// Read again under the lock: a deploy may just have ended, or been asked for.
	if y, err := unfinished(ctx, d.o.DB.Read(), p); err != nil || y != nil {
		return err
	}
	pl, err := placementOf(ctx, d.o.DB.Read(), p)
	if err != nil {
		return err
	}
	want, r, why := Desired{}, Release{}, "no deploy of it has passed"
	if pl != nil {
		if err := d.scale(ctx, pl); err != nil {
			return err
		}
		want, r, why = pl.desired(), *pl.current, "the environment should have it"
	}
	y := &Deploy{ID: 0, release: &r}
	if pl != nil {
		y.Chain, y.event = pl.chain, pl.event
	}
	for range 50 {
		nodes, err := d.nodes(ctx, p)
		if err != nil {
			return err
		}
		steps := Plan(want, d.actual(p, nodes))
		if len(steps) == 0 || steps[0].Do == Wait {
			return d.refresh(ctx, p, pl, nodes)
		}
		switch s := steps[0]; s.Do {
		case Start:
			err = d.start(ctx, p, r, s.Index, why, y.Chain, y.event)
		case Switch:
			err = d.route(ctx, p, r, want, nodes)
		case Stop:
			err = d.retire(ctx, p, s.Nodes, nodes, "the environment needs it no more", y.Chain, y.event)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// scale follows a change of the number of nodes in the environment. A service that
// was taken out of the environment keeps its nodes: to end a service is an act of
// its own, not the side effect of an edit.
func (d *Deployer) scale(ctx context.Context, pl *placement) error {
	_, number, err := d.o.Environment(pl.environment, pl.service)
	if err != nil || number == 0 || number == pl.number {
		return nil
	}
	d.log.Info("number of nodes changed", "service", pl.service, "environment", pl.environment, "from", pl.number, "to", number)
	pl.number = number
	return d.o.DB.Tx(ctx, func(tx *sql.Tx) error { return pl.save(ctx, tx) })
}

// refresh tells the balancer of new addresses: after Steer's start, and when a
// node came up on another port.
func (d *Deployer) refresh(ctx context.Context, p place, pl *placement, nodes []Instance) error {
	if pl == nil {
		return nil
	}
	byID := map[string]Instance{}
	for _, n := range nodes {
		byID[n.ID] = n
	}
	var serving []Instance
	for _, id := range d.o.Balancer.Serving(p.environment, p.service) {
		n, ok := byID[id]
		if !ok || n.Release != pl.current.ID {
			return nil // the plan's business
		}
		serving = append(serving, n)
	}
	f := pl.current.frontend(p, serving)
	d.mu.Lock()
	same := d.sent[p] == encode(f)
	d.mu.Unlock()
	if same || len(serving) == 0 {
		return nil
	}
	return d.set(ctx, p, f)
}

// retire lets nodes finish their requests and stops them.
func (d *Deployer) retire(ctx context.Context, p place, ids []string, nodes []Instance, why, chain, cause string) error {
	old := map[string]Instance{}
	var grace time.Duration
	for _, n := range nodes {
		for _, id := range ids {
			if n.ID == id {
				old[id] = n
				grace = max(grace, n.Grace)
			}
		}
	}
	d.mu.Lock()
	for _, id := range ids {
		d.stopping[id] = true
	}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, id := range ids {
			delete(d.stopping, id)
		}
	}()
	limited, cancel := context.WithTimeout(ctx, grace)
	err := d.o.Balancer.Drained(limited, p.environment, p.service, ids)
	cancel()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		d.log.Warn("nodes are stopped although requests are under way", "service", p.service, "environment", p.environment, "error", err)
	}
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Go(func() {
			if errs[i] = d.o.Driver.Stop(ctx, id); errs[i] == nil {
				n := old[id]
				n.ID = id
				d.node(ctx, event.NodeStopped, n, fmt.Sprintf("Node %d of %s %s was stopped in %s", n.Index, p.service, n.Version, p.environment), why, chain, cause)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// deaths journals nodes that ended by themselves: the first three times, then
// ever more rarely, since one that cannot start dies twice a minute.
func (d *Deployer) deaths(ctx context.Context, nodes []Instance) {
	known := map[string]bool{}
	for _, n := range nodes {
		known[n.ID] = true
		if n.Unsure != "" {
			continue
		}
		deaths := n.Restarts
		if !n.Running && !n.Started.IsZero() && n.LastExit != StoppedWithSteer {
			deaths++
		}
		d.mu.Lock()
		before, ok := d.restarts[n.ID]
		d.restarts[n.ID] = max(deaths, before)
		d.mu.Unlock()
		if !ok && n.Restarts > 0 || deaths <= before || n.LastExit == "" || n.LastExit == StoppedWithSteer {
			continue
		}
		if deaths > 3 && bits.Len(uint(deaths)) == bits.Len(uint(before)) {
			continue
		}
		d.node(ctx, event.NodeDied, n, fmt.Sprintf("Node %d of %s %s ended by itself in %s: %s", n.Index, n.Service, n.Version, n.Environment, n.LastExit),
			deathCount(deaths), "", "")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.restarts, func(id string, _ int) bool { return !known[id] })
	maps.DeleteFunc(d.health, func(id string, v verdict) bool { return !known[id] && time.Since(v.at) > time.Minute })
}

// deathCount says how often a node has ended by itself.
func deathCount(n int) string {
	if n == 1 {
		return "for the first time"
	}
	return fmt.Sprintf("%d times so far", n)
}
