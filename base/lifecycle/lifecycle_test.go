package lifecycle

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// diary notes what happens in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(s string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, s)
}

// component runs until it is stopped and then needs drain to finish.
func (d *diary) component(g *Group, name string, drain time.Duration) {
	g.Go(name, func(ctx context.Context) error {
		<-ctx.Done()
		d.note("stop " + name)
		time.Sleep(drain)
		d.note("end " + name)
		return ctx.Err()
	})
	g.Close(name, func() error { d.note("close " + name); return nil })
}

func (d *diary) want(t *testing.T, lines ...string) {
	t.Helper()
	if !slices.Equal(d.lines, lines) {
		t.Errorf("got  %q\nwant %q", d.lines, lines)
	}
}

func TestStopsInReverseOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, g := &diary{}, &Group{Log: quiet()}
		d.component(g, "store", time.Second)
		d.component(g, "route", 5*time.Second)
		d.component(g, "receive", 3*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Minute+9*time.Second {
			t.Errorf("took %s", took)
		}
		d.want(t, "stop receive", "end receive", "stop route", "end route", "stop store", "end store",
			"close receive", "close route", "close store")
	})
}

func TestOneThatFailsStopsTheRest(t *testing.T) {
	for name, c := range map[string]struct {
		run  func(context.Context) error
		want string
	}{
		"error":                    {func(context.Context) error { time.Sleep(time.Second); return errors.New("disk full") }, "journal: disk full"},
		"panic":                    {func(context.Context) error { var m map[string]int; m["a"] = 1; return nil }, "journal: panic: assignment to entry in nil map\n"},
		"exit":                     {func(context.Context) error { runtime.Goexit(); return nil }, "journal: the goroutine was ended"},
		"cancel of something else": {func(context.Context) error { return context.Canceled }, "journal: context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, g := &diary{}, &Group{Log: quiet()}
				d.component(g, "a", 0)
				g.Go("journal", c.run)
				d.component(g, "b", 0)
				err := g.Run(t.Context())
				if err == nil || !strings.HasPrefix(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
				if name == "panic" && !strings.Contains(err.Error(), "lifecycle_test.go") {
					t.Errorf("no stack in %v", err)
				}
				d.want(t, "stop b", "end b", "stop a", "end a", "close b", "close a")
			})
		})
	}
}

func TestOneThatFinishesLetsTheOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, g := &diary{}, &Group{Log: quiet()}
		d.component(g, "a", 0)
		g.Go("once", func(context.Context) error { return nil })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		start := time.Now()
		if err := g.Run(ctx); err != nil || time.Since(start) != time.Hour {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}

func TestNamesWhoHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, g := &diary{}, &Group{Log: quiet(), Drain: 10 * time.Second}
		d.component(g, "a", 9*time.Second)
		release := make(chan struct{})
		g.Go("stuck", func(context.Context) error { <-release; return nil })
		g.Close("glued", func() error { <-release; return nil })
		g.Close("broken", func() error { panic("no") })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := g.Run(ctx)
		lines := strings.Split(err.Error(), "\n")
		if lines[0] != "stuck: did not stop within 10s" || lines[1] != "close broken: panic: no" ||
			!strings.Contains(err.Error(), "close glued: did not finish within 10s") {
			t.Error(err)
		}
		d.want(t, "stop a", "end a", "close a")
		close(release)
	})
}

func TestKeepsValuesOfTheContext(t *testing.T) {
	type key struct{}
	g := &Group{Log: quiet()}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "x"))
	g.Go("a", func(own context.Context) error {
		defer cancel()
		if own.Value(key{}) != "x" {
			t.Error("value is lost")
		}
		return nil
	})
	if err := g.Run(ctx); err != nil {
		t.Error(err)
	}
}
