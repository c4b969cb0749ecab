package notify

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/work"
)

// giveUp is how long a message is tried. Whoever could not be reached for a day
// learns more from looking at Steer than from yesterday's message.
const giveUp = 24 * time.Hour

// backoff is the pause after a failed attempt: 1 s, doubled up to 10 min, spread
// by a quarter so that many messages to one receiver do not come together.
func backoff(attempt int) time.Duration {
	d := 10 * time.Minute
	if attempt < 10 {
		d = time.Second << max(attempt-1, 0)
	}
	return d + time.Duration(rand.Int64N(int64(d)/4+1))
}

type record struct {
	id, kind, address, state string
	message                  Message
	position                 int
	created                  time.Time
}

// deliver is the job: it tries a message once.
func (n *Notifier) deliver(ctx context.Context, j work.Job) error {
	var b body
	if err := j.Decode(&b); err != nil {
		return err
	}
	r, err := n.load(ctx, b.Delivery)
	if errors.Is(err, sql.ErrNoRows) {
		return work.Stop(fmt.Errorf("message %s is not in the database", b.Delivery))
	}
	if err != nil {
		return err
	}
	if r.state != "waiting" {
		return nil // sent or given up by an attempt that died before it could say so
	}
	thread, wait, err := n.before(ctx, r)
	if err != nil {
		return err
	}
	if age := n.now().Sub(r.created); wait && age < 2*giveUp { // else the earlier one's job is lost
		return work.Snooze(max(time.Second, min(age/8, time.Minute)))
	}
	k, ok := n.kinds[r.kind]
	if !ok {
		return n.settle(ctx, r, fmt.Errorf("this Steer has no channel %q", r.kind))
	}
	err = k.Channel.Deliver(ctx, Delivery{ID: r.id, Thread: thread, Address: r.address, Message: r.message, Attempt: j.Attempt})
	pause, polite := Asked(err)
	switch {
	case err == nil:
		return n.settle(ctx, r, nil)
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled):
		return err // the queue shuts down
	case IsRefused(err):
		return n.settle(ctx, r, err)
	case n.now().Sub(r.created) >= giveUp:
		return n.settle(ctx, r, fmt.Errorf("given up after %d attempts in %s: %w", j.Attempt, giveUp, err))
	}
	if polite {
		n.log.Warn("message about incident waits, since its receiver asked for that", "incident", r.message.Incident, "channel", r.kind, "to", k.show(r.address), "error", err)
		return work.Snooze(max(time.Second, min(pause, time.Hour)))
	}
	return err
}

// dead hears about jobs that the queue gave up by itself.
func (n *Notifier) dead(ctx context.Context, j work.Job, err error) {
	var b body
	if j.Decode(&b) != nil {
		return
	}
	r, e := n.load(ctx, b.Delivery)
	if e == nil && r.state == "waiting" {
		e = n.settle(ctx, r, err)
	}
	if e != nil {
		n.log.Error("record that a message was given up", "delivery", b.Delivery, "error", e)
	}
}

func (n *Notifier) load(ctx context.Context, delivery string) (r record, err error) {
	var text string
	var created int64
	err = n.o.DB.Read().QueryRowContext(ctx, `SELECT id, kind, address, state, position, message, created FROM notify_delivery WHERE id = $1`, delivery).
		Scan(&r.id, &r.kind, &r.address, &r.state, &r.position, &text, &created)
	if err != nil {
		return r, fmt.Errorf("read message %s: %w", delivery, err)
	}
	r.created = database.Time(created)
	if err := json.Unmarshal([]byte(text), &r.message); err != nil {
		return r, work.Stop(fmt.Errorf("read message %s: %w", delivery, err))
	}
	return r, nil
}

// before looks at the earlier messages about the incident to the same address:
// which one began the thread, and whether one is still on its way.
func (n *Notifier) before(ctx context.Context, r record) (thread string, wait bool, err error) {
	rows, err := n.o.DB.Read().QueryContext(ctx, `SELECT id, state FROM notify_delivery
		WHERE incident = $1 AND kind = $2 AND address = $3 AND position <= $4 ORDER BY position`,
		r.message.Incident, r.kind, r.address, r.position)
	if err != nil {
		return "", false, fmt.Errorf("read messages about incident %d: %w", r.message.Incident, err)
	}
	defer rows.Close()
	for rows.Next() {
		var other, state string
		if err := rows.Scan(&other, &state); err != nil {
			return "", false, fmt.Errorf("read messages about incident %d: %w", r.message.Incident, err)
		}
		if thread == "" {
			thread = other
		}
		wait = wait || other != r.id && state == "waiting"
	}
	return thread, wait, rows.Err()
}

// settle writes down that a message was sent, or given up because of failure.
func (n *Notifier) settle(ctx context.Context, r record, failure error) error {
	m, k := r.message, n.kinds[r.kind]
	to := k.show(r.address)
	now := n.now()
	d := struct {
		Incident   int64      `json:"incident"`
		Transition Transition `json:"transition"`
		Channel    string     `json:"channel"`
		To         string     `json:"to"`
		Delivery   string     `json:"delivery"`
		Took       float64    `json:"took_seconds"`
	}{m.Incident, m.Transition, r.kind, to, r.id, now.Sub(r.created).Seconds()}
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("journal message about incident %d: %w", m.Incident, err)
	}
	state, reason := "sent", ""
	note := n.note(m, event.NotificationSent, fmt.Sprintf("Told %s by %s that incident %d %s", to, r.kind, m.Incident, m.Transition.told()))
	if failure != nil {
		state, reason = "failed", failure.Error()
		n.log.Error("message about incident given up", "incident", m.Incident, "transition", m.Transition, "channel", r.kind, "to", to, "error", failure)
		note = n.note(m, event.NotificationFailed, fmt.Sprintf("Could not tell %s by %s that incident %d %s", to, r.kind, m.Incident, m.Transition.told()))
	}
	note.Data, note.Reason = data, reason
	// The message is out: a queue that shuts down just now must not forget that.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return n.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `UPDATE notify_delivery SET state = $1, finished = $2, error = $3 WHERE id = $4 AND state = 'waiting'`,
			state, database.Micros(now), reason, r.id)
		if err != nil {
			return fmt.Errorf("record message about incident %d: %w", m.Incident, err)
		}
		if rows, err := result.RowsAffected(); err != nil || rows == 0 {
			return err
		}
		return n.o.Journal.Append(ctx, tx, &note)
	})
}

func (k Kind) show(address string) string {
	if k.Show == nil {
		return address
	}
	return k.Show(address)
}
