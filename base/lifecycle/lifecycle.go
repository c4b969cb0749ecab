// Package lifecycle starts the components of a program in order, stops them in
// reverse, and closes what they used.
package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"
)

// Drain is how long one component may take to stop when the group says nothing
// else.
const Drain = 30 * time.Second

// Group is a set of components. The zero value is ready; it is used once and by
// one goroutine until Run.
type Group struct {
	// Drain is how long one component may take to stop; 0 is the constant Drain.
	Drain time.Duration

	parts []part
}

// part is a component or something to close; they are stopped and closed in
// one reverse order, so that a thing outlives what was added after it.
type part struct {
	name  string
	run   func(context.Context) error
	close func() error
}

// Go adds a component: run works until its context ends, finishes what is in
// flight, and returns nil. One that returns earlier, or an error, ends the group.
func (g *Group) Go(name string, run func(context.Context) error) {
	g.parts = append(g.parts, part{name: name, run: run})
}

// Close adds something to be closed after everything that was added later has
// stopped; it too has the drain time.
func (g *Group) Close(name string, f func() error) {
	g.parts = append(g.parts, part{name: name, close: f})
}

// Abandon closes what was opened, for when the program cannot start.
func (g *Group) Abandon() {
	for _, p := range slices.Backward(g.parts) {
		if p.close != nil {
			_ = g.shut(p) // the program ends with the error that made it give up
		}
	}
	g.parts = nil
}

// running is a component at work.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid once done is closed
}

// Run starts all components in order. When ctx ends, or one component ends, it
// stops them one after another in reverse order, closing what belongs to them on
// the way. The error names the components that failed, panicked or did not stop in
// time: one that hangs does not keep the others from writing what they hold.
func (g *Group) Run(ctx context.Context) error {
	live := make([]*running, len(g.parts))
	ended := make(chan struct{}, len(g.parts))
	for i, p := range g.parts {
		if p.run == nil {
			continue
		}
		// Components do not end with ctx but in their turn.
		c, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{cancel: cancel, done: make(chan struct{})}
		live[i] = r
		go guard(func() error { return p.run(c) }, func(err error) {
			switch {
			case err == nil && c.Err() == nil && ctx.Err() == nil:
				err = errors.New("ended by itself")
			case c.Err() != nil && errors.Is(err, context.Canceled):
				err = nil // it tells why it stopped, which was asked of it
			}
			r.err = err
			close(r.done)
			ended <- struct{}{}
		})
	}
	select {
	case <-ctx.Done():
	case <-ended:
	}
	var problems []error
	for i, p := range slices.Backward(g.parts) {
		err := error(nil)
		if p.close != nil {
			err = g.shut(p)
		} else {
			err = g.stop(p, live[i])
		}
		if err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func (g *Group) stop(p part, r *running) error {
	r.cancel()
	select {
	case <-r.done:
		if r.err != nil {
			return fmt.Errorf("%s: %w", p.name, r.err)
		}
		return nil
	case <-time.After(g.drain()):
		return fmt.Errorf("%s did not stop within %s", p.name, g.drain())
	}
}

func (g *Group) shut(p part) error {
	done := make(chan error, 1)
	go guard(p.close, func(err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("close %s: %w", p.name, err)
		}
		return nil
	case <-time.After(g.drain()):
		return fmt.Errorf("close %s: did not finish within %s", p.name, g.drain())
	}
}

func (g *Group) drain() time.Duration { return cmp.Or(g.Drain, Drain) }

// guard calls f and then finish with its error; a panic counts as an error with
// its stack.
func guard(f func() error, finish func(error)) {
	err := errors.New("its goroutine was ended")
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
		finish(err)
	}()
	err = f()
}
