package fleet

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// Request queues visits that somebody asks for.
func (f *Fleet) Request(ctx context.Context, r Request, who id.Person, reason string) ([]Visit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return nil, err
	}
	hosts, err := f.hosts(ctx, wanted)
	if err != nil {
		return nil, err
	}
	groups, err := readGroups(ctx, f.o.DB.Read())
	if err != nil {
		return nil, err
	}
	if r.Kind == Destroy {
		return f.destroy(ctx, hosts, r.Hosts, who, reason)
	}
	chosen, err := choose(wanted, r.Hosts)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Kind == Heal && len(r.Refs) == 0:
		return nil, fault.New(fault.Invalid, "heal: name the resources to put right")
	case r.Kind == Rebuild && len(chosen) > 1:
		return nil, fault.New(fault.Invalid, "rebuild: name one host at a time (a group would be gone at once)")
	}
	var visits []Visit
	for _, d := range chosen {
		h, g := hosts[d.Name], groups[d.Group]
		commit := cmp.Or(r.Commit, (&planner{g: g}).follows(h), g.Candidate)
		switch {
		case h.Running != 0:
			return nil, fault.New(fault.Conflict, "visit %s: visit %d is under way there (wait for its end)", h.Name, h.Running)
		case r.Kind == Heal && d.Immutable:
			return nil, fault.New(fault.Conflict, "heal %s: it is immutable, and put right by a rebuild only (steer fleet visit %[1]s --kind rebuild)", h.Name)
		case r.Kind == Rebuild && !d.Made:
			return nil, fault.New(fault.Invalid, "rebuild %s: hosts.yaml does not say how to make it (add make:)", h.Name)
		case switches(r.Kind) && !able(d, r.Kind):
			return nil, fault.New(fault.Invalid, "%s %s: what makes it %s", r.Kind, h.Name, canDo(d.Ways))
		case h.State == Stopped && !switches(r.Kind) && r.Kind != Rebuild:
			return nil, fault.New(fault.Conflict, "visit %s: it was %s (steer fleet start %[1]s)", h.Name, h.Error)
		case commit == "":
			return nil, fmt.Errorf("visit %s: %w", h.Name, waits(wanted, d.Group))
		}
		visits = append(visits, Visit{Host: h.Name, Group: d.Group, Kind: r.Kind, Cause: "person", Commit: commit, Refs: r.Refs, Actor: who, Reason: reason})
	}
	err = f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		for i := range visits {
			if err := f.queue(ctx, tx, &visits[i], r.To); err != nil {
				return err
			}
			p := Pause{Scope: "host", Name: visits[i].Host, Person: who, Since: f.o.Now().UTC()}
			switch {
			case r.Kind == Back: // else the next visit would bring back what somebody took back
				p.Reason = strings.TrimSuffix("rolled back: "+reason, ": ")
			case stops(r.Kind) && !f.keepsAway(ctx, p.Name):
				p.Reason, p.Stopped = strings.TrimSuffix(stopped(r.Kind)+": "+reason, ": "), true
			default:
				continue
			}
			if err := f.pause(ctx, tx, p); err != nil {
				return err
			}
		}
		for _, v := range visits {
			e := event.Event{Source: source, Type: event.HostAsked, Subject: "host/" + v.Host, Actor: who, Reason: reason, Environment: hosts[v.Host].Environment,
				Data: []byte(encoded(map[string]any{"visit": v.ID, "kind": v.Kind, "group": v.Group})), Summary: "Visit " + v.Host + ": " + v.Kind}
			if err := f.o.Journal(ctx, tx, &e); err != nil {
				return err
			}
		}
		return nil
	})
	f.o.Work.Wake()
	return visits, err
}

// choose finds hosts by their names and those of groups.
func choose(wanted []Wanted, names []string) ([]Declared, error) {
	var some []Declared
	seen := map[string]bool{}
	for _, name := range names {
		found := false
		for _, w := range wanted {
			for _, d := range w.Hosts {
				if d.Name != name && d.Group != name {
					continue
				}
				found = true
				if !seen[d.Name] {
					seen[d.Name] = true
					some = append(some, d)
				}
			}
		}
		if !found {
			return nil, fault.New(fault.NotFound, "no host or group of hosts.yaml is called %q", name)
		}
	}
	return some, nil
}
