// Package lifecycle runs the components of a program together and stops them in
// order: what was started last, and so depends on the rest, is stopped and drained
// first, then what it used is closed.
package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

// Group is a set of components. Declare them with Go and Close in order of
// dependence, what others need first; then call Run once.
type Group struct {
	// Drain is the time that each component, and each close function, has to
	// finish what it is doing; 0: 15 seconds.
	Drain time.Duration
	Log   *slog.Logger // nil: the default

	components []*component
	closers    []closer
	running    bool
}

type component struct {
	name string
	run  func(context.Context) error
	stop context.CancelFunc
	done chan struct{} // closed when run has returned
	err  error         // valid once done is closed
}

type closer struct {
	name string
	f    func() error
}

// Go adds a component. Its run works until its context ends, then finishes what
// is in flight and returns nil. When it returns an error before, the whole group
// stops; when it returns nil before, it is finished and the others go on.
func (g *Group) Go(name string, run func(context.Context) error) {
	g.open(name)
	g.components = append(g.components, &component{name: name, run: run, done: make(chan struct{})})
}

// Close adds what is to be closed once every component has stopped.
func (g *Group) Close(name string, f func() error) {
	g.open(name)
	g.closers = append(g.closers, closer{name, f})
}

func (g *Group) open(name string) {
	if g.running {
		panic("BUG: " + name + " joins a group that runs already")
	}
}

// Run starts the components and returns when all have stopped: after ctx ended,
// or one of them failed. The error names each component that failed, panicked or
// did not stop in time; the end of ctx is none. Close functions run in any case.
func (g *Group) Run(ctx context.Context) error {
	g.running = true
	log, drain := cmp.Or(g.Log, slog.Default()), cmp.Or(g.Drain, 15*time.Second)
	failed := make(chan *component, len(g.components))
	for _, c := range g.components {
		// Of its own, so that the end of ctx does not stop all at once.
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		c.stop = stop
		go c.work(own, failed)
	}

	select {
	case <-ctx.Done():
		log.Info("stopping", "why", context.Cause(ctx))
	case c := <-failed:
		log.Error("stopping, since a component failed", "component", c.name, "error", c.err)
	}

	var all []error
	for i := len(g.components) - 1; i >= 0; i-- {
		c, start := g.components[i], time.Now()
		c.stop()
		select {
		case <-c.done:
			if c.err != nil {
				all = append([]error{fmt.Errorf("%s: %w", c.name, c.err)}, all...)
			}
			log.Debug("stopped", "component", c.name, "took", time.Since(start))
		case <-time.After(drain):
			log.Error("a component does not stop", "component", c.name, "waited", drain)
			all = append(all, fmt.Errorf("%s: did not stop within %s", c.name, drain))
		}
	}
	for i := len(g.closers) - 1; i >= 0; i-- {
		if err := g.closers[i].close(drain); err != nil {
			log.Error("close", "component", g.closers[i].name, "error", err)
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// work runs the component. What its run returns because it was told to stop is
// not an error.
func (c *component) work(ctx context.Context, failed chan<- *component) {
	guard(func() error { return c.run(ctx) }, func(err error) {
		if err != nil && (ctx.Err() == nil || !errors.Is(err, context.Canceled)) {
			c.err = err
			failed <- c
		}
		close(c.done)
	})
}

func (c closer) close(limit time.Duration) error {
	done := make(chan error, 1)
	go guard(c.f, func(err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("close %s: %w", c.name, err)
		}
		return nil
	case <-time.After(limit):
		return fmt.Errorf("close %s: did not finish within %s", c.name, limit)
	}
}

// guard calls f and then finish with its error. A panic counts as an error with
// its stack, so that one component's mistake still lets the others write what they
// hold to disk.
func guard(f func() error, finish func(error)) {
	err := errors.New("the goroutine was ended with runtime.Goexit")
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		finish(err)
	}()
	err = f()
}
