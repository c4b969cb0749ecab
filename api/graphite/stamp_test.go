package graphite

import (
	"math"
	"strconv"
	"testing"
)

func TestStampsAreTimes(t *testing.T) {
	for _, c := range []struct{ at, step int64 }{
		{0, 1}, {1_767_355_200, 10}, {999_999_990, 10}, {9_999_999_999, 1}, {7, 3600}, {95, 86_400 * 365},
		{-25, 10}, {-1, 1}, {100, 0}, {50, -7}, {0, math.MaxInt64 / 64},
	} {
		s := newStamp(c.at, c.step)
		for i := range int64(60) {
			if want := strconv.FormatInt(c.at+i*c.step, 10); string(s.text) != want {
				t.Fatalf("%d steps of %d from %d on: %s, want %s", i, c.step, c.at, s.text, want)
			}
			s.next()
		}
	}
}
