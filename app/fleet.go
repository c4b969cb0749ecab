package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"time"

	"steer/catalog"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/fleet"
	"steer/infra/host"
	"steer/infra/patch"
)

// keeper keeps hosts as the definitions say, for the server.
type keeper struct {
	*App
	self  way
	fleet *fleet.Fleet

	mu      sync.Mutex
	commits map[string]*declared // those read last
	ages    map[[2]string]bool   // of pairs of commits: whether the second is newer
	patched map[string]time.Time // when patches of a host were looked for
	eroding map[string]time.Time // when it was looked for what breaks by itself
}

// openFleet opens the unattended convergence of hosts.
func (a *App) openFleet(ctx context.Context) (err error) {
	k := &keeper{App: a, commits: map[string]*declared{}, patched: map[string]time.Time{}, eroding: map[string]time.Time{}}
	if k.self, err = fromHere(); err != nil {
		return err
	}
	k.self.agents = a.agents
	k.fleet, err = fleet.New(ctx, fleet.Options{
		DB: a.db, Work: a.work, Journal: a.journal.Append, Log: a.log,
		Wanted: k.wanted, Visit: k.visit, Open: k.open, Close: k.close, Followed: k.followed, Propose: k.propose, Roles: k.roles, Unmanaged: k.unmanaged,
	})
	if err != nil {
		return err
	}
	a.keeper = k
	a.definitions.OnChange(func(string, fs.FS) { k.fleet.Wake() })
	a.group.Go("hosts", k.fleet.Run)
	a.group.Go("roles", k.followRoles)
	a.group.Go("counts of hosts", a.countHosts)
	return nil
}

// visit does what the fleet decided.
func (k *keeper) visit(ctx context.Context, t fleet.Task) (out fleet.Outcome, err error) {
	if t.Kind == fleet.Destroy {
		return out, k.destroy(ctx, t)
	}
	d, h, err := k.find(ctx, t.Commit, t.Host)
	if err != nil {
		return out, err
	}
	switch {
	case slices.Contains(host.Ways(h), t.Kind):
		return out, host.SwitchOff(ctx, h, t.Kind)
	case t.Kind == fleet.Start || t.Kind == fleet.Restart:
		if err := switchOn(ctx, h, t.Kind == fleet.Restart); err != nil {
			return out, err
		}
		out.Up = true
	case t.First && h.Make != nil && t.Kind != fleet.Rebuild:
		if _, err := host.Create(ctx, h); err != nil {
			return out, err
		}
	case t.Kind == fleet.Rebuild:
		start := time.Now()
		if err := host.Destroy(ctx, h); err != nil {
			return out, err
		}
		if _, err := host.Create(ctx, h); err != nil {
			return out, err
		}
		out.Rebuild = time.Since(start)
	}
	if h, err = located(ctx, h); err == nil && t.Kind == fleet.Back {
		err = editable(h)
	}
	if err != nil {
		return out, err
	}
	f := &selection{library: d.library, self: k.self, uses: inventoryUses, secret: k.secretOf(d.files, h.Environment)}
	v, m, err := f.visit(ctx, h)
	if err != nil {
		return out, err
	}
	defer v.Close()
	if facts, err := v.facts(); err == nil {
		out.Facts, _ = json.Marshal(facts)
	}
	tell := func(e converge.Event) { keep(&out, e) }
	run := func(o toConverge) (converge.Report, error) {
		o.DryRun = o.DryRun || h.Immutable
		o = k.about(o, h, t)
		if h.Immutable {
			return replaced(h, false, func(event func(converge.Event)) (converge.Report, error) { return v.converge(m, o, event) }, tell)
		}
		r, err := v.converge(m, o, tell)
		return guarded(ctx, h, k.self, o, r, err)
	}
	if t.Kind == fleet.Back {
		o := toRollback{k.about(toConverge{}, h, t), cmp.Or(t.To, -1)}
		r, err := v.rollback(o, tell)
		r, err = guarded(ctx, h, k.self, o.toConverge, r, err)
		take(&out, r)
		return out, err
	}
	r, err := run(toConverge{DryRun: t.Kind == fleet.Look, Unattended: t.Kind != fleet.Heal && t.Kind != fleet.Rebuild, Refs: t.Refs})
	take(&out, r)
	if err != nil {
		return out, err
	}
	if t.Kind == fleet.Look || len(t.Refs) > 0 {
		return out, nil
	}
	if out.Checks, err = hostChecks(m, d, h); err != nil {
		return out, err
	}
	if err := k.test(v, m, &out); err != nil {
		return out, err
	}
	if tell := repairs(out.Tests); len(tell) > 0 && t.Kind == fleet.Converge && !h.Immutable {
		// What a failed test asks for is tried once a visit: a service restarts, a
		// command makes room on the disk. Nothing else is in its way: what failed may have
		// failed for want of it.
		repaired, err := run(toConverge{Unattended: true, Refs: tell, Tell: tell})
		out.Notes = append(out.Notes, repaired.Notes...)
		if err != nil {
			return out, err
		}
		r, err = run(toConverge{Unattended: true})
		take(&out, r)
		if err != nil {
			return out, err
		}
		if err := k.test(v, m, &out); err != nil {
			return out, err
		}
	}
	if t.Cause != "change" && t.Cause != "drift" { // others wait for those
		k.look(v, t.Host, r.Changes() > 0, &out)
		k.lookForErosion(ctx, v, m, h, t.Cause == "person", &out)
	}
	return out, nil
}

// about says who changes the host and why; a host that could be cut off guards itself.
func (k *keeper) about(o toConverge, h host.Host, t fleet.Task) toConverge {
	o.By, o.Version, o.Name = string(t.Actor), t.Commit, rand.Text()
	if !o.DryRun {
		o.Guard = guardOf(h.Address, nil)
	}
	return o
}

// hostChecks are the checks of a host's roles, as JSON. Those of a role that goes through
// a pipeline, by itself or with one that includes it, are of that role as checks are of
// services: one that turns critical after its deploy may take that back.
func hostChecks(m infra.Manifest, d *declared, h host.Host) (json.RawMessage, error) {
	all := []catalog.Check{}
	for _, raw := range m.Checks {
		c, err := hostCheck(raw, h.Name, h.Owner)
		if err != nil {
			return nil, err
		}
		c.Environment = cmp.Or(c.Environment, h.Environment)
		c.Service = cmp.Or(c.Service, d.pipes(h, raw.Place()))
		all = append(all, c)
	}
	return json.Marshal(all)
}

// checks are those of all hosts, as their last visits found them.
func (k *keeper) checks(ctx context.Context) (all []catalog.Check, err error) {
	hosts, err := k.fleet.Checks(ctx)
	for _, b := range hosts {
		var some []catalog.Check
		err = errors.Join(err, json.Unmarshal(b, &some))
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b catalog.Check) int { return cmp.Compare(a.Name, b.Name) })
	return all, err
}

// repairs are the resources that failed tests want to be told.
func repairs(tests []fleet.Test) (refs []string) {
	for _, t := range tests {
		if t.Status == "failed" {
			refs = append(refs, t.Repair...)
		}
	}
	return refs
}

// patchEvery is how old what is known of patches may be.
const patchEvery = 6 * time.Hour

// look asks for patches now and then, and after changes.
func (k *keeper) look(v visit, name string, changed bool, out *fleet.Outcome) {
	k.mu.Lock()
	due := changed || time.Since(k.patched[name]) > patchEvery
	k.mu.Unlock()
	if !due {
		return
	}
	var s patch.State
	var err error
	if s, err = v.patches(); err != nil {
		k.log.Warn("look for patches", "host", name, "error", err)
		return
	}
	k.mu.Lock()
	k.patched[name] = time.Now()
	k.mu.Unlock()
	out.Updates, out.Security, out.Reboot = s.Updates, s.Security, s.Reboot
}

// roles describes the roles of the newest definitions.
func (k *keeper) roles(ctx context.Context) ([]fleet.Role, error) {
	commit, _ := k.definitions.Current()
	d, err := k.at(ctx, commit)
	if err != nil {
		return nil, err
	}
	all := []fleet.Role{}
	for _, n := range d.library.Names() {
		r, err := d.library.Role(n)
		if err != nil {
			return nil, err
		}
		all = append(all, fleet.Role{Name: n, Description: r.Description, Document: r.Describe()})
	}
	return all, nil
}
