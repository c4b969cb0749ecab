package timeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/journal"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const long = "abcdef1234567890abcdef1234567890abcdef12"

// story is two changes of a shop catalogue: b1, and the slow b2 that is taken back.
func story(t *testing.T) (*Timeline, map[string]event.Event) {
	t.Helper()
	j, err := journal.New(t.Context(), databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]event.Event{}
	add := func(name string, second int, e event.Event) {
		e.Time, e.Summary = start.Add(time.Duration(second)*time.Second), name
		if byName[name], err = j.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	data := func(s string) json.RawMessage { return json.RawMessage(s) }
	one := event.Event{Service: "catalog", Version: "b1", Chain: "c1"}
	two := event.Event{Service: "catalog", Version: "b2", Chain: "c2"}
	with := func(e event.Event, kind, subject, environment string) event.Event {
		e.Type, e.Subject, e.Environment = kind, subject, "production"
		if environment != "production" {
			e.Environment = ""
		}
		return e
	}
	add("b1 pushed", -7200, with(one, event.ChangeMerged, "commit/abcdef0"+strings.Repeat("0", 33), ""))
	add("b1 packaged", -7100, with(one, event.ArtifactPackaged, "artifact/catalog/b1", ""))
	add("b1 deployed", -7000, with(one, event.Deployed, "deploy/1", "production"))
	pushed := with(two, event.ChangeMerged, "commit/"+long, "")
	pushed.Actor = "ada"
	add("b2 pushed", 0, pushed)
	add("b2 built", 20, with(two, event.RunFinished, "run/2", ""))
	add("config", 25, event.Event{Type: event.DefinitionsChanged, Subject: "definitions/1"})
	add("b2 begins", 28, with(two, event.DeployStarted, "deploy/2", "production"))
	deployed := with(two, event.Upgraded, "deploy/2", "production")
	deployed.Data = data(fmt.Sprintf(`{"deploy":2,"kind":"deploy","previous":"b1","commit":%q,"committed":%q}`, long, start.Add(-10*time.Second).Format(time.RFC3339)))
	add("b2 deployed", 30, deployed)
	add("slow", 42, with(two, event.IncidentOpened, "incident/1", "production"))
	back := with(two, event.RolledBack, "deploy/3", "production")
	back.Version = "b1"
	add("back", 45, back)
	add("fine", 60, with(two, event.IncidentClosed, "incident/1", "production"))
	add("disk", 70, event.Event{Type: event.IncidentOpened, Subject: "incident/2", Service: "catalog", Environment: "production"})
	tl, err := New(Options{Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	return tl, byName
}

func summaries(events []event.Event) string {
	var list []string
	for _, e := range events {
		list = append(list, e.Summary)
	}
	return strings.Join(list, ", ")
}

func TestWhy(t *testing.T) {
	tl, events := story(t)
	const second = "b2 pushed, b2 built, b2 begins, b2 deployed, slow, back, fine"
	for ref, want := range map[string]string{
		"incident/1": second, "deploy/2": second, "deploy/3": second, "run/2": second, "catalog/b2": second,
		"version/catalog/b2": second, long: second, long[:9]: second, strings.ToUpper(long): second, "commit/" + long[:8]: second,
		events["back"].ID: second, " incident/1 ": second,
		"catalog/b1": "b1 pushed, b1 packaged, b1 deployed", "artifact/catalog/b1": "b1 pushed, b1 packaged, b1 deployed",
		"incident/2": "config, b2 begins, b2 deployed, slow, back, fine, disk",
	} {
		c, err := tl.Why(t.Context(), ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		if got := summaries(c.Events); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
		if (c.Note != "") != (c.Chain == "") || len(c.Summary) != len(c.Events) || c.Service != "catalog" {
			t.Errorf("%s: %+v", ref, c)
		}
	}
	for ref, kind := range map[string]fault.Kind{
		"": fault.NotFound, "nonsense": fault.NotFound, "incident/99": fault.NotFound, "catalog/b99": fault.NotFound, "1234567": fault.NotFound,
		long[:6]: fault.NotFound, "abcdef": fault.NotFound, strings.Repeat("a", 40): fault.NotFound, "00000000-0000-7000-8000-000000000000": fault.NotFound,
	} {
		_, err := tl.Why(t.Context(), ref)
		if fault.Of(err) != kind || !strings.Contains(err.Error(), "incident/7, deploy/12") {
			t.Errorf("%q: %v", ref, err)
		}
	}
}

func TestWhyOfAmbiguousCommit(t *testing.T) {
	tl, _ := story(t)
	other := event.Event{Type: event.ChangeMerged, Subject: "commit/abcdef12" + strings.Repeat("9", 32), Summary: "x"}
	if _, err := tl.journal.Record(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := tl.Why(t.Context(), "abcdef12"); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), long) {
		t.Error(err)
	}
}

func TestFiguresOfAChain(t *testing.T) {
	tl, _ := story(t)
	c, err := tl.Why(t.Context(), "incident/1")
	if err != nil {
		t.Fatal(err)
	}
	f := c.Figures
	if f.CommitToProduction == nil || *f.CommitToProduction != 40 || *f.DeployToDetected != 12 || *f.DetectedToRestored != 18 {
		t.Errorf("%v %v %v", f.CommitToProduction, f.DeployToDetected, f.DetectedToRestored)
	}
	if c.Version != "b2" || c.Environment != "production" {
		t.Errorf("about %s in %s", c.Version, c.Environment)
	}
	if got := c.Summary[0] + "|" + c.Summary[1]; got != "2026-03-01 12:00:00           b2 pushed (ada)|2026-03-01 12:00:20     +20s  b2 built" {
		t.Error(got)
	}
}

func TestChanges(t *testing.T) {
	tl, _ := story(t)
	for _, c := range []struct {
		second int
		window time.Duration
		want   string
	}{
		{42, time.Hour, "b2 deployed, config"},
		{29, time.Hour, "b2 begins, config"},
		{50, 6 * time.Second, "back"},
		{42, 3 * time.Hour, "b2 deployed, config, b1 deployed"},
	} {
		list, err := tl.Changes(t.Context(), "catalog", "production", start.Add(time.Duration(c.second)*time.Second), c.window)
		if got := summaries(list); err != nil || got != c.want {
			t.Errorf("%d s, %s: %s, %v; want %s", c.second, c.window, got, err, c.want)
		}
	}
	if list, err := tl.Changes(t.Context(), "other", "", start.Add(42*time.Second), time.Hour); err != nil || summaries(list) != "config" {
		t.Errorf("other service: %s, %v", summaries(list), err)
	}
}
