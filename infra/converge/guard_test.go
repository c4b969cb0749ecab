package converge_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
)

// guard watches over runs in this world, in this process.
func (w *world) guard(ctx context.Context, within time.Duration) (g *converge.Guard, ended chan error) {
	ended = make(chan error, 1)
	return &converge.Guard{Within: within, Start: func(dir string, generation int, within time.Duration) error {
		go func() {
			ended <- converge.Watch(ctx, generation, within, converge.Options{Host: infra.NewHost(ctx), Kinds: infratest.Kinds(), Dir: dir})
		}()
		return nil
	}}, ended
}

func TestConfirmed(t *testing.T) {
	w := newWorld(t)
	g, ended := w.guard(t.Context(), time.Hour)
	_, r := w.run(converge.Options{Guard: g}, w.note("a", "x"))
	if !r.Unconfirmed || r.Generation != 1 {
		t.Errorf("%+v", r)
	}
	// Until then nobody else may change the host.
	_, _, err := w.try(t.Context(), converge.Options{}, w.note("a", "y"))
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "generation 1 of this host waits to be confirmed, and is undone 1h0m0s after its end otherwise") {
		t.Errorf("got %v", err)
	}
	if _, r := w.run(converge.Options{DryRun: true}, w.note("a", "y")); len(r.Notes) != 1 {
		t.Errorf("%+v", r)
	}
	if list, err := converge.Generations(w.state); err != nil || !list[0].Unconfirmed {
		t.Errorf("%+v %v", list, err)
	}
	if err := converge.Confirm(w.state, 2); fault.Of(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	for range 2 { // whose answer was lost asks again
		if err := converge.Confirm(w.state, 1); err != nil {
			t.Error(err)
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	// A run without changes needs no guard.
	g, _ = w.guard(t.Context(), time.Hour)
	_, r = w.run(converge.Options{Guard: g}, w.note("a", "x"))
	if r.Unconfirmed || len(r.Notes) > 0 {
		t.Errorf("%+v", r)
	}
	w.is(w.file("a"), "x")
}

// TestUnconfirmed: what nobody confirms is undone, whether the run came to its end or not.
func TestUnconfirmed(t *testing.T) {
	for _, cut := range []bool{false, true} {
		w := newWorld(t)
		w.write("b", "mine")
		g, ended := w.guard(t.Context(), time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		last := w.note("b", "x", func(d *infra.Declared) { d.Class = "" })
		if cut {
			last.Resource.(*infratest.Note).Applied = cancel
		}
		if _, _, err := w.try(ctx, converge.Options{Guard: g}, w.note("a", "x", w.tellsBell), last, w.bell()); (err != nil) != cut {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		w.is(w.file("a")+w.file("b"), "(none)mine")
		if err := converge.Confirm(w.state, 1); fault.Of(err) != fault.Conflict {
			t.Errorf("got %v", err)
		}
		_, r := w.run(converge.Options{}, w.note("b", "mine"))
		if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "generation 1 was undone at ") || r.CutOff != nil {
			t.Errorf("%+v", r)
		}
		if _, r := w.run(converge.Options{}, w.note("b", "mine")); len(r.Notes) > 0 {
			t.Errorf("told twice: %q", r.Notes)
		}
		if list, err := converge.Generations(w.state); err != nil || len(list) != 2 || list[0].By != "the guard of generation 1" {
			t.Errorf("%+v %v", list, err)
		}
	}
}

// TestGuardDies, as when the host starts again: the next visits say so.
func TestGuardDies(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	g, ended := w.guard(ctx, time.Hour)
	w.run(converge.Options{Guard: g}, w.note("a", "x"))
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	for _, dry := range []bool{true, false} {
		_, r := w.run(converge.Options{DryRun: dry}, w.note("a", "x"))
		if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "nobody confirmed generation 1, and its guard was ended") {
			t.Errorf("%q", r.Notes)
		}
	}
	if _, r := w.run(converge.Options{}, w.note("a", "x")); len(r.Notes) > 0 || w.file("a") != "x" {
		t.Errorf("%q", r.Notes)
	}
}

// TestGuardThatCannotStart: without it nothing is changed.
func TestGuardThatCannotStart(t *testing.T) {
	w := newWorld(t)
	g := &converge.Guard{Within: time.Second, Start: func(string, int, time.Duration) error { return errors.New("no room") }}
	got, _, err := w.try(t.Context(), converge.Options{Guard: g}, w.note("a", "x"))
	if err == nil || !strings.Contains(got, "note:a failed create (guard generation 1: start the process that would undo it: no room (--guard 0 works without))") {
		t.Errorf("%s %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "a")); err == nil {
		t.Error("changed without a guard")
	}
	if got, _ = w.run(converge.Options{}, w.note("a", "x")); got != "note:a changed create" {
		t.Error(got)
	}
}
