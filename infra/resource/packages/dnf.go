package packages

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// dnf is the package manager of Fedora and its kin, 4 or 5. It waits by itself for
// others that use it.
type dnf struct {
	h     *infra.Host
	mu    sync.Mutex // one order at a time
	rpms  onDisk[*inventory]
	newer onDisk[[]update]

	index sync.Mutex // guards fresh, and is held while the index is read
	fresh bool       // the index was read in this run
}

func newDnf(h *infra.Host) *dnf { return &dnf{h: h} }

const (
	rpmDatabase = "/var/lib/rpm/rpmdb.sqlite"
	rpmLocks    = "/etc/dnf/plugins/versionlock.list"
)

// Installed asks rpm, once until its database changes.
func (m *dnf) Installed(ctx context.Context) (*inventory, error) {
	return m.rpms.read(func(data []string) (*inventory, error) {
		out, err := m.h.Run(ctx, "rpm", "-qa", "--queryformat", `%{NAME}\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\t%{ARCH}\n`)
		if err != nil {
			return nil, fmt.Errorf("read what is installed: %w", err)
		}
		inv := parseRPMs(out, data[0])
		inv.provides = func(ctx context.Context, name string) ([]string, error) {
			out, err := m.h.Exec(ctx, infra.Command{Args: []string{"rpm", "-q", "--whatprovides", "--queryformat", `%{NAME}\n`, name}})
			if err != nil || out.Code != 0 {
				return nil, err // ends with 1 when nothing does
			}
			return strings.Fields(string(out.Stdout)), nil
		}
		return inv, nil
	}, rpmLocks, rpmDatabase, "/usr/lib/sysimage/rpm/rpmdb.sqlite")
}

// parseRPMs reads lines of name, epoch:version-release and architecture, and the
// file of the plugin versionlock. Of a package that is there several times, like a
// kernel, the last one counts, which rpm installed last.
func parseRPMs(out, locks string) *inventory {
	inv := &inventory{has: map[string]installed{}}
	held := map[string]bool{}
	for line := range strings.Lines(locks) {
		if m := nevra().FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			held[m[1]] = true
		}
	}
	for line := range strings.Lines(out) {
		w := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(w) != 3 || w[0] == "gpg-pubkey" {
			continue
		}
		one := installed{Version: strings.TrimPrefix(w[1], "0:"), State: complete, Held: held[w[0]]}
		inv.has[w[0]], inv.has[w[0]+":"+w[2]] = one, one
	}
	return inv
}

// nevra is a line of versionlock.list: NAME-EPOCH:VERSION-RELEASE.ARCH, where the
// architecture may be *. Lines with # or ! are no locks.
var nevra = infra.Pattern(`^([^#!\s][^\s]*)-(?:\d+:)?[^-\s]+-[^-\s]+$`)

// Newer asks dnf, in two queries whose difference is what is not for security. It
// uses the index that is here.
func (m *dnf) Newer(ctx context.Context) ([]update, error) {
	return m.newer.read(func([]string) ([]update, error) {
		inv, err := m.Installed(ctx)
		if err != nil || m.Refreshed().IsZero() {
			return nil, err
		}
		query := []string{"dnf", "-q", "-C", "repoquery", "--upgrades", "--latest-limit=1", "--qf", `%{name}|%{epoch}:%{version}-%{release}\n`}
		all, err := m.h.Run(ctx, query...)
		if err != nil {
			return nil, fmt.Errorf("look for newer packages: %w", err)
		}
		security, err := m.h.Run(ctx, append(query, "--security")...)
		if err != nil {
			return nil, fmt.Errorf("look for security updates: %w", err)
		}
		return parseUpgrades(all, security, inv), nil
	}, append([]string{rpmDatabase, rpmLocks, "/usr/lib/sysimage/rpm/rpmdb.sqlite"}, repomd()...)...)
}

// parseUpgrades reads lines of name|epoch:version-release. dnf 4 puts an empty line
// after each.
func parseUpgrades(all, security string, inv *inventory) []update {
	safe := map[string]bool{}
	for line := range strings.Lines(security) {
		name, _, _ := strings.Cut(line, "|")
		safe[name] = true
	}
	var found []update
	for line := range strings.Lines(all) {
		name, version, ok := strings.Cut(strings.TrimSpace(line), "|")
		one := inv.has[name]
		if ok && one.Version != "" && !slices.ContainsFunc(found, func(u update) bool { return u.Name == name }) {
			found = append(found, update{Name: name, Old: one.Version, New: strings.TrimPrefix(version, "0:"), Security: safe[name], Held: one.Held})
		}
	}
	return found
}

func (m *dnf) run(ctx context.Context, what string, args ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	out, err := m.h.Exec(ctx, infra.Command{Args: append([]string{"dnf", "-y", "-q"}, args...), Within: time.Hour})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if out.Code == 0 {
		return nil
	}
	text := strings.TrimSpace(string(out.Stderr))
	if strings.Contains(text, "Unable to find a match") || strings.Contains(text, "No match for argument") {
		return fault.New(fault.NotFound, "%s: no repository of this host has it (is the name right, and is its repository written before it?): %s", what, text)
	}
	return fmt.Errorf("%s: dnf ended with code %d: %s", what, out.Code, text)
}

// Install installs, and reads the index anew once a run when it lacks what is wanted:
// for two days, dnf itself takes it for good.
func (m *dnf) Install(ctx context.Context, o install) error {
	fresh := m.isFresh()
	err := m.install(ctx, o)
	if fault.Of(err) != fault.NotFound || fresh {
		return err
	}
	if e := m.freshen(ctx); e != nil {
		return errors.Join(err, e)
	}
	return m.install(ctx, o)
}

// isFresh tells whether this run has read the index.
func (m *dnf) isFresh() bool {
	m.index.Lock()
	defer m.index.Unlock()
	return m.fresh
}

// freshen reads the index if this run has not.
func (m *dnf) freshen(ctx context.Context) error {
	m.index.Lock()
	defer m.index.Unlock()
	if m.fresh {
		return nil
	}
	return m.refresh(ctx)
}

// install installs, then downgrades if that left a newer version.
func (m *dnf) install(ctx context.Context, o install) error {
	spec := o.Name
	if name, arch, ok := strings.Cut(o.Name, ":"); ok {
		spec = name + "." + arch
	}
	if o.Version != "" {
		name, arch, ok := strings.Cut(o.Name, ":")
		if spec = name + "-" + o.Version; ok {
			spec += "." + arch
		}
	}
	weak := "--setopt=install_weak_deps=False"
	if o.Recommends {
		weak = "--setopt=install_weak_deps=True"
	}
	args := []string{weak}
	if o.Removal {
		args = append(args, "--allowerasing")
	}
	if o.Held {
		args = append(args, "--disableplugin=versionlock")
	}
	err := m.run(ctx, "install "+spec, append(args, "install", spec)...)
	if o.Version == "" || fault.Of(err) == fault.NotFound {
		return err
	}
	inv, err2 := m.Installed(ctx)
	if err2 != nil {
		return errors.Join(err, err2)
	}
	if inv.has[o.Name].Version == o.Version {
		return err
	}
	return m.run(ctx, "downgrade to "+spec, append(args, "downgrade", spec)...)
}

// Remove removes; rpm keeps changed configuration as .rpmsave, and knows no purging.
func (m *dnf) Remove(ctx context.Context, name string, _, removal bool) error {
	if !removal {
		out, err := m.h.Exec(ctx, infra.Command{Args: []string{"rpm", "-e", "--test", name}})
		if err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
		if who := neededBy(string(out.Stderr)); len(who) > 0 {
			return fault.New(fault.Conflict, "remove %s: needed by %s (declare these absent before it, or write allow_removal: true)", name, strings.Join(who, ", "))
		}
	}
	return m.run(ctx, "remove "+name, "--setopt=clean_requirements_on_remove=False", "remove", name)
}

// neededBy reads who needs a package, from rpm's lines "X is needed by (installed) Y".
func neededBy(text string) []string {
	var who []string
	for line := range strings.Lines(text) {
		if _, y, ok := strings.Cut(strings.TrimSpace(line), " is needed by (installed) "); ok && !slices.Contains(who, y) {
			who = append(who, y)
		}
	}
	return who
}

// Hold needs the plugin versionlock.
func (m *dnf) Hold(ctx context.Context, name string, on bool) error {
	verb := "delete"
	if on {
		verb = "add"
	}
	if err := m.run(ctx, "hold "+name, "versionlock", verb, name); err != nil {
		return fmt.Errorf("%w (is the package python3-dnf-plugin-versionlock installed?)", err)
	}
	return nil
}

// Keep has nothing to do: rpm does not tell who wanted a package.
func (m *dnf) Keep(context.Context, string) error { return nil }

// Upgrade installs updates.
func (m *dnf) Upgrade(ctx context.Context, all []update) error {
	args := []string{"upgrade"}
	for _, u := range all {
		args = append(args, u.Name+"-"+u.New)
	}
	return m.run(ctx, "install updates", args...)
}

// Refresh reads all indexes.
func (m *dnf) Refresh(ctx context.Context) error {
	m.index.Lock()
	defer m.index.Unlock()
	return m.refresh(ctx)
}

func (m *dnf) refresh(ctx context.Context) error {
	m.fresh = true
	return m.run(ctx, "read the index of packages", "--refresh", "makecache")
}

// Refreshed is when an index was fetched last.
func (m *dnf) Refreshed() time.Time { return newest(repomd()...) }

func repomd() []string {
	four, _ := filepath.Glob("/var/cache/dnf/*/repodata/repomd.xml")
	five, _ := filepath.Glob("/var/cache/libdnf5/*/repodata/repomd.xml")
	return append(four, five...)
}

// Files are a .repo file, as dnf.conf(5) describes it, and the key that it names.
func (m *dnf) Files(r *Repository) ([]file, error) {
	repo := file{Name: "source", Path: "/etc/yum.repos.d/" + r.Name + ".repo"}
	key := file{Name: "key", Path: "/etc/pki/rpm-gpg/RPM-GPG-KEY-" + r.Name}
	if r.State == absent {
		return []file{repo, key}, nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Written by Steer: changes here are undone.\n[%s]\nname=%[1]s\nbaseurl=%s\nenabled=1\ngpgcheck=%d\n", r.Name, r.URL, map[bool]int{true: 0, false: 1}[r.Trusted])
	if r.Key != "" {
		key.Content = []byte(strings.TrimSpace(r.Key) + "\n")
		fmt.Fprintf(&b, "gpgkey=file://%s\n", key.Path)
	}
	repo.Content = []byte(b.String())
	return []file{repo, key}, nil
}

// Fetch tries the repository in a folder of its own, then puts it in its place.
func (m *dnf) Fetch(ctx context.Context, r *Repository, files []file) error {
	trial := files[0]
	trial.Path = "/etc/yum.repos.d/.trial/" + r.Name + ".repo"
	if err := write(files[1], trial); err != nil {
		return err
	}
	err := m.run(ctx, "read its index", "--setopt=reposdir=/etc/yum.repos.d/.trial", "--repo="+r.Name, "--refresh", "makecache")
	trial.Content = nil
	if err = errors.Join(err, put(trial)); err != nil {
		return err
	}
	return put(files[0])
}
