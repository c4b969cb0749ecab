package fleet

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// The states of a drift.
const (
	DriftOpen     = "open"
	DriftHealed   = "healed"
	DriftAccepted = "accepted"
	DriftGone     = "gone" // the host was as declared again without our doing
)

// Repeated healing is a flapping incident: somebody or something works against the
// definitions. A host's own reports are healed at once only so often.
const (
	flapping  = 3
	flapTime  = 24 * time.Hour
	liveHeals = 5
	liveTime  = time.Hour
)

func readDrifts(ctx context.Context, q querier, rest string, args ...any) ([]Drift, error) {
	all := []Drift{}
	return all, each(ctx, q, func(r *sql.Rows) error {
		var d Drift
		var body string
		if err := r.Scan(&body); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(body), &d)
		all = append(all, d)
		return err
	}, `SELECT body FROM fleet_drift `+rest, args...)
}

// writeDrift stores a drift; a new one gets its number.
func writeDrift(ctx context.Context, tx *sql.Tx, d *Drift) error {
	ended := int64(0)
	if !d.Ended.IsZero() {
		ended = database.Micros(d.Ended)
	}
	if d.ID != 0 {
		return exec(ctx, tx, `UPDATE fleet_drift SET state = $1, ended = $2, body = $3 WHERE id = $4`, d.State, ended, encoded(d), d.ID)
	}
	var err error
	if d.ID, err = database.Next(ctx, tx, "drift"); err != nil {
		return err
	}
	return exec(ctx, tx, `INSERT INTO fleet_drift (id, host, ref, state, since, ended, body) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		d.ID, d.Host, d.Ref, d.State, database.Micros(d.Since), ended, encoded(d))
}

// drifts brings the list of drifts up to what a visit saw.
func (e *end) drifts(ctx context.Context, tx *sql.Tx) ([]Trouble, error) {
	v := e.v
	if v.Kind == Look || e.h.State == Unreachable || e.unseen {
		return nil, nil
	}
	open, err := readDrifts(ctx, tx, `WHERE host = $1 AND state = 'open'`, v.Host)
	if err != nil {
		return nil, err
	}
	find := func(ref string) *Drift {
		if i := slices.IndexFunc(open, func(d Drift) bool { return d.Ref == ref }); i >= 0 {
			return &open[i]
		}
		return nil
	}
	var trouble []Trouble
	differs := map[string]bool{}
	seen := map[string]bool{} // a repair looks at everything once more
	for _, c := range v.Changes {
		if c.Status != "changed" && c.Status != "skipped" {
			differs[c.Ref] = true
		}
		d := find(c.Ref)
		if d == nil && !c.Drift || seen[c.Ref] {
			continue
		}
		seen[c.Ref] = true
		if d == nil {
			d = &Drift{Host: v.Host, Ref: c.Ref, Role: c.Role, Place: c.Place, Action: c.Action, Fields: c.Fields, State: DriftOpen, Since: e.now, Visit: v.ID}
		}
		if c.Status == "changed" {
			if trouble, err = e.healed(ctx, tx, d, trouble); err != nil {
				return nil, err
			}
		}
		if err := writeDrift(ctx, tx, d); err != nil {
			return nil, err
		}
		differs[c.Ref] = true
	}
	if v.State == Broken && v.Counts == nil || v.Kind == Back {
		return trouble, nil // it did not get to look
	}
	for i := range open {
		d := &open[i]
		if len(v.Refs) > 0 && !slices.Contains(v.Refs, d.Ref) || d.State != DriftOpen {
			continue
		}
		if differs[d.Ref] {
			if d.Tried = e.now; d.Live {
				if err := writeDrift(ctx, tx, d); err != nil {
					return nil, err
				}
			}
			continue
		}
		d.State, d.Ended = DriftGone, e.now
		if v.Kind == Rebuild {
			if trouble, err = e.healed(ctx, tx, d, trouble); err != nil {
				return nil, err
			}
		}
		if err := writeDrift(ctx, tx, d); err != nil {
			return nil, err
		}
	}
	return trouble, nil
}

// healed ends a drift that was put right, and adds to the trouble if that happens again
// and again.
func (e *end) healed(ctx context.Context, tx *sql.Tx, d *Drift, trouble []Trouble) ([]Trouble, error) {
	d.State, d.Ended, d.By = DriftHealed, e.now, e.v.Actor
	before, err := readDrifts(ctx, tx, `WHERE host = $1 AND ref = $2 AND state = 'healed' AND ended >= $3`, d.Host, d.Ref, database.Micros(e.now.Add(-flapTime)))
	if err != nil {
		return nil, err
	}
	if d.Heals = len(before) + 1; d.Heals >= flapping {
		trouble = append(trouble, e.trouble("drift/"+d.Host+"/"+d.Ref, fmt.Sprintf("%s on %s keeps changing", d.Ref, d.Host),
			fmt.Sprintf("It was put right %d times within a day: somebody or something works against the definitions.", d.Heals), ""))
	}
	return trouble, nil
}

// Saw takes in what a host noticed itself: a resource that is not as declared any
// more. Heal says whether its policy is to put it right; that is done at once, unless
// somebody paused or it happens again and again.
func (f *Fleet) Saw(ctx context.Context, host string, c Change, heal bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return err
	}
	hosts, err := f.hosts(ctx, wanted)
	if err != nil {
		return err
	}
	h, ok := hosts[host]
	if !ok || h.Gone {
		return fault.New(fault.NotFound, "there is no host %q in hosts.yaml", host)
	}
	now := f.o.Now().UTC()
	err = f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		open, err := readDrifts(ctx, tx, `WHERE host = $1 AND ref = $2 AND state = 'open'`, host, c.Ref)
		if err != nil {
			return err
		}
		d := Drift{Host: host, Ref: c.Ref, Role: c.Role, Place: c.Place, State: DriftOpen, Since: now, Live: true}
		if len(open) > 0 {
			d = open[0]
		}
		d.Action, d.Fields, d.Heal = c.Action, c.Fields, heal
		if len(c.Hints) > 0 {
			d.Hints = c.Hints
		}
		if err := writeDrift(ctx, tx, &d); err != nil {
			return err
		}
		if h.State == AsDeclared {
			h.State = HasDrifted
			if err := writeHost(ctx, tx, h); err != nil {
				return err
			}
		}
		if len(open) > 0 {
			return nil
		}
		e := event.Event{Source: source, Type: event.HostDrifted, Subject: "host/" + host, Environment: h.Environment, Data: []byte(encoded(c)),
			Summary: fmt.Sprintf("%s drifted: %s", host, c.Ref)}
		return f.o.Journal(ctx, tx, &e)
	})
	f.Wake()
	return err
}

// Passed takes in that a host found a resource as declared again by itself.
func (f *Fleet) Passed(ctx context.Context, host, ref string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		open, err := readDrifts(ctx, tx, `WHERE host = $1 AND ref = $2 AND state = 'open'`, host, ref)
		if err != nil || len(open) == 0 {
			return err
		}
		d := open[0]
		d.State, d.Ended = DriftGone, f.o.Now().UTC()
		return writeDrift(ctx, tx, &d)
	})
}

// live are the resources to put right at once because their hosts told of them, by
// host: not those that were tried just now, and not what happens again and again.
func (f *Fleet) live(ctx context.Context) (map[string][]string, error) {
	now := f.o.Now()
	healed := map[string]int{}
	if err := each(ctx, f.o.DB.Read(), func(r *sql.Rows) error {
		var host, ref string
		var n int
		err := r.Scan(&host, &ref, &n)
		healed[host+" "+ref] = n
		return err
	}, `SELECT host, ref, count(*) FROM fleet_drift WHERE state = 'healed' AND ended >= $1 GROUP BY host, ref`, database.Micros(now.Add(-liveTime))); err != nil {
		return nil, err
	}
	open, err := readDrifts(ctx, f.o.DB.Read(), `WHERE state = 'open' ORDER BY id LIMIT 10000`)
	all := map[string][]string{}
	for _, d := range open {
		if d.Live && d.Heal && healed[d.Host+" "+d.Ref] < liveHeals && now.Sub(d.Tried) >= retry {
			all[d.Host] = append(all[d.Host], d.Ref)
		}
	}
	return all, err
}

// Propose makes a drift the declaration, or shows the commit that would.
func (f *Fleet) Propose(ctx context.Context, drift int64, commit bool, who id.Person, reason string) (Proposal, error) {
	all, err := readDrifts(ctx, f.o.DB.Read(), `WHERE id = $1`, drift)
	if err != nil {
		return Proposal{}, err
	}
	if len(all) == 0 {
		return Proposal{}, fault.New(fault.NotFound, "there is no drift %d", drift)
	}
	d := all[0]
	if d.State != DriftOpen {
		return Proposal{}, fault.New(fault.Conflict, "accept the drift of %s on %s: it is %s already", d.Ref, d.Host, d.State)
	}
	p, err := f.o.Propose(ctx, d, commit, who, reason)
	if err != nil || p.Commit == "" {
		return p, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d.State, d.Ended, d.By = DriftAccepted, f.o.Now().UTC(), who
	p.Drift = d
	err = f.o.DB.Tx(ctx, func(tx *sql.Tx) error {
		if err := writeDrift(ctx, tx, &d); err != nil {
			return err
		}
		e := event.Event{Source: source, Type: event.DriftAccepted, Subject: "host/" + d.Host, Actor: who, Reason: reason, Summary: fmt.Sprintf("%s of %s became the declaration, by commit %s", d.Ref, d.Host, short(p.Commit))}
		return f.o.Journal(ctx, tx, &e)
	})
	f.Wake()
	return p, err
}
