package app

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/rogpeppe/go-internal/diff"
	"go.yaml.in/yaml/v4"

	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
	"steer/infra"
	"steer/infra/fleet"
	"steer/infra/host"
)

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
