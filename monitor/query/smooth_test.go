package query

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// drawColumn draws a column with gaps, on a level that makes digits scarce.
func drawColumn(t *rapid.T, name string) []float64 {
	level := rapid.SampledFrom([]float64{0, 1, 1e6, -1e9}).Draw(t, name+" level")
	value := rapid.Custom(func(t *rapid.T) float64 {
		if rapid.IntRange(0, 3).Draw(t, "gap") == 0 {
			return null()
		}
		return level + rapid.Float64Range(-100, 100).Draw(t, "value")
	})
	return rapid.SliceOfN(value, 0, 60).Draw(t, name)
}

// The running standard deviation is the one of each window by itself.
func TestTrailing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := drawColumn(t, "values")
		n := rapid.IntRange(1, 70).Draw(t, "points")
		tolerance := rapid.SampledFrom([]float64{0, 0.1, 0.5, 1}).Draw(t, "tolerance")
		for i, got := range trailing(values, float64(n), tolerance) {
			window := values[max(i+1-n, 0) : i+1]
			want := null()
			if k := known(window); k > 0 && float64(k)/float64(n) >= tolerance {
				want = deviation(window)
			}
			if isNull(got) != isNull(want) || math.Abs(got-want) > 1e-6 {
				t.Fatalf("point %d: %v instead of %v", i, got, want)
			}
		}
	})
}
