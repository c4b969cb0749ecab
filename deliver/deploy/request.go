package deploy

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/work"
	"steer/catalog"
)

// Request asks for a deploy.
type Request struct {
	Service     id.Service
	Environment id.Environment
	Version     id.Version // exact; without a transaction also id.Latest
	Kind        string     // default KindDeploy
	Actor       id.Person  // default event.Steer
	Reason      string
	Chain       string // default: the artifact's
	Cause       string // id of the event that led to it
	Automatic   bool   // no person asked for just this: holds and pins stop it
	Force       bool   // new nodes even if the same release serves
}

// Request asks for a version of a service in an environment, and returns the
// deploy, which then runs by itself. The error is fault.NotFound with what is
// known for an unknown name, and fault.Conflict with the holder while another
// deploy of the place is under way.
//
// With a transaction the deploy exists if that commits; the version is then looked
// up only when the deploy runs, which fails if there is none.
func (d *Deployer) Request(ctx context.Context, tx *sql.Tx, r Request) (Deploy, error) {
	if tx != nil {
		if r.Version == id.Latest {
			return Deploy{}, errors.New("BUG: deploy of latest in a transaction")
		}
		if _, _, err := d.environment(r); err != nil {
			return Deploy{}, err
		}
		return d.add(ctx, tx, r, nil)
	}
	r, release, err := d.resolve(ctx, r)
	if err != nil {
		return Deploy{}, err
	}
	var y Deploy
	if err := d.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		y, err = d.add(ctx, tx, r, release)
		return err
	}); err != nil {
		return Deploy{}, err
	}
	d.o.Work.Wake()
	return y, nil
}

// DryRun returns the deploy that Request would make, with the steps that it would
// take now.
func (d *Deployer) DryRun(ctx context.Context, r Request) (Deploy, error) {
	r, release, err := d.resolve(ctx, r)
	if err != nil {
		return Deploy{}, err
	}
	env, number, err := d.environment(r)
	if err != nil {
		return Deploy{}, err
	}
	p := place{r.Environment, r.Service}
	if err := d.allowed(ctx, d.o.DB.Read(), r); err != nil {
		return Deploy{}, err
	}
	pl, err := placementOf(ctx, d.o.DB.Read(), p)
	if err != nil {
		return Deploy{}, fmt.Errorf("%s: %w", r.what(), err)
	}
	nodes, err := d.nodes(ctx, p)
	if err != nil {
		return Deploy{}, fmt.Errorf("%s: %w", r.what(), err)
	}
	y := r.deploy()
	y.State, y.release, y.Digest = Planned, release, release.Digest
	if pl != nil {
		y.Previous = pl.current.Version
	}
	if release.Role {
		y.Steps = append(y.Steps, DeployStep{Name: tellHosts(y, number), State: Planned})
		return y, nil
	}
	if d.migrates(&y, pl) {
		y.Steps = append(y.Steps, DeployStep{Name: migration(&y), State: Planned})
	}
	for _, s := range Plan(desired(y, env, number, pl), d.actual(p, nodes)) {
		y.Steps = append(y.Steps, DeployStep{Name: s.String(), State: Planned})
	}
	return y, nil
}

func (r Request) what() string {
	return fmt.Sprintf("deploy %s %s to %s", r.Service, r.Version, r.Environment)
}

func (r Request) deploy() Deploy {
	return Deploy{Service: r.Service, Environment: r.Environment, Version: r.Version, State: Queued, Kind: cmp.Or(r.Kind, KindDeploy),
		Step: Queued, Actor: cmp.Or(r.Actor, event.Steer), Reason: r.Reason, Automatic: r.Automatic, Chain: r.Chain, Cause: r.Cause,
		Created: time.Now().UTC().Truncate(time.Microsecond), Steps: []DeployStep{}, force: r.Force}
}

// environment returns the environment of a request and its number of nodes.
func (d *Deployer) environment(r Request) (catalog.Environment, int, error) {
	for kind, name := range map[string]string{"service": string(r.Service), "environment": string(r.Environment), "version": string(r.Version)} {
		if _, err := id.Parse[id.Service](kind, name); err != nil {
			return catalog.Environment{}, 0, fault.New(fault.Invalid, "deploy: %w", err)
		}
	}
	env, number, err := d.o.Environment(r.Environment, r.Service)
	if err != nil {
		return env, 0, fault.New(fault.Of(err), "deploy %s to %q: %w", r.Service, r.Environment, err)
	}
	if number == 0 {
		return env, 0, fault.New(fault.NotFound, "deploy %s to %s: environment %s has no nodes for %s (add it to services of a group in environments.yaml)",
			r.Service, r.Environment, r.Environment, r.Service)
	}
	return env, number, nil
}

// resolve checks the names of a request, and looks up its version.
func (d *Deployer) resolve(ctx context.Context, r Request) (Request, *Release, error) {
	env, _, err := d.environment(r)
	if err != nil {
		return r, nil, err
	}
	if r.Version == id.Latest {
		if d.o.Latest == nil {
			return r, nil, fault.New(fault.Invalid, "%s: there is no latest here, name a version", r.what())
		}
		v, err := d.o.Latest(ctx, r.Service)
		if err != nil {
			return r, nil, fault.New(fault.Of(err), "%s: %w", r.what(), err)
		}
		r.Version = v
	}
	release, chain, err := d.release(ctx, r.Service, r.Version, env, r.Environment)
	if err != nil {
		return r, nil, fault.New(fault.Of(err), "%s: %w", r.what(), err)
	}
	r.Chain = cmp.Or(r.Chain, chain)
	return r, release, nil
}

// release looks up a version, and the secrets that it needs in env.
func (d *Deployer) release(ctx context.Context, s id.Service, v id.Version, env catalog.Environment, e id.Environment) (*Release, string, error) {
	a, err := d.o.Artifact(ctx, s, v)
	if fault.Of(err) == fault.NotFound && d.o.Versions != nil {
		if known, e := d.o.Versions(ctx, s); e == nil {
			names := make([]string, len(known))
			for i, k := range known {
				names[i] = string(k)
			}
			if len(known) == 0 {
				return nil, "", fault.New(fault.NotFound, "no version %q: nothing of %s was built yet (push a commit, or deploy version=local)", v, s)
			}
			hint := config.Suggest(string(v), names)
			if !strings.Contains(hint, "known") { // versions are all alike: the newest ones say more
				hint = fmt.Sprintf(" (newest: %s)", strings.Join(names[:min(5, len(names))], ", "))
			}
			return nil, "", fault.New(fault.NotFound, "no version %q of %s%s", v, s, hint)
		}
	}
	if err != nil {
		return nil, "", err
	}
	if a.Role && d.o.Hosts == nil {
		return nil, "", fault.New(fault.Invalid, "it is a role, and there are no hosts here that could follow it")
	}
	image := a.Manifest.Artifact.Kind == catalog.KindImage
	if !a.Role && !image && strings.TrimSpace(a.Manifest.Run.Command) == "" {
		return nil, "", fault.New(fault.Invalid, "its steer.yaml has no run.command")
	}
	if image && slices.Contains([]string{"", DriverProcess, DriverHosts}, env.Driver) {
		return nil, "", fault.New(fault.Invalid, "it is a container image, and environment %s runs processes (set driver: docker or kubernetes for it in environments.yaml, or build an archive)", e)
	}
	r := release(a, env, s)
	if d.o.Secret != nil {
		for _, name := range secrets(r.Env) {
			if _, err := d.o.Secret(e, name); err != nil {
				return nil, "", fault.New(fault.Of(err), "%w (steer secret, or remove it from config of the environment)", err)
			}
		}
	}
	return r, a.Chain, nil
}

// allowed says what keeps an automatic request from running.
func (d *Deployer) allowed(ctx context.Context, q querier, r Request) error {
	if !r.Automatic {
		return nil
	}
	held, err := holds(ctx, q, place{r.Environment, r.Service})
	if err != nil {
		return fmt.Errorf("%s: %w", r.what(), err)
	}
	for _, h := range held {
		return fault.New(fault.Conflict, "%s: %s holds automation there since %s (%s); release it, or deploy by hand", r.what(), h.By, clock(h.Since), cmp.Or(h.Reason, "no reason given"))
	}
	pinned, err := pins(ctx, q, r.Service)
	if err != nil {
		return fmt.Errorf("%s: %w", r.what(), err)
	}
	for _, p := range pinned {
		if p.Version == r.Version {
			return fault.New(fault.Conflict, "%s: %s is pinned out by %s since %s (%s); unpin it, or deploy by hand", r.what(), p.Version, p.By, clock(p.Since), cmp.Or(p.Reason, "no reason given"))
		}
	}
	return nil
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// add writes a new deploy and its job.
func (d *Deployer) add(ctx context.Context, tx *sql.Tx, r Request, release *Release) (Deploy, error) {
	if err := d.allowed(ctx, tx, r); err != nil {
		return Deploy{}, err
	}
	p := place{r.Environment, r.Service}
	other, err := unfinished(ctx, tx, p)
	if err != nil {
		return Deploy{}, fmt.Errorf("%s: %w", r.what(), err)
	}
	if other != nil {
		return Deploy{}, fault.New(fault.Conflict, "%s: %s", r.what(), other.holder())
	}
	y := r.deploy()
	pl, err := placementOf(ctx, tx, p)
	if err != nil {
		return Deploy{}, fmt.Errorf("%s: %w", r.what(), err)
	}
	if pl != nil {
		y.Previous = pl.current.Version
	}
	if y.release = release; release != nil {
		y.Digest = release.Digest
	}
	return y, d.enqueue(ctx, tx, &y)
}

// enqueue writes a deploy and its job.
func (d *Deployer) enqueue(ctx context.Context, tx *sql.Tx, y *Deploy) error {
	err := insert(ctx, tx, y)
	if err == nil {
		err = d.o.Work.Add(ctx, tx, work.Item{Kind: jobKind, Key: fmt.Sprintf("%s/%s/%d", y.Environment, y.Service, y.ID), Body: jobBody{y.ID}})
	}
	if err != nil {
		return fmt.Errorf("deploy %s %s to %s: %w", y.Service, y.Version, y.Environment, err)
	}
	return nil
}

// holder says who is deploying, for those who must wait.
func (y Deploy) holder() string {
	since := y.Created
	if y.Started != nil {
		since = *y.Started
	}
	why := ""
	if y.Reason != "" {
		why = " (" + y.Reason + ")"
	}
	return fmt.Sprintf("deploy %d of %s by %s%s is under way since %s; wait until it ends, or roll back", y.ID, y.Version, y.Actor, why, clock(since))
}
