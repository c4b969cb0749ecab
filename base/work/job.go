package work

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/id"
)

// This file holds all statements about table work_job. Those that end an attempt
// name its claim, so that an attempt whose lease was lost changes nothing.

func now() int64 { return database.Micros(time.Now()) }

func insert(ctx context.Context, tx *sql.Tx, n Item, body []byte) error {
	due := max(now(), database.Micros(n.At))
	_, err := tx.ExecContext(ctx, `
		INSERT INTO work_job (id, kind, key, body, state, due, attempt, owner, claim, lease, next_due, next_body, error)
		VALUES ($1, $2, $3, $4, 'due', $5, 0, '', '', 0, 0, '', '')
		ON CONFLICT (kind, key) WHERE key <> '' AND state <> 'dead' DO UPDATE SET
			body = CASE WHEN work_job.state = 'due' THEN excluded.body ELSE work_job.body END,
			due = CASE WHEN work_job.state = 'due' AND work_job.attempt = 0 AND excluded.due < work_job.due
				THEN excluded.due ELSE work_job.due END,
			next_body = CASE WHEN work_job.state = 'running' THEN excluded.body ELSE '' END,
			next_due = CASE WHEN work_job.state <> 'running' THEN 0
				WHEN work_job.next_due > 0 AND work_job.next_due < excluded.due THEN work_job.next_due
				ELSE excluded.due END`,
		id.New(), n.Kind, n.Key, string(bytes.ToValidUTF8(body, []byte("\uFFFD"))), due)
	if err != nil {
		return fmt.Errorf("add job %s %s: %w", n.Kind, n.Key, err)
	}
	return nil
}

// dueOf is the condition for jobs of these kinds that are due at time $1.
func dueOf(kinds []string) (condition string, args []any) {
	args = []any{now()}
	marks := make([]string, len(kinds))
	for i, k := range kinds {
		args = append(args, k)
		marks[i] = fmt.Sprintf("$%d", len(args))
	}
	return "state = 'due' AND due <= $1 AND kind IN (" + strings.Join(marks, ", ") + ")", args
}

// claim makes the job that has been due longest ours. It returns nil if none is
// due. It looks without a transaction first, so that an idle queue never takes
// the lock of SQLite's one writer.
func (q *Queue) claim(ctx context.Context, kinds []string) (*attempt, error) {
	condition, args := dueOf(kinds)
	look, err := q.look(ctx, condition)
	if err != nil {
		return nil, fmt.Errorf("look for jobs that are due: %w", err)
	}
	var any int
	err = look.QueryRowContext(ctx, args...).Scan(&any)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for jobs that are due: %w", err)
	}
	skip := "" // what another process is just claiming
	if q.o.DB.Dialect() == database.Postgres {
		skip = " FOR UPDATE SKIP LOCKED"
	}
	a, body := &attempt{claim: id.New()}, ""
	n := len(args)
	args = append(args, q.o.Instance, a.claim, database.Micros(time.Now().Add(q.o.Lease)))
	text := fmt.Sprintf(`UPDATE work_job SET state = 'running', attempt = attempt + 1, owner = $%d, claim = $%d, lease = $%d
		WHERE id = (SELECT id FROM work_job WHERE %s ORDER BY due, id LIMIT 1%s)
		RETURNING id, kind, key, body, attempt`, n+1, n+2, n+3, condition, skip)
	err = q.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, text, args...).Scan(&a.id, &a.job.Kind, &a.job.Key, &body, &a.job.Attempt)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("claim a job: %w", err)
	}
	a.job.Body = []byte(body)
	return a, nil
}

// look is the prepared statement that asks whether a job is due: it runs every
// Poll, and preparing it is most of its cost. There is one for each set of kinds
// that were free together, which are few. Only fetch uses it.
func (q *Queue) look(ctx context.Context, condition string) (*sql.Stmt, error) {
	if s := q.looks[condition]; s != nil {
		return s, nil
	}
	s, err := q.o.DB.Read().PrepareContext(ctx, "SELECT 1 FROM work_job WHERE "+condition+" LIMIT 1")
	if err == nil {
		q.looks[condition] = s
	}
	return s, err
}

// take makes jobs due again whose attempt is lost: at start those that this
// instance ran when it died, later those whose lease has passed.
func (q *Queue) take(ctx context.Context, condition string, arg any) (int64, error) {
	r, err := q.o.DB.Write().ExecContext(ctx, `UPDATE work_job SET state = 'due', due = $1, owner = '', claim = '',
		error = 'the process that ran it died' WHERE state = 'running' AND `+condition, now(), arg)
	if err != nil {
		return 0, fmt.Errorf("take over lost jobs: %w", err)
	}
	return r.RowsAffected()
}

// renew extends the leases of these claims and returns those that we still have.
func (q *Queue) renew(ctx context.Context, claims []string) (map[string]bool, error) {
	args := []any{database.Micros(time.Now().Add(q.o.Lease))}
	marks := make([]string, len(claims))
	for i, c := range claims {
		args = append(args, c)
		marks[i] = fmt.Sprintf("$%d", len(args))
	}
	kept := map[string]bool{}
	err := q.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `UPDATE work_job SET lease = $1 WHERE state = 'running'
			AND claim IN (`+strings.Join(marks, ", ")+`) RETURNING claim`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var c string
			if err := rows.Scan(&c); err != nil {
				return err
			}
			kept[c] = true
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("renew leases of running jobs: %w", err)
	}
	return kept, nil
}

// An outcome says what becomes of a job after an attempt.
type outcome struct {
	state   string    // done, due, dead
	due     time.Time // when due
	counted bool      // whether the attempt counts
	merge   bool      // whether a wish added meanwhile replaces this one
	err     error
}

// finish records the outcome. In each case a wish that was added while the
// attempt ran is kept: when the row goes it becomes a job of its own.
func (q *Queue) finish(ctx context.Context, a *attempt, o outcome) error {
	again := `state = 'due', due = next_due, body = next_body, next_due = 0, next_body = '', owner = '', claim = ''`
	counted, text := 0, ""
	if !o.counted {
		counted = 1
	}
	if o.err != nil {
		text = strings.ReplaceAll(strings.ToValidUTF8(o.err.Error(), "\uFFFD"), "\x00", "\uFFFD")
		text = text[:min(len(text), 8<<10)]
		text = strings.ToValidUTF8(text, "")
	}
	return q.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		var err error
		exec := func(statement string, args ...any) (n int64) {
			if err != nil {
				return 0
			}
			var r sql.Result
			if r, err = tx.ExecContext(ctx, statement, args...); err == nil {
				n, err = r.RowsAffected()
			}
			return n
		}
		const mine = " WHERE id = $1 AND claim = $2 AND state = 'running'"
		switch o.state {
		case "done":
			if exec("DELETE FROM work_job"+mine+" AND next_due = 0", a.id, a.claim) == 0 {
				exec("UPDATE work_job SET "+again+", attempt = 0, error = ''"+mine, a.id, a.claim)
			}
		case "dead":
			if exec("UPDATE work_job SET state = 'dead', due = $3, owner = '', error = $4"+mine+" AND next_due = 0", a.id, a.claim, now(), text) == 0 {
				exec("UPDATE work_job SET "+again+", attempt = 0, error = $3"+mine, a.id, a.claim, text)
			}
		case "due":
			due := database.Micros(o.due)
			// One statement decides: a wish that commits between two would wait
			// for the whole pause.
			merged := "state = 'running' AND next_due > 0 AND next_due <= $3"
			if !o.merge {
				merged = "state = ''"
			}
			exec(`UPDATE work_job SET state = 'due', attempt = attempt - $4, error = $5, owner = '', claim = '',
				due = CASE WHEN `+merged+` THEN next_due ELSE $3 END,
				body = CASE WHEN `+merged+` THEN next_body ELSE body END,
				next_body = CASE WHEN `+merged+` THEN '' ELSE next_body END,
				next_due = CASE WHEN `+merged+` THEN 0 ELSE next_due END`+mine,
				a.id, a.claim, due, counted, text)
		}
		return err
	})
}

// forget removes jobs that were given up before a time. Until then the rows
// show what was lost and why.
func (q *Queue) forget(ctx context.Context, before time.Time) error {
	_, err := q.o.DB.Write().ExecContext(ctx, "DELETE FROM work_job WHERE state = 'dead' AND due < $1", database.Micros(before))
	if err != nil {
		return fmt.Errorf("remove jobs that were given up long ago: %w", err)
	}
	return nil
}
