package packages

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Capture is the package as it is there. Its version is left out where the declaration
// takes any.
func (p *Package) Capture(ctx context.Context, h *infra.Host) (infra.Resource, error) {
	m, err := open(h)
	if err != nil {
		return nil, err
	}
	all, err := m.Installed(ctx)
	if err != nil {
		return nil, err
	}
	one, known := all.has[p.Name]
	if !known || one.State == configured {
		return p.Absent(), nil
	}
	if one.State != complete {
		return nil, fault.New(fault.Conflict, "package %s was half there: %s", p.Name, one.State)
	}
	is := &Package{Name: p.Name, Want: present, Version: present, Recommends: p.Recommends, AllowRemoval: p.AllowRemoval}
	if p.exact() || p.Version == latest || p.Want != present {
		is.Version = one.Version
	}
	if p.Hold != nil || one.Held {
		is.Hold = &one.Held
	}
	return is, nil
}

// Rewrites are its files.
func (r *Repository) Rewrites(h *infra.Host) (files []string, secret bool, err error) {
	m, err := open(h)
	if err != nil {
		return nil, false, err
	}
	all, err := m.Files(&Repository{Name: r.Name, KeyName: r.KeyName, State: absent})
	for _, f := range all {
		files = append(files, f.Path)
	}
	return files, false, err
}

// Capture reads the files as apt's are written by this kind.
func (r *Repository) Capture(ctx context.Context, h *infra.Host) (infra.Resource, error) {
	m, err := open(h)
	if err != nil {
		return nil, err
	}
	files, err := m.Files(&Repository{Name: r.Name, KeyName: r.KeyName, State: absent})
	if err != nil {
		return nil, err
	}
	is := &Repository{Name: r.Name, KeyName: r.KeyName, State: present}
	found := map[string]string{}
	for _, f := range files {
		content, there, err := contents(f.Path)
		if err != nil {
			return nil, err
		}
		if there {
			found[f.Name] = string(content)
		}
	}
	if len(found) == 0 {
		return r.Absent(), nil
	}
	field := regexp.MustCompile(`(?m)^([A-Za-z-]+): (.*)$`)
	for _, line := range field.FindAllStringSubmatch(found["source"], -1) {
		switch value := line[2]; line[1] {
		case "URIs":
			is.URL = value
		case "Suites":
			is.Suite = value
		case "Components":
			is.Components = strings.Fields(value)
		case "Architectures":
			is.Architectures = strings.Fields(value)
		case "Trusted":
			is.Trusted = value == "yes"
		}
	}
	is.Key = found["key"]
	d, err := is.Diff(ctx, h)
	if err == nil && !d.Empty() {
		err = fault.New(fault.Conflict, "repository %s was not written by Steer, or for another package manager than apt", r.Name)
	}
	if slices.Equal(is.Components, []string{"main"}) {
		is.Components = nil
	}
	return is, err
}
