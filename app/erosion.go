package app

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/infra"
	"steer/infra/fleet"
	"steer/infra/host"
	"steer/infra/verify"
)

// glance is a test that every host gets without declaring it: what it finds comes by
// itself, so that nobody would think of it in time.
type glance struct {
	name, kind, id string // kind and id of the test
	host.Look
	test string // YAML
}

// looks are those of a host. The kernel's log counts back to the visit before, at least.
func looks(c host.Converge) []glance {
	within := min(max(24*time.Hour, 2*c.Every.Std()), 30*24*time.Hour)
	e := c.Erosion
	all := []glance{
		{"arrays", "hardware", "arrays", e.Arrays, ""}, {"disks", "hardware", "disks", e.Disks, ""}, {"filesystems", "hardware", "filesystems", e.Filesystems, ""},
		{"memory", "hardware", "memory", e.Memory, ""}, {"board", "hardware", "board", e.Board, ""}, {"stuck", "stuck", "all", e.Stuck, ""}, {"oom", "oom", "all", e.OOM, ""},
	}
	for i, l := range all {
		all[i].Off = cmp.Or(l.Off, e.Off)
		if all[i].test = fmt.Sprintf("  - stuck: {name: %s}\n", l.id); l.kind == "hardware" {
			all[i].test = fmt.Sprintf("  - hardware: {part: %s, within: %s}\n", l.id, within)
		} else if l.kind == "oom" {
			all[i].test = fmt.Sprintf("  - oom: {name: %s, within: %s}\n", l.id, within)
		}
	}
	return all
}

// declaredLook says why a test of the host's roles makes a look of ours needless; empty:
// there is none.
func declaredLook(tests []verify.Test, l glance) string {
	for _, t := range tests {
		if t.Kind == l.kind && (t.Subject.ID() == l.id || t.Subject.ID() == "all") {
			return cmp.Or(t.Skip, fmt.Sprintf("the test %s of its roles does (%s)", t.Name, t.Place))
		}
	}
	return ""
}

// kept is how a group is kept, which one of its entries says.
func (d *declared) kept(group string) host.Converge {
	usual := defaultConverge()
	is := usual
	for _, e := range d.entries {
		if e.Group == group && e.Converge != usual {
			is = e.Converge
		}
	}
	return is
}

// erosionEvery bounds how often disks are asked where visits are frequent.
const erosionEvery = 5 * time.Minute

// lookForErosion looks, unless it did a moment ago and nobody asks.
func (k *keeper) lookForErosion(ctx context.Context, v visit, m infra.Manifest, h host.Host, asked bool, out *fleet.Outcome) {
	k.mu.Lock()
	due := asked || time.Since(k.eroding[h.Name]) >= erosionEvery
	k.mu.Unlock()
	if !due {
		return
	}
	if err := k.erosion(ctx, v, m, h, out); err != nil {
		k.log.Warn("look for what breaks by itself", "host", h.Name, "error", err)
		return
	}
	k.mu.Lock()
	k.eroding[h.Name] = time.Now()
	k.mu.Unlock()
}

// erosion looks for what broke or wore out on a host by itself, as the newest definitions
// want it.
func (k *keeper) erosion(ctx context.Context, v visit, m infra.Manifest, h host.Host, out *fleet.Outcome) error {
	tests, err := verify.Decode(m.Tests)
	if err != nil {
		return err
	}
	newest, _ := k.definitions.Current()
	d, err := k.at(ctx, newest)
	if err != nil {
		return err
	}
	text, made := "tests:\n", []int{}
	all := []fleet.Erosion{}
	for _, l := range looks(d.kept(h.Group)) {
		one := fleet.Erosion{Look: l.name, Severity: l.Severity, Off: cmp.Or(l.Off, declaredLook(tests, l))}
		if one.Off == "" {
			text += l.test
			made = append(made, len(all))
		}
		all = append(all, one)
	}
	if len(made) > 0 {
		r, err := v.verify(text, 0)
		if err != nil {
			return err
		}
		for i, t := range r.Results {
			seen(&all[made[i]], t)
		}
	}
	out.Erosion = all
	return nil
}

// seen takes over what a look found.
func seen(e *fleet.Erosion, r verify.Result) {
	switch r.Status {
	case verify.Error:
		e.Error = r.Why
	case verify.Skipped:
		e.Note = r.Why
	}
	i := slices.IndexFunc(r.Properties, func(p verify.Property) bool { return p.Name == "failures" })
	if i < 0 || r.Status == verify.Skipped {
		return
	}
	p := r.Properties[i]
	e.Error, e.Note = cmp.Or(e.Error, p.Why), cutText(p.Note)
	for _, f := range p.Findings {
		e.Findings = append(e.Findings, fleet.Breakdown{Of: f.Of, Kind: f.Kind, Text: strings.TrimSpace(cutText(f.Text))})
	}
}
