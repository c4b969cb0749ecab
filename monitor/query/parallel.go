package query

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// piece is how many points are worked on at a time.
const piece = 32 << 10

// parallel calls f for parts of 0 to n that together make up all of it, from
// several goroutines if there are points enough. A request that takes long gets
// help only as far as the lane has turns. An error ends the work; a panic comes
// back to the caller, where the server outlives it. v may be nil.
func (v *evaluation) parallel(n, points int, f func(from, to int) error) error {
	w := &work{n: n, pieces: min(n, 1+points/piece), f: f}
	var wg sync.WaitGroup
	defer wg.Wait()
	for range min(runtime.GOMAXPROCS(0), w.pieces) - 1 {
		wg.Go(func() { w.help(v) })
	}
	for {
		if err := v.pause(); err != nil {
			w.fail(err)
			break
		}
		if !w.one() {
			break
		}
	}
	wg.Wait()
	if w.broken != nil {
		panic(w.broken)
	}
	return w.failed
}

// work is what is to be done in pieces.
type work struct {
	n, pieces int
	f         func(from, to int) error
	next      atomic.Int64

	mu     sync.Mutex
	failed error
	broken any // what a helper panicked with
}

// one does the next piece, if there is one.
func (w *work) one() bool {
	i := int(w.next.Add(1)) - 1
	if i >= w.pieces {
		return false
	}
	if err := w.f(i*w.n/w.pieces, (i+1)*w.n/w.pieces); err != nil {
		w.fail(err)
	}
	return true
}

func (w *work) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = err
	}
	w.next.Store(int64(w.pieces))
}

// help works on pieces as long as the request may have a core more.
func (w *work) help(v *evaluation) {
	defer func() {
		if p := recover(); p != nil {
			w.mu.Lock()
			w.broken = fmt.Sprintf("%v\n%s", p, debug.Stack())
			w.mu.Unlock()
		}
	}()
	for w.turn(v) {
	}
}

func (w *work) turn(v *evaluation) bool {
	if v != nil && v.slow.Load() {
		if !v.engine.lane.try() {
			return false
		}
		defer v.engine.lane.leave()
	}
	return w.one()
}
