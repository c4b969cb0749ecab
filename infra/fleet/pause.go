package fleet

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

type place struct{ scope, name string }

func (p place) String() string {
	if p.scope == "all" {
		return "all hosts"
	}
	return p.scope + " " + p.name
}

// pauses are those in force.
func (f *Fleet) pauses(ctx context.Context) (map[place]*Pause, error) {
	all := map[place]*Pause{}
	now := f.o.Now()
	return all, each(ctx, f.o.DB.Read(), func(r *sql.Rows) error {
		var p Pause
		var body string
		if err := r.Scan(&body); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			return err
		}
		if p.Until.IsZero() || p.Until.After(now) {
			all[place{p.Scope, p.Name}] = &p
		}
		return nil
	}, `SELECT body FROM fleet_pause`)
}

// Paused tells whether automation keeps away from a host.
func (f *Fleet) Paused(ctx context.Context, host string) (bool, error) {
	all, err := f.pauses(ctx)
	if err != nil || len(all) == 0 {
		return false, err
	}
	if all[place{"all", ""}] != nil || all[place{"host", host}] != nil {
		return true, nil
	}
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return false, err
	}
	for _, w := range wanted {
		if all[place{"group", w.Name}] != nil && slices.ContainsFunc(w.Hosts, func(h Declared) bool { return h.Name == host }) {
			return true, nil
		}
	}
	return false, nil
}

// check says whether there is such a place.
func (f *Fleet) check(ctx context.Context, scope, name string) error {
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return err
	}
	switch scope {
	case "all":
		if name != "" {
			return fault.New(fault.Invalid, "scope all takes no name (write scope host or group for %s)", name)
		}
		return nil
	case "group", "host":
		for _, w := range wanted {
			if scope == "group" && w.Name == name {
				return nil
			}
			for _, h := range w.Hosts {
				if scope == "host" && h.Name == name {
					return nil
				}
			}
		}
		return fault.New(fault.NotFound, "there is no %s %q in hosts.yaml", scope, name)
	}
	return fault.New(fault.Invalid, "scope %q: write all, group or host", scope)
}

// Pause keeps automation away until Resume, or until its time is over. A newer one
// replaces an older one of the same place. Visits under way end by themselves.
func (f *Fleet) Pause(ctx context.Context, p Pause) error {
	if err := f.check(ctx, p.Scope, p.Name); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	if p.Reason == "" {
		return fault.New(fault.Invalid, "pause %s: say why, for those who wonder", place{p.Scope, p.Name})
	}
	p.Since, p.Until = f.o.Now().UTC(), p.Until.UTC()
	if p.Until.Equal(time.Time{}) {
		p.Until = time.Time{}
	}
	return f.o.DB.Tx(ctx, func(tx *sql.Tx) error { return f.pause(ctx, tx, p) })
}

func (f *Fleet) pause(ctx context.Context, tx *sql.Tx, p Pause) error {
	if err := exec(ctx, tx, `INSERT INTO fleet_pause (scope, name, body) VALUES ($1, $2, $3) ON CONFLICT (scope, name) DO UPDATE SET body = excluded.body`,
		p.Scope, p.Name, encoded(p)); err != nil {
		return err
	}
	e := event.Event{Source: source, Type: event.HostsPaused, Subject: subject(p.Scope, p.Name), Actor: p.Person, Reason: p.Reason, Summary: "Automation keeps away from " + place{p.Scope, p.Name}.String()}
	return f.o.Journal(ctx, tx, &e)
}

func subject(scope, name string) string {
	if scope == "all" {
		return "hosts"
	}
	return scope + "/" + name
}

// Resume ends a pause.
func (f *Fleet) Resume(ctx context.Context, scope, name string, who id.Person, reason string) error {
	defer f.Wake()
	if scope == "host" {
		hosts, err := readHosts(ctx, f.o.DB.Read())
		if err != nil {
			return err
		}
		if h := hosts[name]; h.State == Stopped && !h.Gone {
			return fault.New(fault.Conflict, "resume %s: it was %s (steer fleet start %[1]s lets automation on, too)", name, h.Error)
		}
	}
	return f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `DELETE FROM fleet_pause WHERE scope = $1 AND name = $2`, scope, name)
		if err != nil {
			return fmt.Errorf("resume %s: %w", place{scope, name}, err)
		}
		if n, err := r.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return fault.New(fault.NotFound, "resume %s: there is no pause", place{scope, name})
		}
		e := event.Event{Source: source, Type: event.HostsResumed, Subject: subject(scope, name), Actor: who, Reason: reason, Summary: "Automation goes on with " + place{scope, name}.String()}
		return f.o.Journal(ctx, tx, &e)
	})
}

// Decide agrees to a change that waits, or refuses it. One that failed can be tried
// again by agreeing to it.
func (f *Fleet) Decide(ctx context.Context, group, commit string, agree bool, who id.Person, reason string) (Group, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return Group{}, err
	}
	groups, err := readGroups(ctx, f.o.DB.Read())
	if err != nil {
		return Group{}, err
	}
	g, ok := groups[group]
	if !ok {
		return g, fault.New(fault.NotFound, "there is no group %q in hosts.yaml", group)
	}
	if len(commit) < 7 || len(g.Candidate) < len(commit) || g.Candidate[:len(commit)] != commit || len(commit) >= 40 && commit != g.Candidate {
		return g, fault.New(fault.Conflict, "decide on %s: the change on its way is %s, not %s (look at its plan)", group, short(g.Candidate), short(commit))
	}
	if waits := g.Phase == Asking || g.Phase == Planning; !waits && !(g.Phase == Failed && agree) {
		return g, fault.New(fault.Conflict, "decide on %s: %s does not wait for anybody, it is %s", group, short(commit), g.Phase)
	}
	e := event.Event{Source: source, Type: event.GroupApproved, Subject: "group/" + group, Actor: who, Reason: reason, Summary: fmt.Sprintf("%s may go to %s", short(g.Candidate), group)}
	g.Since, g.By, g.Reason = f.o.Now().UTC(), who, reason
	if agree {
		p := &planner{g: g}
		for _, w := range wanted {
			if w.Name == group {
				p.want = w
			}
		}
		g.Phase = p.first()
	} else {
		g.Phase, g.Reason = Failed, "refused by "+string(who)
		if reason != "" {
			g.Reason += ": " + reason
		}
		e.Type, e.Summary = event.GroupRefused, fmt.Sprintf("%s does not go to %s", short(g.Candidate), group)
	}
	err = f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if agree { // hosts that failed get another chance
			if err := forgive(ctx, tx, g); err != nil {
				return err
			}
		}
		if err := writeGroup(ctx, tx, g); err != nil {
			return err
		}
		return f.o.Journal(ctx, tx, &e)
	})
	f.Wake()
	return g, err
}
