// Package packages holds the kinds of resources that concern the packages of the
// operating system: package, repository and updates. They work with apt (Debian,
// Ubuntu), dnf (Fedora, RHEL and its kin) and apk (Alpine).
//
// apt is tested against the real one; dnf and apk against output written after
// their documentation.
package packages

import (
	"context"
	"regexp"
	"strings"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// Kinds are package, repository and updates.
func Kinds() infra.Kinds {
	return infra.Kinds{packageKind(), repositoryKind(), updatesKind()}
}

// manager is a system of packages. Its methods may be called at the same time.
type manager interface {
	// Installed is what the host has.
	Installed(context.Context) (*inventory, error)
	// Newer lists what could be upgraded, as far as the index knows.
	Newer(context.Context) ([]update, error)
	// Install installs, upgrades, downgrades or repairs one package.
	Install(context.Context, install) error
	// Remove takes a package away; others that need it only if removal says so.
	Remove(ctx context.Context, name string, purge, removal bool) error
	// Hold keeps a package at its version, or lets it go.
	Hold(ctx context.Context, name string, on bool) error
	// Keep marks a package as wanted for itself, not only by others that need it.
	Keep(ctx context.Context, name string) error
	// Upgrade brings packages to the versions that Newer told.
	Upgrade(context.Context, []update) error
	// Refresh reads the index of all repositories anew.
	Refresh(context.Context) error
	// Refreshed is when that was done last, by whomever; zero when never.
	Refreshed() time.Time
	repositories
}

// repositories is how a manager is told where packages come from.
type repositories interface {
	// Files are what a repository consists of on disk.
	Files(*Repository) ([]file, error)
	// Fetch writes the files, if the repository can be read with them.
	Fetch(context.Context, *Repository, []file) error
}

// inventory is what a host has, by name.
type inventory struct {
	has    map[string]installed
	native string // architecture of names without one, where names may have one
	// provides lists the packages that stand for a virtual name.
	provides func(ctx context.Context, name string) ([]string, error)
}

// plain is a name without the architecture, if it is the one of the host.
func (i *inventory) plain(name string) string {
	if i.native == "" {
		return name
	}
	return strings.TrimSuffix(strings.TrimSuffix(name, ":"+i.native), ":all")
}

// listed is provides of a list.
func listed(all map[string][]string) func(context.Context, string) ([]string, error) {
	return func(_ context.Context, name string) ([]string, error) { return all[name], nil }
}

type installed struct {
	Version string
	State   string // complete, configured, or what went wrong with it
	Held    bool
	Auto    bool // only because others need it
}

// States of a package. Any other text is one in the middle of being installed.
const (
	complete   = "installed"
	configured = "config-files" // removed, but for its configuration
)

// install is an order.
type install struct {
	Name       string
	Version    string // empty for any
	Newest     bool   // the version is the newest now, and not to stay
	Recommends bool
	Removal    bool // others may be removed for it
	Held       bool // may be held
	Broken     bool // half of it is there
}

// update is a newer version of something installed.
type update struct {
	Name, Old, New string
	Security       bool
	Held           bool
}

// open finds the package manager of a host. There is one for each infra.Host, so
// that orders wait for each other and the index is read anew only once.
func open(h *infra.Host) (manager, error) {
	return infra.Memo(h, "packages", func() (manager, error) {
		switch h.Facts.Packages {
		case "apt":
			return newApt(h), nil
		case "dnf":
			return newDnf(h), nil
		case "apk":
			return newApk(h), nil
		}
		return nil, fault.New(fault.Invalid, "this host has none of apt, dnf and apk: install what you need with command and file")
	})
}

// names are as all three managers allow them. A - at the end would mean removal to
// apt, and = < > ~ a version to others.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._-]*(:[a-z0-9]+)?$`)

func checkName(name string) error {
	if !names.MatchString(name) || strings.HasSuffix(name, "-") || len(name) > 200 {
		return fault.New(fault.Invalid, "name: %q is no name of a package (letters, digits and + . _ -; a version goes into version)", name)
	}
	return nil
}
