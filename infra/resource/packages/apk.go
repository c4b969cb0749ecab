package packages

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// apk is the package manager of Alpine. An exact version stays in its world file, as
// NAME=VERSION, so that upgrades keep to it: that is its way to hold.
type apk struct {
	h     *infra.Host
	mu    sync.Mutex // one order at a time
	db    onDisk[*inventory]
	newer onDisk[[]update]
	fresh atomic.Bool // the index was read in this run
}

func newApk(h *infra.Host) *apk { return &apk{h: h} }

const (
	apkDatabase = "/lib/apk/db/installed"
	apkWorld    = "/etc/apk/world"
)

// Installed parses apk's database.
func (m *apk) Installed(context.Context) (*inventory, error) {
	return m.db.read(func(data []string) (*inventory, error) {
		if data[0] == "" {
			return nil, fmt.Errorf("read what is installed: %s is missing or empty", apkDatabase)
		}
		return parseInstalled(data[0], data[1]), nil
	}, apkDatabase, apkWorld)
}

// parseInstalled reads the database, with a letter for each field (P name, V version,
// p what it provides), and the world file, which lists what is wanted for itself.
func parseInstalled(db, world string) *inventory {
	wanted := map[string]bool{}
	for _, w := range strings.Fields(world) {
		if i := strings.IndexAny(w, "=<>~@"); i > 0 {
			w = w[:i]
		}
		wanted[w] = true
	}
	virtual := map[string][]string{}
	inv := &inventory{has: map[string]installed{}, provides: listed(virtual)}
	paragraphs(db, []string{"P", "V", "p"}, func(f map[string]string) {
		name := f["P"]
		if name == "" {
			return
		}
		inv.has[name] = installed{Version: f["V"], State: complete, Auto: !wanted[name]}
		for _, p := range strings.Fields(f["p"]) {
			p, _, _ = strings.Cut(p, "=")
			virtual[p] = append(virtual[p], name)
		}
	})
	return inv
}

// upgradable is a line of apk list --upgradable:
//
//	NAME-NEW ARCH {ORIGIN} (LICENCE) [upgradable from: NAME-OLD]
var upgradable = infra.Pattern(`(?m)^(\S+)-(\d[^-\s]*-r\d+) .*\[upgradable from: \S+?-(\d[^-\s]*-r\d+)\]`)

// Newer asks apk, with the index that is here. All updates of a release of Alpine
// are fixes, and which ones are for security it does not tell.
func (m *apk) Newer(ctx context.Context) ([]update, error) {
	return m.newer.read(func([]string) ([]update, error) {
		if m.Refreshed().IsZero() {
			return nil, nil
		}
		out, err := m.h.Run(ctx, "apk", "list", "--no-network", "--upgradable")
		if err != nil {
			return nil, fmt.Errorf("look for newer packages: %w", err)
		}
		return parseUpgradable(out), nil
	}, append([]string{apkDatabase, apkWorld}, apkIndexes()...)...)
}

func parseUpgradable(out string) []update {
	var all []update
	for _, m := range upgradable().FindAllStringSubmatch(out, -1) {
		all = append(all, update{Name: m[1], Old: m[3], New: m[2], Security: true})
	}
	return all
}

func (m *apk) run(ctx context.Context, what string, args ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	out, err := m.h.Exec(ctx, infra.Command{Args: append([]string{"apk", "--wait", "300", "--no-progress"}, args...), Within: time.Hour})
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	text := strings.TrimSpace(string(out.Stdout) + string(out.Stderr))
	switch {
	case strings.Contains(text, "not removed due to:"):
		_, who, _ := strings.Cut(text, "not removed due to:")
		return fault.New(fault.Conflict, "%s: needed by others (declare these absent before it, or write allow_removal: true): %s", what, strings.TrimSpace(who))
	case out.Code == 0:
		return nil
	case strings.Contains(text, "no such package") || strings.Contains(text, "required by: world"):
		return fault.New(fault.NotFound, "%s: no repository of this host has it (is the name right, and is its repository written before it?): %s", what, text)
	}
	return fmt.Errorf("%s: apk ended with code %d: %s", what, out.Code, text)
}

// Install adds to the world.
func (m *apk) Install(ctx context.Context, o install) error {
	args := []string{"add", "--upgrade", o.Name}
	switch {
	case o.Version != "" && !o.Newest:
		args = []string{"add", o.Name + "=" + o.Version}
	case o.Broken:
		args = []string{"fix", o.Name}
	case o.Version == "":
		args = []string{"add", o.Name}
	}
	err := m.run(ctx, "install "+o.Name, args...)
	if fault.Of(err) == fault.NotFound && !m.fresh.Load() {
		if err = m.Refresh(ctx); err == nil {
			err = m.run(ctx, "install "+o.Name, args...)
		}
	}
	return err
}

// Remove takes it out of the world.
func (m *apk) Remove(ctx context.Context, name string, purge, removal bool) error {
	args := []string{"del"}
	if purge {
		args = append(args, "--purge")
	}
	if removal {
		args = append(args, "--rdepends")
	}
	return m.run(ctx, "remove "+name, append(args, name)...)
}

// Hold is not apk's.
func (m *apk) Hold(_ context.Context, name string, on bool) error {
	return fault.New(fault.Invalid, "hold %s: apk holds no packages (drop hold, and write the exact version: apk then keeps to it)", name)
}

// Keep adds to the world what is there for others.
func (m *apk) Keep(ctx context.Context, name string) error {
	return m.run(ctx, "keep "+name, "add", name)
}

// Upgrade upgrades everything: no update is held or without importance here.
func (m *apk) Upgrade(ctx context.Context, _ []update) error {
	return m.run(ctx, "install updates", "upgrade")
}

// Refresh reads all indexes.
func (m *apk) Refresh(ctx context.Context) error {
	m.fresh.Store(true)
	return m.run(ctx, "read the index of packages", "update")
}

// Refreshed is when an index was fetched last.
func (m *apk) Refreshed() time.Time { return newest(apkIndexes()...) }

func apkIndexes() []string {
	all, _ := filepath.Glob("/var/cache/apk/APKINDEX.*.tar.gz")
	return all
}

// Files are a line in a file of its own, as apk-repositories(5) describes it, and the
// key by the name that signatures refer to.
func (m *apk) Files(r *Repository) ([]file, error) {
	name := r.KeyName
	if name == "" {
		name = r.Name + ".rsa.pub"
	}
	list := file{Name: "source", Path: "/etc/apk/repositories.d/" + r.Name + ".list"}
	key := file{Name: "key", Path: "/etc/apk/keys/" + name}
	if r.State == absent {
		return []file{list, key}, nil
	}
	list.Content = []byte("# Written by Steer: changes here are undone.\n" + r.URL + "\n")
	if r.Key != "" {
		key.Content = []byte(strings.TrimSpace(r.Key) + "\n")
	}
	return []file{list, key}, nil
}

// Fetch tries the repository alone, then puts it in its place.
func (m *apk) Fetch(ctx context.Context, r *Repository, files []file) error {
	trial := hidden(files[0])
	if err := write(files[1], trial); err != nil {
		return err
	}
	args := []string{"--repositories-file", trial.Path, "update"}
	if r.Trusted {
		args = append([]string{"--allow-untrusted"}, args...)
	}
	err := m.run(ctx, "read its index", args...)
	trial.Content = nil
	if err = errors.Join(err, put(trial)); err != nil {
		return err
	}
	return put(files[0])
}
