package signs

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/id"
	"steer/catalog"
)

// Changes are when things are changed. A change is
//   - a deploy that brought a version into the traffic, forward or back,
//   - a host that definitions changed, that was rebuilt or went back,
//   - a commit of the definitions.
//
// Working hours are those of the team that owns the service or host, for a commit those
// of the team that its author alone belongs to, else the server's.
type Changes struct {
	People    Share        `json:"people"`    // in working hours, of those that a person asked for
	Automatic Share        `json:"automatic"` // of those that Steer made by itself
	Kinds     []ChangeKind `json:"kinds"`
	Incidents Share        `json:"incidents"` // that opened in working hours
	// Cells are the hours of the week in which something happened, Monday first, on the
	// clocks of the teams.
	Cells []Cell       `json:"cells"`
	Off   []Change     `json:"off"`   // newest changes by people outside of working hours, at most 50
	Hours []HoursOfOne `json:"hours"` // what counts as working hours
}

// ChangeKind is one kind of change: deploys, hosts or definitions.
type ChangeKind struct {
	Kind      string `json:"kind"`
	People    Share  `json:"people"`
	Automatic Share  `json:"automatic"`
}

// Cell is one hour of the week.
type Cell struct {
	Weekday   int      `json:"weekday"` // 0 is Monday
	Hour      int      `json:"hour"`
	Work      bool     `json:"work"` // some of it was in working hours
	People    int      `json:"people"`
	Automatic int      `json:"automatic"`
	Incidents int      `json:"incidents"`
	Newest    []Change `json:"newest"` // of all these, at most 5
}

// Change is one of them.
type Change struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	Ref   string    `json:"ref"`
	Event string    `json:"event"`
}

// HoursOfOne are the working hours of a team; Team is "" for the server's.
type HoursOfOne struct {
	Team id.Team `json:"team"`
	catalog.Hours
}

const (
	mostOff    = 50
	mostInCell = 5
)

var kinds = []string{"deploys", "hosts", "definitions"}

// change tells which kind of change an event is, "" for none, and what it is in words.
func (n *note) change() (kind, what string) {
	switch n.kind {
	case event.Deployed, event.Upgraded, event.RolledBack:
		if n.served() {
			return "deploys", string(n.service) + " " + string(n.version) + " in " + string(n.environment)
		}
	case event.HostChanged, event.HostRebuilt, event.HostRolledBack:
		return "hosts", strings.TrimPrefix(n.subject, "host/") + map[string]string{event.HostChanged: " changed", event.HostRebuilt: " rebuilt", event.HostRolledBack: " went back"}[n.kind]
	case event.DefinitionsChanged:
		return "definitions", cmp.Or(n.Message, "definitions "+short(n.SHA))
	}
	return "", ""
}

func (s *story) changes(sp span, q Query, k *known) Changes {
	type both struct{ people, automatic share }
	all, byKind, incidents := both{}, map[string]*both{}, share{}
	for _, kind := range kinds {
		byKind[kind] = &both{}
	}
	c := Changes{Kinds: []ChangeKind{}, Cells: []Cell{}, Off: []Change{}}
	cells := [7][24]Cell{}
	at := func(team id.Team, one Change) (*Cell, bool) {
		work, weekday, hour := k.hours(team).At(one.At)
		if !sp.now(one.At) {
			return &Cell{}, work
		}
		cell := &cells[weekday][hour]
		cell.Work = cell.Work || work
		if cell.Newest = append(cell.Newest, one); len(cell.Newest) > mostInCell { // they come by time
			cell.Newest = cell.Newest[1:]
		}
		return cell, work
	}
	open := s.incidents(k)
	tell := func(until time.Time) { // incidents between changes, so that all come by time
		for len(open) > 0 && open[0].from.Before(until) {
			i := open[0]
			open = open[1:]
			if q.asked(i.team, i.environment) {
				cell, work := at(i.team, Change{i.from, i.title, i.ref, i.opened})
				cell.Incidents++
				incidents.add(sp, i.from, work)
			}
		}
	}
	for _, n := range s.notes {
		kind, what := n.change()
		team := k.team(n)
		if kind == "" || !q.asked(team, n.environment) {
			continue
		}
		tell(n.at)
		one := Change{n.at, what, n.subject, n.id}
		cell, work := at(team, one)
		if n.person() {
			cell.People++
			all.people.add(sp, n.at, work)
			byKind[kind].people.add(sp, n.at, work)
			if !work && sp.now(n.at) {
				c.Off = append(c.Off, one)
			}
		} else {
			cell.Automatic++
			all.automatic.add(sp, n.at, work)
			byKind[kind].automatic.add(sp, n.at, work)
		}
	}
	tell(sp.until)
	c.People, c.Automatic, c.Incidents = all.people.share(), all.automatic.share(), incidents.share()
	for _, kind := range kinds {
		c.Kinds = append(c.Kinds, ChangeKind{kind, byKind[kind].people.share(), byKind[kind].automatic.share()})
	}
	for weekday := range cells {
		for hour := range cells[weekday] {
			if cell := cells[weekday][hour]; cell.Newest != nil {
				cell.Weekday, cell.Hour = weekday, hour
				slices.Reverse(cell.Newest)
				c.Cells = append(c.Cells, cell)
			}
		}
	}
	slices.Reverse(c.Off)
	c.Off = c.Off[:min(len(c.Off), mostOff)]
	c.Hours = []HoursOfOne{{"", k.usual.Hours}}
	for name, w := range k.worked {
		if q.Team == "" || q.Team == name {
			c.Hours = append(c.Hours, HoursOfOne{name, w.Hours})
		}
	}
	slices.SortFunc(c.Hours, func(a, b HoursOfOne) int { return strings.Compare(string(a.Team), string(b.Team)) })
	return c
}
