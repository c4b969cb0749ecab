package app

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"steer/infra/fleet"
	"steer/infra/host"
	"steer/infra/role"
)

// mix is what hosts follow whose roles were deployed from several commits: the
// definitions of the newest of these, but some roles, with what they include, their
// files and their parameters in hosts.yaml, as the commit of their own deploy has them.
// It is written where a commit is: BASE+ROLE@COMMIT, in the order of the deploys.
type mix struct {
	base  string
	parts []mixed
}

type mixed struct{ role, commit string }

func (m mix) String() string {
	text := m.base
	for _, p := range m.parts {
		text += "+" + p.role + "@" + p.commit
	}
	return text
}

// readMix is the inverse of String; a plain commit is a mix without parts.
func readMix(text string) (m mix) {
	base, rest, more := strings.Cut(text, "+")
	m.base = base
	for more {
		var one string
		one, rest, more = strings.Cut(rest, "+")
		name, commit, _ := strings.Cut(one, "@")
		m.parts = append(m.parts, mixed{name, commit})
	}
	return m
}

// of is the commit that a role comes from.
func (m mix) of(name string) string {
	for _, p := range m.parts {
		if p.role == name {
			return p.commit
		}
	}
	return m.base
}

// mixOf puts together what deploys of several roles named, the oldest deploy first.
// Roles that are the same in the newest commit come from there.
func (k *keeper) mixOf(ctx context.Context, deploys []fleet.Target) (string, error) {
	m := mix{base: deploys[len(deploys)-1].Commit}
	for _, t := range deploys {
		newer, err := k.newer(ctx, m.base, t.Commit)
		if err != nil {
			return "", err
		}
		if newer {
			m.base = t.Commit
		}
	}
	for _, t := range deploys {
		if t.Commit == m.base {
			continue
		}
		same, err := k.same(ctx, t.Role, t.Commit, m.base)
		if err != nil {
			return "", err
		}
		if !same {
			m.parts = append(m.parts, mixed{t.Role, t.Commit})
		}
	}
	return m.String(), nil
}

// newer tells whether the second of two commits holds what the first has not.
func (k *keeper) newer(ctx context.Context, than, commit string) (bool, error) {
	if than == commit {
		return false, nil
	}
	pair := [2]string{than, commit}
	k.mu.Lock()
	newer, known := k.ages[pair]
	k.mu.Unlock()
	if known {
		return newer, nil
	}
	log, err := k.definitions.Repo().Log(ctx, than, commit, 1)
	if err != nil {
		return false, fmt.Errorf("compare commits of the definitions: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.ages) > 1000 || k.ages == nil {
		k.ages = map[[2]string]bool{}
	}
	k.ages[pair] = len(log) > 0
	return len(log) > 0, nil
}

// same tells whether a role is the same in two commits: its files, those of what it
// includes, and its parameters on hosts.
func (k *keeper) same(ctx context.Context, name, a, b string) (bool, error) {
	if a == b {
		return true, nil
	}
	one, err := k.at(ctx, a)
	if err != nil {
		return false, err
	}
	other, err := k.at(ctx, b)
	if err != nil {
		return false, err
	}
	left, err := one.library.Digest([]string{name})
	if err != nil {
		return false, err
	}
	right, err := other.library.Digest([]string{name})
	if err != nil || left != right {
		return false, err
	}
	for _, h := range one.hosts {
		if with, ok := other.host(h.Name); ok && parameters(h, name) != parameters(with, name) {
			return false, nil
		}
	}
	return true, nil
}

// parameters are those that a host gives a role, for comparing.
func parameters(h host.Host, name string) string {
	uses, err := inventoryUses(h)
	if err != nil {
		return err.Error()
	}
	uses = slices.DeleteFunc(uses, func(u role.Use) bool { return u.Role != name })
	b, err := json.Marshal(uses)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// planned is what hosts of a host's group would follow if a role was deployed to them
// from a commit.
func (k *keeper) planned(ctx context.Context, d *declared, h host.Host, name, commit string) (*declared, error) {
	targets, err := k.fleet.Targets(ctx)
	if err != nil {
		return nil, err
	}
	deploys, _ := follows([]fleet.Declared{{Environment: h.Environment, Piped: d.piped(h)}}, targets)
	deploys = slices.DeleteFunc(deploys, func(t fleet.Target) bool { return t.Role == name })
	mixed, err := k.mixOf(ctx, append(deploys, fleet.Target{Role: name, Commit: commit}))
	if err != nil {
		return nil, err
	}
	return k.at(ctx, mixed)
}

// mixture reads a mix.
func (k *keeper) mixture(ctx context.Context, m mix) (*declared, error) {
	base, err := k.at(ctx, m.base)
	if err != nil {
		return nil, err
	}
	d := &declared{files: base.files, entries: base.entries, hosts: slices.Clone(base.hosts)}
	var parts []role.Part
	for _, p := range m.parts {
		from, err := k.at(ctx, p.commit)
		if err != nil {
			return nil, err
		}
		parts = append(parts, role.Part{Role: p.role, From: from.library})
		for i, h := range d.hosts {
			was, ok := from.host(h.Name)
			if !ok {
				continue
			}
			d.hosts[i].Roles = slices.Clone(h.Roles)
			for n, u := range h.Roles {
				if j := slices.IndexFunc(was.Roles, func(w host.Use) bool { return w.Role == u.Role }); u.Role == p.role && j >= 0 {
					d.hosts[i].Roles[n] = was.Roles[j]
				}
			}
		}
	}
	if d.library, err = base.library.With(parts); err != nil {
		return nil, fmt.Errorf("roles that were deployed from several commits do not fit together: %w", err)
	}
	return d, nil
}
