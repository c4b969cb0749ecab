package app

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"

	"steer/base/fault"
	"steer/cli"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/role"
)

func convergeHosts(ctx context.Context, a cli.HostArgs, c cli.ConvergeArgs, tell func(cli.HostEvent)) ([]cli.HostResult, error) {
	keepGarbage()
	memory := remember(ctx, a, c)
	if memory != nil && memory.found != nil {
		f := &selection{hosts: []host.Host{{Name: "local", Address: "local"}}, self: way{program: memory.program}, memory: memory}
		return f.converge(ctx, c, tell)
	}
	f, err := openFleet(a)
	if err != nil {
		return nil, err
	}
	f.memory = memory
	return f.converge(ctx, c, tell)
}

// storable refuses parameters that hold a secret in the clear.
func storable(a cli.HostArgs) error {
	if len(a.With) == 0 {
		return nil
	}
	l, err := role.Load(os.DirFS(a.Definitions), resourceKinds())
	if err != nil {
		return err
	}
	for _, name := range a.Roles {
		r, err := l.Role(name)
		if err != nil {
			return err
		}
		for key, value := range a.With {
			if r.Parameters[key].Secret && !strings.HasPrefix(value, "secret:") {
				return fault.New(fault.Denied, "keep the plan: parameter %s of role %s is secret, and would stand in the file (give it as %[1]s=secret:NAME, see steer secret)", key, name)
			}
		}
	}
	return nil
}

func (f *selection) converge(ctx context.Context, c cli.ConvergeArgs, tell func(cli.HostEvent)) ([]cli.HostResult, error) {
	all, err := eachHost(ctx, f.hosts, host.Waves{Parallel: c.Parallel, Serial: c.Serial, MaxFail: c.MaxFail}, tell, func(ctx context.Context, h host.Host, tell func(cli.HostEvent)) cli.HostResult {
		return f.one(ctx, h, c, tell)
	})
	return all, errors.Join(err, f.tags.check(c.Tags))
}

// eachHost does something to hosts, wave by wave.
func eachHost(ctx context.Context, hosts []host.Host, w host.Waves, tell func(cli.HostEvent), do func(context.Context, host.Host, func(cli.HostEvent)) cli.HostResult) ([]cli.HostResult, error) {
	var mu sync.Mutex
	var all []cli.HostResult
	left, err := host.Each(ctx, hosts, w, func(ctx context.Context, h host.Host) bool {
		// What a host tells is shown together, so that hosts do not mix.
		var events []cli.HostEvent
		r := do(ctx, h, func(e cli.HostEvent) { events = append(events, e) })
		mu.Lock()
		defer mu.Unlock()
		for _, e := range events {
			tell(e)
		}
		all = append(all, r)
		return !r.Failed
	})
	for _, h := range left {
		all = append(all, cli.HostResult{Host: h.Name, Failed: true, Error: "not begun: hosts before it failed (--max-fail bears more)"})
	}
	return all, err
}

// one converges one host.
func (f *selection) one(ctx context.Context, h host.Host, c cli.ConvergeArgs, tell func(cli.HostEvent)) cli.HostResult {
	return onHost(ctx, h, tell, func(ctx context.Context, event func(converge.Event)) (converge.Report, error) {
		h, err := located(ctx, h)
		if err != nil {
			return converge.Report{}, err
		}
		v, m, err := f.visit(ctx, h)
		if err != nil {
			return converge.Report{}, err
		}
		defer v.Close()
		f.tags.add(m)
		o := toConverge{DryRun: !c.Apply || h.Immutable, Tags: c.Tags, By: c.By, Name: rand.Text(), Version: c.Version, Dir: c.StateDir}
		if c.Apply && !h.Immutable {
			o.Guard = guardOf(h.Address, c.Guard)
		}
		if h.Immutable {
			return replaced(h, c.Apply, func(event func(converge.Event)) (converge.Report, error) { return v.converge(m, o, event) }, event)
		}
		r, err := v.converge(m, o, event)
		return guarded(ctx, h, f.self, o, r, err)
	})
}

func hostEvent(name string, e converge.Event) cli.HostEvent {
	out := cli.HostEvent{Host: name, Ref: e.Ref, Role: e.Role, Place: e.Place, Status: string(e.Status), Action: string(e.Diff.Action), Drift: e.Drift, Why: e.Why, Took: e.Took}
	for _, f := range e.Diff.Fields {
		out.Fields = append(out.Fields, cli.HostField(f))
	}
	return out
}
