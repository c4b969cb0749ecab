package query

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func line(n int, step int64, f func(i int) float64) *Result {
	s := &Result{}
	s.Step, s.Values = step, make([]float64, n)
	for i := range s.Values {
		s.Values[i] = f(i)
	}
	return s
}

// The trend of a line is the line, whatever is missing, and though almost three
// tenths of the points are far off.
func TestTrendOfALine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, step := rapid.IntRange(12, 900).Draw(t, "points"), rapid.Int64Range(1, 3600).Draw(t, "step")
		slope, level := rapid.Float64Range(-50, 50).Draw(t, "slope"), rapid.Float64Range(-1e6, 1e6).Draw(t, "level")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		s := line(n, step, func(i int) float64 { return level + slope*float64(int64(i)*step) })
		wild, count := r.Perm(n), rapid.IntRange(0, n/4).Draw(t, "outliers")
		if n > trendPoints {
			count /= 4 // a piece with one outlier in it may count as one
		}
		for _, i := range wild[:count] {
			s.Values[i] = r.NormFloat64() * 1e9
		}
		for _, i := range wild[count:][:rapid.IntRange(0, n/5).Draw(t, "gaps")] {
			s.Values[i] = null()
		}
		got, ok := trendOf(s, 0.9)
		if !ok {
			t.Fatal("no trend")
		}
		if math.Abs(got.slope-slope) > 1e-6*max(1, math.Abs(slope)) && count == 0 {
			t.Fatalf("slope %v instead of %v", got.slope, slope)
		}
		if !(got.low <= got.slope && got.slope <= got.high) {
			t.Fatalf("%v is not within %v and %v", got.slope, got.low, got.high)
		}
		span := float64(int64(n) * step)
		if end := got.level(got.slope) + got.slope*span; count == 0 && math.Abs(end-level-slope*span) > 1e-5*max(1e6, math.Abs(slope)*span) {
			t.Fatalf("it ends at %v instead of %v", end, level+slope*span)
		}
		if math.Abs(got.slope-slope)*span > 1e8 {
			t.Fatalf("%d outliers of %d moved the slope from %v to %v", count, n, slope, got.slope)
		}
	})
}

// The true slope lies between the bounds about as often as they promise.
func TestTrendKeepsItsConfidence(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		n          int
		confidence float64
	}{{20, 0.8}, {60, 0.95}, {400, 0.9}} {
		const tries = 400
		within := 0
		for range tries {
			s := line(c.n, 60, func(i int) float64 { return 5 + float64(i*60)*0.25 + r.NormFloat64()*100 })
			got, _ := trendOf(s, c.confidence)
			if got.low <= 0.25 && 0.25 <= got.high {
				within++
			}
		}
		if share := float64(within) / tries; math.Abs(share-c.confidence) > 0.05 {
			t.Errorf("%d points: %.3f of the bounds hold the slope instead of %.3f", c.n, share, c.confidence)
		}
	}
}

// However a series goes: the earliest time is before the middle one, and that
// before the latest; what has been reached is 0 for all.
func TestTimesAreInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Result{}
		s.Step, s.Values = 60, drawColumn(t, "values")
		bound, up := rapid.Float64Range(-1e9, 1e6).Draw(t, "bound"), rapid.Bool().Draw(t, "up")
		got, ok := trendOf(s, rapid.Float64Range(0.01, 0.999).Draw(t, "confidence"))
		if !ok {
			return
		}
		until := func(slope float64) float64 {
			i := len(s.Values) - 1
			return remaining(s.Values[i], bound, got.level(slope)+slope*float64(i)*60, slope, up)
		}
		fast, slow := got.high, got.low
		if !up {
			fast, slow = slow, fast
		}
		times := []float64{until(fast), until(got.slope), until(slow)}
		for i, v := range times { // never is later than any time
			if isNull(v) {
				times[i] = math.Inf(1)
			}
			if v < 0 {
				t.Fatalf("%v seconds", v)
			}
		}
		// The lines of different slopes cross within the data, so that only times
		// behind it have an order.
		if !slices.IsSorted(times) && times[0] > 60*float64(len(s.Values)) {
			t.Fatal(times)
		}
	})
}
