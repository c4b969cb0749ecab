package journal_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/journal"
)

func open(t *testing.T, db *database.DB) *journal.Journal {
	t.Helper()
	j, err := journal.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// record appends n short events that differ in their summary.
func record(t *testing.T, j *journal.Journal, n int) {
	t.Helper()
	for i := range n {
		if _, err := j.Record(t.Context(), event.Event{Type: "t", Subject: "s/1", Summary: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEventIsReadAsWritten(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		j := open(t, db)
		want := event.Event{
			Source: "/steer/deploy", Type: event.Deployed, Subject: "deploy/1", Time: time.Now(), Data: json.RawMessage(`{"nodes": 2}`),
			Summary: "catalog b1 serves in production", Actor: "ada", Reason: "asked for", Service: "catalog",
			Environment: "production", Version: "b1", Chain: "c1", Cause: "e0",
		}
		stored, err := j.Record(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if stored.ID == "" || stored.Seq != 1 {
			t.Fatalf("id %q, seq %d", stored.ID, stored.Seq)
		}
		want.ID, want.Seq, want.Time = stored.ID, 1, want.Time.UTC().Truncate(time.Microsecond)
		got, err := j.Get(t.Context(), stored.ID)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(stored, got); d != "" {
			t.Error("Record returned another event than it stored:", d)
		}
		if _, err := j.Get(t.Context(), "none"); fault.Of(err) != fault.NotFound {
			t.Errorf("unknown id: %v", err)
		}
		// The same event once more: refused, and no number is lost.
		if _, err := j.Record(t.Context(), stored); fault.Of(err) != fault.Conflict {
			t.Errorf("event twice: %v", err)
		}
		record(t, j, 1)
		if n, err := j.Last(t.Context()); n != 2 || err != nil {
			t.Errorf("last %d, %v; want 2", n, err)
		}
	})
}

func TestAppendFillsAndCleans(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		j := open(t, db)
		e, err := j.Record(t.Context(), event.Event{
			Type: "t", Subject: "commit/1", Summary: "zero \x00 and broken \xff", Reason: strings.Repeat("é", 20000), Data: json.RawMessage("\"\xff\""),
		})
		if err != nil {
			t.Fatal(err)
		}
		if e.Actor != event.Steer || e.ID == "" || time.Since(e.Time) > time.Minute || e.Time.Location() != time.UTC {
			t.Errorf("filled in: %+v", e)
		}
		if e.Summary != "zero \uFFFD and broken \uFFFD" || len(e.Reason) > 17000 || !strings.HasSuffix(e.Reason, "…") {
			t.Errorf("summary %q, reason of %d bytes", e.Summary, len(e.Reason))
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	j := open(t, databasetest.SQLite(t))
	good := event.Event{Type: "t", Subject: "s/1", Summary: "x"}
	for want, change := range map[string]func(*event.Event){
		"no type":        func(e *event.Event) { e.Type = "" },
		"no subject":     func(e *event.Event) { e.Subject = "" },
		"no summary":     func(e *event.Event) { e.Summary = "" },
		"not JSON":       func(e *event.Event) { e.Data = json.RawMessage("{") },
		"at most 262144": func(e *event.Event) { e.Data = json.RawMessage(`"` + strings.Repeat("x", 256<<10) + `"`) },
	} {
		e := good
		change(&e)
		if _, err := j.Record(t.Context(), e); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestRolledBackEventLeavesNoGap(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		j := open(t, db)
		record(t, j, 1)
		wrong := errors.New("wrong")
		err := db.Tx(t.Context(), func(tx *sql.Tx) error {
			e := event.Event{Type: "t", Subject: "s/1", Summary: "never"}
			if err := j.Append(t.Context(), tx, &e); err != nil {
				return err
			}
			return wrong
		})
		if err != wrong {
			t.Fatal(err)
		}
		record(t, j, 1)
		events, err := j.Read(t.Context(), journal.Query{})
		if err != nil || len(events) != 2 || events[1].Seq != 2 {
			t.Fatalf("%v, %v", events, err)
		}
	})
}

func TestQuery(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		j := open(t, db)
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range 12 {
			e := event.Event{
				Type: []string{"a", "b", "c"}[i%3], Subject: fmt.Sprintf("run/%d", i%4), Summary: "x",
				Time: start.Add(time.Duration(i) * time.Minute), Chain: fmt.Sprintf("c%d", i%2),
			}
			if i%2 == 1 {
				e.Service, e.Environment, e.Version = "catalog", "production", "b7"
			}
			if _, err := j.Record(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		for name, c := range map[string]struct {
			q    journal.Query
			want []int64
		}{
			"all":         {journal.Query{}, []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
			"after":       {journal.Query{After: 10}, []int64{11, 12}},
			"before":      {journal.Query{Before: 3}, []int64{1, 2}},
			"between":     {journal.Query{After: 3, Before: 6}, []int64{4, 5}},
			"newest":      {journal.Query{Newest: true, Limit: 3}, []int64{12, 11, 10}},
			"page back":   {journal.Query{Newest: true, Before: 10, Limit: 2}, []int64{9, 8}},
			"limit":       {journal.Query{Limit: 2}, []int64{1, 2}},
			"since":       {journal.Query{Since: start.Add(10 * time.Minute)}, []int64{11, 12}},
			"until":       {journal.Query{Until: start.Add(2 * time.Minute)}, []int64{1, 2}},
			"subject":     {journal.Query{Subject: "run/3"}, []int64{4, 8, 12}},
			"types":       {journal.Query{Types: []string{"a", "c"}, Limit: 4}, []int64{1, 3, 4, 6}},
			"chain":       {journal.Query{Chain: "c0", After: 6}, []int64{7, 9, 11}},
			"service":     {journal.Query{Service: "catalog", After: 8}, []int64{10, 12}},
			"environment": {journal.Query{Environment: "production", Before: 4}, []int64{2}},
			"version":     {journal.Query{Version: "b7", Types: []string{"b"}}, []int64{2, 8}},
			"none":        {journal.Query{Subject: "run/9"}, nil},
		} {
			events, err := j.Read(t.Context(), c.q)
			var got []int64
			for _, e := range events {
				got = append(got, e.Seq)
			}
			if d := cmp.Diff(c.want, got); d != "" || err != nil {
				t.Errorf("%s: %v %s", name, err, d)
			}
		}
	})
}

// Many writers commit at the same time, on two handles of one database, while
// subscribers read: each must see 1, 2, 3, … without a gap.
func TestSubscribersSeeEveryEventInOrder(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		j, writer := open(t, db), open(t, db) // the writer's journal cannot wake the subscribers'
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		const total = 160
		var wg sync.WaitGroup
		for s := range 3 {
			wg.Go(func() {
				next := int64(1)
				done := errors.New("done")
				err := j.Subscribe(ctx, 0, func(e event.Event) error {
					if e.Seq != next {
						return fmt.Errorf("seq %d, want %d", e.Seq, next)
					}
					if next++; next > total {
						return done
					}
					return nil
				})
				if err != done {
					t.Errorf("subscriber %d at %d: %v", s, next, err)
				}
			})
		}
		for range 4 {
			wg.Go(func() {
				for range total / 4 {
					if _, err := writer.Record(ctx, event.Event{Type: "t", Subject: "s/1", Summary: "x"}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestSlowSubscriberDelaysNobody(t *testing.T) {
	j := open(t, databasetest.SQLite(t))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stuck := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		j.Subscribe(ctx, 0, func(event.Event) error { close(stuck); <-ctx.Done(); return nil })
	})
	record(t, j, 150)
	<-stuck
	done := errors.New("done")
	if err := j.Subscribe(ctx, 100, func(e event.Event) error {
		if e.Seq == 150 {
			return done
		}
		return nil
	}); err != done {
		t.Error(err)
	}
	cancel()
	wg.Wait()
}

func TestEventOfAnotherProcessIsSeenWithin100ms(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		j, other := open(t, db), open(t, db)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		seen := make(chan struct{})
		go j.Subscribe(ctx, 0, func(event.Event) error { seen <- struct{}{}; return nil })
		var took []time.Duration
		for range 20 {
			record(t, other, 1)
			committed := time.Now()
			<-seen
			took = append(took, time.Since(committed))
		}
		var within int
		for _, d := range took {
			if d < 100*time.Millisecond {
				within++
			}
		}
		if within < 15 { // a busy machine may delay some
			t.Errorf("seen after %v", took)
		}
	})
}

func TestSubscribeEndsWithItsContext(t *testing.T) {
	j := open(t, databasetest.SQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Subscribe(ctx, 0, func(event.Event) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestFrom: no event since a time is left out, also where some tell late of what was
// before.
func TestFrom(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		j := open(t, db)
		begin := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
		if from, err := j.From(t.Context(), begin); err != nil || from != 0 {
			t.Fatalf("an empty journal: %d, %v", from, err)
		}
		for _, hour := range []int{0, 1, 2, 1, 5, 4, 6} { // the fourth and the sixth come late
			if _, err := j.Record(t.Context(), event.Event{Type: "t", Subject: "s/1", Summary: "x", Time: begin.Add(time.Duration(hour) * time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
		for hour, want := range map[int]int64{-1: 0, 0: 0, 1: 1, 2: 2, 3: 4, 4: 4, 5: 4, 6: 6, 7: 7} {
			since := begin.Add(time.Duration(hour) * time.Hour)
			from, err := j.From(t.Context(), since)
			if err != nil || from != want {
				t.Errorf("from hour %d: %d, %v; want %d", hour, from, err, want)
			}
			all, _ := j.Read(t.Context(), journal.Query{Since: since})
			some, _ := j.Read(t.Context(), journal.Query{Since: since, After: from})
			if len(all) != len(some) {
				t.Errorf("from hour %d: %d events of %d", hour, len(some), len(all))
			}
		}
	})
}
