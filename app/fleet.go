package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/diff"
	"go.yaml.in/yaml/v4"

	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
	"steer/catalog"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/fleet"
	"steer/infra/host"
	"steer/infra/patch"
	"steer/infra/verify"
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
}

// openFleet opens the unattended convergence of hosts.
func (a *App) openFleet(ctx context.Context) (err error) {
	k := &keeper{App: a, commits: map[string]*declared{}, patched: map[string]time.Time{}}
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
	if err != nil {
		return out, err
	}
	take(&out, r)
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
		// command makes room on the disk.
		if r, err = run(toConverge{Unattended: true, Tell: tell}); err != nil {
			return out, err
		}
		take(&out, r)
		if err := k.test(v, m, &out); err != nil {
			return out, err
		}
	}
	if t.Cause != "change" && t.Cause != "drift" { // others wait for those
		k.look(v, t.Host, r.Changes() > 0, &out)
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

func take(out *fleet.Outcome, r converge.Report) {
	if out.Counts == nil {
		out.Counts = map[string]int{}
	}
	for status, n := range r.Counts {
		if status == converge.OK {
			out.Counts[string(status)] = n // the last run counts
		} else {
			out.Counts[string(status)] += n
		}
	}
	out.Hash, out.Leaves, out.Generation, out.FailedConverge = r.Hash, r.Leaves, r.Generation, r.Failed()
	out.Notes = append(out.Notes, r.Notes...)
	if r.CutOff != nil {
		out.CutOff = fmt.Sprintf("begun %s by %s, at %s", r.CutOff.Since.Format(time.DateTime), cmp.Or(r.CutOff.By, "somebody"), r.CutOff.First)
	}
}

// Bounds of what is kept of one visit.
const (
	mostChanges = 500
	mostText    = 16 << 10
)

// keep takes an event over that tells something.
func keep(out *fleet.Outcome, e converge.Event) {
	if e.Status == converge.OK || slices.ContainsFunc(out.Changes, func(c fleet.Change) bool { return c.Ref == e.Ref && c.Status == string(e.Status) }) {
		return
	}
	if len(out.Changes) >= mostChanges {
		out.Cut++
		return
	}
	c := fleet.Change{Ref: e.Ref, Role: e.Role, Place: e.Place, Status: string(e.Status), Action: string(e.Diff.Action), Why: cutText(e.Why), Drift: e.Drift && e.Diff.Action != infra.Run, Took: e.Took}
	for _, f := range e.Diff.Fields[:min(len(e.Diff.Fields), 50)] {
		c.Fields = append(c.Fields, fleet.Field{Name: f.Name, Old: cutText(f.Old), New: cutText(f.New), Text: cutText(f.Text)})
	}
	out.Changes = append(out.Changes, c)
}

func cutText(s string) string {
	if len(s) > mostText {
		return strings.ToValidUTF8(s[:mostText], "") + "…"
	}
	return s
}

// test runs the tests of the host's roles.
func (k *keeper) test(v visit, m infra.Manifest, out *fleet.Outcome) error {
	out.Tests = nil
	if len(m.Tests) == 0 {
		return nil
	}
	text, err := testsYAML(m)
	if err != nil {
		return err
	}
	r, err := v.verify(text)
	if err != nil {
		return err
	}
	for _, t := range r.Results {
		one := fleet.Test{Name: t.Test, Status: string(t.Status), Severity: t.Severity, Rollback: t.Rollback, Repair: t.Repair}
		if t.Status == verify.Error {
			one.Status, one.Found = "failed", t.Why
		}
		for _, p := range t.Properties {
			if p.Status == verify.Failed || p.Status == verify.Error {
				one.Found = cutText(strings.TrimSpace(strings.Join([]string{one.Found, fmt.Sprintf("%s: expected %s, found %s %s", p.Name, p.Expected, p.Found, p.Why)}, "; ")))
			}
		}
		one.Found = strings.TrimPrefix(strings.TrimSpace(one.Found), "; ")
		out.Tests = append(out.Tests, one)
	}
	return nil
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

// propose makes what a host drifted to the declaration.
func (k *keeper) propose(ctx context.Context, d fleet.Drift, commit bool, who id.Person, reason string) (fleet.Proposal, error) {
	p := fleet.Proposal{Drift: d}
	newest, _ := k.definitions.Current()
	definitions, h, err := k.find(ctx, newest, d.Host)
	if err != nil {
		return p, err
	}
	f := &selection{library: definitions.library, self: k.self, uses: inventoryUses, secret: k.secretOf(definitions.files, h.Environment)}
	v, m, err := f.visit(ctx, h)
	if err != nil {
		return p, err
	}
	defer v.Close()
	i := slices.IndexFunc(m.Resources, func(r infra.Declared) bool { return r.Ref() == d.Ref })
	if i < 0 {
		return p, fault.New(fault.Conflict, "accept the drift of %s on %s: the newest definitions do not declare it", d.Ref, d.Host)
	}
	r := m.Resources[i]
	if r.Sensitive {
		return p, fault.New(fault.Conflict, "accept the drift of %s on %s: it is secret, and the definitions hold no secrets in the clear (change the secret: steer secret)", d.Ref, d.Host)
	}
	found, err := v.capture(r)
	if err != nil {
		return p, fmt.Errorf("accept the drift of %s on %s: %w", d.Ref, d.Host, err)
	}
	if found.Kind != r.Kind {
		return p, fault.New(fault.Conflict, "accept the drift of %s on %s: there is a %s in its place; change %s by hand", d.Ref, d.Host, found.Kind, r.Place)
	}
	var fields []string
	for _, f := range d.Fields {
		fields = append(fields, f.Name)
	}
	files, err := definitions.library.Accept(r.Place, r.Kind, fields, []byte(found.YAML))
	if err != nil {
		return p, fmt.Errorf("accept the drift of %s on %s: %w", d.Ref, d.Host, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		old, _ := fs.ReadFile(definitions.files, name)
		p.File = name
		p.Diff += string(diff.Diff(name, old, name, files[name]))
	}
	for _, o := range definitions.alive() {
		if o.Name != h.Name && slices.ContainsFunc(o.Roles, func(u host.Use) bool {
			return slices.ContainsFunc(h.Roles, func(w host.Use) bool { return w.Role == u.Role })
		}) {
			p.Affects = append(p.Affects, o.Name)
		}
	}
	if !commit {
		return p, nil
	}
	message := fmt.Sprintf("Accept %s of %s\n\n%s", d.Ref, d.Host, cmp.Or(reason, "What the host drifted to is the declaration now."))
	p.Commit, err = k.definitions.Change(ctx, git.Change{Author: who, Message: message, Files: files, Base: newest})
	return p, err
}

// captured is what a host has in place of a resource.
type captured struct {
	Kind string `json:"kind"`
	YAML string `json:"yaml"`
}

// captureHere asks a resource what is there in its place.
func captureHere(ctx context.Context, h *infra.Host, r infra.Declared) (captured, error) {
	c, ok := r.Resource.(infra.Captured)
	if !ok {
		return captured{}, fault.New(fault.Conflict, "the kind %s cannot tell what is there in its words: change %s by hand", r.Kind, r.Place)
	}
	is, err := c.Capture(ctx, h)
	if err != nil {
		return captured{}, err
	}
	kind, ok := resourceKinds().Of(is)
	if !ok {
		return captured{}, fmt.Errorf("BUG: %s is captured as what is no kind", r.Ref())
	}
	b, err := yaml.Marshal(is)
	if err != nil {
		return captured{}, fmt.Errorf("write what is there of %s: %w", r.Ref(), err)
	}
	return captured{kind.Name, string(b)}, nil
}
