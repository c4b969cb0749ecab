package chart

import (
	"math"

	"steer/base/metric"
)

// scale is the vertical axis.
type scale struct {
	low, high float64
	ticks     []tick
}

type tick struct {
	row   int
	label string
}

// extreme is beyond all measures; numbers up to it can be added and divided.
const extreme = 1e300

// vertical finds round numbers around all values. Zero is among them where the
// values do not lie close together far away from it.
func vertical(series []metric.Series, rows int) scale {
	low, high := math.Inf(1), math.Inf(-1)
	for _, s := range series {
		for _, v := range s.Values {
			if v-v == 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if low > high {
		low, high = 0, 1
	}
	low, high = max(low, -extreme), min(high, extreme)
	if low >= 0 && low <= high/2 {
		low = 0
	}
	if high <= 0 && high >= low/2 {
		high = 0
	}
	if high-low < 1/extreme {
		low, high = min(0, low), max(0, high)
	}
	if high-low < 1/extreme {
		low, high = 0, 1
	}
	names := make([]string, len(series))
	for i, s := range series {
		names[i] = s.Name
	}
	most := max(math.Abs(low), math.Abs(high))
	size, suffix := prefix(most, commonUnit(names))
	want := max(2, min(6, rows/3))
	step := round((high-low)/size/float64(want)) * size
	first, last := math.Floor(low/step+1e-9), math.Ceil(high/step-1e-9)
	if last-first > 1e6 { // the values differ less than numbers can say
		first, last, step = 0, 1, high
	}
	s := scale{low: first * step, high: last * step}
	for n := first; n <= last; n++ {
		v := n * step
		label := decimals(v/size, step/size)
		if label != "0" {
			label += suffix
		}
		s.ticks = append(s.ticks, tick{s.dot(v, rows), label})
	}
	return s
}

// dot is the row of a value, of so many from the top.
func (s scale) dot(v float64, rows int) int {
	share := (v - s.low) / (s.high - s.low)
	return min(max(int(math.Round((1-share)*float64(rows-1))), 0), rows-1)
}

// round is the next of 1, 2, 2.5, 5 and 10 times a power of ten.
func round(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range [...]float64{1, 2, 2.5, 5} {
		if f*power >= v*(1-1e-9) {
			return f * power
		}
	}
	return 10 * power
}
