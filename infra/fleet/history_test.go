package fleet

import (
	"fmt"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/database/databasetest"
)

// TestHistory: each change of a plan tells how changes of that resource went before,
// on all hosts, and what followed the last.
func TestHistory(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		s := newStage(t, db)
		s.rest()
		change := func(status string, took time.Duration, refs ...string) func(Task) (Outcome, error) {
			return func(v Task) (Outcome, error) {
				o := s.same()
				o.FailedConverge = status == "failed"
				for _, ref := range refs {
					o.Changes = append(o.Changes, Change{Ref: ref, Status: status, Action: "update", Took: took})
				}
				return o, nil
			}
		}
		visit := func(host, kind string, answer func(Task) (Outcome, error)) Visit {
			t.Helper()
			s.set(func() { s.answer, s.now = answer, s.now.Add(time.Minute) })
			return s.ask(Request{Hosts: []string{host}, Kind: kind})
		}
		plan := func() Visit { t.Helper(); return visit("a", Look, change("planned", 0, "file:/a", "file:/b")) }
		if v := plan(); v.Changes[0].History == nil || v.Changes[0].History.Changes != 0 || len(v.Changes[0].History.Incidents) != 0 {
			t.Errorf("%+v", v.Changes[0].History)
		}
		for _, took := range []time.Duration{5 * time.Second, time.Second, 2 * time.Second} {
			visit("a", Converge, change("changed", took, "file:/a"))
		}
		failed := visit("b", Converge, change("failed", time.Hour, "file:/a"))
		s.set(func() {
			s.incidents = map[int64]time.Time{7: failed.Finished.Add(59 * time.Minute), 8: failed.Finished.Add(61 * time.Minute), 6: failed.Finished.Add(-time.Second)}
		})
		v := plan()
		h := v.Changes[0].History
		if h.Changes != 4 || h.Failed != 1 || h.Hosts != 2 || h.Took != 2*time.Second || h.Visit != failed.ID || !h.Last.Equal(failed.Finished) || fmt.Sprint(h.Incidents) != "[7]" {
			t.Errorf("%+v", h)
		}
		if h := v.Changes[1].History; h.Changes != 0 || h.Incidents != nil {
			t.Errorf("another resource: %+v", h)
		}
		// A visit that is none has no history, and old changes are forgotten.
		if v, err := s.Visit(t.Context(), failed.ID); err != nil || v.Changes[0].History != nil {
			t.Errorf("%+v %v", v, err)
		}
		s.set(func() { s.now = s.now.Add(keepEventful + time.Hour) })
		if err := s.sweep(t.Context()); err != nil {
			t.Error(err)
		}
		if h, _, err := s.history(t.Context(), "file:/a"); err != nil || h.Changes != 0 {
			t.Errorf("%+v %v", h, err)
		}
	})
}
