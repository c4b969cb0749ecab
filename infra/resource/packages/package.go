package packages

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

func packageKind() infra.Kind {
	return infra.Kind{
		Name: "package",
		Key:  "name",
		Doc: "A package of the operating system, by apt, dnf or apk. A virtual name (`mail-transport-agent`) is there when " +
			"a package is that stands for it. The index of packages is read anew only when a package or version is not in it, " +
			"once a run. Changed configuration files are kept. Another program that installs is waited for, 5 minutes. " +
			"Packages that others need are not removed, and none is removed for a new one, unless `allow_removal` says so. " +
			"Repositories that packages come from are written before them. dnf is tested as Debian has it (version 4), holds by dnf and all of apk on recorded-style output only.",
		Example: "- package: nginx\n" +
			"- package:\n    name: postgresql-15\n    version: 15.6-0+deb12u1\n    hold: true\n" +
			"- package:\n    name: exim4-base\n    state: purged\n",
		Class: "packages",
		New:   func() infra.Resource { return &Package{} },
	}
}

// Package is an installed package, or one that must not be.
type Package struct {
	Name         string `yaml:"name" doc:"as the package manager calls it, with :ARCHITECTURE for a foreign one"`
	Want         string `yaml:"state,omitempty" default:"present" doc:"present, absent, or purged: absent without its configuration"`
	Version      string `yaml:"version,omitempty" default:"present" doc:"an exact version, newer or older than the one there; present for any; latest for the newest that the index knows (see updates for how old it gets)"`
	Hold         *bool  `yaml:"hold,omitempty" doc:"true keeps it at its version when others are upgraded, false lets it go; left out, it stays as it is"`
	Recommends   bool   `yaml:"recommends,omitempty" default:"false" doc:"install what it recommends, too (apt: Recommends, dnf: weak dependencies)"`
	AllowRemoval bool   `yaml:"allow_removal,omitempty" default:"false" doc:"other packages may be removed for this: those it conflicts with, or, when absent, those that need it"`
}

// Values of state and version.
const (
	present = "present"
	absent  = "absent"
	purged  = "purged"
	latest  = "latest"
)

// Check refuses what can't be.
func (p *Package) Check() error {
	var errs []error
	errs = append(errs, checkName(p.Name))
	if !slices.Contains([]string{present, absent, purged}, p.Want) {
		errs = append(errs, fault.New(fault.Invalid, "state: %q is none of present, absent, purged (latest is a version)", p.Want))
	}
	if strings.ContainsAny(p.Version, " \t\n=<>*/") || strings.HasPrefix(p.Version, "-") {
		errs = append(errs, fault.New(fault.Invalid, "version: %q is no version (write it whole, as the package manager shows it)", p.Version))
	}
	if p.Want != present && p.Want != "" && (p.exact() || p.Version == latest || p.Hold != nil) {
		errs = append(errs, fault.New(fault.Invalid, "state: what is %s has no version and no hold", p.Want))
	}
	return errors.Join(errs...)
}

func (p *Package) exact() bool {
	return p.Version != "" && p.Version != present && p.Version != latest
}

// ID is the name.
func (p *Package) ID() string { return p.Name }

// Gives is the package.
func (p *Package) Gives() []string {
	if p.Want != present {
		return nil
	}
	return []string{"package:" + p.Name}
}

// Needs nothing.
func (p *Package) Needs() []string { return nil }

// Absent is the package removed, with its configuration kept.
func (p *Package) Absent() infra.Resource { return &Package{Name: p.Name, Want: absent} }

// Watch names the databases of the package managers.
func (p *Package) Watch() []string {
	return []string{aptStatus, rpmDatabase, apkDatabase}
}

// Prepare reads what is installed. What is wrong with that Diff tells.
func (p *Package) Prepare(ctx context.Context, h *infra.Host) {
	if m, err := open(h); err == nil {
		m.Installed(ctx) //nolint:errcheck // see above
	}
}

// Diff compares with the database of the package manager.
func (p *Package) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	m, err := open(h)
	if err != nil {
		return d, err
	}
	all, err := m.Installed(ctx)
	if err != nil {
		return d, err
	}
	one, known := all.has[p.Name]
	there := known && one.State != configured
	if p.Want != present {
		if there || known && p.Want == purged {
			d.Action = infra.Delete
			d.Set("state", strings.TrimSpace(one.State+" "+one.Version), p.Want)
		}
		return d, nil
	}
	switch {
	case !there:
		if !p.exact() && p.Hold == nil {
			stand, err := all.provides(ctx, p.Name)
			if err != nil || len(stand) > 0 {
				return d, err // a virtual name, and something stands for it
			}
		}
		d.Action = infra.Create
		d.Set("state", "", present)
		if p.exact() {
			d.Set("version", "", p.Version)
		}
		if p.Hold != nil && *p.Hold {
			d.Set("hold", "false", "true")
		}
		return d, nil
	case one.State != complete:
		d.Set("state", one.State, complete)
	}
	switch {
	case p.exact() && one.Version != p.Version:
		d.Set("version", one.Version, p.Version)
	case p.Version == latest && !one.Held:
		newer, err := m.Newer(ctx)
		if err != nil {
			return d, err
		}
		if i := slices.IndexFunc(newer, func(u update) bool { return u.Name == all.plain(p.Name) }); i >= 0 {
			d.Set("version", one.Version, newer[i].New)
		}
	}
	if p.Hold != nil && one.Held != *p.Hold {
		d.Set("hold", fmt.Sprint(one.Held), fmt.Sprint(*p.Hold))
	}
	if one.Auto {
		d.Set("wanted", "by others", "for itself")
	}
	return d, nil
}

// Apply installs, changes or removes it.
func (p *Package) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	m, err := open(h)
	if err != nil {
		return err
	}
	if p.Want != present {
		return m.Remove(ctx, p.Name, p.Want == purged, p.AllowRemoval)
	}
	installs := d.Has("state") || d.Has("version")
	if installs {
		order := install{Name: p.Name, Recommends: p.Recommends, Removal: p.AllowRemoval, Held: p.Hold != nil, Newest: p.Version == latest}
		for _, f := range d.Fields {
			switch f.Name {
			case "version":
				order.Version = f.New
			case "state":
				order.Broken = f.Old != ""
			}
		}
		if err := m.Install(ctx, order); err != nil {
			return err
		}
	}
	if d.Has("wanted") {
		if err := m.Keep(ctx, p.Name); err != nil {
			return err
		}
	}
	if d.Has("hold") || installs && p.Hold != nil && *p.Hold { // dpkg lets go of what it installs
		if err := p.real(ctx, m); err != nil {
			return err
		}
		return m.Hold(ctx, p.Name, *p.Hold)
	}
	return nil
}

// real refuses to hold a virtual name.
func (p *Package) real(ctx context.Context, m manager) error {
	all, err := m.Installed(ctx)
	if err != nil {
		return err
	}
	if _, ok := all.has[p.Name]; ok {
		return nil
	}
	stand, err := all.provides(ctx, p.Name)
	if err == nil && len(stand) > 0 {
		err = fault.New(fault.Invalid, "hold %s: %s stands for it (hold that one; a virtual name has no version to keep)", p.Name, strings.Join(stand, ", "))
	}
	return err
}

// State is the version that is installed.
func (p *Package) State(ctx context.Context, h *infra.Host) (string, error) {
	m, err := open(h)
	if err != nil {
		return "", err
	}
	all, err := m.Installed(ctx)
	if err != nil {
		return "", err
	}
	if one, ok := all.has[p.Name]; ok {
		return one.State + " " + one.Version, nil
	}
	var stand []string
	names, err := all.provides(ctx, p.Name)
	for _, name := range names {
		stand = append(stand, name+" "+all.has[name].Version)
	}
	slices.Sort(stand)
	return strings.Join(stand, ", "), err
}
