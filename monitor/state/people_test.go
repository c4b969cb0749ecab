package state

import (
	"database/sql"
	"strings"
	"testing"

	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/fault"
	"steer/catalog"
)

func TestPeopleAnswer(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		c := slow()
		c.For = 0
		w.checks, w.values["ttfb"] = []catalog.Check{c}, 500
		e := w.engine()
		ctx := t.Context()
		look := func() {
			t.Helper()
			e.reconcile(ctx)
			e.evaluate(ctx, e.lookup("catalog/slow"))
		}
		look()
		i := w.incidents(e, Open, 1)[0]

		if i, err := e.Acknowledge(ctx, i.ID, "ada", "looking"); err != nil || i.State != Acknowledged || i.AckedBy != "ada" || i.Acknowledged == nil {
			t.Fatalf("%+v %v", i, err)
		}
		_, err := e.Acknowledge(ctx, i.ID, "bob", "me too")
		if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "ada acknowledged it at 20") || !strings.Contains(err.Error(), "looking") {
			t.Errorf("twice: %v", err)
		}
		if _, err := e.Acknowledge(ctx, 99, "ada", ""); fault.Of(err) != fault.NotFound {
			t.Errorf("unknown: %v", err)
		}
		if _, err := e.Acknowledge(ctx, i.ID, "", ""); fault.Of(err) != fault.Invalid {
			t.Errorf("nobody: %v", err)
		}
		w.incidents(e, Acknowledged, 1)
		w.incidents(e, Open, 0)

		if i, err := e.Resolve(ctx, i.ID, "ada", "known, is being replaced"); err != nil || i.State != Resolved || i.ResolvedBy != "ada" {
			t.Fatalf("%+v %v", i, err)
		}
		for what, err := range map[string]error{"acknowledge": second(e.Acknowledge(ctx, i.ID, "bob", "")), "resolve": second(e.Resolve(ctx, i.ID, "bob", ""))} {
			if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), what+" incident 1: ada resolved it at") {
				t.Errorf("%s: %v", what, err)
			}
		}
		if s := w.state(e, "catalog/slow", Critical); s.Incident != 0 {
			t.Errorf("%+v", s)
		}
		look() // still bad, but somebody decided
		e = w.engine()
		look()
		w.incidents(e, Active, 0)
		w.values["ttfb"] = 1
		look()
		w.values["ttfb"] = 500
		look()
		if i := w.incidents(e, Active, 1)[0]; i.Previous != 1 {
			t.Errorf("%+v", i)
		}
		if got := w.types(); got != "check opened acked closed check check opened" {
			t.Errorf("journal: %s", got)
		}
	})
}

func second(_ Incident, err error) error { return err }

func TestIncidentByCall(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		w := newWorld(t, db)
		e := w.engine()
		open := func(i Incident) (out Incident, err error) {
			err = db.Tx(t.Context(), func(tx *sql.Tx) error {
				out, err = e.Open(t.Context(), tx, i)
				return err
			})
			return out, err
		}
		want := Incident{Check: "deploy/catalog", Title: "catalog cannot be taken back", Severity: "page", Service: "catalog", Chain: "c1", Cause: "e1"}
		i, err := open(want)
		if err != nil || i.ID != 1 || i.State != Open || len(w.opened) != 1 {
			t.Fatalf("%+v %v", i, err)
		}
		if _, err := open(want); fault.Of(err) != fault.Conflict {
			t.Errorf("twice: %v", err)
		}
		// A worse one takes the place of a less severe one, and follows it.
		milder := Incident{Check: "host/a", Title: "a test fails", Severity: "info"}
		if _, err := open(milder); err != nil {
			t.Error(err)
		}
		milder.Severity = "page"
		worse, err := open(milder)
		if was, _ := e.Incident(t.Context(), 2); err != nil || worse.Previous != 2 || was.State != Resolved || was.ResolveReason != "it is a page now: a test fails" {
			t.Errorf("%+v, before: %+v, %v", worse, was, err)
		}
		if milder.Severity = "ticket"; fault.Of(second(open(milder))) != fault.Conflict {
			t.Error("a milder one took its place")
		}
		if _, err := e.Resolve(t.Context(), worse.ID, "ada", "done"); err != nil {
			t.Error(err)
		}
		if _, err := open(Incident{}); fault.Of(err) != fault.Invalid {
			t.Errorf("empty: %v", err)
		}
		e = w.engine() // no check is behind it, so nothing but a person ends it
		e.reconcile(t.Context())
		e.reconcile(t.Context())
		e.reconcile(t.Context())
		w.incidents(e, Active, 1)
		if _, err := e.Resolve(t.Context(), 1, "ada", "done"); err != nil {
			t.Error(err)
		}
		for filter, n := range map[Filter]int{
			{Service: "catalog"}: 1, {Service: "other"}: 0, {Environment: "production"}: 0, {Check: "deploy/catalog"}: 1, {Before: 1}: 0, {Before: 2, Limit: 5}: 1,
		} {
			if list, err := e.Incidents(t.Context(), filter); err != nil || len(list) != n {
				t.Errorf("%+v: %d, %v", filter, len(list), err)
			}
		}
		if _, err := e.Incidents(t.Context(), Filter{State: "bad"}); fault.Of(err) != fault.Invalid {
			t.Error(err)
		}
	})
}
