package app

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"steer/base/config"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
	"steer/base/journal"
	"steer/catalog"
	"steer/deliver/pipeline"
	"steer/infra/host"
	"steer/infra/role"
)

// rolePause is how often it is looked for changes of roles when nothing tells of one.
const rolePause = 10 * time.Second

// followRoles starts a run for each role with a pipeline that the definitions changed,
// until ctx ends. It compares with the newest run, and so misses no change while the
// server was away.
func (k *keeper) followRoles(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	k.definitions.OnChange(func(string, fs.FS) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	tick := time.NewTicker(rolePause)
	defer tick.Stop()
	trouble := ""
	for {
		wait := tick.C
		switch untold, err := k.startRuns(ctx); {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			if err.Error() != trouble {
				k.log.Error("start runs of roles", "error", err)
			}
			trouble = err.Error()
		case untold:
			wait = time.After(100 * time.Millisecond)
		default:
			trouble = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-wait:
		case <-changed:
		}
	}
}

// startRuns looks once. Untold tells that the journal does not know the newest commit
// yet, with whose event each run begins.
func (k *keeper) startRuns(ctx context.Context) (untold bool, err error) {
	commit, _ := k.definitions.Current()
	d, err := k.at(ctx, commit)
	if err != nil {
		return false, err
	}
	var wrong []error
	for _, name := range d.library.Names() {
		if r, err := d.library.Role(name); err != nil || len(r.Pipeline) == 0 {
			continue
		}
		known, err := k.hasRun(ctx, d, name, commit)
		if fault.Of(err) == fault.Conflict {
			wrong = append(wrong, err)
			continue
		}
		if err != nil {
			return false, err
		}
		if known {
			continue
		}
		told, err := k.journal.Read(ctx, journal.Query{Types: []string{event.DefinitionsChanged}, Subject: "definitions/" + commit, Newest: true, Limit: 1})
		if err != nil {
			return false, err
		}
		if len(told) == 0 {
			return true, nil
		}
		commits, err := k.definitions.Repo().Log(ctx, "", commit, 1)
		if err != nil {
			return false, err
		}
		c := commits[0]
		if err := k.db.Tx(ctx, func(tx *sql.Tx) error {
			_, err := k.deliver.pipelines.Start(ctx, tx, pipeline.Commit{
				Service: id.Service(name), Repo: definitionsName, SHA: commit, Author: c.Author, Message: c.Message, Time: c.Time, Branch: git.Mainline,
				Chain: told[0].Chain, Cause: told[0].ID,
			})
			return err
		}); err != nil {
			return false, err
		}
		k.work.Wake()
	}
	return false, errors.Join(wrong...)
}

// hasRun tells whether the newest run of a role was about what the role is now.
func (k *keeper) hasRun(ctx context.Context, d *declared, name, commit string) (bool, error) {
	runs, err := k.deliver.pipelines.Runs(ctx, pipeline.Filter{Service: id.Service(name), Limit: 1})
	if err != nil || len(runs) == 0 {
		return false, err
	}
	if runs[0].Repo != definitionsName {
		return false, fault.New(fault.Conflict, "role %s has the name of a service, whose commits were built as this name (call the role otherwise)", name)
	}
	if runs[0].Commit == commit {
		return true, nil
	}
	was, err := k.at(ctx, runs[0].Commit)
	if err != nil {
		return false, nil // it cannot be read any more: another one
	}
	before, err := was.digest(name)
	if err != nil {
		return false, err
	}
	now, err := d.digest(name)
	return before == now, err
}

// digest changes when the role does, or what hosts.yaml and secrets say of its hosts.
// What hosts are by other pipelines is the concern of those.
func (d *declared) digest(name string) (string, error) {
	sum := sha256.New()
	text, err := d.library.Digest([]string{name})
	if err != nil {
		return "", err
	}
	hosts := slices.DeleteFunc(d.alive(), func(h host.Host) bool { return !d.has(h, name) })
	for i, h := range hosts {
		hosts[i].Roles = slices.DeleteFunc(slices.Clone(h.Roles), func(u host.Use) bool {
			made := d.piped(host.Host{Entry: host.Entry{Roles: []host.Use{u}}})
			return len(made) > 0 && !slices.Contains(made, name)
		})
	}
	of, err := d.sums(hosts)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(sum, text, of)
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// manifest makes of a role what the pipeline reads of services.
func (k *keeper) manifest(ctx context.Context, name, commit string) (catalog.Manifest, error) {
	d, err := k.at(ctx, commit)
	if err != nil {
		return catalog.Manifest{}, err
	}
	r, err := d.library.Role(name)
	if err != nil {
		return catalog.Manifest{}, err
	}
	m := catalog.Manifest{Service: id.Service(name), Team: id.Team(r.Owner), Description: r.Description}
	m.Artifact.Kind, m.Artifact.Paths = "archive", d.library.Paths(name)
	m.Pipeline = []catalog.Stage{{Name: role.FirstStage, Run: "steer validate; steer plan, on the hosts of each environment", Timeout: config.Duration(15 * time.Minute)}}
	for _, s := range r.Pipeline {
		m.Pipeline = append(m.Pipeline, catalog.Stage{
			Name: s.Name, Run: s.Command(name), Deploy: s.Deploy, Manual: s.Manual, Approvers: s.Approvers, Timeout: s.Timeout,
		})
	}
	return m, nil
}

// environment finds an environment for a role with a pipeline, and how many of its
// hosts have the role; ok is false when there is no such role.
func (k *keeper) environment(e id.Environment, s id.Service) (env catalog.Environment, hosts int, ok bool, err error) {
	commit, _ := k.definitions.Current()
	d, err := k.at(context.Background(), commit)
	if err != nil {
		return env, 0, false, err
	}
	if r, err := d.library.Role(string(s)); err != nil || len(r.Pipeline) == 0 {
		return env, 0, false, nil
	}
	var names []string
	for _, h := range d.alive() {
		switch {
		case !d.has(h, string(s)):
		case h.Environment == e:
			hosts++
		default:
			names = append(names, string(h.Environment))
		}
	}
	if hosts == 0 {
		return env, 0, true, fault.New(fault.NotFound, "no host of environment %q has the role %s%s", e, s, config.Suggest(string(e), names))
	}
	if env, err = k.catalog.Load().Environment(e); err != nil { // hosts alone need no entry there
		env = catalog.Environment{Name: e, Watch: config.Duration(10 * time.Minute)}
	}
	return env, hosts, true, nil
}
