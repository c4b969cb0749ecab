package pipeline

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
)

// record is a run as it is stored.
type record struct {
	Run
	Manifest *catalog.Manifest `json:"manifest,omitempty"`
	InLine   bool              `json:"in_line"`
	Broken   bool              `json:"broken,omitempty"` // it failed through no fault of the commit
	Last     string            `json:"last,omitempty"`   // its newest event, the cause of the next one

	revision int64
}

func scan(from func(...any) error) (*record, error) {
	var text string
	var revision int64
	if err := from(&text, &revision); err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal([]byte(text), r); err != nil {
		return nil, fmt.Errorf("decode run: %w", err)
	}
	r.Run.Manifest, r.revision = r.Manifest, revision
	return r, nil
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func load(ctx context.Context, q querier, run int64) (*record, error) {
	r, err := scan(q.QueryRowContext(ctx, "SELECT record, revision FROM pipeline_run WHERE id = $1", run).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "run %d: there is no such run", run)
	}
	if err != nil {
		return nil, fmt.Errorf("read run %d: %w", run, err)
	}
	return r, nil
}

// selected returns the runs for which a condition holds.
func selected(ctx context.Context, q querier, condition string, args ...any) ([]*record, error) {
	rows, err := q.QueryContext(ctx, "SELECT record, revision FROM pipeline_run WHERE "+condition, args...)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	defer rows.Close()
	var list []*record
	for rows.Next() {
		r, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("read runs: %w", err)
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	return list, nil
}

func insert(ctx context.Context, tx *sql.Tx, r *record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO pipeline_run (id, service, version, state, in_line, green, revision, record)
		VALUES ($1, $2, $3, $4, $5, $6, 1, $7)`, r.ID, r.Service, r.Version, r.State, r.InLine, r.Green, string(text))
	return err
}

var errChanged = errors.New("the run was changed meanwhile")

func save(ctx context.Context, tx *sql.Tx, r *record) error {
	r.Green = Green(r.Run)
	r.Manifest = r.Run.Manifest
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	done, err := tx.ExecContext(ctx, `UPDATE pipeline_run SET state = $1, in_line = $2, green = $3, record = $4, revision = revision + 1
		WHERE id = $5 AND revision = $6`, r.State, r.InLine, r.Green, string(text), r.ID, r.revision)
	if err != nil {
		return err
	}
	n, err := done.RowsAffected()
	if err == nil && n == 0 {
		err = errChanged
	}
	r.revision++
	return err
}

// change loads a run, lets f change it, and saves it with the events that f
// wants appended, in one transaction; again if somebody else was faster.
func (p *Pipeline) change(ctx context.Context, run int64, f func(*change) error) (Run, error) {
	for try := 0; ; try++ {
		c := &change{p: p, ctx: ctx}
		err := p.DB.Tx(ctx, func(tx *sql.Tx) (err error) {
			c.tx = tx
			if c.record, err = load(ctx, tx, run); err != nil {
				return err
			}
			if err := f(c); err != nil {
				return err
			}
			return c.commit()
		})
		if errors.Is(err, errChanged) && try < 10 {
			continue
		}
		if err != nil {
			return Run{}, err
		}
		return c.Run, nil
	}
}

// next adds the job of the run of a service that is first in line, unless one is
// on its way already. The caller has appended an event in this transaction: that
// lets only one transaction at a time come here (see package journal), so two
// runs that end and begin at the same moment cannot both overlook the other.
func (p *Pipeline) next(ctx context.Context, tx *sql.Tx, service id.Service) error {
	var run int64
	var state string
	err := tx.QueryRowContext(ctx, `SELECT id, state FROM pipeline_run WHERE service = $1 AND in_line AND state IN ('queued', 'running')
		ORDER BY CASE WHEN state = 'running' THEN 0 ELSE 1 END, id LIMIT 1`, service).Scan(&run, &state)
	if errors.Is(err, sql.ErrNoRows) || err == nil && state == Running {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find the next run of %s: %w", service, err)
	}
	return p.enqueue(ctx, tx, run)
}
