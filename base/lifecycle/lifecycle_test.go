package lifecycle

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) add(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, s)
}

func (r *record) worker(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(time.Second) // the bubble's clock: work in flight
		r.add("stop " + name)
		return nil
	}
}

func TestStopsInReverseOrderAndClosesInBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		var g Group
		g.Close("file", func() error { r.add("close file"); return nil })
		g.Go("a", r.worker("a"))
		g.Close("socket", func() error { r.add("close socket"); return nil })
		g.Go("b", r.worker("b"))
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Minute); cancel() }()
		if err := g.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []string{"stop b", "close socket", "stop a", "close file"}; !slices.Equal(r.lines, want) {
			t.Fatalf("%q, want %q", r.lines, want)
		}
	})
}

func TestOneFailureStopsTheRestAndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		var g Group
		g.Go("a", r.worker("a"))
		g.Go("balancer", func(context.Context) error { time.Sleep(time.Second); return errors.New("port taken") })
		err := g.Run(t.Context())
		if err == nil || err.Error() != "balancer: port taken" || !slices.Equal(r.lines, []string{"stop a"}) {
			t.Fatalf("%v, %q", err, r.lines)
		}
	})
}

func TestPanicIsAnErrorWithItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		var g Group
		g.Go("a", r.worker("a"))
		g.Go("b", func(context.Context) error { panic("lost") })
		err := g.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), "b: panic: lost") || !strings.Contains(err.Error(), "lifecycle_test.go") || len(r.lines) != 1 {
			t.Fatal(err)
		}
	})
}

func TestAComponentThatHangsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		g := Group{Drain: 5 * time.Second}
		free := make(chan struct{})
		g.Go("a", r.worker("a"))
		g.Go("deaf", func(context.Context) error { <-free; return nil })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := g.Run(ctx)
		close(free)
		if err == nil || err.Error() != "deaf did not stop within 5s" || len(r.lines) != 1 {
			t.Fatal(err, r.lines)
		}
	})
}

func TestEndingEarlyIsAnError(t *testing.T) {
	var g Group
	g.Go("short", func(context.Context) error { return nil })
	if err := g.Run(t.Context()); err == nil || err.Error() != "short: ended by itself" {
		t.Fatal(err)
	}
}

func TestAbandonClosesWhatWasOpened(t *testing.T) {
	var r record
	var g Group
	g.Close("first", func() error { r.add("first"); return nil })
	g.Go("a", r.worker("a"))
	g.Close("second", func() error { r.add("second"); return nil })
	g.Abandon()
	if !slices.Equal(r.lines, []string{"second", "first"}) {
		t.Fatal(r.lines)
	}
}

func TestHowAComponentEndsByItself(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(context.Context) error
		want string
	}{
		"cancel of something else": {func(context.Context) error { return context.Canceled }, "b: context canceled"},
		"exit of the goroutine":    {func(context.Context) error { runtime.Goexit(); return nil }, "b: its goroutine was ended"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var r record
			var g Group
			g.Go("a", r.worker("a"))
			g.Go("b", c.run)
			if err := g.Run(t.Context()); err == nil || err.Error() != c.want || len(r.lines) != 1 {
				t.Errorf("%s: %v, %q", name, err, r.lines)
			}
		})
	}
}

func TestStopMayBeReportedAsCancel(t *testing.T) {
	var g Group
	g.Go("a", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestCloseThatHangsOrPanicsIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r record
		g := Group{Drain: 5 * time.Second}
		free := make(chan struct{})
		g.Close("first", func() error { r.add("first"); return errors.New("disk full") })
		g.Close("glued", func() error { <-free; return nil })
		g.Close("broken", func() error { panic("no") })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := g.Run(ctx)
		close(free)
		text := err.Error()
		for _, want := range []string{"close first: disk full", "close glued: did not finish within 5s", "close broken: panic: no"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing in %s", want, text)
			}
		}
		if len(r.lines) != 1 {
			t.Error(r.lines)
		}
	})
}

func TestValuesOfTheContextReachComponents(t *testing.T) {
	type key struct{}
	var g Group
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "x"))
	g.Go("a", func(own context.Context) error {
		if own.Value(key{}) != "x" {
			t.Error("the value is lost")
		}
		cancel()
		<-own.Done()
		return nil
	})
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
}
