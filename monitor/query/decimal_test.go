package query

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

func TestDecimalsAreTheShortestText(t *testing.T) {
	check := func(v float64) {
		t.Helper()
		got, ok := appendDecimal(nil, v)
		if !ok {
			return
		}
		want := strconv.FormatFloat(v, 'f', -1, 64)
		if v == math.Trunc(v) {
			want = strconv.FormatInt(int64(v), 10) + ".0"
		}
		if string(got) != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		for _, unit := range []float64{1, 10, 100, 1000, 10_000, 100_000} {
			v := float64(r.Int64N(2_000_000_000)-1_000_000_000) / unit
			check(v)
			check(math.Nextafter(v, 0))
		}
		check(float64(r.Int64N(1<<53)-1<<52) / 10_000)
		check(math.Float64frombits(r.Uint64()))
	}
	for v, is := range map[float64]bool{
		0: true, math.Copysign(0, -1): true, 1: true, -2.5: true, 0.0001: true, -0.0001: true, 99_999_999_999.9999: true,
		0.00001: false, 100_000_000_000: false, 0.30000000000000004: false, 1e300: false, math.Inf(1): false, math.Inf(-1): false, math.NaN(): false,
	} {
		check(v)
		if _, ok := appendDecimal(nil, v); ok != is {
			t.Errorf("%v is such a decimal: %v, want %v", v, ok, is)
		}
	}
}
