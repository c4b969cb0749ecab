package graphite

import (
	"fmt"
	"math"
	"testing"
)

func TestStampsAreTimes(t *testing.T) {
	for _, c := range []struct{ at, step int64 }{
		{0, 1}, {1_767_355_200, 10}, {999_999_990, 10}, {9_999_999_999, 1}, {9_999_999_700, 10}, {7, 3600}, {95, 86_400 * 365},
		{1_799_999_970, 1}, {1_999_999_000, 60}, {1_767_355_207, 99_999_999}, {1_767_355_207, 100_000_000}, {1_099_999_999, 12_345_678},
		{-25, 10}, {-1, 1}, {100, 0}, {50, -7}, {1_767_355_200, -10}, {1_767_355_200, 0}, {0, math.MaxInt64 / 64},
	} {
		s := newStamp(c.at, c.step)
		for i := range int64(60) {
			want := fmt.Sprintf(", %d], [", c.at+i*c.step)
			if got := string(s.append(nil)); got != want {
				t.Fatalf("%d steps of %d from %d on: %q, want %q", i, c.step, c.at, got, want)
			}
			s.next()
		}
	}
}
