package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
	"steer/cli"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/host"
)

// defaultGuard is how long a host that is reached by SSH waits for the confirmation that
// it still can be.
const defaultGuard = time.Minute

// guardOf is how long the generations of a host wait to be confirmed, 0 for not at all.
func guardOf(address string, asked *time.Duration) time.Duration {
	switch {
	case asked != nil:
		return max(*asked, 0)
	case strings.HasPrefix(address, "ssh:"), strings.HasPrefix(address, "agent:"):
		return defaultGuard
	}
	return 0
}

// startGuard starts this program as a guard, which has to outlive this process, the
// connection and, where systemd runs services, the end of the service to which this
// process belongs: sshd's, which may be what is restarted.
func startGuard(ctx context.Context, h *infra.Host, dir string, generation int, within time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	words := []string{self, cli.GuardCommand, dir, fmt.Sprint(generation), within.String()}
	if h.Facts.Init == "systemd" && h.Has("systemd-run") && os.Geteuid() == 0 {
		out, err := h.Exec(ctx, infra.Command{Args: append([]string{"systemd-run", "--quiet", "--collect", "--description=Guard of a change by Steer", "--"}, words...), Within: 10 * time.Second})
		if err == nil && out.Code == 0 {
			return nil
		}
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir, cmd.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() //nolint:errcheck // it outlives this process, or is reaped
	return nil
}

// watchGeneration is the guard's process.
func watchGeneration(ctx context.Context, dir string, generation int, within time.Duration) error {
	return converge.Watch(ctx, generation, within, toConverge{Dir: dir}.options(ctx, infra.NewHost(ctx), nil))
}

// confirmHost says over a connection of its own that a host can be reached after a
// generation. It tries for as long as the host waits.
func confirmHost(ctx context.Context, address string, self way, dir string, r converge.Report, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := visitHost(ctx, address, self)
		if err == nil {
			err = v.confirm(dir, r.Generation)
			v.Close()
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() == nil || last == nil:
			last = err
		}
		if k := fault.Of(err); k == fault.Invalid {
			return fmt.Errorf("confirm generation %d: %w", r.Generation, err)
		}
		select {
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "after this change the host cannot be reached any more, so it was not confirmed within %s, and the host undoes generation %d itself: %w", within, r.Generation, last)
		case <-tick.C:
		}
	}
}

// rollbackHost brings one host back to what it was after an earlier generation; its
// guard is as that of a change. The next convergence brings the state of the definitions
// again.
func rollbackHost(ctx context.Context, h host.Host, self way, c cli.RollbackArgs, tell func(cli.HostEvent)) cli.HostResult {
	return onHost(ctx, h, tell, func(ctx context.Context, event func(converge.Event)) (converge.Report, error) {
		h, err := located(ctx, h)
		if err == nil {
			err = editable(h)
		}
		if err != nil {
			return converge.Report{}, err
		}
		v, err := visitHost(ctx, h.Address, self)
		if err != nil {
			return converge.Report{}, err
		}
		defer v.Close()
		o := toRollback{toConverge{DryRun: !c.Apply, By: c.By, Name: rand.Text(), Dir: c.StateDir}, c.To}
		if c.Apply {
			o.Guard = guardOf(h.Address, c.Guard)
		}
		r, err := v.rollback(o, event)
		return guarded(ctx, h, self, o.toConverge, r, err)
	})
}

// guarded is the end of a run: it confirms what waits for that.
func guarded(ctx context.Context, h host.Host, self way, o toConverge, r converge.Report, err error) (converge.Report, error) {
	if err != nil && o.Guard > 0 && fault.Of(err) == fault.Unavailable {
		r, err = rejoin(ctx, h, self, o, err)
	}
	if r.Unconfirmed && ctx.Err() == nil { // also when the host could not write down the end: it is reached
		err = errors.Join(err, confirmHost(ctx, h.Address, self, o.Dir, r, o.Guard))
	}
	return r, err
}

// rejoin waits for the end of a run to which the connection was lost: a change of the
// network may end connections, and new ones can be made all the same.
func rejoin(ctx context.Context, h host.Host, self way, o toConverge, lost error) (converge.Report, error) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for end := time.Now().Add(o.Guard); time.Now().Before(end) && ctx.Err() == nil; {
		g, err := lookFor(ctx, h.Address, self, o, end)
		switch {
		case err != nil || g.Number == 0:
		case g.Running:
			end = time.Now().Add(o.Guard)
		case g.Unconfirmed && !g.Ended.IsZero():
			r := converge.Report{Counts: g.Counts, Generation: g.Number, Hash: g.Hash, Unconfirmed: true}
			r.Notes = []string{fmt.Sprintf("the connection was lost (%v), and the host came to the end by itself", lost)}
			return r, nil
		default:
			end = time.Now()
			continue // it died, or is undone
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return converge.Report{}, fault.New(fault.Unavailable, "%w (what it changed by then it undoes itself, %s after the end of the run)", lost, o.Guard)
}

// lookFor finds the generation of a run; without one its number is 0.
func lookFor(ctx context.Context, address string, self way, o toConverge, end time.Time) (g converge.Generation, err error) {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	v, err := visitHost(ctx, address, self)
	if err != nil {
		return g, err
	}
	defer v.Close()
	all, err := v.generations(o.Dir)
	for _, one := range all {
		if one.Name == o.Name {
			return one, err
		}
	}
	return g, err
}

// onHost does something to one host, and tells it to people.
func onHost(ctx context.Context, h host.Host, tell func(cli.HostEvent), do func(context.Context, func(converge.Event)) (converge.Report, error)) cli.HostResult {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := time.Now()
	out := cli.HostResult{Host: h.Name, Counts: map[string]int{}}
	r, err := do(ctx, func(e converge.Event) { tell(hostEvent(h.Name, e)) })
	for status, n := range r.Counts {
		out.Counts[string(status)] = n
	}
	out.Hash, out.Generation, out.Notes, out.Failed, out.Took, out.Remembers = r.Hash, r.Generation, r.Notes, r.Failed(), time.Since(start), r.Remembers
	if r.CutOff != nil {
		out.CutOff = fmt.Sprintf("begun %s by %s, at %s", r.CutOff.Since.Format(time.DateTime), cmp.Or(r.CutOff.By, "somebody"), r.CutOff.First)
	}
	if err != nil {
		out.Failed, out.Error = true, err.Error()
	}
	return out
}

func rollbackHosts(ctx context.Context, a cli.HostArgs, c cli.RollbackArgs, tell func(cli.HostEvent)) ([]cli.HostResult, error) {
	hosts, self, err := plainHosts(a)
	if err != nil {
		return nil, err
	}
	return eachHost(ctx, hosts, host.Waves{MaxFail: -1}, tell, func(ctx context.Context, h host.Host, tell func(cli.HostEvent)) cli.HostResult {
		return rollbackHost(ctx, h, self, c, tell)
	})
}

func hostGenerations(ctx context.Context, a cli.HostArgs, dir string) ([]cli.HostGenerations, error) {
	hosts, self, err := plainHosts(a)
	if err != nil {
		return nil, err
	}
	out := make([]cli.HostGenerations, len(hosts))
	index := map[string]int{}
	for i, h := range hosts {
		index[h.Name] = i
	}
	_, err = host.Each(ctx, hosts, host.Waves{MaxFail: -1}, func(ctx context.Context, h host.Host) bool {
		o := cli.HostGenerations{Host: h.Name, Generations: []cli.HostGeneration{}}
		h, err := located(ctx, h)
		var v visit
		if err == nil {
			v, err = visitHost(ctx, h.Address, self)
		}
		if err == nil {
			defer v.Close()
			var all []converge.Generation
			all, err = v.generations(dir)
			for _, g := range all {
				one := cli.HostGeneration{Number: g.Number, By: g.By, Since: g.Since, Ended: g.Ended, Version: g.Version, Counts: map[string]int{}, Changed: g.Changed, More: g.More, Hash: g.Hash, BackTo: g.BackTo, Unconfirmed: g.Unconfirmed}
				for status, n := range g.Counts {
					one.Counts[string(status)] = n
				}
				o.Generations = append(o.Generations, one)
			}
		}
		if err != nil {
			o.Error = err.Error()
		}
		out[index[h.Name]] = o
		return err == nil
	})
	return out, err
}

// plainHosts are hosts without their roles: of the inventory by name, or one by its
// address, or this machine.
func plainHosts(a cli.HostArgs) ([]host.Host, way, error) {
	self, err := fromHere()
	if err != nil {
		return nil, way{}, err
	}
	if len(a.Limit) == 0 {
		return []host.Host{addressed(cmp.Or(a.Address, "local"))}, self, nil
	}
	all, err := host.ReadInventory(os.DirFS(a.Definitions))
	for i := range all {
		all[i].Folder = a.Definitions
	}
	if err == nil {
		all, err = host.Select(all, a.Limit)
	}
	return all, self, err
}

// addressed is a host that is no more than an address.
func addressed(address string) host.Host {
	_, name, _ := strings.Cut(address, "//")
	return host.Host{Name: cmp.Or(name, address), Address: address}
}
