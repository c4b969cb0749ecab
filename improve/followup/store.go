package followup

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/fault"
	"steer/base/id"
)

// row is a follow-up as it is stored.
type row struct {
	Followup
	reminded time.Time
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func rows(ctx context.Context, q querier, rest string, args ...any) ([]row, error) {
	found, err := q.QueryContext(ctx, "SELECT body, due, reminded FROM followup_incident "+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("read follow-ups: %w", err)
	}
	defer found.Close()
	all := []row{}
	for found.Next() {
		var r row
		var body string
		var due, reminded int64
		if err := found.Scan(&body, &due, &reminded); err != nil {
			return nil, fmt.Errorf("read follow-ups: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &r.Followup); err != nil {
			return nil, fmt.Errorf("read follow-ups: %w", err)
		}
		r.due, r.reminded = moment(due), moment(reminded)
		all = append(all, r)
	}
	return all, found.Err()
}

func moment(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return database.Time(micros)
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return database.Micros(t)
}

func write(ctx context.Context, tx *sql.Tx, r row) error {
	body, err := json.Marshal(r.Followup)
	if err != nil {
		return fmt.Errorf("store follow-up of incident %d: %w", r.Incident, err)
	}
	resolved := time.Time{}
	if r.Resolved != nil {
		resolved = *r.Resolved
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO followup_incident (incident, check_key, service, team, state, opened, resolved, due, reminded, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (incident) DO UPDATE SET team = excluded.team, state = excluded.state, resolved = excluded.resolved, due = excluded.due, reminded = excluded.reminded, body = excluded.body`,
		r.Incident, r.Check, string(r.Service), string(r.Team), r.State, micros(r.Opened), micros(resolved), micros(r.due), micros(r.reminded), string(body)); err != nil {
		return fmt.Errorf("store follow-up of incident %d: %w", r.Incident, err)
	}
	return nil
}

func heard(ctx context.Context, q querier, incident int64) ([]said, error) {
	found, err := q.QueryContext(ctx, "SELECT body FROM followup_said WHERE incident = $1 ORDER BY id", incident)
	if err != nil {
		return nil, fmt.Errorf("read what was said about incident %d: %w", incident, err)
	}
	defer found.Close()
	var all []said
	for found.Next() {
		var s said
		var body string
		if err := found.Scan(&body); err != nil {
			return nil, fmt.Errorf("read what was said about incident %d: %w", incident, err)
		}
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			return nil, fmt.Errorf("read what was said about incident %d: %w", incident, err)
		}
		all = append(all, s)
	}
	return all, found.Err()
}

func keep(ctx context.Context, tx *sql.Tx, incident int64, s said) error {
	number, err := database.Next(ctx, tx, "followup")
	if err != nil {
		return err
	}
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("store what was said about incident %d: %w", incident, err)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO followup_said (id, incident, body) VALUES ($1, $2, $3)", number, incident, string(body)); err != nil {
		return fmt.Errorf("store what was said about incident %d: %w", incident, err)
	}
	return nil
}

// Filter chooses follow-ups; a zero field chooses all.
type Filter struct {
	State   string
	Service id.Service
	Team    id.Team
	Since   time.Time // incidents that ended at or after it, or are not over
	Until   time.Time // incidents that ended before it
	Before  int64     // only incidents with a smaller number
	Limit   int       // default 100, at most 1000
}

// List returns follow-ups as they were last worked out, those of the newest incidents first.
func (f *Followups) List(ctx context.Context, q Filter) ([]Followup, error) {
	list, err := f.list(ctx, q)
	all := make([]Followup, len(list))
	for n, r := range list {
		all[n] = r.Followup
	}
	return all, err
}

func (f *Followups) list(ctx context.Context, q Filter) ([]row, error) {
	conditions, args := []string{"1 = 1"}, []any{}
	where := func(condition string, v any) {
		args = append(args, v)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	switch q.State {
	case "":
	case Following, Complete, Without, Waived, Returned:
		where("state = $%d", q.State)
	default:
		return nil, fault.New(fault.Invalid, "list follow-ups: unknown state %q (use following, complete, without, waived or returned)", q.State)
	}
	if q.Service != "" {
		where("service = $%d", string(q.Service))
	}
	if q.Team != "" {
		where("team = $%d", string(q.Team))
	}
	if !q.Since.IsZero() {
		where("(resolved = 0 OR resolved >= $%d)", database.Micros(q.Since))
	}
	if !q.Until.IsZero() {
		where("resolved > 0 AND resolved < $%d", database.Micros(q.Until))
	}
	if q.Before > 0 {
		where("incident < $%d", q.Before)
	}
	if q.Limit <= 0 {
		q.Limit = 100
	}
	args = append(args, min(q.Limit, 1000))
	return rows(ctx, f.o.DB.Read(), fmt.Sprintf("WHERE %s ORDER BY incident DESC LIMIT $%d", strings.Join(conditions, " AND "), len(args)), args...)
}
