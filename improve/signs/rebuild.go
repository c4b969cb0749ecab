package signs

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"steer/base/event"
)

// Rebuild is how fast elements are made anew.
type Rebuild struct {
	Hosts     []Element `json:"hosts"`     // groups: destroyed, made, converged and tested
	Deploys   []Element `json:"deploys"`   // services: request → the version serves
	Rollbacks []Element `json:"rollbacks"` // services: request → the earlier version serves
	// Oldest are the declared hosts that were not rebuilt for longest, at most 50. One
	// that was never rebuilt counts from when it was first known.
	Oldest []Old `json:"oldest"`
}

// Element is how fast one thing is made anew. Last is the newest time, also when it is
// older than the period; null if the two periods have none.
type Element struct {
	Name  string  `json:"name"`
	Last  *Sample `json:"last"`
	Times Times   `json:"times"`
}

// Old is a host that was not rebuilt for long.
type Old struct {
	Host  string    `json:"host"`
	Group string    `json:"group"`
	Since time.Time `json:"since"` // last rebuild, or first known
	Never bool      `json:"never"` // it was never rebuilt
	Made  bool      `json:"made"`  // Steer can make it anew
}

const mostOld = 50

func (s *story) rebuild(sp span, q Query, k *known) Rebuild {
	hosts, deploys, rollbacks := map[string][]Sample{}, map[string][]Sample{}, map[string][]Sample{}
	begun := map[string]*note{}
	for _, n := range s.notes {
		switch n.kind {
		case event.DeployStarted:
			begun[n.subject] = n
		case event.HostRebuilt:
			host := strings.TrimPrefix(n.subject, "host/")
			group := cmp.Or(n.Group, k.hosts[host].Group)
			if n.Seconds > 0 && group != "" && q.asked(k.groups[group].Owner, n.environment) {
				hosts[group] = append(hosts[group], Sample{n.at, host, n.subject, n.Seconds, []string{n.id}})
			}
		case event.Deployed, event.Upgraded, event.RolledBack:
			one, ok := n.deployed(begun)
			if !ok || !q.asked(k.Services[n.service], n.environment) {
				continue
			}
			into := deploys
			if n.back() {
				into = rollbacks
			}
			into[string(n.service)] = append(into[string(n.service)], one)
		}
	}
	r := Rebuild{Hosts: sp.elements(hosts), Deploys: sp.elements(deploys), Rollbacks: sp.elements(rollbacks), Oldest: []Old{}}
	for _, h := range k.Hosts {
		if q.asked(h.Owner, h.Environment) {
			r.Oldest = append(r.Oldest, Old{h.Name, h.Group, later(h.Seen, h.Rebuilt), h.Rebuilt.IsZero(), h.Made})
		}
	}
	slices.SortFunc(r.Oldest, func(a, b Old) int { return cmp.Or(a.Since.Compare(b.Since), strings.Compare(a.Host, b.Host)) })
	r.Oldest = r.Oldest[:min(len(r.Oldest), mostOld)]
	return r
}

// deployed is how long a deploy took; false if it changed nothing or nobody knows
// when it was asked for.
func (n *note) deployed(begun map[string]*note) (Sample, bool) {
	start, ok := begun[n.subject]
	asked := n.Asked
	if asked.IsZero() && ok { // told before events said it
		asked = start.at
	}
	if asked.IsZero() || !n.served() {
		return Sample{}, false
	}
	one := Sample{n.at, string(n.service) + " " + string(n.version) + " in " + string(n.environment), n.subject, max(0, n.at.Sub(asked).Seconds()), []string{n.id}}
	if ok {
		one.Events = []string{start.id, n.id}
	}
	return one, true
}

func (s span) elements(samples map[string][]Sample) []Element {
	list := []Element{}
	for name, some := range samples {
		e := Element{Name: name, Times: s.times(some)}
		for i := range some {
			if s.before.After(some[i].At) || !some[i].At.Before(s.until) {
				continue
			}
			if e.Last == nil || some[i].At.After(e.Last.At) {
				e.Last = &some[i]
			}
		}
		if e.Last != nil {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b Element) int { return strings.Compare(a.Name, b.Name) })
	return list
}
