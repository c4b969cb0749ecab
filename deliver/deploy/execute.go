package deploy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/work"
	"steer/catalog"
)

// stopped is an error that ends a deploy as failed. Other errors are the
// machine's, and the job is tried again.
type stopped struct{ Failure }

func (s *stopped) Error() string { return s.Message }

func stop(err error) error { return &stopped{Failure{Message: err.Error(), Log: []string{}}} }

// work is the handler of the durable job of a deploy. It may run any number of
// times: it looks at what there is, takes the next step, and looks again.
func (d *Deployer) work(ctx context.Context, j work.Job) error {
	var body jobBody
	if err := j.Decode(&body); err != nil {
		return err
	}
	y, err := d.Get(ctx, body.Deploy)
	if err != nil {
		return err
	}
	unlock, err := d.lock(ctx, place{y.Environment, y.Service})
	if err != nil {
		return err
	}
	defer unlock()
	// From here on another one can only end it, never run it.
	if y, err = d.Get(ctx, body.Deploy); err != nil || y.Finished != nil {
		return err
	}
	mine, cancel := context.WithCancel(ctx)
	defer cancel()
	d.mu.Lock()
	d.cancels[y.ID] = cancel
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.cancels, y.ID)
		d.mu.Unlock()
	}()
	err = d.execute(mine, &y)
	var s *stopped
	switch {
	case err == nil, errors.Is(err, errOver):
		return nil
	case ctx.Err() != nil:
		return err // Steer stops; the next start goes on
	case mine.Err() != nil:
		return nil // superseded
	case errors.As(err, &s):
		return d.fail(ctx, &y, s.Failure)
	case fault.Of(err) == fault.Unavailable && len(y.Steps) > 0: // so that who waits for the deploy sees why
		y.Step = fmt.Sprintf("%s; tried again, since %v", y.Steps[len(y.Steps)-1].Name, err)
		if e := d.save(ctx, &y); e != nil && !errors.Is(e, errOver) {
			return errors.Join(err, e)
		}
	}
	return err
}

// dead ends a deploy whose job was given up.
func (d *Deployer) dead(ctx context.Context, j work.Job, cause error) {
	var body jobBody
	err := j.Decode(&body)
	if err == nil {
		var y Deploy
		if y, err = d.Get(ctx, body.Deploy); err == nil && y.Finished == nil {
			err = d.fail(ctx, &y, Failure{Message: fmt.Sprintf("given up: %v", cause), Log: []string{}})
		}
	}
	if err != nil {
		d.log.Error("cannot end a deploy that was given up", "deploy", body.Deploy, "error", err)
	}
}

// execute takes steps until the desired state is reached.
func (d *Deployer) execute(ctx context.Context, y *Deploy) error {
	p := place{y.Environment, y.Service}
	pl, err := placementOf(ctx, d.o.DB.Read(), p)
	if err != nil {
		return fmt.Errorf("read placement of %s: %w", p, err)
	}
	env, number, err := d.begin(ctx, y, pl)
	if err != nil {
		return err
	}
	if y.release.Role {
		return d.follow(ctx, y, pl, env, number)
	}
	want := desired(*y, env, number, pl)
	if y.force && pl != nil && want.Release == pl.current.ID {
		// The same content under another fingerprint, so that its nodes are others.
		y.release.ID = y.release.fingerprint(fmt.Sprint(y.ID))
		want = desired(*y, env, number, pl)
	}
	if d.migrates(y, pl) {
		if err := d.migrate(ctx, y); err != nil {
			return err
		}
	}
	for {
		nodes, err := d.nodes(ctx, p)
		if err != nil {
			return err
		}
		d.probeAll(ctx, nodes)
		steps := Plan(want, d.actual(p, nodes))
		if len(steps) == 0 {
			return d.finish(ctx, y, pl, env, number, want.Keep != "")
		}
		if err := d.record(ctx, y, steps[0].String()); err != nil {
			return err
		}
		if err := d.take(ctx, p, *y.release, steps[0], want, nodes, y); err != nil {
			return err
		}
		y.endStep(Passed, time.Now())
		if err := d.save(ctx, y); err != nil {
			return err
		}
	}
}

// desired is what a deploy brings: after one of kind deploy the nodes of the
// version before stay up for a while.
func desired(y Deploy, env catalog.Environment, number int, pl *placement) Desired {
	w := Desired{Release: y.release.ID, Version: y.release.Version, Number: number}
	switch {
	case pl == nil || y.Kind != KindDeploy || env.Warm <= 0:
	case pl.current.ID != y.release.ID:
		w.Keep = pl.current.ID
	case pl.previous != nil && time.Now().Before(pl.warm):
		w.Keep = pl.previous.ID
	}
	return w
}

// begin looks up what is needed, and records the deploy as running.
func (d *Deployer) begin(ctx context.Context, y *Deploy, pl *placement) (catalog.Environment, int, error) {
	env, number, err := d.environment(Request{Service: y.Service, Environment: y.Environment, Version: y.Version})
	var chain string
	if err == nil && y.release == nil {
		y.release, chain, err = d.release(ctx, y.Service, y.Version, env, y.Environment)
	}
	if ctx.Err() != nil {
		return env, 0, ctx.Err()
	}
	if err != nil {
		err = stop(err)
	}
	if y.release != nil {
		y.Digest = y.release.Digest
	}
	if y.Chain == "" {
		y.Chain = chain
	}
	if y.State == Queued {
		now := time.Now()
		y.State, y.Started, y.Step = Running, &now, "start"
		what := "first version"
		if y.Previous != "" {
			what = string(y.Previous) + " serves"
		}
		if e := d.o.DB.Tx(ctx, func(tx *sql.Tx) (err error) {
			summary := fmt.Sprintf("Deploy of %s %s to %s began (%s)", y.Service, y.Version, y.Environment, what)
			if y.Kind != KindDeploy {
				summary = fmt.Sprintf("%s of %s in %s from %s to %s began", title(y.Kind), y.Service, y.Environment, y.Previous, y.Version)
			}
			if y.event, err = d.tell(ctx, tx, *y, event.DeployStarted, summary, y.Reason, y.Cause); err != nil {
				return err
			}
			return update(ctx, tx, y)
		}); e != nil {
			return env, 0, fmt.Errorf("record deploy %d: %w", y.ID, e)
		}
	}
	return env, number, err
}

func title(kind string) string {
	switch kind {
	case KindRollback:
		return "Rollback"
	case KindAutoRollback:
		return "Automatic rollback"
	}
	return "Deploy"
}

// record notes the step that is about to be taken.
func (d *Deployer) record(ctx context.Context, y *Deploy, name string) error {
	if n := len(y.Steps); n > 0 && y.Steps[n-1].State == Running {
		if y.Steps[n-1].Name == name {
			return nil // goes on after a restart
		}
		y.endStep(Passed, time.Now())
	}
	y.Step = name
	y.Steps = append(y.Steps, DeployStep{Name: name, State: Running, At: time.Now().UTC()})
	return d.save(ctx, y)
}

func (y *Deploy) endStep(state string, at time.Time) {
	if n := len(y.Steps); n > 0 && y.Steps[n-1].State == Running {
		y.Steps[n-1].State = state
		y.Steps[n-1].Took = at.Sub(y.Steps[n-1].At).Seconds()
	}
}

func (d *Deployer) save(ctx context.Context, y *Deploy) error {
	if err := d.o.DB.Tx(ctx, func(tx *sql.Tx) error { return update(ctx, tx, y) }); err != nil {
		return fmt.Errorf("record deploy %d: %w", y.ID, err)
	}
	return nil
}

// take takes one step. Each may be taken again after it was interrupted.
func (d *Deployer) take(ctx context.Context, p place, r Release, s Step, want Desired, nodes []Instance, y *Deploy) error {
	chain, cause := y.Chain, y.event
	var err error
	switch s.Do {
	case Start:
		err = d.start(ctx, p, r, s.Index, fmt.Sprintf("deploy %d", y.ID), chain, cause)
	case Wait:
		return d.wait(ctx, p, want, y)
	case Switch:
		err = d.route(ctx, p, r, want, nodes)
	case Stop:
		err = d.retire(ctx, p, s.Nodes, nodes, fmt.Sprintf("deploy %d", y.ID), chain, cause)
	}
	if err == nil || ctx.Err() != nil || fault.Of(err) == fault.Unavailable {
		return err // Unavailable: the driver or the balancer stops with Steer; the job is tried again
	}
	return stop(err)
}

// start starts one node.
func (d *Deployer) start(ctx context.Context, p place, r Release, index int, why, chain, cause string) error {
	n, err := d.o.Driver.Start(ctx, d.spec(p, r, index))
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.restarts[n.ID] = 0 // from now on each death is told
	d.mu.Unlock()
	d.node(ctx, event.NodeStarted, n, fmt.Sprintf("Node %d of %s %s was started in %s", index, p.service, r.Version, p.environment), why, chain, cause)
	return nil
}

// route sends all traffic to the desired nodes.
func (d *Deployer) route(ctx context.Context, p place, r Release, want Desired, nodes []Instance) error {
	byID := map[string]Instance{}
	for _, n := range nodes {
		byID[n.ID] = n
	}
	chosen := choose(want, d.actual(p, nodes))
	var list []Instance
	for i := 1; i <= want.Number; i++ {
		list = append(list, byID[chosen[i].ID])
	}
	return d.set(ctx, p, r.frontend(p, list))
}

func (d *Deployer) set(ctx context.Context, p place, f Frontend) error {
	if err := d.o.Balancer.Set(ctx, f); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sent[p] = encode(f)
	return nil
}

// finish records that the version serves.
func (d *Deployer) finish(ctx context.Context, y *Deploy, pl *placement, env catalog.Environment, number int, warm bool) error {
	now := time.Now()
	y.State, y.Finished, y.Step = Passed, &now, "done"
	y.Unchanged = y.Kind == KindDeploy && pl != nil && pl.current.ID == y.release.ID
	next := placement{place: place{y.Environment, y.Service}, deploy: y.ID, kind: y.Kind, chain: y.Chain, number: number, current: y.release, since: now}
	kind, summary := event.Upgraded, fmt.Sprintf("%s %s serves in %s (before: %s)", y.Service, y.Version, y.Environment, y.Previous)
	switch {
	case y.Unchanged:
		next = *pl
		next.number = number
		summary = fmt.Sprintf("%s %s serves in %s already, nothing was changed", y.Service, y.Version, y.Environment)
	case y.Kind != KindDeploy:
		kind, summary = event.RolledBack, fmt.Sprintf("%s is back at %s in %s (from %s)", y.Service, y.Version, y.Environment, y.Previous)
		before, err := d.before(ctx, next.place, y)
		if err != nil {
			return fmt.Errorf("finish deploy %d: %w", y.ID, err)
		}
		next.previous = before
	case pl == nil:
		kind, summary = event.Deployed, fmt.Sprintf("%s %s serves in %s, its first version there", y.Service, y.Version, y.Environment)
	default:
		next.previous, next.watch = pl.current, now.Add(env.Watch.Std())
		if warm {
			next.warm = now.Add(env.Warm.Std())
		}
	}
	err := d.o.DB.Tx(ctx, func(tx *sql.Tx) (err error) {
		if err := update(ctx, tx, y); err != nil {
			return err
		}
		id, err := d.tell(ctx, tx, *y, kind, summary, y.Reason, y.event)
		if err != nil {
			return err
		}
		if !y.Unchanged {
			next.event = id
		}
		return next.save(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("finish deploy %d: %w", y.ID, err)
	}
	d.log.Info("deployed", "service", y.Service, "environment", y.Environment, "version", y.Version, "deploy", y.ID, "took", now.Sub(*y.Started).Round(time.Millisecond))
	return nil
}

// before is the release that was before the one that y goes back to, as the
// deploy that once brought that one says; nil if it is not known or is what y
// goes away from.
func (d *Deployer) before(ctx context.Context, p place, y *Deploy) (*Release, error) {
	l, err := deploys(ctx, d.o.DB.Read(), ` WHERE environment = $1 AND service = $2 AND version = $3 AND kind = 'deploy' AND state = 'passed' ORDER BY id DESC LIMIT 1`,
		string(p.environment), string(p.service), string(y.Version))
	if err != nil || len(l) == 0 || l[0].Previous == "" || l[0].Previous == y.Previous {
		return nil, err
	}
	return lastRelease(ctx, d.o.DB.Read(), p, l[0].Previous)
}

// fail stops the new nodes and records the failure. The version from before
// serves on: it was never out of the traffic, or gets it back.
func (d *Deployer) fail(ctx context.Context, y *Deploy, f Failure) error {
	p := place{y.Environment, y.Service}
	pl, err := placementOf(ctx, d.o.DB.Read(), p)
	if err != nil {
		return fmt.Errorf("read placement of %s: %w", p, err)
	}
	if err := d.restore(ctx, p, pl, y); err != nil {
		if ctx.Err() != nil || y.release != nil && y.release.Role { // nobody else lets hosts go back
			return err
		}
		d.log.Error("cannot clean up after a failed deploy; it is tried again every second", "deploy", y.ID, "error", err)
	}
	now := time.Now()
	began := y.Created
	if y.Started != nil {
		began = *y.Started
	}
	f.Elapsed = now.Sub(began).Seconds()
	y.State, y.Finished, y.Failure = Failed, &now, &f
	y.endStep(Failed, now)
	rest := "nothing serves there"
	if pl != nil {
		rest = fmt.Sprintf("%s serves on", pl.current.Version)
	}
	err = d.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if err := update(ctx, tx, y); err != nil {
			return err
		}
		_, err := d.tell(ctx, tx, *y, event.DeployFailed, fmt.Sprintf("%s of %s %s to %s failed: %s; %s", title(y.Kind), y.Service, y.Version, y.Environment, f.Message, rest), f.Message, y.event)
		return err
	})
	if errors.Is(err, errOver) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("record failure of deploy %d: %w", y.ID, err)
	}
	d.log.Warn("a deploy failed", "service", y.Service, "environment", y.Environment, "version", y.Version, "deploy", y.ID, "error", f.Message)
	return nil
}

// restore brings the nodes and the traffic back to the placement as far as that
// needs no new nodes; the rest is the reconciler's.
func (d *Deployer) restore(ctx context.Context, p place, pl *placement, y *Deploy) error {
	if pl.role() || y.release != nil && y.release.Role {
		return d.withdraw(ctx, p, pl)
	}
	want, r := Desired{}, Release{}
	if pl != nil {
		want, r = pl.desired(), *pl.current
	}
	for range 10 {
		nodes, err := d.nodes(ctx, p)
		if err != nil {
			return err
		}
		steps := Plan(want, d.actual(p, nodes))
		if len(steps) == 0 || steps[0].Do == Start || steps[0].Do == Wait {
			return nil
		}
		if err := d.take(ctx, p, r, steps[0], want, nodes, y); err != nil {
			return err
		}
	}
	return fault.New(fault.Internal, "there is no end to the steps")
}

// desired is what should run at rest.
func (pl placement) desired() Desired {
	w := Desired{Release: pl.current.ID, Version: pl.current.Version, Number: pl.number}
	if pl.previous != nil && time.Now().Before(pl.warm) {
		w.Keep = pl.previous.ID
	}
	return w
}
