// Package journal keeps what happened: events are appended in the transaction
// of the change that they tell about, and never changed or removed.
//
// Each event has a number, its Seq. Numbers follow the order of commits and have
// no gaps: Append takes the next number from a row of table sequence, and that
// row stays locked until the transaction ends. So nobody can see event 8 while
// event 7 may still appear, and a reader who remembers one number has missed
// nothing before it. The price is that transactions that append wait for one
// another; they are short, and SQLite has one writer anyway.
package journal

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

//go:embed migrations
var migrations embed.FS

// Limits on what one event holds, in bytes. Larger Data is refused: it belongs
// in a file or a table of its owner. Longer texts are cut, since an event must
// not be lost because a commit message or an error is long.
const (
	maxData = 256 << 10
	maxText = 16 << 10
)

// Journal is the list of events in a database. It is safe for concurrent use.
type Journal struct {
	db *database.DB

	// What the shared poller of Subscribe knows; see subscribe.go.
	mu          sync.Mutex
	newest      int64
	changed     chan struct{} // closed and replaced when newest grows
	subscribers int
	stop        context.CancelFunc
}

// New makes the journal's table where it is missing.
func New(ctx context.Context, db *database.DB) (*Journal, error) {
	if err := db.Migrate(ctx, "journal", migrations); err != nil {
		return nil, err
	}
	return &Journal{db: db, changed: make(chan struct{})}, nil
}

// Append writes e in the caller's transaction, and fills in its ID if empty, its
// Time if zero, its Actor if empty (event.Steer) and its Seq. Type, Subject and
// Summary are required; Data is JSON of at most 256 KiB. On an error the
// transaction must be rolled back.
//
// From here to its end the transaction holds the lock on the journal's number,
// so let Append be its last statements.
func (j *Journal) Append(ctx context.Context, tx *sql.Tx, e *event.Event) error {
	if err := check(e); err != nil {
		return err
	}
	e.ID = cmp.Or(e.ID, id.New())
	e.Actor = cmp.Or(e.Actor, event.Steer)
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = database.Time(database.Micros(e.Time)) // as it will be read back
	e.Source = cmp.Or(clean(e.Source), "/steer")
	e.Subject, e.Summary, e.Reason = clean(e.Subject), clean(e.Summary), clean(e.Reason)
	e.Data = bytes.ToValidUTF8(e.Data, []byte("\uFFFD"))
	seq, err := database.Next(ctx, tx, sequence)
	if err != nil {
		return fmt.Errorf("append %s of %s to journal: %w", e.Type, e.Subject, err)
	}
	result, err := tx.ExecContext(ctx, `INSERT INTO journal_event (`+columns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT (id) DO NOTHING`,
		seq, e.ID, e.Source, e.Type, e.Subject, database.Micros(e.Time), string(e.Data), e.Summary, string(e.Actor),
		e.Reason, string(e.Service), string(e.Environment), string(e.Version), e.Chain, e.Cause)
	if err != nil {
		return fmt.Errorf("append %s of %s to journal: %w", e.Type, e.Subject, err)
	}
	if n, err := result.RowsAffected(); err != nil {
		return fmt.Errorf("append %s of %s to journal: %w", e.Type, e.Subject, err)
	} else if n == 0 {
		return fault.New(fault.Conflict, "append %s of %s to journal: event %s is in the journal already", e.Type, e.Subject, e.ID)
	}
	e.Seq = seq
	return nil
}

const (
	sequence = "journal"
	columns  = "seq, id, source, type, subject, time, data, summary, actor, reason, service, environment, version, chain, cause"
)

func check(e *event.Event) error {
	for _, f := range [...]struct{ name, value string }{{"type", e.Type}, {"subject", e.Subject}, {"summary", e.Summary}} {
		if f.value == "" {
			return fault.New(fault.Invalid, "append event %q of %q to journal: it has no %s", e.Type, e.Subject, f.name)
		}
	}
	if len(e.Data) > maxData {
		return fault.New(fault.Invalid, "append %s of %s to journal: its data has %d bytes, at most %d are allowed", e.Type, e.Subject, len(e.Data), maxData)
	}
	if len(e.Data) > 0 && !json.Valid(e.Data) {
		return fault.New(fault.Invalid, "append %s of %s to journal: its data is not JSON", e.Type, e.Subject)
	}
	return nil
}

// clean makes any text storable: PostgreSQL refuses zero bytes and broken UTF-8,
// and commit messages and process output have both.
func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText-len("…")] + "…"
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Record appends e in a transaction of its own, and returns it as stored.
func (j *Journal) Record(ctx context.Context, e event.Event) (event.Event, error) {
	err := j.db.Tx(ctx, func(tx *sql.Tx) error { return j.Append(ctx, tx, &e) })
	if err != nil {
		return event.Event{}, err
	}
	j.advance(e.Seq)
	return e, nil
}
