package annotate

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/journal"
)

const start = 1772366400

// open makes a journal of a deploy that went wrong, ten seconds between events,
// and things that no graph shows.
func open(t *testing.T, db *database.DB) *Events {
	t.Helper()
	j, err := journal.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []event.Event{
		{Type: event.ChangeMerged, Summary: "commit", Service: "shop", Actor: "ada"},
		{Type: event.DeployStarted, Summary: "begins", Service: "shop", Environment: "production"},
		{Type: event.Upgraded, Summary: "deployed", Service: "shop", Environment: "production", Actor: "olga", Reason: "sale"},
		{Type: event.CheckChanged, Summary: "slow", Service: "shop"},
		{Type: event.IncidentOpened, Summary: "incident", Service: "shop", Environment: "production", Reason: "slow"},
		{Type: event.RolledBack, Summary: "back", Service: "shop", Environment: "production"},
		{Type: event.IncidentClosed, Summary: "over", Service: "shop", Environment: "production"},
		{Type: event.Deployed, Summary: "other", Service: "mail", Environment: "mail"},
	} {
		e.Subject, e.Time = "x/1", time.Unix(start+10*int64(i), 500_000_000)
		if _, err := j.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	events, err := New(Options{Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func names(list []Event) string {
	var all []string
	for _, e := range list {
		all = append(all, e.What)
	}
	return strings.Join(all, " ")
}

func TestFind(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		e := open(t, db)
		for _, add := range []Event{
			{What: "campaign", When: start + 5, Tags: []string{"shop", "campaign"}},
			{What: "outage", When: start - 1000, Tags: []string{"deploy", "power"}},
		} {
			if _, err := e.Add(t.Context(), "ada", add); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range []struct {
			q    Query
			want string
		}{
			{Query{}, "outage commit campaign deployed incident back over other"},
			{Query{Tags: []string{"deploy"}}, "outage deployed back other"},
			{Query{Tags: []string{"deploy", "shop"}}, "deployed back"},
			{Query{Tags: []string{"rollback"}}, "back"},
			{Query{Tags: []string{"incident", "opened", "production"}}, "incident"},
			{Query{Tags: []string{"power", "mail", "nope"}, Any: true}, "outage other"},
			{Query{Tags: []string{"deploy", "nope"}}, ""},
			{Query{Tags: []string{"nope"}}, ""},
			{Query{Any: true}, "outage commit campaign deployed incident back over other"},
			{Query{From: start, Until: start + 20}, "commit campaign deployed"}, // half a second behind its last second
			{Query{From: start + 20, Until: start + 20}, "deployed"},
			{Query{From: start + 21, Until: start + 39}, ""},
			{Query{From: start + 51}, "over other"},
			{Query{Limit: 3}, "outage campaign other"}, // the last that were recorded
			{Query{Tags: []string{"deploy"}, Limit: 1}, "outage"},
		} {
			got, err := e.Find(t.Context(), c.q)
			if err != nil || names(got) != c.want || got == nil {
				t.Errorf("%+v: %s, %v; want %s", c.q, names(got), err, c.want)
			}
		}
	})
}

func TestShown(t *testing.T) {
	e := open(t, databasetest.SQLite(t))
	all, err := e.Find(t.Context(), Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Event{
		{1, start, "commit", []string{"commit", "shop"}, "by ada"},
		{3, start + 20, "deployed", []string{"deploy", "shop", "production"}, "by olga: sale"},
		{5, start + 40, "incident", []string{"incident", "opened", "shop", "production"}, "slow"},
		{6, start + 50, "back", []string{"deploy", "rollback", "shop", "production"}, ""},
		{7, start + 60, "over", []string{"incident", "resolved", "shop", "production"}, ""},
		{8, start + 70, "other", []string{"deploy", "mail"}, ""},
	}
	if d := cmp.Diff(want, all); d != "" {
		t.Error(d)
	}
	for _, w := range want {
		if got, err := e.Get(t.Context(), w.ID); err != nil || !cmp.Equal(got, w) {
			t.Errorf("%d: %+v, %v", w.ID, got, err)
		}
	}
	for _, n := range []int64{-1, 0, 2, 4, 9} { // 2 and 4 are nothing for graphs
		if _, err := e.Get(t.Context(), n); fault.Of(err) != fault.NotFound {
			t.Errorf("%d: %v", n, err)
		}
	}
}

func TestAdd(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		e := open(t, db)
		before := time.Now().Unix()
		added, err := e.Add(t.Context(), "ada", Event{What: "sale", Tags: []string{"shop sale", "shop", " "}, Data: "50 %"})
		if err != nil || added.ID != 9 || added.When < before || added.When > time.Now().Unix() {
			t.Fatalf("%+v, %v", added, err)
		}
		if got, err := e.Get(t.Context(), 9); err != nil || !cmp.Equal(got, added) || !slices.Equal(got.Tags, []string{"shop", "sale"}) || got.Data != "50 %" {
			t.Errorf("%+v, %v", got, err)
		}
		// It is an event like others, with an author.
		list, err := e.journal.Read(t.Context(), journal.Query{Types: []string{event.Noted}})
		if err != nil || len(list) != 1 || list[0].Actor != "ada" || list[0].Summary != "sale" || list[0].Subject != "note/"+list[0].ID {
			t.Errorf("%+v, %v", list, err)
		}
		for want, bad := range map[string]Event{
			`"what" is missing`:       {What: " "},
			"at most 1024":            {What: strings.Repeat("x", 1025)},
			"at most 4096":            {What: "x", Tags: []string{strings.Repeat("t ", 2100)}},
			"at most 65536":           {What: "x", Data: strings.Repeat("d", 65537)},
			"seconds since 1970":      {What: "x", When: -1},
			`"when" is 253402300800;`: {What: "x", When: 253402300800},
		} {
			if _, err := e.Add(t.Context(), "ada", bad); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
				t.Errorf("want %s: %v", want, err)
			}
		}
	})
}

// Rare tags are found behind many others.
func TestFindReadsPages(t *testing.T) {
	e := open(t, databasetest.SQLite(t))
	for i := range 2*page + 10 {
		if _, err := e.Add(t.Context(), "ada", Event{What: fmt.Sprint(i), When: start + 1000, Tags: []string{"many"}}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Find(t.Context(), Query{Tags: []string{"rollback"}})
	if err != nil || names(got) != "back" {
		t.Errorf("%s, %v", names(got), err)
	}
	if got, err = e.Find(t.Context(), Query{Tags: []string{"many"}}); err != nil || len(got) != usualLimit || got[0].What != "1010" {
		t.Errorf("%d, the first is %q, %v", len(got), got[0].What, err)
	}
}

// The guide lists the tags.
func TestGuideListsTags(t *testing.T) {
	text, err := os.ReadFile("../../docs/guide/graphite.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds() {
		tags := "`" + strings.Join(k.tags, "` `") + "`"
		if len(k.tags) > 0 && !strings.Contains(string(text), "| "+tags+" |") && !strings.Contains(string(text), ", "+tags+" |") && !strings.Contains(string(text), "| "+tags+",") {
			t.Errorf("docs/guide/graphite.md does not tell of %s", tags)
		}
	}
}
