package deploy

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// Rollback goes back to a version, or with to "" to the one before: to the one
// that serves if a deploy is under way, else to the one that served before it. It
// ends a deploy that is under way. While the nodes of that version are still up,
// it is one switch of the traffic.
func (d *Deployer) Rollback(ctx context.Context, s id.Service, e id.Environment, to id.Version, who id.Person, reason string) (Deploy, error) {
	p := place{e, s}
	what := fmt.Sprintf("roll back %s", p)
	env, number, err := d.o.Environment(e, s)
	if err != nil {
		return Deploy{}, fault.New(fault.Of(err), "roll back %s in %q: %w", s, e, err)
	}
	if number == 0 {
		return Deploy{}, fault.New(fault.NotFound, "%s: the environment has no nodes for it", what)
	}
	seen, err := placementOf(ctx, d.o.DB.Read(), p)
	if err != nil {
		return Deploy{}, fmt.Errorf("%s: %w", what, err)
	}
	running, err := unfinished(ctx, d.o.DB.Read(), p)
	if err != nil {
		return Deploy{}, fmt.Errorf("%s: %w", what, err)
	}
	if seen == nil {
		return Deploy{}, fault.New(fault.Conflict, "%s: nothing serves there yet, so there is nothing to go back to", what)
	}
	if running != nil && running.Kind != KindDeploy {
		return Deploy{}, fault.New(fault.Conflict, "%s: %s", what, running.holder())
	}
	target, err := d.target(ctx, what, p, seen, running, to)
	if err != nil {
		return Deploy{}, err
	}
	if target == nil { // a version from before this placement's memory
		if target, _, err = d.release(ctx, s, to, env, e); err != nil {
			return Deploy{}, fault.New(fault.Of(err), "%s to %s: %w", what, to, err)
		}
	}
	from := seen.current.Version
	if running != nil {
		from = running.Version
	}
	y := Request{Service: s, Environment: e, Version: target.Version, Kind: KindRollback, Actor: who, Reason: reason, Chain: seen.chain, Cause: seen.event}.deploy()
	if running != nil {
		y.Chain, y.Cause = running.Chain, running.event
	}
	y.Previous, y.release, y.Digest = from, target, target.Digest
	if err := d.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		now, err := placementOf(ctx, tx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if now == nil || now.deploy != seen.deploy {
			return fault.New(fault.Conflict, "%s: another deploy ended just now; look what serves, and try again", what)
		}
		return d.supersede(ctx, tx, &y)
	}); err != nil {
		return Deploy{}, err
	}
	if running != nil {
		d.cancel(running.ID)
	}
	d.o.Work.Wake()
	return y, nil
}

// target is the release to go back to; nil if it must be looked up.
func (d *Deployer) target(ctx context.Context, what string, p place, pl *placement, running *Deploy, to id.Version) (*Release, error) {
	switch {
	case to == "" && running != nil:
		return pl.current, nil
	case to == "" && pl.previous == nil:
		return nil, fault.New(fault.Conflict, "%s: no version is known from before %s; name one with version=…, or deploy it", what, pl.current.Version)
	case to == "" || pl.previous != nil && to == pl.previous.Version && to != pl.current.Version:
		return pl.previous, nil
	case to == pl.current.Version && running != nil:
		return pl.current, nil
	case to == pl.current.Version:
		return nil, fault.New(fault.Conflict, "%s: %s serves already", what, to)
	}
	return lastRelease(ctx, d.o.DB.Read(), p, to)
}

// lastRelease is the configuration that a version last served with; nil if it
// never did.
func lastRelease(ctx context.Context, q querier, p place, v id.Version) (*Release, error) {
	l, err := deploys(ctx, q, ` WHERE environment = $1 AND service = $2 AND version = $3 AND state = 'passed' ORDER BY id DESC LIMIT 1`,
		string(p.environment), string(p.service), string(v))
	if err != nil || len(l) == 0 {
		return nil, err
	}
	return l[0].release, nil
}

// supersede adds y in place of the deploy that is under way, if there is one.
func (d *Deployer) supersede(ctx context.Context, tx *sql.Tx, y *Deploy) error {
	running, err := unfinished(ctx, tx, place{y.Environment, y.Service})
	if err != nil {
		return fmt.Errorf("%s of %s in %s: %w", y.Kind, y.Service, y.Environment, err)
	}
	if running == nil {
		return d.enqueue(ctx, tx, y)
	}
	now := time.Now()
	running.State, running.Finished = Failed, &now
	running.Failure = &Failure{Message: fmt.Sprintf("ended by a %s to %s by %s", y.Kind, y.Version, y.Actor), Elapsed: now.Sub(running.Created).Seconds(), Log: []string{}}
	running.endStep(Failed, now)
	if err := update(ctx, tx, running); err != nil {
		return fmt.Errorf("end deploy %d: %w", running.ID, err)
	}
	if err := d.enqueue(ctx, tx, y); err != nil {
		return err
	}
	_, err = d.tell(ctx, tx, *running, event.DeployFailed, fmt.Sprintf("Deploy of %s %s to %s was %s", running.Service, running.Version, running.Environment, running.Failure.Message),
		y.Reason, running.event)
	return err
}

// cancel wakes a running deploy so that it notices its end.
func (d *Deployer) cancel(number int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.cancels[number]; f != nil {
		f()
	}
}

// Incident is why a version is taken back automatically.
type Incident struct {
	Service     id.Service
	Environment id.Environment // empty: where the service was deployed last
	Ref         string         // "incident/7"
	Check       string         // what is wrong, for people: "slow-first-byte: 812 is above 300"
	Cause       string         // id of the event that opened it
}

// AutoRollback goes back to the version before if the incident falls into the
// watch time after a deploy, and pins the bad version out of latest. It does all
// in the caller's transaction. If it does nothing, the text says why, and the
// deploy's ID is 0.
func (d *Deployer) AutoRollback(ctx context.Context, tx *sql.Tx, i Incident) (Deploy, string, error) {
	fail := func(err error) (Deploy, string, error) {
		return Deploy{}, "", fmt.Errorf("automatic rollback of %s in %s: %w", i.Service, cmp.Or(i.Environment, "any environment"), err)
	}
	pl, why, err := d.blamed(ctx, tx, i)
	if err != nil {
		return fail(err)
	}
	if why != "" {
		return Deploy{}, why, nil
	}
	running, err := unfinished(ctx, tx, pl.place)
	if err != nil {
		return fail(err)
	}
	if running != nil && running.Kind != KindDeploy {
		return Deploy{}, fmt.Sprintf("%s %d is under way already", running.Kind, running.ID), nil
	}
	bad := pl.current.Version
	y := Request{Service: pl.service, Environment: pl.environment, Version: pl.previous.Version, Kind: KindAutoRollback, Actor: event.Steer,
		Reason: i.Ref + ": " + i.Check, Chain: pl.chain, Cause: i.Cause, Automatic: true}.deploy()
	y.Previous, y.release, y.Digest = bad, pl.previous, pl.previous.Digest
	if err := d.supersede(ctx, tx, &y); err != nil {
		return fail(err)
	}
	if bad != y.Version {
		if _, err := d.pin(ctx, tx, Pin{Service: pl.service, Version: bad, By: event.Steer, Reason: y.Reason}, pl.chain, i.Cause); err != nil {
			return fail(err)
		}
	}
	if running != nil {
		// Its job reads the end from the database, once this transaction is over.
		d.log.Warn("an automatic rollback ends a deploy", "service", pl.service, "environment", pl.environment, "deploy", running.ID)
	}
	return y, "", nil
}

// blamed returns the placement whose newest deploy is to blame, or why none is.
func (d *Deployer) blamed(ctx context.Context, q querier, i Incident) (*placement, string, error) {
	all, err := placements(ctx, q, ` WHERE service = $1 AND ($2 = '' OR environment = $3) ORDER BY since DESC LIMIT 1`,
		string(i.Service), string(i.Environment), string(i.Environment))
	if err != nil {
		return nil, "", err
	}
	if len(all) == 0 {
		return nil, "nothing of it was deployed", nil
	}
	pl := all[0]
	switch now := time.Now(); {
	case pl.kind != KindDeploy:
		return nil, fmt.Sprintf("%s came by a %s", pl.current.Version, pl.kind), nil
	case pl.previous == nil:
		return nil, fmt.Sprintf("there is no version before %s", pl.current.Version), nil
	case now.After(pl.watch):
		return nil, fmt.Sprintf("%s serves since %s, its watch time is over", pl.current.Version, clock(pl.since)), nil
	}
	held, err := holds(ctx, q, pl.place)
	if err != nil {
		return nil, "", err
	}
	for _, h := range held {
		return nil, fmt.Sprintf("%s holds automation there (%s)", h.By, cmp.Or(h.Reason, "no reason given")), nil
	}
	return &pl, "", nil
}
