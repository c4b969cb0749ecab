package api

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"strings"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
	"steer/deliver/pipeline"
)

// DeployRequest is what a person asks for.
type DeployRequest struct {
	Artifact    string `json:"artifact" minLength:"1" doc:"Name of the service."`
	Environment string `json:"environment" minLength:"1" doc:"Where to."`
	Version     string `json:"version" minLength:"1" doc:"b12, or latest: the newest green version that is not pinned."`
	Reason      string `json:"reason,omitempty" maxLength:"1000" doc:"Why; kept in the journal."`
	DryRun      bool   `json:"dry_run,omitempty" doc:"Only say what would be done."`
}

// RollbackRequest asks for an earlier version.
type RollbackRequest struct {
	Service     string `json:"service" minLength:"1" doc:"Name of the service."`
	Environment string `json:"environment" minLength:"1" doc:"Where."`
	To          string `json:"to,omitempty" doc:"Version to go back to; default: the one before."`
	Reason      string `json:"reason,omitempty" maxLength:"1000" doc:"Why; kept in the journal."`
}

// PinRequest keeps a version out of latest.
type PinRequest struct {
	Service string `json:"service" minLength:"1"`
	Version string `json:"version" minLength:"1"`
	Reason  string `json:"reason,omitempty" maxLength:"1000"`
}

// HoldRequest stops automation for a service in an environment.
type HoldRequest struct {
	Service     string `json:"service" minLength:"1"`
	Environment string `json:"environment" minLength:"1"`
	Reason      string `json:"reason,omitempty" maxLength:"1000"`
}

// Done answers a request that has nothing to tell.
type Done struct {
	Done bool `json:"done"`
}

func (a *API) deploys() {
	operation(a, http.MethodGet, "/deploys", "list-deploys", "Deploys, newest first", viewer,
		func(ctx context.Context, in *struct {
			Service     string `query:"service" doc:"Only this service."`
			Environment string `query:"environment" doc:"Only this environment."`
			Limit       int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"At most so many."`
		}) ([]deploy.Deploy, error) {
			all, err := a.o.Deploys.Deploys(ctx, deploy.Filter{Service: id.Service(in.Service), Environment: id.Environment(in.Environment), Limit: in.Limit})
			return list(all), err
		})
	operation(a, http.MethodGet, "/deploys/{id}", "get-deploy", "One deploy with its steps", viewer,
		func(ctx context.Context, in *runInput) (deploy.Deploy, error) { return a.o.Deploys.Get(ctx, in.ID) })
	placed(a, http.MethodPost, "/deploys", "deploy", "Deploy a version of a service to an environment", operator,
		func(ctx context.Context, in *struct{ Body DeployRequest }) (deploy.Deploy, error) {
			return a.deploy(ctx, in.Body)
		})
	placed(a, http.MethodPost, "/rollbacks", "rollback", "Go back to an earlier version", operator,
		func(ctx context.Context, in *struct{ Body RollbackRequest }) (deploy.Deploy, error) {
			service, env, err := a.target(ctx, in.Body.Service, in.Body.Environment)
			if err != nil {
				return deploy.Deploy{}, err
			}
			return a.o.Deploys.Rollback(ctx, service, env, id.Version(in.Body.To), person(ctx), in.Body.Reason)
		})
	operation(a, http.MethodPost, "/pins", "pin", "Keep a version out of latest", operator,
		func(ctx context.Context, in *struct{ Body PinRequest }) (Done, error) {
			return a.pin(ctx, in.Body)
		})
	operation(a, http.MethodPost, "/unpins", "unpin", "Let a version be latest again", operator,
		func(ctx context.Context, in *struct{ Body PinRequest }) (Done, error) {
			service, version, err := a.named(ctx, in.Body.Service, in.Body.Version)
			if err != nil {
				return Done{}, err
			}
			return Done{true}, a.o.Deploys.Unpin(ctx, service, version, person(ctx), in.Body.Reason)
		})
	placed(a, http.MethodPost, "/holds", "hold", "Stop automation for a service in an environment", operator,
		func(ctx context.Context, in *struct{ Body HoldRequest }) (Done, error) {
			service, env, err := a.target(ctx, in.Body.Service, in.Body.Environment)
			if err != nil {
				return Done{}, err
			}
			return Done{true}, a.o.Deploys.Hold(ctx, env, service, person(ctx), in.Body.Reason)
		})
	placed(a, http.MethodPost, "/releases", "release", "Let automation go on", operator,
		func(ctx context.Context, in *struct{ Body HoldRequest }) (Done, error) {
			service, env, err := a.target(ctx, in.Body.Service, in.Body.Environment)
			if err != nil {
				return Done{}, err
			}
			return Done{true}, a.o.Deploys.Release(ctx, env, service, person(ctx), in.Body.Reason)
		})
}

func (a *API) deploy(ctx context.Context, in DeployRequest) (deploy.Deploy, error) {
	service, env, err := a.target(ctx, in.Artifact, in.Environment)
	if err != nil {
		return deploy.Deploy{}, err
	}
	version := id.Version(in.Version)
	if version == id.Local {
		return deploy.Deploy{}, fault.New(fault.Invalid, "deploy %s: version=local is what is on the machine of the command line, so 'steer deploy' packs and uploads it; over HTTP name a build or latest", service)
	}
	request := deploy.Request{Service: service, Environment: env, Version: version, Kind: "deploy", Actor: person(ctx), Reason: in.Reason}
	var d deploy.Deploy
	if in.DryRun {
		d, err = a.o.Deploys.DryRun(ctx, request)
	} else {
		d, err = a.o.Deploys.Request(ctx, nil, request)
	}
	if fault.Of(err) == fault.NotFound {
		err = a.unbuilt(ctx, request, err)
	}
	return d, err
}

// unbuilt says more about a version that was not found, if it has a run: why there
// is no artifact of it.
func (a *API) unbuilt(ctx context.Context, r deploy.Request, otherwise error) error {
	run, err := a.runOf(ctx, r.Service, r.Version)
	switch {
	case err != nil || run == nil || run.Digest != "":
		return otherwise
	case run.Finished == nil:
		return fault.New(fault.Conflict, "deploy %s %s to %s: it is not built yet, run %d is %s (steer runs %d)", r.Service, r.Version, r.Environment, run.ID, run.State, run.ID)
	}
	return fault.New(fault.Conflict, "deploy %s %s to %s: it was not built, since run %d %s: %s", r.Service, r.Version, r.Environment, run.ID, run.State, run.Reason)
}

// runOf is the run that makes a version; nil if there is none.
func (a *API) runOf(ctx context.Context, service id.Service, version id.Version) (*pipeline.Run, error) {
	var before int64
	for {
		runs, err := a.o.Pipelines.Runs(ctx, pipeline.Filter{Service: service, Before: before, Limit: 500})
		if err != nil || len(runs) == 0 {
			return nil, err
		}
		for i := range runs {
			if runs[i].Version == version {
				return &runs[i], nil
			}
		}
		before = runs[len(runs)-1].ID
	}
}

// pin checks that there is such a version: a mistyped one would pin nothing.
func (a *API) pin(ctx context.Context, in PinRequest) (Done, error) {
	service, version, err := a.named(ctx, in.Service, in.Version)
	if err != nil {
		return Done{}, err
	}
	run, err := a.runOf(ctx, service, version)
	if err != nil {
		return Done{}, err
	}
	if run == nil && !strings.HasPrefix(string(version), string(id.Local)+"-") {
		return Done{}, fault.New(fault.NotFound, "pin %s of %s: there is no such version (steer runs --service %s)", version, service, service)
	}
	return Done{true}, a.o.Deploys.Pin(ctx, service, version, person(ctx), in.Reason)
}

// target checks the names of a service and an environment, and that the caller is
// an operator there.
func (a *API) target(ctx context.Context, service, environment string) (id.Service, id.Environment, error) {
	s, err := a.resolve(ctx, service)
	if err != nil {
		return "", "", err
	}
	env, err := id.Parse[id.Environment]("environment", environment)
	if err != nil {
		return "", "", fault.New(fault.Invalid, "%w", err)
	}
	return s, env, may(ctx, operator, env)
}

// named checks the names of a service and one of its versions.
func (a *API) named(ctx context.Context, service, version string) (id.Service, id.Version, error) {
	s, err := a.resolve(ctx, service)
	if err != nil {
		return "", "", err
	}
	v, err := id.Parse[id.Version]("version", version)
	if err != nil || v == id.Latest || v == id.Local {
		return "", "", fault.New(fault.Invalid, "version %q of %s: name one version, like b12", version, s)
	}
	return s, v, nil
}

// resolve maps a name of services.yaml, or an artifact's name, to the service. A
// service without an entry there is known by its commits.
func (a *API) resolve(ctx context.Context, name string) (id.Service, error) {
	s, unknown := a.o.Catalog().Resolve(name)
	if unknown == nil {
		return s, nil
	}
	s, err := id.Parse[id.Service]("service", name)
	if err != nil {
		return "", fault.New(fault.Invalid, "%w", err)
	}
	runs, err := a.o.Pipelines.Runs(ctx, pipeline.Filter{Service: s, Limit: 1})
	if err != nil {
		return "", err
	}
	if len(runs) > 0 {
		return s, nil
	}
	// Roles with a pipeline are in no services.yaml: they are known by their runs, too.
	if runs, err = a.o.Pipelines.Runs(ctx, pipeline.Filter{Limit: 200}); err != nil || len(runs) == 0 {
		return "", cmp.Or(err, unknown)
	}
	var known []string
	for _, s := range a.o.Catalog().Services {
		known = append(known, string(s.Artifact))
	}
	for _, r := range runs {
		known = append(known, string(r.Service))
	}
	return "", fault.New(fault.NotFound, "no service %q, and no role with a pipeline%s", name, config.Suggest(name, known))
}

// nodeLog sends the last lines of what a node printed; with ?follow=1 also what
// it prints from now on.
func (a *API) nodeLog(w http.ResponseWriter, r *http.Request) {
	a.text(w, r, func(ctx context.Context, follow bool) (io.ReadCloser, error) {
		return a.o.Deploys.Log(ctx, r.PathValue("id"), 200, follow)
	})
}
