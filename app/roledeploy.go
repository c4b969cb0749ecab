package app

import (
	"context"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
	"steer/deliver/pipeline"
	"steer/infra/fleet"
)

// followers are the hosts that roles are deployed to. The fleet brings a commit to
// them; a deploy only says which.
type followers struct{ *App }

func target(y deploy.Deploy, commit string) fleet.Target {
	return fleet.Target{Deploy: y.ID, Role: string(y.Service), Environment: y.Environment, Commit: commit, Version: y.Version, Who: y.Actor}
}

// Follow has the hosts follow a commit.
func (f followers) Follow(ctx context.Context, y deploy.Deploy, commit string) error {
	return f.keeper.fleet.Follow(ctx, target(y, commit))
}

// Followed tells how far they are.
func (f followers) Followed(ctx context.Context, y deploy.Deploy, commit string) (bool, string, error) {
	state, text, err := f.keeper.fleet.Followed(ctx, target(y, commit))
	if err == nil && state == fleet.Broken {
		err = fault.New(fault.Conflict, "%s", text)
	}
	return state == fleet.Passed, text, err
}

// tried tells that a version of a role passed what comes before its first deploy. One
// that broke its throw-away host gets to no environment, not even by hand.
func (a *App) tried(ctx context.Context, run int64) error {
	r, err := a.deliver.pipelines.Get(ctx, run)
	if err != nil {
		return err
	}
	for _, s := range r.Stages {
		switch {
		case s.Deploy != "":
			return nil
		case s.State == pipeline.Failed:
			return fault.New(fault.Conflict, "%s did not pass stage %s: %s (steer runs %d; steer retry %d tries again)", r.Version, s.Name, s.Reason, r.ID, r.ID)
		case !s.Manual && s.State != pipeline.Passed:
			return fault.New(fault.Conflict, "%s has not passed stage %s, which is %s (steer runs %d)", r.Version, s.Name, s.State, r.ID)
		}
	}
	return nil
}

// Withdraw lets them go back.
func (f followers) Withdraw(ctx context.Context, e id.Environment, s id.Service, after int64) error {
	return f.keeper.fleet.Withdraw(ctx, string(s), e, after)
}

// Nodes are the hosts as nodes of the role.
func (f followers) Nodes(ctx context.Context, e id.Environment, s id.Service, v id.Version, commit string) ([]deploy.Node, error) {
	hosts, err := f.keeper.fleet.Following(ctx, string(s), e)
	if err != nil {
		return nil, err
	}
	nodes := []deploy.Node{}
	for i, h := range hosts {
		n := deploy.Node{ID: h.Name, Index: i + 1, State: "healthy", Serving: true, Reason: h.Error, Ports: map[string]int{}, Address: map[string]string{}, Started: since(h)}
		if h.Commit != "" {
			if same, err := f.keeper.same(ctx, string(s), readMix(h.Commit).of(string(s)), commit); err == nil && same {
				n.Version = v
			}
		}
		switch h.State {
		case fleet.Waiting:
			n.State, n.Serving = "starting", false
		case fleet.HasFailed:
			n.State = "unhealthy"
		case fleet.Unreachable:
			n.State, n.Serving = "dead", false
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// since is when a host became what it is.
func since(h fleet.Host) time.Time {
	if !h.Rebuilt.IsZero() {
		return h.Rebuilt
	}
	return h.Seen
}
