package signs

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/id"
)

// Failures are how often things fail, and how long that lasts.
type Failures struct {
	Total        Reliability   `json:"total"`
	Environments []Reliability `json:"environments"` // by name, each like this
	Services     []Reliability `json:"services"`
	Groups       []Reliability `json:"groups"` // of hosts
}

// Reliability is that of one thing. Between × Failures + Down = Observed, as far as
// there are failures.
type Reliability struct {
	Name     string    `json:"name"`     // "" is everything
	Since    time.Time `json:"since"`    // when the time observed begins
	Observed float64   `json:"observed"` // seconds
	Down     float64   `json:"down"`     // seconds of those in failure
	Failures int       `json:"failures"` // that began
	// Between is the mean time between failures in seconds; null without any: then
	// there was none in the time observed.
	Between       *float64 `json:"between_seconds"`
	MedianBetween *float64 `json:"median_between_seconds"` // of the times without failure before each
	Before        Earlier  `json:"before"`
	Repair        Times    `json:"repair"` // of each incident
	Open          int      `json:"open"`   // incidents that opened and are not over
	// Outages are the failures, newest first, at most 200.
	Outages []Outage `json:"outages"`
}

// Earlier is the reliability in the period before.
type Earlier struct {
	Observed float64  `json:"observed"` // 0: there is no data from then
	Failures int      `json:"failures"`
	Between  *float64 `json:"between_seconds"`
}

// Outage is one failure.
type Outage struct {
	From      time.Time `json:"from"`
	To        time.Time `json:"to,omitzero"` // zero: it goes on
	Incidents []string  `json:"incidents"`   // incident/7
}

// incident is one as the journal tells of it.
type incident struct {
	ref, title   string
	check        string
	service      id.Service
	environment  id.Environment
	group        string
	team         id.Team
	from, to     time.Time // to is zero while it goes on
	opened, over string    // events
}

// incidents finds those that were open in either period, by their beginning.
func (s *story) incidents(k *known) []incident {
	all := map[string]*incident{}
	for _, o := range k.Open {
		if o.Severity != "info" {
			all[o.Ref] = &incident{ref: o.Ref, title: o.Title, check: o.Check, service: o.Service, environment: o.Environment, team: o.Team, from: o.Opened, opened: o.Event}
		}
	}
	for _, n := range s.notes {
		switch {
		case n.Severity == "info":
		case n.kind == event.IncidentOpened:
			all[n.subject] = &incident{ref: n.subject, title: n.Check, check: n.Check, service: n.service, environment: n.environment, team: n.Team, from: n.at, opened: n.id}
		case n.kind == event.IncidentClosed:
			if i := all[n.subject]; i != nil {
				i.to, i.over = n.at, n.id
			}
		}
	}
	list := make([]incident, 0, len(all))
	for _, i := range all {
		i.group = k.group(i.check)
		h := k.groups[i.group]
		i.environment = cmp.Or(i.environment, h.Environment)
		i.team = cmp.Or(i.team, k.Services[i.service], h.Owner)
		list = append(list, *i)
	}
	slices.SortFunc(list, func(a, b incident) int { return cmp.Or(a.from.Compare(b.from), strings.Compare(a.ref, b.ref)) })
	return list
}

// merged are the failures that incidents, by their beginning, make up.
func merged(incidents []incident) (all []Outage) {
	for _, i := range incidents {
		if n := len(all) - 1; n >= 0 && (all[n].To.IsZero() || !i.from.After(all[n].To)) {
			last := &all[n]
			last.Incidents = append(last.Incidents, i.ref)
			if !last.To.IsZero() && (i.to.IsZero() || i.to.After(last.To)) {
				last.To = i.to
			}
			continue
		}
		all = append(all, Outage{From: i.from, To: i.to, Incidents: []string{i.ref}})
	}
	return all
}

// counted is what a period holds of failures.
type counted struct {
	observed, down time.Duration
	ups            []float64 // seconds without failure before each that began
	began          []Outage
}

// count looks at the time from since until until.
func count(outages []Outage, since, until time.Time) (c counted) {
	if !since.Before(until) {
		return c
	}
	c.observed = until.Sub(since)
	up := since // since when it is not in failure
	for _, o := range outages {
		from, to := o.From, o.To
		if to.IsZero() || to.After(until) {
			to = until
		}
		if !from.Before(until) || !to.After(since) && from.Before(since) {
			continue
		}
		if from.Before(since) {
			from = since
		} else {
			c.began = append(c.began, o)
			c.ups = append(c.ups, from.Sub(up).Seconds())
		}
		c.down += to.Sub(from)
		up = to
	}
	return c
}

// between is the mean time between failures, in seconds; nil without any.
func (c counted) between() *float64 {
	if len(c.began) == 0 {
		return nil
	}
	mean := (c.observed - c.down).Seconds() / float64(len(c.began))
	return &mean
}

// reliability is that of something whose incidents are given, known since first.
func (s span) reliability(name string, incidents []incident, first time.Time) Reliability {
	outages := merged(incidents)
	start := later(s.since, first)
	now, then := count(outages, start, s.until), count(outages, later(s.before, first), s.since)
	r := Reliability{
		Name: name, Since: start, Observed: now.observed.Seconds(), Down: now.down.Seconds(), Failures: len(now.began),
		Between: now.between(), MedianBetween: median(now.ups), Outages: []Outage{},
		Before: Earlier{then.observed.Seconds(), len(then.began), then.between()},
	}
	var repairs []Sample
	for _, i := range incidents {
		switch {
		case i.to.IsZero():
			if s.now(i.from) {
				r.Open++
			}
		default: // told of the period in which it opened
			repairs = append(repairs, Sample{At: i.from, What: i.title, Ref: i.ref, Seconds: i.to.Sub(i.from).Seconds(), Events: []string{i.opened, i.over}})
		}
	}
	r.Repair = s.times(repairs)
	r.Outages = append(r.Outages, now.began...)
	slices.Reverse(r.Outages)
	r.Outages = r.Outages[:min(len(r.Outages), mostSamples)]
	return r
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// failures sorts the incidents by what they are about.
func (s *story) failures(sp span, q Query, k *known) Failures {
	var some []incident
	for _, i := range s.incidents(k) {
		if q.asked(i.team, i.environment) {
			some = append(some, i)
		}
	}
	f := Failures{Total: sp.reliability("", some, s.first)}
	// What is declared is listed without failures too.
	since := s.since(k)
	services, environments, groups := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for name, team := range k.Services {
		if q.Team == "" || q.Team == team {
			services[string(name)] = q.Environment == "" || !since["deployed:"+string(q.Environment)+"/"+string(name)].IsZero()
		}
	}
	for _, h := range k.Hosts {
		if q.asked(h.Owner, h.Environment) {
			groups[h.Group] = true
			environments[string(h.Environment)] = true
		}
	}
	if q.Team == "" {
		for _, e := range k.Environments {
			environments[string(e)] = q.Environment == "" || q.Environment == e
		}
	}
	of := func(kind string, names map[string]bool, name func(incident) string) []Reliability {
		parts := map[string][]incident{}
		for _, i := range some {
			if n := name(i); n != "" {
				parts[n], names[n] = append(parts[n], i), true
			}
		}
		list := []Reliability{}
		for n, wanted := range names {
			if wanted && n != "" {
				list = append(list, sp.reliability(n, parts[n], later(s.first, since[kind+n])))
			}
		}
		slices.SortFunc(list, func(a, b Reliability) int { return strings.Compare(a.Name, b.Name) })
		return list
	}
	f.Services = of("service:", services, func(i incident) string { return string(i.service) })
	f.Environments = of("environment:", environments, func(i incident) string { return string(i.environment) })
	f.Groups = of("group:", groups, func(i incident) string { return i.group })
	return f
}

// since is when services and environments had their first deploy, and groups their
// first host, as far as is known.
func (s *story) since(k *known) map[string]time.Time {
	all := map[string]time.Time{}
	put := func(key string, t time.Time) {
		if was, ok := all[key]; !ok || t.Before(was) {
			all[key] = t
		}
	}
	for _, n := range s.notes {
		if n.kind == event.Deployed {
			put("service:"+string(n.service), n.at)
			put("environment:"+string(n.environment), n.at)
			put("deployed:"+string(n.environment)+"/"+string(n.service), n.at)
		}
	}
	for _, h := range k.Hosts {
		put("group:"+h.Group, h.Seen)
		if h.Environment != "" {
			put("environment:"+string(h.Environment), h.Seen)
		}
	}
	return all
}
