package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/secret"
	"steer/catalog"
	"steer/deliver/artifact"
	"steer/deliver/balance"
	"steer/deliver/deploy"
	"steer/deliver/deploy/docker"
	"steer/deliver/deploy/hosts"
	"steer/deliver/deploy/kubernetes"
	"steer/deliver/deploy/process"
	"steer/deliver/pipeline"
	"steer/deliver/registry"
	"steer/deliver/run"
	"steer/deliver/source"
	"steer/monitor/state"
)

// deliver is the way of a change: source → pipeline → run → artifact → deploy →
// balance.
type deliver struct {
	sources    *source.Source
	pipelines  *pipeline.Pipeline
	runner     *run.Runner
	registry   *registry.Registry
	artifacts  *artifact.Repository
	processes  *process.Driver
	containers *docker.Driver
	remote     *hosts.Driver
	pods       *kubernetes.Driver
	balancer   *balance.Balancer
	deploys    *deploy.Deployer
}

// openDeliver builds the area from its end to its beginning: what takes comes
// before what brings, so that it stops after it.
func (a *App) openDeliver(ctx context.Context) (err error) {
	d := &a.deliver
	if d.registry, err = registry.New(ctx, registry.Options{
		Config: a.o.Registry, Dir: a.path("artifacts"), DB: a.db, Journal: a.journal.Append, Log: a.log,
	}); err != nil {
		return err
	}
	if d.artifacts, err = artifact.New(ctx, artifact.Options{
		Config: a.o.Artifact, Dir: a.path("artifacts"), Key: a.path("package.key"), DB: a.db, Journal: a.journal.Append, Log: a.log,
		Recorded: func(ctx context.Context, tx *sql.Tx, art artifact.Artifact) error {
			return d.registry.Built(ctx, tx, art.Service, art.Version, registry.Digest(art.Digest))
		},
		Manifest: func(file string, data []byte) (catalog.Manifest, error) {
			return catalog.Reader{Query: checkQuery}.ParseManifest(file, data)
		},
	}); err != nil {
		return err
	}
	versions, err := d.artifacts.List(ctx, "", 0)
	if err != nil {
		return err
	}
	built := make([]registry.Version, len(versions))
	for i, v := range versions {
		built[i] = registry.Version{Service: v.Service, Version: v.Version, Digest: registry.Digest(v.Digest)}
	}
	if err := d.registry.Adopt(ctx, built); err != nil {
		return err
	}
	if d.balancer, err = balance.New(ctx, balance.Options{
		Config: a.o.Balance, DB: a.db, Instance: a.instance, Samples: a.monitor.statistic.Add, Log: a.log,
	}); err != nil {
		return err
	}
	a.group.Close("balancer", d.balancer.Close)
	if err := a.openDeploy(ctx); err != nil {
		return err
	}
	if d.runner, err = run.New(run.Options{Config: a.o.Run, Logs: a.path("runs"), Cache: a.path("cache"), Log: a.log}); err != nil {
		return err
	}
	if err := a.openPipeline(ctx); err != nil {
		return err
	}
	if d.sources, err = source.New(ctx, source.Options{
		Config: a.o.Source, DB: a.db, Journal: a.journal, Dir: a.o.Data, Log: a.log,
		Services: func() (all []catalog.Service) {
			for _, s := range a.catalog.Load().Services {
				all = append(all, s)
			}
			return all
		},
		Commit: func(ctx context.Context, tx *sql.Tx, c source.Commit) error {
			_, err := d.pipelines.Start(ctx, tx, pipeline.Commit{
				Service: c.Service.Artifact, Repo: c.Repo, SHA: c.SHA, Author: c.Author, Message: c.Message, Time: c.Time,
				Branch: c.Branch, Chain: c.Chain, Cause: c.Event,
			})
			return err
		},
	}); err != nil {
		return err
	}
	// Stopped in reverse: the balancer drains before the nodes behind it end.
	a.group.Go("registry", d.registry.Run)
	a.group.Go("processes", d.processes.Run)
	a.group.Go("containers", d.containers.Run)
	a.group.Go("nodes on hosts", d.remote.Run)
	a.group.Go("pods", d.pods.Run)
	a.group.Go("balancer", d.balancer.Run)
	a.group.Go("deploys", d.deploys.Run)
	a.group.Go("pipelines", d.pipelines.Run)
	a.group.Go("sources", d.sources.Run)
	return nil
}

func (a *App) openPipeline(ctx context.Context) (err error) {
	d := &a.deliver
	d.pipelines, err = pipeline.New(ctx, pipeline.Options{
		DB: a.db, Work: a.work, Journal: a.journal, Dir: a.path("runs"), Log: a.log,
		Manifest: func(ctx context.Context, s id.Service, repo, sha string) (catalog.Manifest, error) {
			if repo == definitionsName {
				return a.keeper.manifest(ctx, string(s), sha)
			}
			b, err := d.sources.ReadFile(ctx, repo, sha, "steer.yaml")
			if fault.Of(err) == fault.NotFound {
				return catalog.Manifest{}, fault.New(fault.NotFound, "there is no steer.yaml in commit %.8s (it says how to build, test and run the service)", sha)
			} else if err != nil {
				return catalog.Manifest{}, err
			}
			return catalog.Reader{Query: checkQuery}.ParseManifest("steer.yaml", b)
		},
		Checkout: func(ctx context.Context, repo, sha, dir string) error {
			if repo == definitionsName {
				return a.definitions.Repo().Checkout(ctx, sha, dir)
			}
			return d.sources.Checkout(ctx, repo, sha, dir)
		},
		Slot: d.runner.Slot,
		Execute: func(ctx context.Context, j pipeline.Job) (pipeline.Result, error) {
			if j.Repo == definitionsName {
				return a.keeper.stage(ctx, j)
			}
			r, err := d.runner.Execute(ctx, run.Job{
				Service: j.Service, Version: j.Version, Commit: j.Commit, Stage: j.Stage, Command: j.Command, Dir: j.Dir, Temp: j.Temp,
				Log: j.Log, Env: j.Env, Timeout: j.Timeout,
			})
			return pipeline.Result{ExitCode: r.ExitCode, Reason: r.Reason, Tests: (*pipeline.Tests)(r.Tests)}, err
		},
		Follow:  run.Follow,
		Package: a.pack,
		Artifact: func(ctx context.Context, s id.Service, v id.Version) (string, error) {
			art, err := d.artifacts.Get(ctx, s, v)
			return art.Digest, err
		},
		Deploy: func(ctx context.Context, tx *sql.Tx, r pipeline.DeployRequest) (int64, error) {
			made, err := d.deploys.Request(ctx, tx, deploy.Request{
				Service: r.Service, Environment: r.Environment, Version: r.Version, Kind: deploy.KindDeploy,
				Actor: r.Actor, Reason: r.Reason, Chain: r.Chain, Cause: r.Cause, Automatic: true,
			})
			return made.ID, err
		},
		DeployState: func(ctx context.Context, number int64) (string, string, error) {
			made, err := d.deploys.Get(ctx, number)
			reason := ""
			if made.Failure != nil {
				reason = made.Failure.String()
			}
			return made.State, reason, err
		},
		Address: func(_ context.Context, s id.Service, e id.Environment) (string, error) {
			return httpAddress(d.balancer.Address(e, s)), nil
		},
		May: a.mayApprove,
		Pinned: func(ctx context.Context, s id.Service) ([]id.Version, error) {
			pins, err := d.deploys.Pins(ctx, s)
			var versions []id.Version
			for _, p := range pins {
				versions = append(versions, p.Version)
			}
			return versions, err
		},
	})
	return err
}

// httpAddress picks the port that a smoke test should use.
func httpAddress(ports map[string]string) string {
	names := make([]string, 0, len(ports))
	for name := range ports {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if len(name) >= 4 && name[:4] == "http" {
			return ports[name]
		}
	}
	return ""
}

// pack stores what a run built, with what led to it.
func (a *App) pack(ctx context.Context, r pipeline.Run, dir string) (string, error) {
	committed := r.Committed
	m := artifact.Meta{
		Service: r.Service, Version: r.Version, Commit: r.Commit, Repository: r.Repo, Branch: r.Branch, Author: r.Author, Message: r.Message,
		Committed: &committed, Run: r.ID, Build: r.Manifest.Artifact.Build, Manifest: r.Manifest, Chain: r.Chain,
	}
	for _, s := range r.Stages {
		if s.Finished == nil && !s.Ran {
			continue
		}
		stage := artifact.Stage{Name: s.Name, Command: s.Command}
		if s.ExitCode != nil {
			stage.ExitCode = *s.ExitCode
		}
		if s.Started != nil && s.Finished != nil {
			stage.Took = s.Finished.Sub(*s.Started)
		}
		if s.Tests != nil {
			stage.Tests = &artifact.Tests{Unit: s.Tests.Unit, Passed: s.Tests.Passed, Failed: s.Tests.Failed, Skipped: s.Tests.Skipped}
		}
		m.Stages = append(m.Stages, stage)
	}
	made, err := a.deliver.artifacts.Put(ctx, m, dir, r.Manifest.Artifact.Paths)
	return made.Digest, err
}

func (a *App) openDeploy(ctx context.Context) (err error) {
	d := &a.deliver
	if d.processes, err = process.New(process.Options{
		Config: a.o.Deploy.Process, Dir: a.path("nodes"), Unpack: a.unpack, Secret: a.secret, Log: a.log,
	}); err != nil {
		return err
	}
	if d.containers, err = docker.New(docker.Options{
		Config: a.o.Deploy.Docker, Dir: a.path("containers"), Instance: a.instance, Secret: a.secret, Stats: a.statsd, Log: a.log,
		Archive: d.artifacts.Archive, Image: d.artifacts.Image,
	}); err != nil {
		return err
	}
	if err := a.openNodeHosts(); err != nil {
		return err
	}
	store := &podStore{a: a}
	if d.pods, err = kubernetes.New(kubernetes.Options{
		Config: a.o.Deploy.Kubernetes, Dir: a.path("pods"), Instance: a.instance, Secret: a.secret, Log: a.log, Image: store.image, Token: store.token,
	}); err != nil {
		return err
	}
	drivers := deploy.Drivers{deploy.DriverProcess: d.processes, deploy.DriverDocker: d.containers, deploy.DriverHosts: d.remote, deploy.DriverKubernetes: d.pods}
	d.deploys, err = deploy.New(ctx, deploy.Options{
		DB: a.db, Work: a.work, Journal: a.journal, Driver: drivers, Balancer: balancer{d.balancer}, Log: a.log,
		Artifact: func(ctx context.Context, s id.Service, v id.Version) (deploy.Artifact, error) {
			art, err := d.artifacts.Get(ctx, s, v)
			if err != nil {
				return deploy.Artifact{}, err
			}
			p, err := d.artifacts.Provenance(ctx, art.Digest)
			if err != nil {
				return deploy.Artifact{}, err
			}
			if p.Manifest == nil {
				return deploy.Artifact{}, fault.New(fault.Invalid, "artifact %s %s has no steer.yaml in its provenance", s, v)
			}
			if p.Manifest.Run.Command == "" && p.Repository != definitionsName {
				return deploy.Artifact{}, fault.New(fault.Invalid, "artifact %s %s has no run.command: it is a package, which hosts install (see the package repositories in docs/guide/artifacts.md)", s, v)
			}
			if p.Repository == definitionsName {
				if err := a.tried(ctx, p.Run); err != nil {
					return deploy.Artifact{}, err
				}
			}
			made := deploy.Artifact{Version: art.Version, Digest: art.Digest, Manifest: *p.Manifest, Commit: art.Commit, Chain: art.Chain, Role: p.Repository == definitionsName}
			if p.Committed != nil {
				made.Committed = *p.Committed
			}
			return made, nil
		},
		Latest: func(ctx context.Context, s id.Service) (id.Version, error) { return d.pipelines.Latest(ctx, s) },
		Environment: func(e id.Environment, s id.Service) (catalog.Environment, int, error) {
			if env, number, ok, err := a.keeper.environment(e, s); ok || err != nil {
				return env, number, err
			}
			c := a.catalog.Load()
			env, err := c.Environment(e)
			_, number := c.Nodes(e, s)
			return env, number, err
		},
		Stats: a.statsd, Secret: a.secret, Hosts: followers{a},
		Versions: func(ctx context.Context, s id.Service) ([]id.Version, error) {
			list, err := d.artifacts.List(ctx, s, 10)
			var versions []id.Version
			for _, art := range list {
				versions = append(versions, art.Version)
			}
			return versions, err
		},
	})
	return err
}

// unpack fills the empty folder that the driver made: the repository makes folders
// itself, all at once.
func (a *App) unpack(ctx context.Context, digest, dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return a.deliver.artifacts.Unpack(ctx, digest, dir)
}

// secret reads secrets/ENVIRONMENT/NAME.age of the definitions.
func (a *App) secret(env id.Environment, name string) (string, error) {
	_, files := a.definitions.Current()
	path := fmt.Sprintf("secrets/%s/%s.age", env, name)
	if !fs.ValidPath(path) {
		return "", fault.New(fault.Invalid, "secret %q: no such name", name)
	}
	b, err := fs.ReadFile(files, path)
	if err != nil {
		return "", fault.New(fault.NotFound, "secret %q of %s: there is no %s in the definitions", name, env, path)
	}
	var v secret.Value
	if v, err = a.secrets.Decrypt(b); err != nil {
		return "", fmt.Errorf("secret %q of %s: %w", name, env, err)
	}
	return v.Reveal(), nil
}

// statsd is where nodes send their measurements.
func (a *App) statsd() (host, port string) {
	addr := a.monitor.samples.UDP()
	if addr == nil {
		return "", ""
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return "", ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return host, port
}

// takeBack undoes the deploy that an incident is blamed on, if it is still within
// its watch time; if not, the journal says why.
func (a *App) takeBack(ctx context.Context, tx *sql.Tx, i state.Incident) error {
	ref := fmt.Sprintf("incident/%d", i.ID)
	made, why, err := a.deliver.deploys.AutoRollback(ctx, tx, deploy.Incident{
		Ref: ref, Service: i.Service, Environment: i.Environment, Check: i.Title, Cause: i.Event,
	})
	if err != nil || made.ID != 0 {
		return err
	}
	return a.journal.Append(ctx, tx, &event.Event{
		Source: "/steer/deploy", Type: event.RollbackDeclined, Subject: ref, Summary: "No automatic rollback of " + string(i.Service) + ": " + why,
		Service: i.Service, Environment: i.Environment, Version: i.Version, Chain: i.Chain, Cause: i.Event,
	})
}
