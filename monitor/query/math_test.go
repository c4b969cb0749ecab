package query

import (
	"math"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// Rounding is that of the decimal text, half to even.
func TestRounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(rapid.Float64(), rapid.Float64Range(-1e6, 1e6),
			rapid.Map(rapid.IntRange(-1e6, 1e6), func(n int) float64 { return float64(n) / 1000 })).Draw(t, "value")
		digits := rapid.IntRange(0, 20).Draw(t, "digits")
		want, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', digits, 64), 64)
		if got := rounded(v, digits); err == nil && got != want {
			t.Fatalf("%v to %d decimals is %v instead of %v", v, digits, got, want)
		}
	})
	for _, c := range []struct {
		v      float64
		digits int
		want   float64
	}{
		{2.5, 0, 2}, {-3.5, 0, -4}, {2.675, 2, 2.67}, {0.125, 2, 0.12}, {15, -1, 20}, {25, -1, 20}, {-25.0001, -1, -30},
		{50, -2, 0}, {51, -2, 100}, {-51, -2, -100}, {49, -2, 0}, {5e10, -11, 0}, {6e10, -11, 1e11}, {1e300, -299, 1e300},
		{1.25e300, -299, 1.3e300}, {7, -400, 0}, {0.1, 400, 0.1}, {math.Inf(1), 3, math.Inf(1)}, {9.9999e22, -22, 1e23},
	} {
		if got := rounded(c.v, c.digits); got != c.want {
			t.Errorf("%v to %d digits is %v instead of %v", c.v, c.digits, got, c.want)
		}
	}
	if got := rounded(1.7e308, -308); !isNull(got) {
		t.Errorf("a number beyond all is %v", got)
	}
}
