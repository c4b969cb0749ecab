package signs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/id"
	"steer/base/journal"
	"steer/catalog"
)

// The made-up journals begin on a Monday at midnight.
var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func at(hours float64) time.Time { return start.Add(time.Duration(hours * float64(time.Hour))) }

// told is an event with data.
func told(kind, subject string, hours float64, data map[string]any, more ...func(*event.Event)) event.Event {
	b, _ := json.Marshal(data)
	e := event.Event{Type: kind, Subject: subject, Time: at(hours), Data: b, Summary: kind, Actor: event.Steer}
	for _, f := range more {
		f(&e)
	}
	return e
}

func by(who id.Person) func(*event.Event) { return func(e *event.Event) { e.Actor = who } }

func of(s id.Service, env id.Environment, v id.Version, chain string) func(*event.Event) {
	return func(e *event.Event) { e.Service, e.Environment, e.Version, e.Chain = s, env, v, chain }
}

// tale is a story of events, numbered by their order.
func tale(events ...event.Event) *story {
	s := &story{first: start}
	for i, e := range events {
		e.Seq, e.ID = int64(i+1), fmt.Sprintf("e%03d", i+1)
		s.notes = append(s.notes, read(e))
	}
	return s
}

func incidentOf(number int, check string, from, to float64, service id.Service, env id.Environment) []event.Event {
	subject := fmt.Sprintf("incident/%d", number)
	data := map[string]any{"check": check, "severity": "page"}
	all := []event.Event{told(event.IncidentOpened, subject, from, data, of(service, env, "", ""))}
	if to > from {
		all = append(all, told(event.IncidentClosed, subject, to, data, of(service, env, "", "")))
	}
	return all
}

// weeks are the period of the tests: the second week; the first is the one before.
var weeks = span{before: at(0), since: at(7 * 24), until: at(14 * 24)}

// line joins values with spaces.
func line(values ...any) string { return strings.TrimSpace(fmt.Sprintln(values...)) }

// text is hours of seconds.
func text(v *float64) string {
	if v == nil {
		return "none"
	}
	return fmt.Sprintf("%.4g", *v/3600)
}

// deployed are the events of a deploy that was asked for at one hour and served at another.
func deployed(number int, kind string, who id.Person, asked, served float64, v id.Version) []event.Event {
	data := map[string]any{"deploy": number, "kind": kind, "asked": at(asked)}
	subject, place := fmt.Sprintf("deploy/%d", number), of("shop", "production", v, fmt.Sprint("chain", v))
	typ := event.Upgraded
	if kind != "deploy" {
		typ = event.RolledBack
	}
	return []event.Event{told(event.DeployStarted, subject, asked, data, place, by(who)), told(typ, subject, served, data, place, by(who))}
}

func TestRebuild(t *testing.T) {
	week := 7 * 24.0
	rebuilt := func(host string, hours, seconds float64) event.Event {
		return told(event.HostRebuilt, "host/"+host, hours, map[string]any{"visit": 1, "kind": "rebuild", "group": "web", "seconds": seconds})
	}
	unchanged := told(event.Upgraded, "deploy/9", week+9, map[string]any{"asked": at(week), "unchanged": true}, of("shop", "production", "b1", ""))
	old := told(event.Deployed, "deploy/0", week+1, map[string]any{"kind": "deploy"}, of("shop", "production", "b0", "")) // nobody knows when it was asked for
	s := tale(slices.Concat(
		[]event.Event{rebuilt("web-1", 10, 300), rebuilt("web-1", week+10, 60), rebuilt("web-2", week+20, 120), rebuilt("web-2", week+30, 240), old},
		deployed(1, "deploy", "steer", week+1, week+3, "b1"), deployed(2, "auto-rollback", "steer", week+4, week+4.5, "b0"), []event.Event{unchanged})...)
	f := Facts{Hosts: []Host{{Name: "web-1", Group: "web", Seen: at(0), Rebuilt: at(week + 10), Made: true}, {Name: "db", Group: "db", Seen: at(-2000)}, {Name: "new", Group: "db", Seen: at(300)}}}
	r := s.rebuild(weeks, Query{}, f.known())
	got := line(len(r.Hosts), r.Hosts[0].Name, *r.Hosts[0].Times.Median, r.Hosts[0].Last.Seconds, r.Hosts[0].Times.Before.Count, *r.Hosts[0].Times.Before.Median,
		"|", len(r.Deploys), r.Deploys[0].Times.Count, text(r.Deploys[0].Times.Median), r.Deploys[0].Last.Events, "|", text(r.Rollbacks[0].Times.Median), "|", r.Oldest[0].Host, r.Oldest[0].Never, r.Oldest[1].Host, r.Oldest[1].Made)
	if want := "1 web 120 240 1 300 | 1 1 2 [e006 e007] | 0.5 | db true web-1 true"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	// The age of a deploy from before events said when it was asked for is that of its start.
	s = tale(told(event.DeployStarted, "deploy/1", week+1, nil, of("shop", "production", "b1", "")), told(event.Upgraded, "deploy/1", week+2, nil, of("shop", "production", "b1", "")))
	if r := s.rebuild(weeks, Query{}, f.known()); text(r.Deploys[0].Times.Median) != "1" {
		t.Errorf("%+v", r.Deploys)
	}
}

func TestPatches(t *testing.T) {
	n := func(i int) *int { return &i }
	hosts := []Host{
		{Name: "a", Group: "web", Security: n(0), Updates: n(3)}, {Name: "b", Group: "web", Security: n(2), Insecure: at(5)}, {Name: "c", Group: "web", Security: n(1), Insecure: at(2), Reboot: true},
		{Name: "d", Group: "db", Owner: "ops"}, {Name: "e", Group: "db", Security: n(0), Reboot: true},
	}
	p := patches(Query{}, hosts)
	got := fmt.Sprint(p.Hosts, p.Patched, p.Behind, p.Unknown, p.Reboot, *p.Share, p.Oldest.Equal(at(2)), p.Groups, "|")
	for _, l := range p.Laggards {
		got += " " + l.Host
	}
	if want := "5 2 2 1 2 0.5 true [{db 2 1 1 1} {web 3 1 0 1}]| c b e"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if p := patches(Query{Team: "ops"}, hosts); p.Hosts != 1 || p.Share != nil {
		t.Errorf("%+v", p)
	}
	if c := Counts(hosts); fmt.Sprint(c) != "map[steer.hosts.behind:2 steer.hosts.patched:2 steer.hosts.reboot:2 steer.hosts.total:5 steer.hosts.unknown:1]" {
		t.Error(c)
	}
}

var (
	people = map[id.Team]catalog.Team{"storefront": {Members: []id.Person{"lovis", "bob"}}, "platform": {Members: []id.Person{"pat"}}}
	web    = []Host{{Name: "web-1", Group: "web", Owner: "platform", Environment: "production"}}
)

func TestChanges(t *testing.T) {
	week := 7 * 24.0
	berlin := map[id.Team]catalog.Team{"storefront": {Members: []id.Person{"lovis"}, Hours: catalog.Hours{Zone: "Europe/Berlin"}}}
	f := Facts{Teams: berlin, Services: map[id.Service]id.Team{"shop": "storefront"}, Hosts: web}
	c := tale(slices.Concat(
		deployed(1, "deploy", "lovis", week+8.5, week+8.5, "b1"),                     // Monday 09:30 in Berlin
		deployed(2, "deploy", "lovis", week+16.5, week+16.5, "b2"),                   // 17:30: off
		deployed(3, "auto-rollback", "steer", week+40, week+40, "b1"),                // Tuesday 17:00: off, automatic
		[]event.Event{commit("aaa", "Weekend", "lovis", week+5*24+10, "hosts.yaml")}, // Saturday
		incidentOf(1, "shop/up", week+5*24+10, week+5*24+11, "shop", "production"),   // Saturday
		[]event.Event{told(event.HostChanged, "host/web-1", week+6*24+10, nil)},      // Sunday, by itself
	)...).changes(weeks, Query{}, f.known())
	got := line(c.People.Part, c.People.Of, c.Automatic.Part, c.Automatic.Of, c.Incidents.Part, c.Incidents.Of, len(c.Off), c.Off[0].What, "|")
	for _, cell := range c.Cells {
		got += fmt.Sprintf(" %d/%d:%v%d%d%d", cell.Weekday, cell.Hour, cell.Work, cell.People, cell.Automatic, cell.Incidents)
	}
	if want := "1 3 0 2 0 1 2 Weekend | 0/9:true100 0/17:false100 1/17:false010 5/11:false101 6/10:false010"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	// An environment has no commits.
	if c := tale(commit("aaa", "Weekend", "lovis", week+10)).changes(weeks, Query{Environment: "production"}, f.known()); c.People.Of != 0 {
		t.Errorf("%+v", c.People)
	}
}

// Whatever happened: shares add up, and the cells hold what the shares count.
func TestChangesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []event.Event
		hour := 0.0
		for n := range rapid.IntRange(0, 60).Draw(t, "events") {
			hour += rapid.Float64Range(0, 12).Draw(t, "pause")
			who := rapid.SampledFrom([]id.Person{"lovis", "steer", "nobody"}).Draw(t, "who")
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				events = append(events, deployed(n, "deploy", who, hour, hour, "b1")...)
			case 1:
				events = append(events, commit(fmt.Sprint("sha", n), "x", who, hour, "hosts.yaml"))
			case 2:
				events = append(events, told(event.HostChanged, "host/web-1", hour, nil, by(who)))
			case 3:
				events = append(events, incidentOf(n, "shop/up", hour, 0, "shop", "production")...)
			}
		}
		zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia"}).Draw(t, "zone")
		c := tale(events...).changes(weeks, Query{}, Facts{Teams: people, Hosts: web, Hours: catalog.Hours{Zone: zone}}.known())
		var people, automatic, incidents, work, ofPeople, ofSteer int
		for _, cell := range c.Cells {
			people, automatic, incidents = people+cell.People, automatic+cell.Automatic, incidents+cell.Incidents
			if n := cell.People + cell.Automatic + cell.Incidents; n == 0 || len(cell.Newest) != min(n, mostInCell) {
				t.Fatalf("%+v", cell)
			}
			if cell.Work {
				work += cell.People
			}
		}
		for _, k := range c.Kinds {
			ofPeople, ofSteer = ofPeople+k.People.Of, ofSteer+k.Automatic.Of
		}
		if people != c.People.Of || ofPeople != people || automatic != c.Automatic.Of || ofSteer != automatic || incidents != c.Incidents.Of || work < c.People.Part || len(c.Off) != min(mostOff, people-c.People.Part) {
			t.Fatalf("%+v", c)
		}
	})
}

// An answer that took long is given again, also to those who ask meanwhile; an error
// is not.
func TestAnswersAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &Measure{o: Options{Now: time.Now}, kept: map[Query]*answer{}}
		made, fails := 0, false
		m.measure = func(context.Context, Query, time.Time) (Signs, error) {
			made++
			n := made
			time.Sleep(3 * time.Second)
			if fails {
				return Signs{}, errors.New("away")
			}
			return Signs{Patches: Patches{Hosts: n}}, nil
		}
		ask := func(q Query, want int) {
			t.Helper()
			if s, err := m.Signs(t.Context(), q); err != nil || s.Patches.Hosts != want {
				t.Errorf("answer %d, %v; want %d", s.Patches.Hosts, err, want)
			}
		}
		go ask(Query{Days: 7}, 1)
		ask(Query{Days: 7}, 1)
		time.Sleep(29 * time.Second)
		ask(Query{Days: 7}, 1)
		ask(Query{}, 2)
		ask(Query{Days: 30}, 2)
		time.Sleep(2 * time.Second)
		ask(Query{Days: 7}, 3)
		gone, leave := context.WithCancel(t.Context())
		leave()
		if _, err := m.Signs(gone, Query{Days: 8}); !errors.Is(err, context.Canceled) {
			t.Errorf("who went away got %v", err)
		}
		ask(Query{Days: 8}, 4)
		fails = true
		if _, err := m.Signs(t.Context(), Query{Days: 9}); err == nil {
			t.Error("an error is kept for nobody")
		}
		fails = false
		ask(Query{Days: 9}, 6)
	})
}

// The reads are the same on both databases, and answer for what began before.
func TestReads(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		j, err := journal.New(t.Context(), db)
		if err != nil {
			t.Fatal(err)
		}
		week := 7 * 24.0
		events := slices.Concat(
			[]event.Event{told(event.Deployed, "deploy/1", -2000, map[string]any{"kind": "deploy"}, of("shop", "production", "b1", ""))},
			incidentOf(1, "shop/up", -10, week+1, "shop", "production"), // opened before both periods
			incidentOf(2, "shop/up", week+10, week+11, "shop", "production"),
			deployed(3, "deploy", "lovis", week+20, week+21, "b3"))
		for _, e := range events {
			if _, err := j.Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		m, err := New(Options{Journal: j, Now: func() time.Time { return at(2 * week) },
			Facts: func(context.Context) (Facts, error) {
				return Facts{Services: map[id.Service]id.Team{"shop": "storefront"}, Teams: people, Environments: []id.Environment{"production"}}, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Signs(t.Context(), Query{Days: 7, Environment: "production"})
		if err != nil {
			t.Fatal(err)
		}
		r := got.Failures.Services[0]
		if text := line(r.Name, r.Failures, r.Down, *r.Between, got.Requests.Kinds[0].Times.Count, got.First.Equal(at(-2000)), got.Before.Equal(at(0)), r.Repair.Samples[0].Ref); text != "shop 1 7200 597600 1 true true incident/2" {
			t.Error(text)
		}
		for q, want := range map[Query]string{{Days: 401}: "it takes 1 to 400", {Team: "shopfront"}: `did you mean "storefront"`, {Environment: "moon"}: "known: production"} {
			if _, err := m.Signs(t.Context(), q); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v", q, err)
			}
		}
		if b, _ := json.Marshal(got); strings.Contains(string(b), "lovis") {
			t.Errorf("a person is named: %s", b)
		}
	})
}
