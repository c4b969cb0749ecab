package graphite

import (
	"testing"

	"steer/base/database/databasetest"
	"steer/base/journal"
	"steer/listen/annotate"
)

// noted is a journal with the events of the data set.
func noted(t *testing.T) *annotate.Events {
	t.Helper()
	j, err := journal.New(t.Context(), databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	events, err := annotate.New(annotate.Options{Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range Events() {
		if _, err := events.Add(t.Context(), "ada", annotate.Event{When: e.When, What: e.What, Tags: e.Tags, Data: e.Data}); err != nil {
			t.Fatal(err)
		}
	}
	return events
}
