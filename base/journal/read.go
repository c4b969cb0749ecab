package journal

import (
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

// Query selects events; a zero field selects all.
type Query struct {
	After       int64     // only with a larger Seq
	Before      int64     // only with a smaller Seq
	Since       time.Time // only at or after this time
	Until       time.Time // only before this time
	Subject     string
	Types       []string // any of these
	Service     id.Service
	Environment id.Environment
	Version     id.Version
	Chain       string
	Newest      bool // newest first, instead of oldest first
	Limit       int  // at most so many: 100 if 0, never more than 1000
}

const (
	usualLimit = 100
	mostLimit  = 1000
)

// statement is the SQL text of q and its arguments.
func (q Query) statement() (string, []any) {
	var text strings.Builder
	var args []any
	text.WriteString("SELECT " + columns + " FROM journal_event")
	glue := " WHERE "
	where := func(condition string, values ...any) {
		text.WriteString(glue)
		glue = " AND "
		text.WriteString(condition)
		for i, v := range values {
			if i > 0 {
				text.WriteString(", ")
			}
			args = append(args, v)
			fmt.Fprintf(&text, "$%d", len(args))
		}
		text.WriteString(")")
	}
	if q.After > 0 {
		where("(seq > ", q.After)
	}
	if q.Before > 0 {
		where("(seq < ", q.Before)
	}
	if !q.Since.IsZero() {
		where("(time >= ", database.Micros(q.Since))
	}
	if !q.Until.IsZero() {
		where("(time < ", database.Micros(q.Until))
	}
	for _, f := range [...]struct{ column, value string }{
		{"subject", q.Subject}, {"service", string(q.Service)}, {"environment", string(q.Environment)},
		{"version", string(q.Version)}, {"chain", q.Chain},
	} {
		if f.value != "" {
			where("("+f.column+" = ", f.value)
		}
	}
	if len(q.Types) > 0 {
		types := make([]any, len(q.Types))
		for i, t := range q.Types {
			types[i] = t
		}
		where("type IN (", types...)
	}
	text.WriteString(" ORDER BY seq")
	if q.Newest {
		text.WriteString(" DESC")
	}
	limit := q.Limit
	if limit <= 0 {
		limit = usualLimit
	}
	args = append(args, min(limit, mostLimit))
	fmt.Fprintf(&text, " LIMIT $%d", len(args))
	return text.String(), args
}

// Read returns the events that q selects, by Seq.
func (j *Journal) Read(ctx context.Context, q Query) ([]event.Event, error) {
	text, args := q.statement()
	rows, err := j.db.Read().QueryContext(ctx, text, args...)
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	defer rows.Close()
	events := []event.Event{}
	for rows.Next() {
		e, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		events = append(events, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return events, nil
}

// Get returns one event, or fault.NotFound.
func (j *Journal) Get(ctx context.Context, id string) (event.Event, error) {
	e, err := scan(j.db.Read().QueryRowContext(ctx, "SELECT "+columns+" FROM journal_event WHERE id = $1", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return event.Event{}, fault.New(fault.NotFound, "read event %q: it is not in the journal", id)
	}
	if err != nil {
		return event.Event{}, fmt.Errorf("read event %q: %w", id, err)
	}
	return e, nil
}

// From returns a Seq behind which all events since a time are, so that a reader need
// not look through those before. Events come nearly by time: some tell late of what
// was seen without the server. So the smallest of the next ones by time counts.
func (j *Journal) From(ctx context.Context, since time.Time) (int64, error) {
	const next = 1000
	var first sql.NullInt64
	err := j.db.Read().QueryRowContext(ctx, `SELECT min(seq) FROM (SELECT seq FROM journal_event WHERE time >= $1 ORDER BY time, seq LIMIT $2) AS soon`,
		database.Micros(since), next).Scan(&first)
	if err != nil {
		return 0, fmt.Errorf("read journal from %s: %w", since.Format(time.RFC3339), err)
	}
	if !first.Valid { // there is none
		return j.Last(ctx)
	}
	return first.Int64 - 1, nil
}

// Last returns the Seq of the newest event, 0 if there is none.
func (j *Journal) Last(ctx context.Context) (int64, error) {
	var n int64
	err := j.db.Read().QueryRowContext(ctx, "SELECT value FROM sequence WHERE name = $1", sequence).Scan(&n)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read journal's last number: %w", err)
	}
	return n, nil
}

func scan(into func(...any) error) (e event.Event, err error) {
	var micros int64
	var data string
	err = into(&e.Seq, &e.ID, &e.Source, &e.Type, &e.Subject, &micros, &data, &e.Summary, &e.Actor,
		&e.Reason, &e.Service, &e.Environment, &e.Version, &e.Chain, &e.Cause)
	e.Time = database.Time(micros)
	if data != "" {
		e.Data = json.RawMessage(data)
	}
	return e, err
}
