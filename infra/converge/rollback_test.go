package converge_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
)

// back rolls back, and returns the results as run does.
func (w *world) back(to int, o converge.Options) (string, converge.Report, error) {
	w.events = nil
	o.Host, o.Kinds, o.Dir = infra.NewHost(w.t.Context()), infratest.Kinds(), w.state
	o.Event = func(e converge.Event) { w.events = append(w.events, e) }
	report, err := converge.Rollback(w.t.Context(), to, o)
	return w.told(), report, err
}

// whole is everything in the world, but for the bell, and what is remembered of it.
func (w *world) whole() string {
	var all []string
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "bell" && !e.IsDir() {
			all = append(all, e.Name()+"="+w.file(e.Name()))
		}
	}
	state, err := converge.ReadState(w.state)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range state.Owned {
		if w.file(filepath.Base(o.ID)) == "(none)" {
			continue // removed, by a role or by hand: whose it was means nothing
		}
		all = append(all, fmt.Sprintf("owned %s by %s", filepath.Base(o.ID), o.Role))
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

// TestRollbackAnything: whatever was applied over whatever, a rollback brings back
// exactly what was there, a second one what was rolled back; also when the last run was
// cut off anywhere.
func TestRollbackAnything(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		names := []string{"a", "b", "c", "d", "e"}
		texts := rapid.SampledFrom([]string{"", "x", "y", "two\nlines\n", "BREAK"})
		for _, n := range names {
			if rapid.Bool().Draw(rt, "by hand") {
				w.write(n, "by hand "+n)
			}
		}
		states := []string{w.whole()}
		generation := 0
		runs := rapid.IntRange(1, 4).Draw(rt, "runs")
		for i := range runs {
			var all []infra.Declared
			ctx, cancel := context.WithCancel(t.Context())
			cut := rapid.IntRange(-8, len(names)).Draw(rt, "cut")
			for at, n := range names {
				if rapid.IntRange(0, 2).Draw(rt, "declared") == 0 {
					continue
				}
				d := w.note(n, texts.Draw(rt, "text"), func(d *infra.Declared) { d.Role = rapid.SampledFrom([]string{"r", "s"}).Draw(rt, "role") })
				if at == cut && i == runs-1 {
					d.Resource.(*infratest.Note).Applied = cancel
				}
				if rapid.IntRange(0, 3).Draw(rt, "absent") == 0 {
					d.Resource.(*infratest.Note).State, d.Resource.(*infratest.Note).Text = "absent", ""
				}
				all = append(all, d)
			}
			if _, _, err := w.try(ctx, converge.Options{Parallel: rapid.SampledFrom([]int{1, 4}).Draw(rt, "parallel")}, all...); err != nil && ctx.Err() == nil {
				rt.Fatal(err)
			}
			cancel()
			state, err := converge.ReadState(w.state)
			if err != nil {
				rt.Fatal(err)
			}
			if state.Generation == generation {
				states[generation] = w.whole() // it may have found that something is gone
				continue
			}
			generation = state.Generation
			states = append(states, w.whole())
		}
		if generation == 0 {
			return
		}
		to := rapid.IntRange(0, generation-1).Draw(rt, "to")
		before := w.whole()
		dry, r, err := w.back(to, converge.Options{DryRun: true})
		if err != nil || w.whole() != before {
			rt.Fatalf("dry: %v\n%s\n%s", err, before, w.whole())
		}
		planned := r.Changes()
		got, r, err := w.back(to, converge.Options{By: "me"})
		if err != nil || r.Failed() || r.Changes() != planned {
			rt.Fatalf("%v %+v\n%s\n%s", err, r, dry, got)
		}
		if w.whole() != states[to] {
			rt.Fatalf("back to %d: %s\nis   %s\nwant %s", to, got, w.whole(), states[to])
		}
		if planned == 0 {
			return
		}
		if got, r, err = w.back(-1, converge.Options{}); err != nil || r.Failed() || w.whole() != before {
			rt.Fatalf("forth: %v %s\nis   %s\nwant %s", err, got, w.whole(), before)
		}
	})
}

func TestRollback(t *testing.T) {
	w := newWorld(t)
	if _, _, err := w.back(-1, converge.Options{}); fault.Of(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	all := func(text string) []infra.Declared {
		return []infra.Declared{w.note("a", text, w.tellsBell), w.note("b", "same"), w.bell()}
	}
	w.run(converge.Options{By: "anna", Version: "commit 1"}, all("x")...)
	w.run(converge.Options{By: "ben"}, all("y")...)
	w.is(w.file("bell"), "rung\nrung\n")
	got, r, err := w.back(-1, converge.Options{By: "carl"})
	if err != nil || r.Generation != 3 || r.Hash != "" {
		t.Errorf("%+v %v", r, err)
	}
	w.is(got, "bell:bell changed run (notified); note:a changed update")
	w.is(w.file("a")+w.file("b")+w.file("bell"), "xsamerung\nrung\nrung\n")
	list, err := converge.Generations(w.state)
	if err != nil || len(list) != 3 || list[0].By != "carl" || list[0].BackTo == nil || *list[0].BackTo != 1 || list[2].Version != "commit 1" || list[2].Counts[converge.Changed] != 3 || list[1].Ended.IsZero() || len(list[1].Changed) != 2 {
		t.Errorf("%+v %v", list, err)
	}
	// A change that broke is undone as well; and nothing more is told than was.
	got, _ = w.run(converge.Options{Parallel: 1}, w.note("a", "BREAK"), w.note("b", "same"), w.note("c", "new"), w.bell())
	w.is(got, "bell:bell skipped (note:a failed before it); note:a failed update (cannot be written: BREAK); note:b skipped (note:a failed before it); note:c skipped (note:a failed before it)")
	got, _, err = w.back(1, converge.Options{})
	if err != nil {
		t.Error(err)
	}
	w.is(got, "note:a ok")
	for _, to := range []int{4, 9} {
		if _, _, err := w.back(to, converge.Options{}); fault.Of(err) != fault.Invalid {
			t.Errorf("to %d: %v", to, err)
		}
	}
	info, err := os.Stat(filepath.Join(w.state, "generations", "1", "undo.jsonl"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

// hammer changes something that it cannot describe.
type hammer struct{ path string }

func (h *hammer) ID() string { return "hit" }

func (h *hammer) Diff(context.Context, *infra.Host) (infra.Diff, error) {
	return infra.Diff{Action: infra.Run}, nil
}

func (h *hammer) Apply(context.Context, *infra.Host, infra.Diff) error {
	return os.WriteFile(h.path, []byte("hit"), 0o600)
}

// TestWhatCannotBeUndone is named, and the rest is undone.
func TestWhatCannotBeUndone(t *testing.T) {
	w := newWorld(t)
	w.run(converge.Options{}, w.note("a", "x"), infra.Declared{Kind: "hammer", ID: "hit", Role: "r", Resource: &hammer{filepath.Join(w.dir, "h")}})
	for _, dry := range []bool{true, false} {
		got, r, err := w.back(0, converge.Options{DryRun: dry})
		want := "hammer:hit drifted (cannot be undone: what a hammer did is not known); note:a changed delete"
		if dry {
			want = strings.Replace(want, "changed", "planned", 1)
		}
		w.is(got, want)
		if err != nil || r.Failed() || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "hammer:hit cannot be undone: what") {
			t.Errorf("%+v %v", r, err)
		}
	}
	w.is(w.file("a")+w.file("h"), "(none)hit")
}

// TestSecretsOfTheUndone: what was there is shown no more than what is there.
func TestSecretsOfTheUndone(t *testing.T) {
	w := newWorld(t)
	secret := func(d *infra.Declared) { d.Sensitive = true }
	w.run(converge.Options{}, w.note("a", "hunter1", secret))
	w.run(converge.Options{}, w.note("a", "hunter2", secret))
	w.run(converge.Options{}, w.note("a", "open")) // what it replaces is secret all the same
	w.run(converge.Options{})                      // gone
	for range 4 {
		if _, _, err := w.back(-1, converge.Options{}); err != nil {
			t.Fatal(err)
		}
		for _, e := range w.events {
			if s := fmt.Sprintf("%+v", e); strings.Contains(s, "hunter") {
				t.Error(s)
			}
		}
		if _, _, err := w.back(0, converge.Options{DryRun: true}); err != nil {
			t.Fatal(err)
		}
		for _, e := range w.events {
			if s := fmt.Sprintf("%+v", e); strings.Contains(s, "hunter") {
				t.Error(s)
			}
		}
	}
}

// TestKeptGenerations: the last 20, and an older one is refused.
func TestKeptGenerations(t *testing.T) {
	w := newWorld(t)
	for i := range 25 {
		w.run(converge.Options{}, w.note("a", fmt.Sprint(i)))
	}
	list, err := converge.Generations(w.state)
	if err != nil || len(list) != 20 || list[0].Number != 25 || list[19].Number != 6 {
		t.Fatalf("%d %v", len(list), err)
	}
	if _, _, err := w.back(4, converge.Options{}); fault.Of(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
	if _, _, err := w.back(5, converge.Options{}); err != nil {
		t.Error(err)
	}
	w.is(w.file("a"), "4")
}
