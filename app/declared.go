package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/infra/fleet"
	"steer/infra/host"
	"steer/infra/role"
)

// declared is what one commit of the definitions says of hosts.
type declared struct {
	files   fs.FS
	library *role.Library
	hosts   []host.Host // also those whose time is over, see alive
	entries []host.Named
	used    time.Time
}

// alive are the hosts whose time is not over.
func (d *declared) alive() []host.Host { return host.Lasting(d.hosts, time.Now()) }

// mostCommits bounds what is remembered: the newest, and those that roles were deployed
// from to each environment.
const mostCommits = 24

// at reads what a commit, or a mix of several, says of hosts; the newest few are
// remembered.
func (k *keeper) at(ctx context.Context, commit string) (*declared, error) {
	k.mu.Lock()
	d := k.commits[commit]
	if d != nil {
		d.used = time.Now()
	}
	k.mu.Unlock()
	if d != nil {
		return d, nil
	}
	d, err := k.read(ctx, commit)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if other := k.commits[commit]; other != nil { // somebody else was faster
		return other, nil
	}
	for len(k.commits) >= mostCommits {
		oldest := ""
		for c, d := range k.commits {
			if oldest == "" || d.used.Before(k.commits[oldest].used) {
				oldest = c
			}
		}
		delete(k.commits, oldest)
	}
	d.used = time.Now()
	k.commits[commit] = d
	return d, nil
}

func (k *keeper) read(ctx context.Context, commit string) (*declared, error) {
	if m := readMix(commit); len(m.parts) > 0 {
		return k.mixture(ctx, m)
	}
	newest, files := k.definitions.Current()
	if commit != newest {
		var err error
		if files, err = k.definitions.Repo().Files(ctx, commit); err != nil {
			return nil, fmt.Errorf("read definitions %.8s: %w", commit, err)
		}
	}
	d := &declared{files: files}
	var err error
	if d.library, err = role.Load(files, resourceKinds()); err != nil {
		return nil, err
	}
	if d.entries, err = host.ReadEntries(files); err != nil {
		return nil, err
	}
	d.hosts, err = host.ReadInventory(files)
	return d, err
}

// sums are what hosts should be, for telling apart. It does not matter how many there
// are of one kind.
func (d *declared) sums(hosts []host.Host) (string, error) {
	var all []string
	for _, h := range hosts {
		one, err := d.sum(h)
		if err != nil {
			return "", err
		}
		all = append(all, one)
	}
	slices.Sort(all)
	sum := sha256.Sum256([]byte(strings.Join(slices.Compact(all), "\n")))
	return hex.EncodeToString(sum[:16]), nil
}

// sum is what a host should be, but for its name: its entry, roles and secrets.
func (d *declared) sum(h host.Host) (string, error) {
	h.Number = 0                 // others come and go
	h.Converge = host.Converge{} // how it is visited is not what it is
	entry, err := json.Marshal(h.Entry)
	if err != nil {
		return "", fmt.Errorf("read hosts: %w", err)
	}
	uses, err := inventoryUses(h)
	if err != nil {
		return "", err
	}
	with, err := json.Marshal(uses)
	if err != nil {
		return "", fmt.Errorf("read hosts: %w", err)
	}
	roles, err := d.library.Digest(roleNames(h))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%q", []string{string(entry), string(with), roles, secretsDigest(d.files, h.Environment)}), nil
}

func roleNames(h host.Host) (names []string) {
	for _, u := range h.Roles {
		names = append(names, u.Role)
	}
	return names
}

// host finds a host.
func (d *declared) host(name string) (host.Host, bool) {
	i := slices.IndexFunc(d.hosts, func(h host.Host) bool { return h.Name == name })
	if i < 0 {
		return host.Host{}, false
	}
	return d.hosts[i], true
}

// sibling is the host, or one of the same entry, as it is here; of an entry that is not
// here, the host.
func (d *declared) sibling(h host.Host) host.Host {
	if was, ok := d.host(h.Name); ok {
		return was
	}
	if i := slices.IndexFunc(d.hosts, func(o host.Host) bool { return o.Item == h.Item }); i >= 0 {
		return d.hosts[i]
	}
	return h
}

// piped are the roles with a pipeline that a host is made of.
func (d *declared) piped(h host.Host) (names []string) {
	for _, n := range d.library.Made(roleNames(h)) {
		if r, err := d.library.Role(n); err == nil && len(r.Pipeline) > 0 {
			names = append(names, n)
		}
	}
	return names
}

// pipes is the role with a pipeline by which a host has what stands at a place of the
// definitions; empty: it has that without one.
func (d *declared) pipes(h host.Host, place string) (by id.Service) {
	file, _, _ := strings.Cut(place, ":")
	for _, name := range d.piped(h) {
		for _, n := range d.library.Made([]string{name}) {
			if r, err := d.library.Role(n); err != nil || r.File != file {
				continue
			}
			if n == name {
				return id.Service(name)
			}
			by = cmp.Or(by, id.Service(name))
		}
	}
	return by
}

// has tells whether a host is made of a role with a pipeline.
func (d *declared) has(h host.Host, name string) bool { return slices.Contains(d.piped(h), name) }

// wanted reads for the fleet what groups of hosts should be: as the newest definitions
// have them or, if roles of theirs go through a pipeline, each of these as its newest
// deploy named it.
func (k *keeper) wanted(ctx context.Context) ([]fleet.Wanted, error) {
	commit, _ := k.definitions.Current()
	d, err := k.at(ctx, commit)
	if err != nil {
		return nil, err
	}
	targets, err := k.fleet.Targets(ctx)
	if err != nil {
		return nil, err
	}
	groups := map[string]*fleet.Wanted{}
	hosts := map[string][]host.Host{}
	for _, e := range d.entries {
		g := groups[e.Group]
		if g == nil {
			g = &fleet.Wanted{Name: e.Group, Settings: settings(e.Converge)}
			groups[e.Group] = g
		} else if e.Converge != defaultConverge() {
			g.Settings = settings(e.Converge)
		}
		if e.Removed == "destroy" && e.Like == "" {
			g.Destroys = append(g.Destroys, e.Name)
		}
		if e.Number == 0 {
			hosts[e.Group] = append(hosts[e.Group], host.Host{Item: e.Name, Entry: e.Entry}) // what they would be
		}
	}
	for _, h := range d.alive() {
		g := groups[h.Group]
		lent := fleet.Lent{Entry: h.Item, Ways: host.Ways(h), Immutable: h.Immutable, NoLogin: h.NoLogin(), Until: h.Until, By: h.RequestedBy, Why: h.Reason}
		if h.Make != nil {
			if lent.How, err = json.Marshal(h); err != nil {
				return nil, fmt.Errorf("read hosts: %w", err)
			}
		}
		g.Hosts = append(g.Hosts, fleet.Declared{Name: h.Name, Group: h.Group, Owner: h.Owner, Environment: h.Environment, Made: h.Make != nil, Roles: roleNames(h), Piped: d.piped(h), Lent: lent})
		hosts[h.Group] = append(hosts[h.Group], h)
	}
	var all []fleet.Wanted
	for _, g := range groups {
		slices.SortFunc(g.Hosts, func(a, b fleet.Declared) int { return cmp.Compare(a.Name, b.Name) })
		of := d
		deploys, waits := follows(g.Hosts, targets)
		if g.Waits = waits; waits == "" {
			var err error
			if g.Commit = commit; len(deploys) > 0 {
				g.Commit, err = k.mixOf(ctx, deploys)
			}
			if err == nil {
				of, err = k.at(ctx, g.Commit)
			}
			if err != nil { // a kind that is no more; other groups go on
				g.Commit, g.Waits = "", "the definitions that were deployed cannot be used any more: "+err.Error()
			}
		}
		if g.Commit != "" {
			for i, h := range hosts[g.Name] {
				hosts[g.Name][i] = of.sibling(h)
			}
			if g.Digest, err = of.sums(hosts[g.Name]); err != nil {
				return nil, err
			}
		}
		all = append(all, *g)
	}
	slices.SortFunc(all, func(a, b fleet.Wanted) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// follows are the newest deploys of the roles of hosts that go through a pipeline,
// oldest first, or why hosts follow nothing yet. There are none for hosts without such
// roles, which follow the newest commit.
func follows(hosts []fleet.Declared, targets []fleet.Target) (deploys []fleet.Target, waits string) {
	newest := map[string]fleet.Target{}
	for _, h := range hosts {
		for _, name := range h.Piped {
			waits = cmp.Or(waits, fmt.Sprintf("waits for the first deploy of %s (steer deploy artifact=%s environment=%s version=latest)", name, name, h.Environment))
			for _, t := range targets {
				if t.Role == name && t.Environment == h.Environment && t.Deploy > newest[name].Deploy {
					newest[name] = t
				}
			}
		}
	}
	if len(newest) > 0 {
		waits = ""
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b fleet.Target) int { return cmp.Compare(a.Deploy, b.Deploy) }), waits
}

func defaultConverge() (c host.Converge) {
	config.Decode("default", []byte("{}"), &c) //nolint:errcheck // nothing is given
	return c
}

func settings(c host.Converge) fleet.Settings {
	return fleet.Settings{Every: c.Every.Std(), Canary: c.Canary, Soak: c.Soak.Std(), Approve: c.Approve, Replace: c.Replace, Dead: c.Dead.Std(), Drill: c.Drill.Every.Std(), Within: c.Drill.Within.Std(), Severity: c.Severity}
}

// secretsDigest changes when a secret of an environment does.
func secretsDigest(files fs.FS, env id.Environment) string {
	sum := sha256.New()
	names, _ := fs.Glob(files, path.Join("secrets", string(env), "*.age"))
	for _, name := range names {
		b, _ := fs.ReadFile(files, name)
		fmt.Fprintf(sum, "%q %x\n", name, sha256.Sum256(b))
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// secretOf reads secrets of an environment with the server's key.
func (k *keeper) secretOf(files fs.FS, env id.Environment) func(string) (string, error) {
	return func(name string) (string, error) {
		if env == "" {
			return "", fault.New(fault.Invalid, "secret:%s: the host belongs to no environment (add environment: to its entry in hosts.yaml)", name)
		}
		file := fmt.Sprintf("secrets/%s/%s.age", env, name)
		b, err := fs.ReadFile(files, file)
		if err != nil {
			return "", fault.New(fault.NotFound, "there is no %s", file)
		}
		v, err := k.secrets.Decrypt(b)
		if err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
		return v.Reveal(), nil
	}
}

// find is a host as a commit has it. One that the commit did not know yet is as the
// newest definitions say, but of the roles of that commit if they go through a pipeline.
func (k *keeper) find(ctx context.Context, commit, name string) (*declared, host.Host, error) {
	d, err := k.at(ctx, commit)
	if err != nil {
		return nil, host.Host{}, err
	}
	if h, ok := d.host(name); ok {
		return d, h, nil
	}
	sha, _ := k.definitions.Current()
	newest, err := k.at(ctx, sha)
	if err != nil {
		return nil, host.Host{}, err
	}
	h, ok := newest.host(name)
	switch {
	case !ok:
		return nil, h, fault.New(fault.NotFound, "hosts.yaml has no %s any more", name)
	case len(newest.piped(h)) > 0:
		return d, h, nil
	}
	return newest, h, nil
}
