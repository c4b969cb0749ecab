package flow

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }

// deploy is an event of a version that took over traffic; committed < 0: unknown.
func deploy(name string, minute int, kind, version string, committed int, chain string) event.Event {
	d := map[string]any{"deploy": 1, "kind": kind}
	if committed >= -100000 {
		d["committed"] = at(committed)
	}
	data, _ := json.Marshal(d)
	typ := event.Upgraded
	if kind != "deploy" {
		typ = event.RolledBack
	}
	return event.Event{
		ID: name, Type: typ, Time: at(minute), Subject: "deploy/" + name, Service: "catalog", Environment: "production",
		Version: id.Version(version), Chain: chain, Data: data, Summary: name,
	}
}

func incident(name string, opened, closed int, chain string) []event.Event {
	o := event.Event{ID: name + "-opened", Type: event.IncidentOpened, Time: at(opened), Subject: "incident/" + name, Service: "catalog", Environment: "production", Chain: chain, Summary: name}
	list := []event.Event{o}
	if closed > 0 {
		c := o
		c.ID, c.Type, c.Time = name+"-closed", event.IncidentClosed, at(closed)
		list = append(list, c)
	}
	return list
}

func build(name string, minute int, green bool) event.Event {
	return event.Event{ID: name, Type: event.RunFinished, Time: at(minute), Subject: "run/" + name, Service: "catalog", Summary: name, Data: json.RawMessage(fmt.Sprintf(`{"run": 1, "green": %v}`, green))}
}

func story() []event.Event {
	events := []event.Event{
		build("r1", 0, true),
		deploy("d1", 10, "deploy", "b1", -90000, "c1"), // first: an old commit, no lead time
		build("r2", 20, false),
		build("r3", 25, true),
		deploy("d2", 40, "deploy", "b3", 20, "c2"), // 20 min
	}
	events = append(events, incident("i1", 45, 55, "c2")...)
	events = append(events,
		deploy("d3", 50, "auto-rollback", "b1", -90000, "c2"),
		deploy("d4", 100, "deploy", "b4", 60, "c3"), // 40 min
		deploy("d5", 200, "deploy", "b5", 100, "c4"),
		deploy("d6", 210, "deploy", "b4", 60, "c5")) // there before: no new change
	events = append(events, incident("i2", 220, 0, "")...) // blamed on nothing
	return events
}

func TestFiguresOfAStory(t *testing.T) {
	j, err := journal.New(t.Context(), databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range story() {
		if _, err := j.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	f, err := New(Options{Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Figures(t.Context(), Query{Since: at(0), Until: at(24 * 60)})
	if err != nil {
		t.Fatal(err)
	}
	s := got.Services[0]
	seconds := func(p *float64) float64 {
		if p == nil {
			return -1
		}
		return *p / 60
	}
	for what, c := range map[string]struct{ got, want any }{
		"services":         {len(got.Services), 1},
		"service":          {s.Service, id.Service("catalog")},
		"lead times":       {len(s.LeadTime.Samples), 3},
		"lead time":        {seconds(s.LeadTime.Median), 40.0},
		"deployments":      {s.Deployments.Count, 5},
		"per day":          {s.Deployments.PerDay, 5.0},
		"failed":           {s.ChangeFailure.Failed, 1},
		"of":               {s.ChangeFailure.Of, 5},
		"rate":             {*s.ChangeFailure.Rate, 0.2},
		"failure":          {fmt.Sprint(s.ChangeFailure.Causes[0].Events), "[d2 i1-opened i1-closed d3]"},
		"detect":           {seconds(s.TimeToDetect.Median), 5.0},
		"detect's events":  {fmt.Sprint(s.TimeToDetect.Samples[0].Events), "[d2 i1-opened]"},
		"restore":          {seconds(s.TimeToRestore.Median), 10.0},
		"recovery":         {seconds(s.Recovery.Median), 15.0},
		"recovery's":       {fmt.Sprint(s.Recovery.Samples[0].Events), "[d2 i1-closed]"},
		"good builds":      {fmt.Sprint(s.GoodBuilds.Events), "[r1 r3]"},
		"days":             {fmt.Sprint(s.GoodBuilds.Days), "[{2026-03-01 2 3}]"},
		"total like alone": {fmt.Sprint(got.Total.Deployments, *got.Total.LeadTime.Median), fmt.Sprint(s.Deployments, *s.LeadTime.Median)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", what, c.got, c.want)
		}
	}
	// A later window knows what was there before it.
	got, err = f.Figures(t.Context(), Query{Since: at(90), Until: at(150), Service: "catalog"})
	if err != nil || got.Total.Deployments.Count != 1 || len(got.Total.LeadTime.Samples) != 1 {
		t.Errorf("one hour: %+v, %v", got.Total, err)
	}
	// Elsewhere nothing happened, and JSON has lists, not null.
	got, err = f.Figures(t.Context(), Query{Environment: "ci", Since: at(0), Until: at(1), Service: "other"})
	text, _ := json.Marshal(got.Total)
	if err != nil || got.Total.ChangeFailure.Rate != nil || string(text) != `{"service":"","lead_time":{"median_seconds":null,"samples":[]},"deployments":{"count":0,"per_day":0,"events":[]},"change_failure":{"rate":null,"failed":0,"of":0,"failures":[]},"time_to_detect":{"median_seconds":null,"samples":[]},"time_to_restore":{"median_seconds":null,"samples":[]},"recovery":{"median_seconds":null,"samples":[]},"good_builds":{"good":0,"all":0,"per_day":0,"days":[],"events":[]}}` {
		t.Errorf("%v\n%s", err, text)
	}
	if _, err := f.Figures(t.Context(), Query{Since: at(1), Until: at(1)}); fault.Of(err) != fault.Invalid {
		t.Errorf("no time: %v", err)
	}
}

// Whatever the journal holds, the figures agree with themselves.
func TestADeployThatChangedNothingIsNone(t *testing.T) {
	again := deploy("d2", 20, "deploy", "b1", 15, "c1")
	again.Data = json.RawMessage(`{"deploy": 2, "kind": "deploy", "unchanged": true}`)
	f := measure([]event.Event{deploy("d1", 10, "deploy", "b1", 5, "c1"), again}, Query{Environment: "production", Since: at(0), Until: at(60)})
	if n := f.Total.Deployments.Count; n != 1 {
		t.Fatalf("%d deployments", n)
	}
}

func TestFiguresAreConsistent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var events []event.Event
		chains := []string{"", "c1", "c2"}
		minute := 0
		for n := range rapid.IntRange(0, 40).Draw(t, "events") {
			minute += rapid.IntRange(0, 30).Draw(t, "pause")
			name := fmt.Sprintf("e%03d", n)
			chain := rapid.SampledFrom(chains).Draw(t, "chain")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0, 1:
				events = append(events, deploy(name, minute, "deploy", fmt.Sprintf("b%d", rapid.IntRange(1, 5).Draw(t, "version")), rapid.IntRange(-10, minute+10).Draw(t, "committed"), chain))
			case 2:
				events = append(events, deploy(name, minute, "rollback", "b1", 0, chain))
			case 3:
				events = append(events, incident(name, minute, minute+rapid.IntRange(-1, 50).Draw(t, "lasts"), chain)...)
			case 4:
				events = append(events, build(name, minute, rapid.Bool().Draw(t, "green")))
			}
		}
		slices.SortStableFunc(events, func(a, b event.Event) int { return a.Time.Compare(b.Time) })
		f := measure(events, Query{Environment: "production", Since: start, Until: at(minute + 100)})
		s := f.Total
		known := map[string]bool{}
		for _, e := range events {
			known[e.ID] = true
		}
		if s.ChangeFailure.Failed > s.ChangeFailure.Of || s.GoodBuilds.Good > s.GoodBuilds.All || len(s.LeadTime.Samples) > s.Deployments.Count {
			t.Fatalf("%+v", s)
		}
		for _, times := range s.times() {
			for _, sample := range times.Samples {
				if sample.Seconds < 0 || len(sample.Events) == 0 {
					t.Fatalf("%+v", sample)
				}
				for _, e := range sample.Events {
					if !known[e] {
						t.Fatalf("event %q does not exist", e)
					}
				}
			}
		}
		for _, failure := range s.ChangeFailure.Causes {
			if len(failure.Events) < 2 {
				t.Fatalf("failed for no reason: %+v", failure)
			}
		}
	})
}
