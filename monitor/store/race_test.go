package store

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steer/base/fault"
	"steer/base/metric"
)

// TestEverythingAtOnce: writers, readers, flushes, changes of the rules, forgetting and
// figures, and a Close in the middle of them. What was accepted is there afterwards.
func TestEverythingAtOnce(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	for _, sync := range []string{"always", "1m"} {
		everythingAtOnce(t, sync)
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines stay behind", runtime.NumGoroutine()-goroutines)
		}
	}
}

func everythingAtOnce(t *testing.T, syncs string) {
	o := testOptions(t)
	o.disk, o.Sync, o.Rules, o.limit = newBadDisk(), syncs, rules("10s:1d"), limits{segment: 5000, memory: 1 << 30}
	var now atomic.Int64
	now.Store(testNow)
	o.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	s := mustOpen(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil && fault.Of(err) != fault.Unavailable {
			t.Error(err)
		}
	})
	var rounds atomic.Int64
	loop := func(f func(i int) error) {
		wg.Go(func() {
			for i := 0; ; i++ {
				if err := f(i); err != nil {
					if fault.Of(err) != fault.Unavailable && ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	accepted := make([]int, 3)
	var writing atomic.Int64
	for w := range accepted {
		loop(func(i int) error {
			points := []metric.Point{
				{Name: fmt.Appendf(nil, "w%d", w), Time: testNow - 80000 + int64(i%8000)*10, Value: float64(i)},
				{Name: fmt.Appendf(nil, "new.%d.%d;w=%d", w, i%500, w), Time: now.Load(), Value: 1},
			}
			if err := s.Write(ctx, points); err != nil {
				return err
			}
			if accepted[w] = i + 1; i == 0 {
				writing.Add(1)
			}
			return nil
		})
	}
	for _, name := range []string{"w0", "new.1.7;w=1"} {
		loop(func(i int) error {
			_, err := s.Fetch(ctx, Request{Names: []string{name, "w1", "w2"}, From: testNow - 80000, Until: now.Load()})
			return err
		})
	}
	loop(func(i int) error {
		_, err := s.Find(ctx, []string{"*", "new.**", "new.1.*"}[i%3], 0)
		return err
	})
	loop(func(i int) error {
		_, err := s.Select(ctx, []TagMatch{{Tag: "w", Match: regexp.MustCompile("1|2")}}, 0)
		return err
	})
	loop(func(i int) error { return s.Sync(ctx) })
	loop(func(i int) error { return s.Apply(rules([]string{"10s:1d", "10s:1d,1m:2d", "10s:2d"}[i%3])) })
	loop(func(i int) error {
		if err := s.enterGate(); err != nil {
			return err
		}
		defer s.gate.RUnlock()
		s.maintain.Lock()
		s.maintain.forgot = time.Time{} // each flush looks for series to forget
		s.maintain.Unlock()
		rounds.Add(1)
		return s.flush()
	})
	loop(func(i int) error {
		if st := s.Stats(); st.Failure != "" {
			t.Errorf("%+v", st)
		}
		return ctx.Err()
	})
	for rounds.Load() < 3 || int(writing.Load()) < len(accepted) {
		runtime.Gosched()
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	wg.Wait()
	s = mustOpen(t, o)
	defer s.Close()
	for w, n := range accepted {
		got := values(t, s, fmt.Sprint("w", w), testNow-80001, testNow-10)
		for slot, v := range got {
			want := float64(slot + (n-1-slot)/8000*8000) // the last that was written there
			if slot < n && v != want && v != want+8000 {
				t.Fatalf("%s: w%d[%d] = %v, want %v of %d", syncs, w, slot, v, want, n)
			}
		}
	}
}
