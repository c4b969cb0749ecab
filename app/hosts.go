package app

import (
	"context"
	"os"
	"sync"
	"time"

	"steer/cli"
	"steer/infra"
	"steer/infra/host"
	"steer/infra/verify"
)

// Infra is what the commands about hosts work with.
func Infra() cli.Infra {
	return cli.Infra{Converge: convergeHosts, Storable: storable, Verify: verifyHosts, AddTest: addTest, AppendTest: verify.Append, TestRole: testRole,
		Hosts: listHosts, Make: makeHosts, Roles: describeRoles, Describe: describeHosts, Facts: hostFacts, Side: HostSide, Keep: keepNodes,
		Generations: hostGenerations, Rollback: rollbackHosts, Guard: watchGeneration,
		Bake: bake, Enter: infra.Enter, Agent: hostAgent()}
}

func listHosts(ctx context.Context, a cli.HostArgs) ([]cli.HostInfo, error) {
	all, err := host.ReadInventory(os.DirFS(a.Definitions))
	if err == nil {
		all, err = host.Select(host.Lasting(all, time.Now()), a.Limit)
	}
	if err != nil {
		return nil, err
	}
	out := make([]cli.HostInfo, len(all))
	index := map[string]int{}
	for i, h := range all {
		index[h.Name] = i
		out[i] = cli.HostInfo{Host: h.Name, Group: h.Group, Owner: string(h.Owner), Address: h.Address, Made: h.Make != nil}
		for _, u := range h.Roles {
			out[i].Roles = append(out[i].Roles, u.Role)
		}
	}
	_, err = host.Each(ctx, all, host.Waves{MaxFail: -1}, func(ctx context.Context, h host.Host) bool {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		is, err := host.Condition(ctx, h)
		if err != nil {
			is = "unknown: " + err.Error()
		}
		out[index[h.Name]].State = is
		return true
	})
	return out, err
}

// makeHosts creates, starts, rebuilds, stops or destroys hosts of the inventory, and
// converges those that are there afterwards.
func makeHosts(ctx context.Context, a cli.HostArgs, what string, tell func(cli.HostEvent)) ([]cli.HostResult, error) {
	f, err := openFleet(a)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	step := func(h host.Host, text string) {
		mu.Lock()
		defer mu.Unlock()
		tell(cli.HostEvent{Host: h.Name, Status: "step", Why: text})
	}
	since := func(start time.Time) string { return time.Since(start).Round(time.Millisecond).String() }
	var all []cli.HostResult
	var there []host.Host
	started := map[string]time.Time{}
	_, err = host.Each(ctx, f.hosts, host.Waves{MaxFail: -1}, func(ctx context.Context, h host.Host) bool {
		start := time.Now()
		var err error
		over := false // there is nothing to converge
		switch what {
		case "start":
			if err = host.SwitchOn(ctx, h); err == nil {
				step(h, "runs, after "+since(start))
			}
		case host.Off, host.Kill, host.Freeze, host.Cut:
			over = true
			if err = host.SwitchOff(ctx, h, what); err == nil {
				step(h, host.Said(what)+" in "+since(start))
			}
		case "destroy", "rebuild":
			over = what == "destroy"
			said := "destroyed"
			if is, _ := host.Condition(ctx, h); is == host.Missing {
				said = "there was none"
			}
			if err = host.Destroy(ctx, h); err == nil {
				step(h, said)
			}
		}
		if (what == "create" || what == "rebuild") && err == nil {
			var made bool
			if made, err = host.Create(ctx, h); err == nil && made {
				step(h, "made in "+since(start))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		switch started[h.Name] = start; {
		case err != nil:
			all = append(all, cli.HostResult{Host: h.Name, Failed: true, Error: err.Error(), Took: time.Since(start)})
		case over:
			all = append(all, cli.HostResult{Host: h.Name, Counts: map[string]int{}, Took: time.Since(start)})
		default:
			there = append(there, h)
		}
		return err == nil
	})
	if err != nil || len(there) == 0 {
		return all, err
	}
	f.hosts = there
	results, err := f.converge(ctx, cli.ConvergeArgs{Apply: true, MaxFail: -1, By: "steer host " + what}, tell)
	for _, r := range results {
		r.Took = time.Since(started[r.Host]) // what it took until the host was as declared
		all = append(all, r)
	}
	return all, err
}
