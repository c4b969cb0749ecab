package decimal

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestOf(t *testing.T) {
	tenth, fifth := 0.1, 0.2
	for _, c := range []struct {
		v        float64
		least    int
		m        int64
		exponent int
	}{
		{0, 0, 0, 0}, {1, 0, 1, 0}, {1, 2, 100, 2}, {-2.5, 0, -25, 1}, {0.1, 0, 1, 1}, {1e15, 0, 1e15, 0}, {1 << 53, 0, 0, -1},
		{math.Copysign(0, -1), 0, 0, -1}, {math.Inf(1), 0, 0, -1}, {math.NaN(), 0, 0, -1}, {1.0 / 3, 0, 0, -1}, {tenth + fifth, 0, 0, -1}, {1e-15, 0, 1, 15}, {1e-16, 0, 0, -1},
	} {
		if m, e := Of(c.v, c.least); m != c.m || e != c.exponent {
			t.Errorf("%v from %d: %d / 10^%d, want %d / 10^%d", c.v, c.least, m, e, c.m, c.exponent)
		}
	}
	if m, e := OfThird(1.0/3, 0); m != 1 || e != 0 {
		t.Errorf("a third: %d %d", m, e)
	}
}

// TestSumIsTheNearest: the sum is the float64 next to that of the decimals.
func TestSumIsTheNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		places := rapid.IntRange(0, 6).Draw(t, "places")
		exact := new(big.Rat)
		var values []float64
		for range rapid.IntRange(1, 12).Draw(t, "count") {
			m := rapid.Int64Range(-1e9, 1e9).Draw(t, "m")
			v := float64(m) / math.Pow10(places)
			values = append(values, v)
			exact.Add(exact, big.NewRat(m, int64(math.Pow10(places))))
		}
		got, ok := Sum(values)
		want, _ := exact.Float64()
		if !ok || got != want {
			t.Fatalf("%v: %v %v, want %v", values, got, ok, want)
		}
		// And its mean over six is a third of a decimal, for six divides by 3 and 2.
		if m, e := OfThird(got/6, 0); e < 0 && math.Abs(got) < 1e8 {
			t.Fatalf("%v / 6: %d %d", got, m, e)
		}
	})
}
