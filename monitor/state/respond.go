package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// Acknowledge records that who looks after an incident, so that others need not.
// It is fault.Conflict when somebody did so before, or when it is over.
func (e *Engine) Acknowledge(ctx context.Context, number int64, who id.Person, comment string) (Incident, error) {
	if who == "" {
		return Incident{}, fault.New(fault.Invalid, "acknowledge incident %d: nobody is named", number)
	}
	var i Incident
	err := e.db.Tx(ctx, func(tx *sql.Tx) (err error) {
		now := e.now()
		changed, err := tx.ExecContext(ctx, `UPDATE state_incident SET acknowledged = $1, acked_by = $2, ack_comment = $3
			WHERE id = $4 AND acknowledged = 0 AND resolved = 0`, database.Micros(now), string(who), comment, number)
		if err != nil {
			return fmt.Errorf("acknowledge incident %d: %w", number, err)
		}
		if i, err = one(ctx, tx, number); err != nil {
			return fmt.Errorf("acknowledge %w", err)
		}
		if n, err := changed.RowsAffected(); err != nil {
			return fmt.Errorf("acknowledge incident %d: %w", number, err)
		} else if n == 0 {
			return taken("acknowledge", i)
		}
		note := i.event(event.IncidentAcked, now, fmt.Sprintf("%s looks after incident %d: %s", who, i.ID, i.Title))
		note.Actor, note.Reason, note.Cause = who, comment, i.Event
		return e.journal.Append(ctx, tx, &note)
	})
	return i, err
}

// Resolve ends an incident by hand. If its check stays as it is, no new incident
// opens until the check has changed its state.
func (e *Engine) Resolve(ctx context.Context, number int64, who id.Person, reason string) (Incident, error) {
	if who == "" {
		return Incident{}, fault.New(fault.Invalid, "resolve incident %d: nobody is named", number)
	}
	i, err := e.Incident(ctx, number)
	if err != nil {
		return i, fmt.Errorf("resolve %w", err)
	}
	t := e.lookup(i.Check)
	if t != nil {
		t.mu.Lock() // first the check, then the transaction, as in apply
		defer t.mu.Unlock()
	}
	now := e.now()
	var m memory
	err = e.db.Tx(ctx, func(tx *sql.Tx) (err error) {
		if i, err = e.end(ctx, tx, number, who, reason, "", now); err != nil {
			return err
		}
		if t == nil || t.incident != number {
			return nil
		}
		m = t.memory
		m.Dismissed = true
		return save(ctx, tx, t.key, t.rule, m)
	})
	if err != nil {
		return i, err
	}
	if t != nil && t.incident == number {
		t.memory, t.incident, t.level = m, 0, ""
	}
	e.forget(number)
	return i, nil
}

// Open opens an incident that no check is behind, in the caller's transaction.
// The caller fills in what is known; Check names what it is about and has at most
// one incident that is not resolved (else fault.Conflict). A worse one takes the place
// of a less severe one, so that those hear of it whom it concerns now. Resolve ends it.
func (e *Engine) Open(ctx context.Context, tx *sql.Tx, i Incident) (Incident, error) {
	if i.Check == "" || i.Title == "" {
		return i, fault.New(fault.Invalid, "open incident: it needs a title and the name of what it is about")
	}
	others, err := selectIncidents(ctx, tx, "WHERE check_key = $1 AND resolved = 0", i.Check)
	if err != nil {
		return i, err
	}
	if len(others) > 0 && others[0].kind == byCall && slices.Index(severities, i.Severity) > slices.Index(severities, others[0].Severity) {
		if _, err := e.end(ctx, tx, others[0].ID, event.Steer, "it is a "+i.Severity+" now: "+i.Title, i.Cause, e.now()); err != nil {
			return i, err
		}
		others = nil
	}
	if len(others) > 0 {
		return i, fault.New(fault.Conflict, "open incident about %s: incident %d is about it and not resolved", i.Check, others[0].ID)
	}
	i.kind = byCall
	if i.Opened.IsZero() {
		i.Opened = e.now()
	}
	if i.Began.IsZero() {
		i.Began = i.Opened
	}
	return e.begin(ctx, tx, i, i.Cause)
}

// severities are those of incidents, the worst last.
var severities = []string{"info", "ticket", "page"}

// begin stores, journals and tells a new incident.
func (e *Engine) begin(ctx context.Context, tx *sql.Tx, i Incident, cause string) (Incident, error) {
	if err := insert(ctx, tx, &i); err != nil {
		return i, err
	}
	note := i.event(event.IncidentOpened, i.Opened, fmt.Sprintf("Incident %d: %s", i.ID, i.Title))
	note.ID, note.Cause, note.Reason = i.Event, cause, i.Summary
	if err := e.journal.Append(ctx, tx, &note); err != nil {
		return i, err
	}
	if err := e.opened(ctx, tx, i); err != nil {
		return i, fmt.Errorf("act on incident %d: %w", i.ID, err)
	}
	return i, nil
}

// end resolves, journals and tells; cause is the event that made it end, if any.
func (e *Engine) end(ctx context.Context, tx *sql.Tx, number int64, who id.Person, reason, cause string, now time.Time) (Incident, error) {
	changed, err := tx.ExecContext(ctx, `UPDATE state_incident SET resolved = $1, resolved_by = $2, resolve_reason = $3
		WHERE id = $4 AND resolved = 0`, database.Micros(now), string(who), reason, number)
	if err != nil {
		return Incident{}, fmt.Errorf("resolve incident %d: %w", number, err)
	}
	i, err := one(ctx, tx, number)
	if err != nil {
		return i, fmt.Errorf("resolve %w", err)
	}
	if n, err := changed.RowsAffected(); err != nil {
		return i, fmt.Errorf("resolve incident %d: %w", number, err)
	} else if n == 0 {
		return i, taken("resolve", i)
	}
	took := now.Sub(i.Opened).Round(time.Second)
	note := i.event(event.IncidentClosed, now, fmt.Sprintf("Incident %d is over after %s: %s", i.ID, took, i.Title))
	note.Actor, note.Reason, note.Cause = who, reason, cause
	if note.Cause == "" {
		note.Cause = i.Event
	}
	if err := e.journal.Append(ctx, tx, &note); err != nil {
		return i, err
	}
	if err := e.closed(ctx, tx, i); err != nil {
		return i, fmt.Errorf("act on the end of incident %d: %w", i.ID, err)
	}
	return i, nil
}

// taken says who was there first.
func taken(verb string, i Incident) error {
	at := func(t *time.Time) string { return t.Format(time.RFC3339) }
	said := func(text string) string {
		if text = strings.TrimSpace(text); text == "" {
			return ""
		}
		return ": " + text
	}
	if i.Resolved != nil {
		return fault.New(fault.Conflict, "%s incident %d: %s resolved it at %s%s", verb, i.ID, i.ResolvedBy, at(i.Resolved), said(i.ResolveReason))
	}
	return fault.New(fault.Conflict, "%s incident %d: %s acknowledged it at %s%s", verb, i.ID, i.AckedBy, at(i.Acknowledged), said(i.AckComment))
}

// details is the Data of an incident's events.
type details struct {
	Incident int64    `json:"incident"`
	Check    string   `json:"check"`
	Team     id.Team  `json:"team,omitempty"`
	Severity string   `json:"severity"`
	Level    string   `json:"level"`
	Query    string   `json:"query,omitempty"`
	Value    *float64 `json:"value,omitempty"`
	Bound    *float64 `json:"bound,omitempty"`
	Previous int64    `json:"previous,omitempty"`
}

func (i Incident) event(kind string, at time.Time, summary string) event.Event {
	data, err := json.Marshal(details{i.ID, i.Check, i.Team, i.Severity, i.Level, i.Query, i.Value, i.Bound, i.Previous})
	if err != nil {
		panic("BUG: incident is no JSON: " + err.Error())
	}
	return event.Event{
		Source: source, Type: kind, Subject: fmt.Sprintf("incident/%d", i.ID), Time: at, Data: data, Summary: summary,
		Service: i.Service, Environment: i.Environment, Version: i.Version, Chain: i.Chain,
	}
}
