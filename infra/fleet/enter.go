package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// Entry is a command that somebody wants to run on a host that nobody can log in to.
type Entry struct {
	Host    string
	Command []string
	Person  id.Person
	Reason  string
}

// Enter runs a command on a host that nobody can log in to: the way in when all else
// fails. Before it begins it is in the journal with its author and reason, automation keeps
// away from the host, and the host counts as touched: once somebody resumes it, it is
// made anew. run returns the code that the command ended with.
func (f *Fleet) Enter(ctx context.Context, e Entry, run func(context.Context) (code int, err error)) error {
	h, err := f.entered(ctx, e)
	if err != nil {
		return err
	}
	code, err := run(ctx)
	ev := e.event(h)
	switch {
	case err != nil:
		ev.Summary = fmt.Sprintf("%s on %s: it is not known how it ended: %v", e.text(), e.Host, err)
	default:
		ev.Summary = fmt.Sprintf("%s on %s ended with code %d", e.text(), e.Host, code)
	}
	ctx = context.WithoutCancel(ctx) // whoever asked may have gone
	if wrong := f.o.DB.Tx(ctx, func(tx *sql.Tx) error { return f.o.Journal(ctx, tx, &ev) }); wrong != nil && err == nil {
		err = wrong
	}
	return err
}

// entered writes down that somebody enters a host, if they may.
func (f *Fleet) entered(ctx context.Context, e Entry) (h Host, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return h, err
	}
	hosts, err := f.hosts(ctx, wanted)
	if err != nil {
		return h, err
	}
	h, known := hosts[e.Host]
	switch {
	case !known || h.Gone:
		return h, fault.New(fault.NotFound, "enter %s: hosts.yaml has no such host", e.Host)
	case !h.NoLogin:
		return h, fault.New(fault.Conflict, "enter %s: logging in is on there, so log in (only hosts with login: false are entered this way)", e.Host)
	case strings.TrimSpace(e.Reason) == "":
		return h, fault.New(fault.Invalid, "enter %s: say why; the journal keeps it", e.Host)
	case len(e.Command) == 0:
		return h, fault.New(fault.Invalid, "enter %s: name a command (or several: sh -c '…')", e.Host)
	case h.State == Stopped:
		return h, fault.New(fault.Conflict, "enter %s: it was %s (steer fleet start %[1]s)", e.Host, h.Error)
	case h.Running != 0:
		return h, fault.New(fault.Conflict, "enter %s: visit %d is under way there (wait for its end)", e.Host, h.Running)
	}
	paused := f.keepsAway(ctx, h.Name)
	h.Touched = &Touch{By: e.Person, At: f.o.Now().UTC(), Reason: e.Reason}
	return h, f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if err := writeHost(ctx, tx, h); err != nil {
			return err
		}
		ev := e.event(h)
		ev.Summary = fmt.Sprintf("%s runs on %s, where nobody can log in", e.text(), e.Host)
		if err := f.o.Journal(ctx, tx, &ev); err != nil || paused {
			return err
		}
		return f.pause(ctx, tx, Pause{Scope: "host", Name: h.Name, Person: e.Person, Reason: "entered: " + e.Reason, Since: h.Touched.At})
	})
}

// mostCommand bounds the command as it is shown, in bytes.
const mostCommand = 300

// text is the command for people.
func (e Entry) text() string {
	text := strings.Join(strings.Fields(strings.Join(e.Command, " ")), " ")
	if len(text) > mostCommand {
		text = strings.ToValidUTF8(text[:mostCommand], "") + "…"
	}
	return text
}

func (e Entry) event(h Host) event.Event {
	return event.Event{Source: source, Type: event.HostEntered, Subject: "host/" + e.Host, Actor: e.Person, Reason: e.Reason, Environment: h.Environment,
		Data: []byte(encoded(map[string]any{"command": e.text(), "group": h.Group}))}
}
