package fleet

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/fault"
)

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// each calls scan for every row of a query.
func each(ctx context.Context, q querier, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read the records of hosts: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("read the records of hosts: %w", err)
		}
	}
	return rows.Err()
}

func exec(ctx context.Context, tx *sql.Tx, query string, args ...any) error {
	if _, err := tx.ExecContext(ctx, query, args...); err != nil {
		return fmt.Errorf("write the records of hosts: %w", err)
	}
	return nil
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("BUG: a record of the fleet is no JSON: " + err.Error())
	}
	return string(b)
}

func readHosts(ctx context.Context, q querier) (map[string]Host, error) {
	all := map[string]Host{}
	return all, each(ctx, q, func(r *sql.Rows) error {
		var h Host
		var body, leaves string
		if err := r.Scan(&body, &leaves); err != nil {
			return err
		}
		if err := errors.Join(json.Unmarshal([]byte(body), &h), json.Unmarshal([]byte(leaves), &h.Leaves)); err != nil {
			return err
		}
		all[h.Name] = h
		return nil
	}, `SELECT body, leaves FROM fleet_host`)
}

// writeHost stores what is remembered of a host; the rest is found anew.
func writeHost(ctx context.Context, tx *sql.Tx, h Host) error {
	h.Paused, h.Running, h.Next, h.Drifts, h.Unequal = nil, 0, time.Time{}, 0, nil
	leaves := h.Leaves
	if leaves == nil {
		leaves = map[string]string{}
	}
	return exec(ctx, tx, `INSERT INTO fleet_host (name, body, leaves) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET body = excluded.body, leaves = excluded.leaves`, h.Name, encoded(h), encoded(leaves))
}

func readGroups(ctx context.Context, q querier) (map[string]Group, error) {
	all := map[string]Group{}
	return all, each(ctx, q, func(r *sql.Rows) error {
		var g Group
		var body, digest, was string
		if err := r.Scan(&body, &digest, &was); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(body), &g); err != nil {
			return err
		}
		g.Digest, g.GoodWas = digest, was
		all[g.Name] = g
		return nil
	}, `SELECT body, digest, good_was FROM fleet_group`)
}

func writeGroup(ctx context.Context, tx *sql.Tx, g Group) error {
	digest, was := g.Digest, g.GoodWas
	g.Settings, g.Members, g.Paused = Settings{}, 0, nil
	return exec(ctx, tx, `INSERT INTO fleet_group (name, body, digest, good_was) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET body = excluded.body, digest = excluded.digest, good_was = excluded.good_was`, g.Name, encoded(g), digest, was)
}

// unfinished are the numbers of the visits under way, by host.
func unfinished(ctx context.Context, q querier) (map[string]int64, error) {
	all := map[string]int64{}
	return all, each(ctx, q, func(r *sql.Rows) error {
		var host string
		var n int64
		err := r.Scan(&host, &n)
		all[host] = n
		return err
	}, `SELECT host, id FROM fleet_visit WHERE state IN ('queued', 'running')`)
}

// readLooked are the last comparisons of hosts.
func readLooked(ctx context.Context, q querier) (map[string]Looked, error) {
	all := map[string]Looked{}
	return all, each(ctx, q, func(r *sql.Rows) error {
		var host, body string
		if err := r.Scan(&host, &body); err != nil {
			return err
		}
		var v Visit
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			return err
		}
		all[host] = Looked{Commit: v.Commit, Failed: v.State == Broken, Changes: v.Counts["planned"]}
		return nil
	}, `SELECT host, body FROM fleet_visit WHERE id IN (SELECT max(id) FROM fleet_visit WHERE kind = 'plan' AND finished > 0 GROUP BY host)`)
}

// found is what a visit saw, which lists leave out.
type found struct {
	Changes []Change `json:"changes,omitempty"`
	Tests   []Test   `json:"tests,omitempty"`
}

func insertVisit(ctx context.Context, tx *sql.Tx, v Visit) error {
	return exec(ctx, tx, `INSERT INTO fleet_visit (id, host, grp, kind, state, eventful, created, finished, body, found) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, '{}')`,
		v.ID, v.Host, v.Group, v.Kind, v.State, true, database.Micros(v.Created), encoded(v))
}

// writeVisit stores a visit that began or ended.
func writeVisit(ctx context.Context, tx *sql.Tx, v Visit) error {
	f := found{v.Changes, v.Tests}
	eventful := v.State == Broken || len(v.Changes) > 0 || v.Kind != Converge || v.Cause == "person" || v.CutOff != ""
	v.Changes, v.Tests = nil, nil
	finished := int64(0)
	if !v.Finished.IsZero() {
		finished = database.Micros(v.Finished)
	}
	return exec(ctx, tx, `UPDATE fleet_visit SET state = $1, eventful = $2, finished = $3, body = $4, found = $5 WHERE id = $6`,
		v.State, eventful, finished, encoded(v), encoded(f), v.ID)
}

// visits reads visits, newest first; whole ones with what they found.
func visits(ctx context.Context, q querier, whole bool, rest string, args ...any) ([]Visit, error) {
	all := []Visit{}
	return all, each(ctx, q, func(r *sql.Rows) error {
		var v Visit
		var body, what string
		if err := r.Scan(&body, &what); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			return err
		}
		if whole {
			var f found
			if err := json.Unmarshal([]byte(what), &f); err != nil {
				return err
			}
			v.Changes, v.Tests = f.Changes, f.Tests
		}
		all = append(all, v)
		return nil
	}, `SELECT body, `+map[bool]string{true: "found", false: "''"}[whole]+` FROM fleet_visit `+rest, args...)
}

// Visits lists visits, newest first, without what they found.
func (f *Fleet) Visits(ctx context.Context, filter Filter) ([]Visit, error) {
	return f.list(ctx, filter, false)
}

func (f *Fleet) list(ctx context.Context, filter Filter, whole bool) ([]Visit, error) {
	var where []string
	var args []any
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if filter.Host != "" {
		add("host = $%d", filter.Host)
	}
	if filter.Group != "" {
		add("grp = $%d", filter.Group)
	}
	if filter.Kind != "" {
		add("kind = $%d", filter.Kind)
	}
	if !filter.Since.IsZero() {
		add("created >= $%d", database.Micros(filter.Since))
	}
	rest := ""
	if len(where) > 0 {
		rest = "WHERE " + strings.Join(where, " AND ")
	}
	if filter.Limit <= 0 {
		filter.Limit = 50
	}
	return visits(ctx, f.o.DB.Read(), whole, rest+fmt.Sprintf(" ORDER BY id DESC LIMIT %d", min(filter.Limit, 500)), args...)
}

// Visit returns a visit with what it found; of a plan also how its changes went
// before.
func (f *Fleet) Visit(ctx context.Context, number int64) (Visit, error) {
	v, err := f.record(ctx, number)
	if err == nil && v.Kind == Look {
		err = f.histories(ctx, &v)
	}
	return v, err
}

func (f *Fleet) record(ctx context.Context, number int64) (Visit, error) {
	all, err := visits(ctx, f.o.DB.Read(), true, "WHERE id = $1", number)
	if err == nil && len(all) == 0 {
		err = fault.New(fault.NotFound, "there is no visit %d", number)
	}
	if err != nil {
		return Visit{}, err
	}
	return all[0], nil
}

// How long visits are remembered: those that found nothing to do are many.
const (
	keepQuiet    = 7 * 24 * time.Hour
	keepEventful = 180 * 24 * time.Hour
)

// sweep forgets old visits and drifts.
func (f *Fleet) sweep(ctx context.Context) error {
	now := f.o.Now()
	return f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		return errors.Join(
			exec(ctx, tx, `DELETE FROM fleet_visit WHERE finished > 0 AND finished < $1 AND NOT eventful`, database.Micros(now.Add(-keepQuiet))),
			exec(ctx, tx, `DELETE FROM fleet_visit WHERE finished > 0 AND finished < $1`, database.Micros(now.Add(-keepEventful))),
			exec(ctx, tx, `DELETE FROM fleet_change WHERE at < $1`, database.Micros(now.Add(-keepEventful))),
			exec(ctx, tx, `DELETE FROM fleet_drift WHERE ended > 0 AND ended < $1`, database.Micros(now.Add(-keepEventful))))
	})
}
