// Package lifecycle starts the components of a program in order, stops them in
// reverse, and closes what they used.
package lifecycle

import (
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
// stopped.
func (g *Group) Close(name string, f func() error) {
	g.parts = append(g.parts, part{name: name, close: f})
}

// Abandon closes what was opened, for when the program cannot start.
func (g *Group) Abandon() {
	for _, p := range slices.Backward(g.parts) {
		if p.close != nil {
			p.close()
		}
	}
	g.parts = nil
}

// running is a component at work.
type running struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// Run starts all components in order. When ctx ends, or one component ends, it
// stops them one after another in reverse order, closing what belongs to them on
// the way. The error names the components that failed or did not stop in time.
func (g *Group) Run(ctx context.Context) error {
	live := make([]*running, len(g.parts))
	ended := make(chan int, len(g.parts))
	for i, p := range g.parts {
		if p.run == nil {
			continue
		}
		// Components do not end with ctx but in their turn.
		c, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{cancel: cancel, done: make(chan struct{})}
		live[i] = r
		go func() {
			defer close(r.done)
			r.err = protect(p.run, c)
			ended <- i
		}()
	}
	var problems []error
	early := -1
	select {
	case <-ctx.Done():
	case early = <-ended:
		if live[early].err == nil && ctx.Err() == nil {
			problems = append(problems, fmt.Errorf("%s ended by itself", g.parts[early].name))
		}
	}
	for i, p := range slices.Backward(g.parts) {
		if p.close != nil {
			if err := p.close(); err != nil {
				problems = append(problems, fmt.Errorf("close %s: %w", p.name, err))
			}
			continue
		}
		r := live[i]
		r.cancel()
		patience := time.NewTimer(g.drain())
		select {
		case <-r.done:
			if r.err != nil && !errors.Is(r.err, context.Canceled) {
				problems = append(problems, fmt.Errorf("%s: %w", p.name, r.err))
			}
		case <-patience.C:
			problems = append(problems, fmt.Errorf("%s did not stop within %s", p.name, g.drain()))
		}
		patience.Stop()
	}
	return errors.Join(problems...)
}

func (g *Group) drain() time.Duration {
	if g.Drain > 0 {
		return g.Drain
	}
	return Drain
}

// protect turns a panic into an error, so that the others still stop in order.
func protect(run func(context.Context) error, ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return run(ctx)
}
