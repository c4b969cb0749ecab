package app

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"steer/base/id"
	"steer/deliver/artifact/repository"
)

// mostPackages bounds the packages that the repositories look at, newest first.
const mostPackages = 10_000

// packages serves the packages of artifacts to hosts.
func (a *App) packages() http.Handler {
	return repository.New(repository.Options{
		Key: a.path("package.key"), Suites: a.suites, Entries: a.packageEntries, Revision: a.journal.Last,
		Package: a.deliver.artifacts.Package, Open: a.deliver.artifacts.Open, Log: a.log,
	})
}

// suites are all environments, and the suite of every green version.
func (a *App) suites() []string {
	all := []string{repository.All}
	for e := range a.catalog.Load().Environments {
		if e != repository.All {
			all = append(all, string(e))
		}
	}
	slices.Sort(all)
	return all
}

// packageEntries says which package is in which suite: a version is in the suite of an
// environment once it was deployed to or published for it, unless it is newer than what
// serves there, which somebody went back from. Green ones are in the suite of all.
// Pinned ones are in none.
func (a *App) packageEntries(ctx context.Context) ([]repository.Entry, error) {
	packages, err := a.deliver.artifacts.Packages(ctx, mostPackages)
	if err != nil || len(packages) == 0 {
		return nil, err
	}
	type version struct {
		service id.Service
		version id.Version
	}
	greens, err := a.deliver.pipelines.Greens(ctx)
	if err != nil {
		return nil, err
	}
	pins, err := a.deliver.deploys.Pins(ctx, "")
	if err != nil {
		return nil, err
	}
	pinned := map[version]bool{}
	for _, p := range pins {
		pinned[version{p.Service, p.Version}] = true
	}
	suites := map[version][]string{}
	in := func(s id.Service, v id.Version, suite string) {
		suites[version{s, v}] = append(suites[version{s, v}], suite)
	}
	arrivals, err := a.deliver.deploys.Arrivals(ctx)
	if err != nil {
		return nil, err
	}
	type place struct {
		service     id.Service
		environment id.Environment
	}
	serves := map[place]int64{}
	for _, v := range arrivals {
		p := place{v.Service, v.Environment}
		if _, ok := serves[p]; !ok {
			serves[p] = build(v.Version)
		}
		if build(v.Version) <= serves[p] {
			in(v.Service, v.Version, string(v.Environment))
		}
	}
	published, err := a.deliver.pipelines.Published(ctx)
	if err != nil {
		return nil, err
	}
	for _, v := range published {
		in(v.Service, v.Version, string(v.Environment))
	}
	all := make([]repository.Entry, 0, len(packages))
	for _, p := range packages {
		v := version{p.Service, p.Version}
		if pinned[v] {
			continue
		}
		if greens[p.Service][p.Version] {
			in(p.Service, p.Version, repository.All)
		}
		all = append(all, repository.Entry{Package: p, Suites: suites[v]})
	}
	return all, nil
}

// build is the number of a version like b12, or 0.
func build(v id.Version) int64 {
	n, err := strconv.ParseInt(strings.TrimPrefix(string(v), "b"), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
