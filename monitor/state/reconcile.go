package state

import (
	"context"
	"database/sql"
	"time"

	"steer/base/event"
	"steer/catalog"
)

// gone is after how many rounds a check that the catalog does not have any more
// is forgotten. One is not enough: while definitions are read at a start, the
// catalog may be incomplete for a moment, and open incidents must survive that.
const gone = 3

// reconcile brings the tracked checks in line with the catalog.
func (e *Engine) reconcile(ctx context.Context) {
	wanted := map[string]catalog.Check{}
	for _, c := range e.o.Checks() {
		key := Key(c)
		if _, twice := wanted[key]; !twice {
			wanted[key] = c
		}
	}
	e.mu.Lock()
	for key := range wanted {
		if e.checks[key] == nil {
			e.checks[key] = &tracked{key: key}
		}
	}
	e.mu.Unlock()
	for _, t := range e.all() {
		t.mu.Lock()
		if c, ok := wanted[t.key]; ok {
			t.adopt(c, e.now())
		} else if t.missing++; t.missing >= gone {
			e.remove(ctx, t)
		}
		t.mu.Unlock()
	}
}

// adopt takes the check as the catalog has it now. Other bounds or another query
// begin new runs, and keep the state and its incident until readings change them.
func (t *tracked) adopt(c catalog.Check, now time.Time) {
	if r := rule(c); r != t.rule {
		for _, start := range t.memory.runs() {
			*start = time.Time{}
		}
		t.rule = r
	}
	if t.memory.State == "" {
		t.memory.State, t.memory.Since, t.memory.Fresh = NoData, now, true
	}
	t.check, t.known, t.missing = c, true, 0
}

// remove forgets a check and ends its incident. It is called with t.mu held; if
// it fails, the next round tries again.
func (e *Engine) remove(ctx context.Context, t *tracked) {
	err := e.db.Tx(ctx, func(tx *sql.Tx) error {
		if t.incident != 0 {
			if _, err := e.end(ctx, tx, t.incident, event.Steer, "check removed", "", e.now()); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM state_check WHERE check_key = $1", t.key)
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			e.log.Error("forget removed check", "check", t.key, "error", err)
		}
		return
	}
	t.removed = true
	e.mu.Lock()
	delete(e.checks, t.key)
	e.mu.Unlock()
}

// ready says whether the check may have its turn.
func (t *tracked) ready() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known && !t.removed && t.missing == 0
}

// take marks that a query runs, and is false if one does already.
func (t *tracked) take() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.busy
	t.busy = true
	return !was
}

func (t *tracked) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.busy = false
}
