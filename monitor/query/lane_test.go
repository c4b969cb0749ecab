package query

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/query/querytest"
)

// sluggish takes as many milliseconds for a series as its name has after the dot.
type sluggish struct {
	querytest.Memory
	mu          sync.Mutex
	most, atOne int // fetches at once, of "late" series
}

func (s *sluggish) Fetch(ctx context.Context, names []string, from, until int64, most int, room func(int) []float64) ([]metric.Series, error) {
	var ms int
	_, _ = fmt.Sscanf(names[0][strings.IndexByte(names[0], '.')+1:], "%d", &ms)
	late := strings.HasPrefix(names[0], "late")
	s.count(late, 1)
	defer s.count(late, -1)
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.Memory.Fetch(ctx, names, from, until, most, room)
}

func (s *sluggish) count(late bool, n int) {
	if !late {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atOne += n
	s.most = max(s.most, s.atOne)
}

// Requests that take long take turns, quick ones go past them, and everybody is
// answered.
func TestLongRequestsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sluggish{}
		for _, name := range []string{"first.300", "late.100", "quick.1"} {
			s.Add(name, 10, 10, 1, 2, 3)
		}
		e := engine(t, s, Limits{})
		e.lane = &lane{turns: make(chan struct{}, 2)}
		// Two fetches: of the range with a minute before it, and of the range.
		long := Request{Until: 100, Targets: []string{"movingAverage(first.300,'1min')", "late.100"}}
		begin := time.Now()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if got, err := e.Eval(t.Context(), long); err != nil || len(got) != 2 {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		time.Sleep(350 * time.Millisecond)
		quick := time.Now()
		if _, err := e.Eval(t.Context(), Request{Until: 100, Targets: []string{"quick.1"}}); err != nil || time.Since(quick) > 2*time.Millisecond {
			t.Errorf("a quick request took %v beside long ones: %v", time.Since(quick), err)
		}
		wg.Wait()
		if s.most != 2 {
			t.Errorf("%d long requests were at work at once, the lane has 2 turns", s.most)
		}
		if took := time.Since(begin); took != 700*time.Millisecond {
			t.Errorf("eight requests of 300 and 100 ms took %v, want 700 ms: four times two in turn", took)
		}
		if len(e.lane.turns) != 0 || e.lane.waiting.Load() != 0 {
			t.Errorf("%d turns are taken at the end, %d wait", len(e.lane.turns), e.lane.waiting.Load())
		}
	})
}

// A request that waits for its turn too long is given up, and leaves nothing.
func TestNobodyWaitsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sluggish{}
		s.Add("first.300", 10, 10, 1)
		s.Add("late.100", 10, 10, 1)
		e := engine(t, s, Limits{})
		e.lane = &lane{turns: make(chan struct{}, 1)}
		e.lane.turns <- struct{}{}
		_, err := e.Eval(t.Context(), Request{Until: 100, Targets: []string{"movingAverage(first.300,'1min')", "late.100"}})
		if fault.Of(err) != fault.TooMuch || !strings.Contains(err.Error(), "longer than 30s") {
			t.Error(err)
		}
		if e.lane.leave(); len(e.lane.turns) != 0 || e.held.Load() != 0 {
			t.Errorf("%d turns are taken at the end, %d points held", len(e.lane.turns), e.held.Load())
		}
	})
}

// Work is done to its end while turns go round among more requests than there are
// turns, and each gets its own.
func TestTurnsGoRound(t *testing.T) {
	m := &querytest.Memory{}
	for i := range 40 {
		m.Add(fmt.Sprintf("s.n%02d", i), 10, 10, make([]float64, 5000)...)
	}
	e := engine(t, m, Limits{})
	e.lane = &lane{turns: make(chan struct{}, 1)}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			v := &evaluation{engine: e, began: time.Now().Add(-time.Hour)} // long from the start
			defer v.let()
			got, err := v.eval(t.Context(), Request{Until: 50_000, Targets: []string{"group(movingMedian(s.*,20),s.*)"}})
			if err != nil || len(got) != 80 {
				t.Errorf("%d series, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	if len(e.lane.turns) != 0 {
		t.Errorf("%d turns are taken at the end", len(e.lane.turns))
	}
}

func TestRequestsShareMemory(t *testing.T) {
	m := &querytest.Memory{}
	for i := range 20 {
		m.Add(fmt.Sprintf("s.n%02d", i), 10, 10, make([]float64, 100_000)...)
	}
	e := engine(t, m, Limits{Together: 2_000_000})
	whole := Request{Until: 1_000_000, Targets: []string{"s.*"}}
	others := 0
	err := e.Serve(t.Context(), whole, func([]Result) error {
		// This one has two million points, half of them for nothing.
		return e.Serve(t.Context(), whole, func([]Result) error {
			_, err := e.Eval(t.Context(), whole)
			if fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "try again") {
				t.Errorf("a third of two million points: %v", err)
			}
			for _, target := range []string{"s.n01", "sumSeries(s.n0*)", "maxSeries(s.n1*)"} {
				if _, err := e.Eval(t.Context(), Request{Until: 1_000_000, Targets: []string{target}}); err != nil {
					t.Errorf("%s: %v", target, err)
				}
				others++
			}
			return nil
		})
	})
	if err != nil || others != 3 || e.held.Load() != 0 {
		t.Errorf("%v; %d others; %d points held at the end", err, others, e.held.Load())
	}
}
