package state

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/catalog"
)

// Status is what is known about one check now.
type Status struct {
	Check        catalog.Check `json:"check"`
	Key          string        `json:"key"`           // SERVICE/NAME, or NAME of a check without a service
	State        string        `json:"state"`         // OK, WARN, CRITICAL, NODATA
	Value        *float64      `json:"value"`         // newest value of the worst series; null: none
	Since        time.Time     `json:"since"`         // in State since
	Pending      string        `json:"pending"`       // the state it is about to enter, or ""
	PendingSince *time.Time    `json:"pending_since"` // when the readings began to point there
	Reason       string        `json:"reason"`        // why, for people
	Stale        bool          `json:"stale"`         // the query fails: State and Value are the last ones known
	Unknown      bool          `json:"unknown"`       // … and for so long that State says nothing any more
	Seen         *time.Time    `json:"seen"`          // last time that the query answered
	Incident     int64         `json:"incident,omitempty"`
}

// Key is the name under which a check has its state and its incidents.
func Key(c catalog.Check) string {
	if c.Service == "" {
		return c.Name
	}
	return string(c.Service) + "/" + c.Name
}

// tracked is one check in memory. The lock order is: tracked.mu, then a database
// transaction, then Engine.mu.
type tracked struct {
	key string

	mu       sync.Mutex
	check    catalog.Check
	rule     string // what was compared so far
	memory   memory
	incident int64  // not resolved; 0: none
	level    string // state that opened it

	known   bool // the catalog has it
	missing int  // rounds without it
	removed bool
	busy    bool // a query runs

	// For the gate.
	blind bool      // the last look saw nothing: no value, or an error
	mark  int64     // points taken in until the check ran empty
	held  time.Time // a new incident is kept back since then
}

// rule is what a run of readings is about. With another rule they begin anew.
func rule(c catalog.Check) string {
	text, err := json.Marshal([]any{c.Query, c.Window, c.Above, c.Below, c.WarnAbove, c.WarnBelow, c.NoData})
	if err != nil {
		return c.Query // a bound that is no number; the catalog refuses those
	}
	return string(text)
}

// status is called with t.mu held.
func (t *tracked) status() Status {
	m := t.memory
	s := Status{
		Check: t.check, Key: t.key, State: m.State, Value: m.Value, Since: m.Since, Reason: reason(t.check, m),
		Stale: m.Error != "", Unknown: m.Unknown, Incident: t.incident,
	}
	if s.State == "" {
		s.State = NoData
	}
	if !m.Seen.IsZero() {
		s.Seen = &m.Seen
	}
	if p, since := m.pending(); p != "" {
		s.Pending, s.PendingSince = p, &since
	}
	return s
}

// Statuses returns the checks of the catalog, by key.
func (e *Engine) Statuses() []Status {
	list := []Status{}
	for _, t := range e.all() {
		t.mu.Lock()
		if t.known && !t.removed {
			list = append(list, t.status())
		}
		t.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Key, b.Key) })
	return list
}

func save(ctx context.Context, tx *sql.Tx, key, rule string, m memory) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("store state of check %s: %w", key, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO state_check (check_key, rule, memory) VALUES ($1, $2, $3)
		ON CONFLICT (check_key) DO UPDATE SET rule = excluded.rule, memory = excluded.memory`, key, rule, string(text))
	if err != nil {
		return fmt.Errorf("store state of check %s: %w", key, err)
	}
	return nil
}

// load reads what the last process knew.
func (e *Engine) load(ctx context.Context) error {
	rows, err := e.db.Read().QueryContext(ctx, "SELECT check_key, rule, memory FROM state_check")
	if err != nil {
		return fmt.Errorf("read states of checks: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		t := &tracked{}
		var text string
		if err := rows.Scan(&t.key, &t.rule, &text); err != nil {
			return fmt.Errorf("read states of checks: %w", err)
		}
		if err := json.Unmarshal([]byte(text), &t.memory); err != nil {
			return fmt.Errorf("read state of check %s: %w", t.key, err)
		}
		e.checks[t.key] = t
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read states of checks: %w", err)
	}
	active, err := selectIncidents(ctx, e.db.Read(), "WHERE resolved = 0 AND kind <> $1", byCall)
	if err != nil {
		return err
	}
	for _, i := range active {
		if i.kind == byBlind {
			e.blind, e.mark = i.ID, e.intake() // this process has its own count
			continue
		}
		if e.checks[i.Check] == nil {
			e.checks[i.Check] = &tracked{key: i.Check}
		}
		e.checks[i.Check].incident, e.checks[i.Check].level = i.ID, i.Level
	}
	return nil
}
