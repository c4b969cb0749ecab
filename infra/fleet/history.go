package fleet

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"steer/base/database"
	"steer/base/id"
)

// History is how changes of a resource went before, on all hosts.
type History struct {
	Changes int           `json:"changes"`        // the newest 100 at most
	Failed  int           `json:"failed"`         // of those
	Hosts   int           `json:"hosts"`          // on which they were
	Took    time.Duration `json:"took,omitempty"` // median of those that worked, ns
	Last    time.Time     `json:"last,omitzero"`
	Visit   int64         `json:"visit,omitempty"` // of the last
	// Incidents were opened within an hour after the last: of its host, its group or
	// their environment.
	Incidents []int64 `json:"incidents,omitempty"`
}

// Place is where an incident may have come from.
type Place struct {
	Host, Group string
	Environment id.Environment
}

// Bounds of histories.
const (
	mostHistory   = 100       // changes of one resource
	mostFollowed  = 20        // visits of which incidents are looked for
	mostIncidents = 5         // that followed one visit
	aftermath     = time.Hour // how long after a change incidents may be its doing
)

// remember stores what a visit did to resources.
func (e *end) remember(ctx context.Context, tx *sql.Tx) error {
	if e.v.Kind == Look {
		return nil
	}
	for _, c := range e.v.Changes {
		if c.Status != "changed" && c.Status != "failed" {
			continue
		}
		if err := exec(ctx, tx, `INSERT INTO fleet_change (ref, visit, host, at, failed, took) VALUES ($1, $2, $3, $4, $5, $6)`,
			c.Ref, e.v.ID, e.v.Host, database.Micros(e.now), c.Status == "failed", int64(c.Took)); err != nil {
			return err
		}
	}
	return nil
}

// histories tells of each change of a plan how that went before.
func (f *Fleet) histories(ctx context.Context, v *Visit) error {
	hosts, err := readHosts(ctx, f.o.DB.Read())
	if err != nil {
		return err
	}
	followed := map[int64][]int64{}
	for i := range v.Changes {
		h, place, err := f.history(ctx, v.Changes[i].Ref)
		if err != nil {
			return err
		}
		if v.Changes[i].History = &h; h.Visit == 0 {
			continue
		}
		all, known := followed[h.Visit]
		if !known && len(followed) < mostFollowed {
			p := Place{Host: place, Group: hosts[place].Group, Environment: hosts[place].Environment}
			if all, err = f.o.Followed(ctx, p, h.Last, h.Last.Add(aftermath)); err != nil {
				return fmt.Errorf("read what followed visit %d: %w", h.Visit, err)
			}
			all = all[:min(len(all), mostIncidents)]
			followed[h.Visit] = all
		}
		h.Incidents = all
	}
	return nil
}

// history is how changes of one resource went, and the host of the last.
func (f *Fleet) history(ctx context.Context, ref string) (h History, last string, err error) {
	hosts := map[string]bool{}
	var took []time.Duration
	err = each(ctx, f.o.DB.Read(), func(r *sql.Rows) error {
		var visit, at, ns int64
		var host string
		var failed bool
		if err := r.Scan(&visit, &host, &at, &failed, &ns); err != nil {
			return err
		}
		if h.Changes == 0 {
			h.Visit, h.Last, last = visit, database.Time(at), host
		}
		h.Changes++
		hosts[host] = true
		if failed {
			h.Failed++
		} else {
			took = append(took, time.Duration(ns))
		}
		return nil
	}, `SELECT visit, host, at, failed, took FROM fleet_change WHERE ref = $1 ORDER BY at DESC, visit DESC LIMIT $2`, ref, mostHistory)
	h.Hosts = len(hosts)
	if slices.Sort(took); len(took) > 0 {
		h.Took = took[len(took)/2]
	}
	return h, last, err
}
