package fleet

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"steer/base/database"
	"steer/base/fault"
)

// Overview is everything at a glance.
func (f *Fleet) Overview(ctx context.Context) (Overview, error) {
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return Overview{}, err
	}
	all, err := f.known(ctx, wanted)
	if err != nil {
		return Overview{}, err
	}
	groups, err := readGroups(ctx, f.o.DB.Read())
	if err != nil {
		return Overview{}, err
	}
	pauses, err := f.pauses(ctx)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{Hosts: []Host{}, Groups: []Group{}, Pauses: []Pause{}, Unmanaged: []Unmanaged{}}
	for _, h := range all {
		h.Facts, h.Checks, h.How = nil, nil, nil // long, and on the page of the host
		h.Erosion = slices.DeleteFunc(h.Erosion, Erosion.well)
		o.Hosts = append(o.Hosts, h)
	}
	slices.SortFunc(o.Hosts, func(a, b Host) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name)) })
	for _, w := range wanted {
		g := groups[w.Name]
		g.Name, g.Settings, g.Members = w.Name, w.Settings, len(w.Hosts)
		if w.Waits != "" {
			g.Reason = w.Waits
		}
		g.Paused = cmp.Or(pauses[place{"all", ""}], pauses[place{"group", w.Name}])
		o.Groups = append(o.Groups, g)
	}
	for _, p := range pauses {
		o.Pauses = append(o.Pauses, *p)
	}
	slices.SortFunc(o.Pauses, func(a, b Pause) int { return a.Since.Compare(b.Since) })
	f.seen.Lock()
	o.Unmanaged = append(o.Unmanaged, f.unmanaged...)
	f.seen.Unlock()
	o.Habits, err = f.habits(ctx, o)
	return o, err
}

// known are all hosts with everything that is worked out about them.
func (f *Fleet) known(ctx context.Context, wanted []Wanted) (map[string]Host, error) {
	f.mu.Lock()
	all, err := f.hosts(ctx, wanted)
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	open := map[string]int{}
	if err := each(ctx, f.o.DB.Read(), func(r *sql.Rows) error {
		var host string
		var n int
		err := r.Scan(&host, &n)
		open[host] = n
		return err
	}, `SELECT host, count(*) FROM fleet_drift WHERE state = 'open' GROUP BY host`); err != nil {
		return nil, err
	}
	settings := map[string]Settings{}
	for _, w := range wanted {
		settings[w.Name] = w.Settings
	}
	for name, h := range all {
		h.Drifts = open[name]
		if !h.Gone && h.Paused == nil && h.State != Stopped {
			h.Next = Next(h, settings[h.Group])
		}
		for _, o := range all {
			if siblings(h, o) && o.Hash != h.Hash {
				h.Unequal = append(h.Unequal, o.Name)
			}
		}
		slices.Sort(h.Unequal)
		all[name] = h
	}
	return all, nil
}

// siblings tells whether two hosts should be equal, as far as is known.
func siblings(a, b Host) bool {
	return a.Name != b.Name && a.Group == b.Group && !a.Gone && !b.Gone && a.Hash != "" && b.Hash != "" && slices.Equal(a.Roles, b.Roles)
}

// Detail is one host with its history.
func (f *Fleet) Detail(ctx context.Context, name string) (Detail, error) {
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return Detail{}, err
	}
	all, err := f.known(ctx, wanted)
	if err != nil {
		return Detail{}, err
	}
	h, ok := all[name]
	if !ok {
		return Detail{}, fault.New(fault.NotFound, "there is no host %q", name)
	}
	h.How = nil
	d := Detail{Host: h, Tests: []Test{}, Siblings: []Sibling{}}
	if d.Visits, err = f.list(ctx, Filter{Host: name, Limit: 50}, false); err != nil {
		return d, err
	}
	if d.Drifts, err = readDrifts(ctx, f.o.DB.Read(), `WHERE host = $1 ORDER BY CASE WHEN state = 'open' THEN 0 ELSE 1 END, id DESC LIMIT 50`, name); err != nil {
		return d, err
	}
	last, err := visits(ctx, f.o.DB.Read(), true, `WHERE host = $1 AND kind <> 'plan' AND finished > 0 AND found LIKE '%"tests"%' ORDER BY id DESC LIMIT 1`, name)
	if err != nil {
		return d, err
	}
	if len(last) > 0 && last[0].Tests != nil {
		d.Tests = last[0].Tests
	}
	for _, other := range slices.Sorted(maps.Keys(all)) {
		o := all[other]
		if siblings(h, o) {
			d.Siblings = append(d.Siblings, Sibling{Host: other, Equal: h.Hash == o.Hash, Differ: differ(h.Leaves, o.Leaves)})
		}
	}
	return d, nil
}

// differ names the resources whose state is not the same.
func differ(a, b map[string]string) []string {
	var some []string
	for ref, hash := range a {
		if b[ref] != hash {
			some = append(some, ref)
		}
	}
	for ref := range b {
		if _, ok := a[ref]; !ok {
			some = append(some, ref)
		}
	}
	slices.Sort(some)
	return some[:min(len(some), 100)]
}

// Tonight is what was done in some time.
func (f *Fleet) Tonight(ctx context.Context, from, until time.Time) (Tonight, error) {
	t := Tonight{From: from, Until: until, Failed: []Visit{}, Changed: []Visit{}, Drifted: []Visit{}, Rebuilt: []Visit{}, Rollouts: []Group{}, Late: []Host{}}
	o, err := f.Overview(ctx)
	if err != nil {
		return t, err
	}
	count := func(n *int, more string) error {
		return each(ctx, f.o.DB.Read(), func(r *sql.Rows) error { return r.Scan(n) },
			`SELECT count(*) FROM fleet_visit WHERE finished >= $1 AND finished < $2`+more, database.Micros(from), database.Micros(until))
	}
	if err := count(&t.Visits, ""); err != nil {
		return t, err
	}
	if err := count(&t.Quiet, " AND NOT eventful"); err != nil {
		return t, err
	}
	all, err := visits(ctx, f.o.DB.Read(), true, `WHERE finished >= $1 AND finished < $2 AND eventful ORDER BY id DESC LIMIT 500`, database.Micros(from), database.Micros(until))
	if err != nil {
		return t, err
	}
	for _, v := range all {
		switch {
		case v.State == Broken:
			t.Failed = append(t.Failed, v)
		case v.Kind == Rebuild:
			t.Rebuilt = append(t.Rebuilt, v)
		case v.Drift > 0:
			t.Drifted = append(t.Drifted, v)
		case v.Counts["changed"] > 0:
			t.Changed = append(t.Changed, v)
		}
	}
	for _, g := range o.Groups {
		if g.Phase != Done {
			t.Rollouts = append(t.Rollouts, g)
		}
	}
	t.Pauses = o.Pauses
	t.Late = append(t.Late, late(o, f.o.Now())...)
	t.Drifts, err = readDrifts(ctx, f.o.DB.Read(), `WHERE state = 'open' ORDER BY since LIMIT 500`)
	return t, err
}

// late are hosts that were not visited for twice their interval.
func late(o Overview, now time.Time) (some []Host) {
	for _, h := range o.Hosts {
		for _, g := range o.Groups {
			since := h.Visited
			if since.IsZero() {
				since = h.Seen
			}
			if e := g.Settings.Every; g.Name == h.Group && !h.Gone && h.State != Stopped && e > 0 && now.Sub(since) > 2*e {
				some = append(some, h)
			}
		}
	}
	return some
}

// habits measures how much automation is trusted.
func (f *Fleet) habits(ctx context.Context, o Overview) (h Habits, err error) {
	now := f.o.Now()
	byHand := 0
	err = each(ctx, f.o.DB.Read(), func(r *sql.Rows) error {
		var people bool
		var n int
		err := r.Scan(&people, &n)
		h.Visits += n
		if people {
			byHand = n
		}
		return err
	}, `SELECT body LIKE '%"cause":"person"%', count(*) FROM fleet_visit WHERE created >= $1 GROUP BY 1`, database.Micros(now.Add(-7*24*time.Hour)))
	if err != nil {
		return h, err
	}
	if h.Visits > 0 {
		h.Unattended = float64(h.Visits-byHand) / float64(h.Visits)
	}
	people, err := visits(ctx, f.o.DB.Read(), false, `WHERE created >= $1 AND body LIKE '%"cause":"person"%' ORDER BY id DESC LIMIT 500`, database.Micros(now.Add(-7*24*time.Hour)))
	if err != nil {
		return h, err
	}
	for _, v := range people {
		if v.Kind != Look && len(v.Refs) > 0 {
			h.Narrow++
		}
	}
	if err := each(ctx, f.o.DB.Read(), func(r *sql.Rows) error { return r.Scan(&h.Around) }, `SELECT count(*) FROM fleet_drift WHERE since >= $1`, database.Micros(now.Add(-7*24*time.Hour))); err != nil {
		return h, err
	}
	h.Late = len(late(o, now))
	if len(o.Pauses) > 0 {
		p := o.Pauses[0]
		h.PausedFor = fmt.Sprintf("%s, for %s", place{p.Scope, p.Name}, minutes(now.Sub(p.Since)))
	}
	for _, g := range o.Groups {
		if g.Phase == Asking && h.OldestPlan == "" {
			h.OldestPlan = fmt.Sprintf("%s, for %s", g.Name, minutes(now.Sub(g.Since)))
		}
	}
	return h, nil
}

// minutes is a duration without its seconds: 2m, 26h3m.
func minutes(d time.Duration) string {
	return strings.TrimSuffix(max(d.Round(time.Minute), time.Minute).String(), "0s")
}

// Roles are the roles of the newest definitions.
func (f *Fleet) Roles(ctx context.Context) ([]Role, error) {
	all, err := f.o.Roles(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := f.o.Wanted(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		r := &all[i]
		r.Hosts, r.Groups = []string{}, []string{}
		for _, w := range wanted {
			for _, h := range w.Hosts {
				if slices.Contains(h.Roles, r.Name) {
					r.Hosts = append(r.Hosts, h.Name)
					if !slices.Contains(r.Groups, h.Group) {
						r.Groups = append(r.Groups, h.Group)
					}
				}
			}
		}
	}
	return all, nil
}

// Facts are what hosts said of themselves, by name.
func (f *Fleet) Facts(ctx context.Context) (map[string]json.RawMessage, error) {
	return f.each(ctx, func(h Host) json.RawMessage { return h.Facts })
}

// Checks are those of the roles of each host, as its last visit found them. Nobody
// watches a host that somebody stopped.
func (f *Fleet) Checks(ctx context.Context) (map[string]json.RawMessage, error) {
	return f.each(ctx, func(h Host) json.RawMessage {
		if h.State == Stopped {
			return nil
		}
		return h.Checks
	})
}

// Hosts are those that are declared, as they were met last, by name.
func (f *Fleet) Hosts(ctx context.Context) (map[string]Host, error) {
	hosts, err := readHosts(ctx, f.o.DB.Read())
	maps.DeleteFunc(hosts, func(_ string, h Host) bool { return h.Gone })
	return hosts, err
}

// each is something that is known of the hosts that are declared.
func (f *Fleet) each(ctx context.Context, of func(Host) json.RawMessage) (map[string]json.RawMessage, error) {
	hosts, err := readHosts(ctx, f.o.DB.Read())
	all := map[string]json.RawMessage{}
	for name, h := range hosts {
		if b := of(h); !h.Gone && b != nil {
			all[name] = b
		}
	}
	return all, err
}
