package query

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

// patience is how long a request works before it counts as one that takes long.
const patience = 250 * time.Millisecond

// lane is where requests go on that take long. It has a turn for each core but
// one, so that all of them together leave that core to requests that are quickly
// done; and the turns go round.
type lane struct {
	turns   chan struct{}
	waiting atomic.Int32
}

func newLane() *lane { return &lane{turns: make(chan struct{}, max(runtime.GOMAXPROCS(0)-1, 1))} }

func (l *lane) enter(ctx context.Context) error {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	select {
	case l.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// try takes a turn if one is free.
func (l *lane) try() bool {
	select {
	case l.turns <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *lane) leave() { <-l.turns }

// pause is called again and again by the goroutine that evaluates a request, where
// it can stop for a while: it ends a request that nobody waits for, sends one that
// takes long into the lane, and gives its turn to others who wait there.
func (v *evaluation) pause() error {
	if v == nil {
		return nil
	}
	if err := v.ctx.Err(); err != nil {
		return err
	}
	l := v.engine.lane
	switch {
	case !v.slow.Load():
		if time.Since(v.began) < patience {
			return nil
		}
	case l.waiting.Load() == 0:
		return nil
	default:
		v.slow.Store(false)
		l.leave()
	}
	if err := l.enter(v.ctx); err != nil {
		return err
	}
	v.slow.Store(true)
	return nil
}

// finish gives the turn back.
func (v *evaluation) finish() {
	if v.slow.Swap(false) {
		v.engine.lane.leave()
	}
}
