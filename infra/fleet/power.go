package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/event"
)

// stops tells whether visits of a kind stop a host.
func stops(kind string) bool { return slices.Contains([]string{Off, Kill, Freeze, Cut}, kind) }

// switches tells whether visits of a kind stop, start or destroy a host.
func switches(kind string) bool {
	return stops(kind) || kind == Start || kind == Restart || kind == Destroy
}

// able tells whether a host can be stopped or started so.
func able(d Declared, kind string) bool {
	if stops(kind) {
		return slices.Contains(d.Ways, kind)
	}
	return len(d.Ways) > 0
}

func canDo(ways []string) string {
	if len(ways) == 0 {
		return "cannot stop and start it (see make in hosts.yaml)"
	}
	return "knows only " + strings.Join(ways, ", ")
}

// stopped is what became of a host by a visit of a kind.
func stopped(kind string) string {
	switch kind {
	case Kill:
		return "killed"
	case Freeze:
		return "frozen"
	case Cut:
		return "cut off"
	}
	return "stopped"
}

// keepsAway tells whether somebody paused this one host already.
func (f *Fleet) keepsAway(ctx context.Context, host string) bool {
	all, err := f.pauses(ctx)
	return err == nil && all[place{"host", host}] != nil
}

// switched takes the end of a visit that stopped or destroyed the host, or could not
// start it; any other has more to tell.
func (e *end) switched(o Outcome, failure error) bool {
	v, h := &e.v, &e.h
	if !stops(v.Kind) && v.Kind != Destroy && !(h.State == Stopped && failure != nil && !o.Up && (v.Kind == Start || v.Kind == Restart)) {
		return false
	}
	e.unseen = true
	switch v.State = Passed; {
	case failure != nil:
		v.State, v.Error = Broken, failure.Error()
		if v.Kind == Destroy {
			h.State, h.Error = HasFailed, "it could not be destroyed: "+v.Error
		}
	case stops(v.Kind):
		h.State, h.Silent = Stopped, time.Time{}
		h.Error = fmt.Sprintf("%s by %s", stopped(v.Kind), v.Actor)
		if v.Reason != "" {
			h.Error += ": " + v.Reason
		}
	case v.Kind == Destroy:
		h.State, h.Error = Waiting, ""
	}
	return true
}

// settle brings pauses and records in line with a host that was stopped, started or
// destroyed.
func (e *end) settle(ctx context.Context, tx *sql.Tx) error {
	h := e.h
	gone := e.v.Kind == Destroy && e.v.State == Passed
	if gone {
		e.seen.Lock()
		e.unmanaged = slices.DeleteFunc(slices.Clone(e.unmanaged), func(u Unmanaged) bool { return u.Name == h.Name })
		e.seen.Unlock()
		err := exec(ctx, tx, `DELETE FROM fleet_host WHERE name = $1`, h.Name)
		if err == nil {
			err = exec(ctx, tx, `DELETE FROM fleet_drift WHERE host = $1`, h.Name)
		}
		if err == nil {
			err = exec(ctx, tx, `DELETE FROM fleet_pause WHERE scope = 'host' AND name = $1`, h.Name)
		}
		return err
	}
	if h.State == Stopped || e.was.State != Stopped && !stops(e.v.Kind) {
		return nil
	}
	all, err := e.pauses(ctx)
	if p := all[place{"host", h.Name}]; err != nil || p == nil || !p.Stopped {
		return err
	}
	return exec(ctx, tx, `DELETE FROM fleet_pause WHERE scope = 'host' AND name = $1`, h.Name)
}

// toldSwitched makes the event of a host that was stopped, started or destroyed.
func (e *end) toldSwitched(ev *event.Event) {
	name := e.h.Name
	switch e.v.Kind {
	case Start, Restart:
		ev.Type, ev.Summary = event.HostStarted, name+" was "+e.v.Kind+"ed"
	case Destroy:
		ev.Type, ev.Summary = event.HostDestroyed, name+" was destroyed"
		if e.v.Cause == "removed" {
			ev.Summary += ": no definition has it any more"
		}
	default:
		ev.Type, ev.Summary = event.HostStopped, name+" was "+stopped(e.v.Kind)
	}
}

// over says why what was wrong with a host is so no more.
func (e *end) over() string {
	switch {
	case e.v.Kind == Destroy:
		return e.h.Name + " was destroyed"
	case e.h.State == Stopped:
		return e.h.Name + " was " + e.h.Error
	}
	return e.h.Name + " is " + e.h.State + " again"
}
