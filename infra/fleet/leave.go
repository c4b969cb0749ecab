package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// leave destroys hosts that no definition has any more: those that were there for a
// time, and those that are too many for an entry which says so. What Steer did not
// make, and what somebody paused or stopped, stays; so do hosts whose whole entry is
// gone, since that may be a mistake.
func leave(w World) (visits []Visit) {
	destroys := map[string]bool{}
	for _, want := range w.Wanted {
		for _, entry := range want.Destroys {
			destroys[entry] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.Hosts)) {
		h := w.Hosts[name]
		switch {
		case !h.Gone || !h.Made || h.How == nil || h.Running != 0:
		case w.Paused != nil || h.Paused != nil || h.State == Stopped:
		case !destroys[h.Entry] && h.Until.IsZero():
		case h.State == HasFailed && !h.Visited.IsZero() && w.Now.Sub(h.Visited) < retryDestroy:
		default:
			visits = append(visits, Visit{Host: name, Group: h.Group, Kind: Destroy, Cause: "removed"})
		}
	}
	return visits
}

// retryDestroy is the time between attempts to destroy a host.
const retryDestroy = 10 * time.Minute

// ending are hosts whose people have to know that their time is over soon: an hour
// before, or a quarter of the time before if that is less.
func ending(w World) (some []Host) {
	for _, name := range slices.Sorted(maps.Keys(w.Hosts)) {
		h := w.Hosts[name]
		if h.Gone || h.Warned || h.Until.IsZero() {
			continue
		}
		if before := min(time.Hour, h.Until.Sub(h.Seen)/4); !w.Now.Before(h.Until.Add(-before)) {
			some = append(some, h)
		}
	}
	return some
}

// warn remembers who was told, and makes the events.
func warn(ctx context.Context, tx *sql.Tx, ends []Host) (events []event.Event, err error) {
	for _, h := range ends {
		h.Warned = true
		if err := writeHost(ctx, tx, h); err != nil {
			return nil, err
		}
		e := event.Event{Source: source, Type: event.HostEnds, Subject: "host/" + h.Name, Actor: event.Steer, Environment: h.Environment,
			Summary: fmt.Sprintf("%s will be destroyed at %s", h.Name, h.Until.UTC().Format("2006-01-02 15:04 MST"))}
		if h.By != "" {
			e.Reason = "requested by " + string(h.By)
			if h.Why != "" {
				e.Reason += ": " + h.Why
			}
		}
		events = append(events, e)
	}
	return events, nil
}

// destroy queues visits to hosts that no definition has any more. f.mu is held.
func (f *Fleet) destroy(ctx context.Context, hosts map[string]Host, names []string, who id.Person, reason string) ([]Visit, error) {
	var visits []Visit
	var found []Host
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		h, known := hosts[name]
		if !known {
			if !f.strays(name) {
				return nil, fault.New(fault.NotFound, "destroy %s: there is no host of this name that Steer made (steer fleet lists those that nobody manages)", name)
			}
			h = Host{Name: name, State: Waiting, Seen: f.o.Now().UTC(), Gone: true, Made: true}
			found = append(found, h)
		}
		switch {
		case !h.Gone:
			return nil, fault.New(fault.Conflict, "destroy %s: hosts.yaml declares it, and it would come back (make number smaller, or remove its entry, first)", name)
		case !h.Made:
			return nil, fault.New(fault.Invalid, "destroy %s: Steer did not make it, and leaves it alone", name)
		case h.Running != 0:
			return nil, fault.New(fault.Conflict, "destroy %s: visit %d is under way there (wait for its end)", name, h.Running)
		}
		visits = append(visits, Visit{Host: name, Group: h.Group, Kind: Destroy, Cause: "person", Actor: who, Reason: reason})
	}
	err := f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		for _, h := range found {
			if err := writeHost(ctx, tx, h); err != nil {
				return err
			}
		}
		for i := range visits {
			if err := f.queue(ctx, tx, &visits[i], 0); err != nil {
				return err
			}
			e := event.Event{Source: source, Type: event.HostAsked, Subject: "host/" + visits[i].Host, Actor: who, Reason: reason,
				Environment: hosts[visits[i].Host].Environment, Summary: "Destroy " + visits[i].Host}
			if err := f.o.Journal(ctx, tx, &e); err != nil {
				return err
			}
		}
		return nil
	})
	f.o.Work.Wake()
	return visits, err
}

// strays tells whether a host was found that Steer made and nobody manages.
func (f *Fleet) strays(name string) bool {
	f.seen.Lock()
	defer f.seen.Unlock()
	return slices.ContainsFunc(f.unmanaged, func(u Unmanaged) bool { return u.Name == name && name != "" })
}
