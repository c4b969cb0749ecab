package deploy

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/fault"
	"steer/base/id"
)

//go:embed migrations
var migrations embed.FS

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

const columns = `id, service, environment, version, previous, state, kind, step, actor, reason, automatic, forced, unchanged,
	failure, release, steps, chain, cause, event, created, started, finished`

// Filter chooses deploys.
type Filter struct {
	Service     id.Service     // empty: all
	Environment id.Environment // empty: all
	Version     id.Version     // empty: all
	Limit       int            // default 50, at most 500
}

// Deploys lists deploys, newest first.
func (d *Deployer) Deploys(ctx context.Context, f Filter) ([]Deploy, error) {
	if f.Limit <= 0 {
		f.Limit = 50
	}
	var where []string
	var args []any
	for column, value := range map[string]string{"service": string(f.Service), "environment": string(f.Environment), "version": string(f.Version)} {
		if value != "" {
			args = append(args, value)
			where = append(where, fmt.Sprintf("%s = $%d", column, len(args)))
		}
	}
	q := ""
	if len(where) > 0 {
		q = " WHERE " + strings.Join(where, " AND ")
	}
	l, err := deploys(ctx, d.o.DB.Read(), q+fmt.Sprintf(" ORDER BY id DESC LIMIT %d", min(f.Limit, 500)), args...)
	if err != nil {
		return nil, fmt.Errorf("list deploys: %w", err)
	}
	return l, nil
}

// Get returns a deploy by number.
func (d *Deployer) Get(ctx context.Context, number int64) (Deploy, error) {
	l, err := deploys(ctx, d.o.DB.Read(), " WHERE id = $1", number)
	if err != nil {
		return Deploy{}, fmt.Errorf("read deploy %d: %w", number, err)
	}
	if len(l) == 0 {
		return Deploy{}, fault.New(fault.NotFound, "deploy %d: there is none", number)
	}
	return l[0], nil
}

// unfinished returns the deploy that is under way, if there is one.
func unfinished(ctx context.Context, q querier, p place) (*Deploy, error) {
	l, err := deploys(ctx, q, ` WHERE environment = $1 AND service = $2 AND state IN ('queued', 'running')`, string(p.environment), string(p.service))
	if err != nil || len(l) == 0 {
		return nil, err
	}
	return &l[0], nil
}

func deploys(ctx context.Context, q querier, rest string, args ...any) ([]Deploy, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+columns+` FROM deploy_deploy`+rest, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	r := []Deploy{}
	for rows.Next() {
		var d Deploy
		var failure, release, steps string
		var created, started, finished int64
		if err := rows.Scan(&d.ID, &d.Service, &d.Environment, &d.Version, &d.Previous, &d.State, &d.Kind, &d.Step, &d.Actor, &d.Reason,
			&d.Automatic, &d.force, &d.Unchanged, &failure, &release, &steps, &d.Chain, &d.Cause, &d.event, &created, &started, &finished); err != nil {
			return nil, err
		}
		if err := errors.Join(decode(failure, &d.Failure), decode(release, &d.release), decode(steps, &d.Steps)); err != nil {
			return nil, err
		}
		if d.release != nil {
			d.Digest = d.release.Digest
		}
		d.Created, d.Started, d.Finished = database.Time(created), moment(started), moment(finished)
		r = append(r, d)
	}
	return r, rows.Err()
}

// insert writes a new deploy and gives it its number.
func insert(ctx context.Context, tx *sql.Tx, d *Deploy) (err error) {
	if d.ID, err = database.Next(ctx, tx, "deploy"); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO deploy_deploy (`+columns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)`,
		d.ID, string(d.Service), string(d.Environment), string(d.Version), string(d.Previous), d.State, d.Kind, d.Step, string(d.Actor), d.Reason,
		d.Automatic, d.force, d.Unchanged, encode(d.Failure), encode(d.release), encode(d.Steps), d.Chain, d.Cause, d.event,
		database.Micros(d.Created), micros(d.Started), micros(d.Finished))
	return err
}

// update writes what changes in a deploy, unless it was finished meanwhile: then
// it returns errOver.
func update(ctx context.Context, tx *sql.Tx, d *Deploy) error {
	result, err := tx.ExecContext(ctx, `UPDATE deploy_deploy SET state = $1, step = $2, unchanged = $3, failure = $4, release = $5, steps = $6, chain = $7,
		event = $8, started = $9, finished = $10, previous = $11 WHERE id = $12 AND state IN ('queued', 'running')`,
		d.State, d.Step, d.Unchanged, encode(d.Failure), encode(d.release), encode(d.Steps), d.Chain, d.event, micros(d.Started), micros(d.Finished),
		string(d.Previous), d.ID)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(errOver, err)
	}
	return nil
}

var errOver = errors.New("the deploy was ended by another")

// placement is a row of deploy_placement.
type placement struct {
	place
	deploy             int64
	kind, chain, event string
	number             int
	current, previous  *Release
	since, watch, warm time.Time
}

func placements(ctx context.Context, q querier, rest string, args ...any) ([]placement, error) {
	rows, err := q.QueryContext(ctx, `SELECT environment, service, deploy, kind, chain, event, number, current, previous, since, watch_until, warm_until
		FROM deploy_placement`+rest, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var r []placement
	for rows.Next() {
		var p placement
		var current, previous string
		var since, watch, warm int64
		if err := rows.Scan(&p.environment, &p.service, &p.deploy, &p.kind, &p.chain, &p.event, &p.number, &current, &previous, &since, &watch, &warm); err != nil {
			return nil, err
		}
		if err := errors.Join(decode(current, &p.current), decode(previous, &p.previous)); err != nil {
			return nil, err
		}
		p.since, p.watch, p.warm = database.Time(since), database.Time(watch), database.Time(warm)
		r = append(r, p)
	}
	return r, rows.Err()
}

// placementOf returns a placement; nil if nothing was ever deployed there.
func placementOf(ctx context.Context, q querier, p place) (*placement, error) {
	l, err := placements(ctx, q, ` WHERE environment = $1 AND service = $2`, string(p.environment), string(p.service))
	if err != nil || len(l) == 0 {
		return nil, err
	}
	return &l[0], nil
}

func (p placement) save(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO deploy_placement (environment, service, deploy, kind, chain, event, number, current, previous, since, watch_until, warm_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (environment, service) DO UPDATE SET deploy = excluded.deploy, kind = excluded.kind, chain = excluded.chain, event = excluded.event,
		number = excluded.number, current = excluded.current, previous = excluded.previous, since = excluded.since,
		watch_until = excluded.watch_until, warm_until = excluded.warm_until`,
		string(p.environment), string(p.service), p.deploy, p.kind, p.chain, p.event, p.number, encode(p.current), encode(p.previous),
		database.Micros(p.since), database.Micros(p.watch), database.Micros(p.warm))
	return err
}

// encode writes JSON; nothing for nil.
func encode[T any](v T) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	if string(b) == "null" {
		return ""
	}
	return string(b)
}

func decode(s string, into any) error {
	if s == "" {
		return nil
	}
	return json.Unmarshal([]byte(s), into)
}

func moment(micros int64) *time.Time {
	if micros == 0 {
		return nil
	}
	t := database.Time(micros)
	return &t
}

func micros(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return database.Micros(*t)
}
