package storetest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"steer/base/metric"
	"steer/monitor/store"
)

// keeps is how far back the archive with a step reaches.
var keeps = map[int64]int64{10: 6 * 3600, 60: 7 * 86400, 600: 365 * 86400}

// want compares one series with start, step and values.
func (s *suite) want(from, until int64, name string, start, step int64, values ...float64) {
	s.t.Helper()
	want := []metric.Series{{Name: name, Start: start, Step: step, Keep: keeps[step], Values: values}}
	if !s.d.Traits().Rollups {
		want[0].Keep = keeps[600] // there is one archive, and it is the longest
	}
	s.settle(func() string {
		if diff := cmp.Diff(want, s.fetch(from, until, name), cmpopts.EquateNaNs()); diff != "" {
			return fmt.Sprintf("(%d, %d] of %s (-want +got):\n%s", from, until, name, diff)
		}
		return ""
	})
}

func testGrid(t *testing.T, s *suite) {
	b := base()
	s.write(point("t.a", b+3, 1), point("t.a", b+10, 2), point("t.a", b+39, 4))
	s.want(b-10, b+40, "t.a", b, 10, 1, 2, math.NaN(), 4, math.NaN())
	s.want(b, b+30, "t.a", b+10, 10, 2, math.NaN(), 4)
	s.want(b-1, b+30, "t.a", b, 10, 1, 2, math.NaN(), 4) // a border's own point is in from just before it
	s.want(b+1, b+39, "t.a", b+10, 10, 2, math.NaN(), 4)
	s.want(b+31, b+39, "t.a", b+40, 10, math.NaN()) // both in one step: one point comes
	s.want(b+30, b+30, "t.a", b+40, 10, math.NaN())
	s.want(b+300, b+320, "t.a", b+310, 10, math.NaN(), math.NaN())
	if got, err := s.d.Fetch(context.Background(), store.Request{Names: []string{"t.a"}, From: b + 10, Until: b}); err == nil {
		t.Errorf("a range that ends before it starts: %v", got)
	}
}

func testRewrite(t *testing.T, s *suite) {
	b := base()
	s.write(point("t.a", b, 1), point("t.a", b+9, 2)) // one slot
	s.write(point("t.a", b+10, 3))
	s.want(b-1, b+10, "t.a", b, 10, 2, 3)
	s.write(point("t.a", b+10, 4))
	s.write(point("t.z", b, 1))
	if !s.d.Traits().Rewrites {
		// Either value, but one of them, and the rest as it was.
		either := func() string {
			got := s.fetch(b-1, b+10, "t.a", "t.z")
			if len(got) != 2 || len(got[0].Values) != 2 || got[0].Values[0] != 2 || got[0].Values[1] != 3 && got[0].Values[1] != 4 {
				return fmt.Sprintf("3 was written again as 4: %v", got)
			}
			return ""
		}
		s.settle(either)
		s.reopen()
		s.settle(either)
		return
	}
	s.want(b-1, b+10, "t.a", b, 10, 2, 4)
	s.reopen()
	s.write(point("t.a", b, 5))
	s.want(b-1, b+10, "t.a", b, 10, 5, 4)
	s.reopen()
	s.want(b-1, b+10, "t.a", b, 10, 5, 4)
}

func testOutOfOrder(t *testing.T, s *suite) {
	b := base()
	order := rand.Perm(200)
	want := make([]float64, 200)
	for n, i := range order {
		s.write(point("t.a", b+int64(i)*10, float64(i)))
		want[i] = float64(i)
		if n == 120 {
			s.reopen()
		}
	}
	s.want(b-1, b+1990, "t.a", b, 10, want...)
}

func testArchives(t *testing.T, s *suite) {
	// Ten hours ago: not covered by 10s:6h, so it comes from 1m:7d.
	now := time.Now().Unix()
	b := now - now%600 - 36000
	for i := range int64(20) {
		s.write(point("t.a", b+i*60+5, float64(i)), point("t.a.max", b+i*60, float64(i)))
	}
	if !s.d.Traits().Rollups {
		testOneArchive(t, s, now, b)
		return
	}
	for range 2 {
		s.want(b-1, b+120, "t.a", b, 60, 0, 1, 2)
		s.want(b-1-8*86400, b-8*86400+600, "t.a", b-8*86400, 600, math.NaN(), math.NaN())
		got := s.fetch(b-8*86400, b+600, "t.a", "t.a.max")
		for i, want := range []float64{4.5, 9} {
			n := len(got[i].Values)
			if got[i].Step != 600 || got[i].Start+int64(n-1)*600 != b+600 || got[i].Values[n-2] != want || got[i].Values[n-1] != want+10 {
				t.Errorf("%s at 10m: step %d, last values %v, want %v and 10 more", got[i].Name, got[i].Step, got[i].Values[n-2:], want)
			}
		}
		s.reopen()
	}
	// From time immemorial: from the border of the oldest archive on.
	got := s.fetch(0, b+600, "t.a")[0]
	if got.Step != 600 || got.Start < now-366*86400 || got.Start+int64(len(got.Values)-1)*600 != b+600 {
		t.Errorf("everything: start %d, step %d, %d values", got.Start, got.Step, len(got.Values))
	}
}

// testOneArchive is testArchives where the points come as they were sent, however
// far back the range reaches.
func testOneArchive(t *testing.T, s *suite, now, b int64) {
	nan := math.NaN()
	for range 2 {
		s.want(b-1, b+70, "t.a", b, 10, 0, nan, nan, nan, nan, nan, 1, nan)
		s.want(b-1-8*86400, b-8*86400+10, "t.a", b-8*86400, 10, nan, nan)
		for _, name := range []string{"t.a", "t.a.max"} { // the last points may come to light later than the first
			s.want(b+1079, b+1199, name, b+1080, 10, 18, nan, nan, nan, nan, nan, 19, nan, nan, nan, nan, nan)
		}
		s.reopen()
	}
	for _, from := range []int64{b - 8*86400, 0} {
		got := s.fetch(from, b+1199, "t.a", "t.a.max")
		for _, g := range got {
			n := len(g.Values)
			if g.Step != 10 || g.Start < now-366*86400 || g.Start+int64(n-1)*10 != b+1190 || g.Values[n-6] != 19 || g.Values[n-12] != 18 {
				t.Errorf("%s from %d: start %d, step %d, %d values, at the end %v", g.Name, from, g.Start, g.Step, n, g.Values[max(n-12, 0):])
			}
		}
		if len(got) != 2 {
			t.Errorf("%d series", len(got))
		}
	}
}

func testLateRollup(t *testing.T, s *suite) {
	b := base()
	s.write(point("t.a", b, 10), point("t.a", b+20, 20), point("t.a", b+60, 5))
	if !s.d.Traits().Rollups {
		// A late point is there where it belongs.
		nan := math.NaN()
		s.want(b-1, b+60, "t.a", b, 10, 10, nan, 20, nan, nan, nan, 5)
		s.reopen()
		s.write(point("t.a", b+50, 60))
		s.want(b-1, b+60, "t.a", b, 10, 10, nan, 20, nan, nan, 60, 5)
		return
	}
	coarse := func(want ...float64) {
		t.Helper()
		s.settle(func() string {
			got := s.fetch(b-86400, b+60, "t.a")[0]
			if last := got.Values[len(got.Values)-len(want):]; got.Step != 60 || !slices.Equal(last, want) {
				return fmt.Sprintf("at 1m: step %d, last values %v, want %v", got.Step, last, want)
			}
			return ""
		})
	}
	coarse(15, 5)
	s.reopen()
	coarse(15, 5)
	s.write(point("t.a", b+50, 60)) // late
	s.write(point("t.a", b, 70))    // rewritten
	coarse(50, 5)
	s.reopen()
	coarse(50, 5)
	got := s.fetch(b-30*86400, b, "t.a")[0]
	if last := got.Values[len(got.Values)-1]; got.Step != 600 || last != 27.5 {
		t.Fatalf("at 10m: step %d, last value %v", got.Step, last)
	}
}
