package flow

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/id"
)

// deployment is a version that took over the traffic.
type deployment struct {
	event.Event
	data     deployData
	back     bool // it went back to a version
	first    bool // of its service in this environment, as far as is known
	repeated bool // the version had been there before
}

type deployData struct {
	Kind      string     `json:"kind"`
	Previous  id.Version `json:"previous"`
	Committed time.Time  `json:"committed"`
	Unchanged bool       `json:"unchanged"` // the version served already
}

// outage is an incident.
type outage struct{ opened, closed *event.Event }

// measure is the whole computation: from the events of one environment, in the
// order of the journal, of which those before q.Since only tell what was known
// by then.
func measure(events []event.Event, q Query) Figures {
	byService := map[id.Service][]event.Event{}
	for _, e := range events {
		byService[e.Service] = append(byService[e.Service], e)
	}
	f := Figures{Environment: q.Environment, Since: q.Since, Until: q.Until, Services: []Set{}}
	f.Total.init()
	for service, list := range byService {
		s := Set{Service: service}
		s.init()
		s.measure(list, q)
		f.Total.add(s)
		if service != "" && !s.empty() {
			s.finish(q)
			f.Services = append(f.Services, s)
		}
	}
	slices.SortFunc(f.Services, func(a, b Set) int { return strings.Compare(string(a.Service), string(b.Service)) })
	f.Total.finish(q)
	return f
}

func (s *Set) measure(events []event.Event, q Query) {
	deployments, outages := sort(events, q.Environment)
	in := func(t time.Time) bool { return !t.Before(q.Since) && t.Before(q.Until) }
	for n, d := range deployments {
		if d.back || !in(d.Time) {
			continue
		}
		s.Deployments.Events = append(s.Deployments.Events, d.ID)
		if !d.first && !d.repeated && !d.data.Committed.IsZero() && !d.data.Committed.After(d.Time) {
			s.LeadTime.Samples = append(s.LeadTime.Samples, Sample{d.Time, d.Service, d.Version, d.Time.Sub(d.data.Committed).Seconds(), []string{d.ID}})
		}
		var next *deployment
		if n+1 < len(deployments) {
			next = &deployments[n+1]
		}
		s.failure(d, next, outages)
	}
	for _, o := range outages {
		if in(o.opened.Time) && o.closed != nil {
			s.TimeToRestore.Samples = append(s.TimeToRestore.Samples, sample(*o.opened, *o.closed))
		}
	}
	s.builds(events, in)
}

// sort picks deployments and incidents out of the events of one service.
// Incidents of checks that watch all environments together count in each.
func sort(events []event.Event, environment id.Environment) (deployments []deployment, outages []*outage) {
	seen := map[id.Version]bool{}
	open := map[string]*outage{}
	for n, e := range events {
		switch e.Type {
		case event.Deployed, event.Upgraded, event.RolledBack:
			if e.Environment != environment {
				continue
			}
			d := deployment{Event: e, first: len(seen) == 0, repeated: seen[e.Version]}
			_ = json.Unmarshal(e.Data, &d.data) // without details it is a deployment all the same
			if d.data.Unchanged {
				continue
			}
			d.back = e.Type == event.RolledBack || d.data.Kind == "rollback" || d.data.Kind == "auto-rollback"
			seen[e.Version] = true
			deployments = append(deployments, d)
		case event.IncidentOpened:
			if e.Environment == environment || e.Environment == "" {
				o := &outage{opened: &events[n]}
				open[e.Subject] = o
				outages = append(outages, o)
			}
		case event.IncidentClosed:
			if o := open[e.Subject]; o != nil && o.closed == nil {
				o.closed = &events[n]
			}
		}
	}
	return deployments, outages
}

// failure looks for what shows that d failed: a rollback as the next thing in
// its place, or incidents of its chain until then.
func (s *Set) failure(d deployment, next *deployment, outages []*outage) {
	f := Failure{At: d.Time, Service: d.Service, Version: d.Version, Events: []string{d.ID}}
	var restored *event.Event
	for _, o := range outages {
		blamed := d.Chain != "" && o.opened.Chain == d.Chain || o.opened.Cause == d.ID
		if !blamed || o.opened.Time.Before(d.Time) || next != nil && !o.opened.Time.Before(next.Time) {
			continue
		}
		if len(f.Events) == 1 {
			s.TimeToDetect.Samples = append(s.TimeToDetect.Samples, sample(d.Event, *o.opened))
		}
		f.Events = append(f.Events, o.opened.ID)
		if o.closed == nil {
			continue
		}
		f.Events = append(f.Events, o.closed.ID)
		if restored == nil || restored.Time.Before(o.closed.Time) {
			restored = o.closed
		}
	}
	if next != nil && next.back {
		f.Events = append(f.Events, next.ID)
		if restored == nil || restored.Time.Before(next.Time) {
			restored = &next.Event
		}
	}
	if len(f.Events) == 1 {
		return
	}
	s.ChangeFailure.Causes = append(s.ChangeFailure.Causes, f)
	if restored != nil {
		s.Recovery.Samples = append(s.Recovery.Samples, sample(d.Event, *restored))
	}
}

func sample(from, to event.Event) Sample {
	return Sample{to.Time, from.Service, from.Version, max(0, to.Time.Sub(from.Time).Seconds()), []string{from.ID, to.ID}}
}

func (s *Set) builds(events []event.Event, in func(time.Time) bool) {
	for _, e := range events {
		if e.Type != event.RunFinished || !in(e.Time) {
			continue
		}
		var d struct {
			Green bool `json:"green"`
		}
		_ = json.Unmarshal(e.Data, &d) // what cannot be read was not green
		date := e.Time.UTC().Format(time.DateOnly)
		n := slices.IndexFunc(s.GoodBuilds.Days, func(day Day) bool { return day.Date == date })
		if n < 0 {
			n = len(s.GoodBuilds.Days)
			s.GoodBuilds.Days = append(s.GoodBuilds.Days, Day{Date: date})
		}
		s.GoodBuilds.Days[n].All++
		if d.Green {
			s.GoodBuilds.Days[n].Good++
			s.GoodBuilds.Events = append(s.GoodBuilds.Events, e.ID)
		}
	}
}
