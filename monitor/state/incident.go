package state

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// The states of an incident.
const (
	Open         = "open"
	Acknowledged = "acknowledged"
	Resolved     = "resolved"
	Active       = "active" // in a Filter: open or acknowledged
)

// Incident is a time in which something was not as it should be, and what people
// and Steer did about it.
type Incident struct {
	ID          int64          `json:"id"`
	Check       string         `json:"check"` // key of the check, "catalog/slow-first-byte"
	Service     id.Service     `json:"service"`
	Environment id.Environment `json:"environment"`
	Team        id.Team        `json:"team"`     // who is told; empty: everybody
	Version     id.Version     `json:"version"`  // version of the service that was deployed last
	Severity    string         `json:"severity"` // page, ticket or info
	Level       string         `json:"level"`    // state that opened it: CRITICAL or NODATA
	State       string         `json:"state"`    // open, acknowledged, resolved
	Title       string         `json:"title"`
	Summary     string         `json:"summary"`
	Query       string         `json:"query"`
	Value       *float64       `json:"value"` // that broke the bound
	Bound       *float64       `json:"bound"`
	Runbook     string         `json:"runbook,omitempty"`
	Rollback    bool           `json:"rollback"` // the check wants a deploy to be taken back for this

	Began         time.Time  `json:"began"` // when the bound was first seen broken
	Opened        time.Time  `json:"opened"`
	Acknowledged  *time.Time `json:"acknowledged"`
	AckedBy       id.Person  `json:"acked_by,omitempty"`
	AckComment    string     `json:"ack_comment,omitempty"`
	Resolved      *time.Time `json:"resolved"`
	ResolvedBy    id.Person  `json:"resolved_by,omitempty"`
	ResolveReason string     `json:"resolve_reason,omitempty"`

	Chain    string        `json:"chain,omitempty"`    // of the change that is suspected
	Cause    string        `json:"cause,omitempty"`    // id of the event of that change
	Event    string        `json:"event"`              // id of the event that opened it
	Changes  []event.Event `json:"changes"`            // what changed shortly before, newest first
	Previous int64         `json:"previous,omitempty"` // the same check's incident that ended less than 5 minutes before

	kind string
}

// Suspect is the change that the incident is blamed on: the newest deploy in the
// watch window before it.
func (i Incident) Suspect() (event.Event, bool) {
	for _, e := range i.Changes {
		if i.Cause != "" && e.ID == i.Cause {
			return e, true
		}
	}
	return event.Event{}, false
}

// Who closes an incident.
const (
	byCheck = "check" // the engine, when the check recovers
	byBlind = "blind" // the engine, when measurements arrive again
	byCall  = "call"  // whoever opened it
)

// reopened is how soon after the last incident a new one of the same check
// refers to it.
const reopened = 5 * time.Minute

const columns = `id, kind, check_key, service, environment, team, version, severity, level, title, summary, query,
	runbook, value, bound, rollback, began, opened, acknowledged, acked_by, ack_comment, resolved, resolved_by,
	resolve_reason, chain, cause, event, changes, previous`

// insert stores a new incident with the next number.
func insert(ctx context.Context, tx *sql.Tx, i *Incident) error {
	var err error
	if i.ID, err = database.Next(ctx, tx, "incident"); err != nil {
		return err
	}
	i.State, i.Event = Open, id.New()
	if i.Changes == nil {
		i.Changes = []event.Event{}
	}
	err = tx.QueryRowContext(ctx, `SELECT id FROM state_incident WHERE check_key = $1 AND resolved >= $2 ORDER BY id DESC LIMIT 1`,
		i.Check, database.Micros(i.Opened.Add(-reopened))).Scan(&i.Previous)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("look for the last incident of %s: %w", i.Check, err)
	}
	changes, err := json.Marshal(i.Changes)
	if err != nil {
		return fmt.Errorf("store changes before incident: %w", err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO state_incident (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
		$11, $12, $13, $14, $15, $16, $17, $18, 0, '', '', 0, '', '', $19, $20, $21, $22, $23)`,
		i.ID, i.kind, i.Check, string(i.Service), string(i.Environment), string(i.Team), string(i.Version), i.Severity,
		i.Level, i.Title, i.Summary, i.Query, i.Runbook, i.Value, i.Bound, i.Rollback, database.Micros(i.Began),
		database.Micros(i.Opened), i.Chain, i.Cause, i.Event, string(changes), i.Previous)
	if err != nil {
		return fmt.Errorf("store incident of %s: %w", i.Check, err)
	}
	return nil
}

func scan(into func(...any) error) (i Incident, err error) {
	var began, opened, acked, resolved int64
	var changes string
	err = into(&i.ID, &i.kind, &i.Check, &i.Service, &i.Environment, &i.Team, &i.Version, &i.Severity, &i.Level, &i.Title,
		&i.Summary, &i.Query, &i.Runbook, &i.Value, &i.Bound, &i.Rollback, &began, &opened, &acked, &i.AckedBy,
		&i.AckComment, &resolved, &i.ResolvedBy, &i.ResolveReason, &i.Chain, &i.Cause, &i.Event, &changes, &i.Previous)
	if err != nil {
		return i, err
	}
	i.Began, i.Opened, i.State = database.Time(began), database.Time(opened), Open
	if acked != 0 {
		t := database.Time(acked)
		i.Acknowledged, i.State = &t, Acknowledged
	}
	if resolved != 0 {
		t := database.Time(resolved)
		i.Resolved, i.State = &t, Resolved
	}
	return i, json.Unmarshal([]byte(changes), &i.Changes)
}

// queryer is a transaction or a pool.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func selectIncidents(ctx context.Context, q queryer, rest string, args ...any) ([]Incident, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+columns+" FROM state_incident "+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	defer rows.Close()
	list := []Incident{}
	for rows.Next() {
		i, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read incidents: %w", err)
		}
		list = append(list, i)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read incidents: %w", err)
	}
	return list, nil
}

// Filter selects incidents; a zero field selects all.
type Filter struct {
	State       string // open, acknowledged, resolved, or active: not resolved
	Check       string
	Service     id.Service
	Environment id.Environment
	From, Until time.Time // when they were opened; zero: whenever
	Before      int64     // only with a smaller number, for the next page
	Limit       int       // default 100, at most 1000
}

// Incidents returns incidents, newest first.
func (e *Engine) Incidents(ctx context.Context, f Filter) ([]Incident, error) {
	conditions := []string{"1 = 1"}
	var args []any
	where := func(column, operator string, value any) {
		args = append(args, value)
		conditions = append(conditions, fmt.Sprintf("%s %s $%d", column, operator, len(args)))
	}
	switch f.State {
	case "":
	case Open:
		conditions = append(conditions, "resolved = 0 AND acknowledged = 0")
	case Acknowledged:
		conditions = append(conditions, "resolved = 0 AND acknowledged > 0")
	case Resolved:
		conditions = append(conditions, "resolved > 0")
	case Active:
		conditions = append(conditions, "resolved = 0")
	default:
		return nil, fault.New(fault.Invalid, "list incidents: unknown state %q (use open, acknowledged, resolved or active)", f.State)
	}
	if f.Check != "" {
		where("check_key", "=", f.Check)
	}
	if f.Service != "" {
		where("service", "=", string(f.Service))
	}
	if f.Environment != "" {
		where("environment", "=", string(f.Environment))
	}
	if !f.From.IsZero() {
		where("opened", ">=", database.Micros(f.From))
	}
	if !f.Until.IsZero() {
		where("opened", "<", database.Micros(f.Until))
	}
	if f.Before > 0 {
		where("id", "<", f.Before)
	}
	args = append(args, min(cmp.Or(max(f.Limit, 0), 100), 1000))
	return selectIncidents(ctx, e.db.Read(), fmt.Sprintf("WHERE %s ORDER BY id DESC LIMIT $%d", strings.Join(conditions, " AND "), len(args)), args...)
}

// Incident returns one incident, or fault.NotFound.
func (e *Engine) Incident(ctx context.Context, number int64) (Incident, error) {
	return one(ctx, e.db.Read(), number)
}

func one(ctx context.Context, q queryer, number int64) (Incident, error) {
	list, err := selectIncidents(ctx, q, "WHERE id = $1", number)
	if err != nil {
		return Incident{}, err
	}
	if len(list) == 0 {
		return Incident{}, fault.New(fault.NotFound, "incident %d: there is no incident with this number (steer incident lists them)", number)
	}
	return list[0], nil
}
