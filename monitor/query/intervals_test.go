package query

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is split into intervals is counted once.
func TestHitcountKeepsTheSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Result{}
		s.Values = drawColumn(t, "values")
		s.Start, s.Step = rapid.Int64Range(-1000, 1000).Draw(t, "start"), rapid.Int64Range(1, 100).Draw(t, "step")
		s.End = s.Start + s.Step*int64(len(s.Values))
		want, got := 0.0, 0.0
		for _, v := range s.Values {
			if v == v {
				want += v * float64(s.Step)
			}
		}
		interval := rapid.Int64Range(1, 500).Draw(t, "interval")
		r := spreadHits(s, s.End, interval, (s.End-s.Start+interval-1)/interval)
		for _, v := range r.Values {
			if v == v {
				got += v
			}
		}
		if math.Abs(got-want) > 1e-9*max(math.Abs(want), 1e11) {
			t.Fatalf("%v instead of %v", got, want)
		}
		if r.Start > s.Start || r.Start+int64(len(r.Values))*interval != s.End {
			t.Fatalf("intervals from %d, %d of %d s, for points from %d to %d", r.Start, len(r.Values), interval, s.Start, s.End)
		}
	})
}
