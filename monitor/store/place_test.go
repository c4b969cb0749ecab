package store

import (
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/monitor/store/internal/schema"
)

// TestPointsFromTheEndsOfTime are left out and move no other point.
func TestPointsFromTheEndsOfTime(t *testing.T) {
	s := mustOpen(t, testOptions(t))
	for i, at := range []int64{math.MinInt64, math.MinInt64 + testNow - 1, math.MinInt64 + testNow + 1, -testNow, -1, 0, math.MaxInt64, math.MaxInt64 - testNow} {
		put(t, s, "a", at, 666)
		put(t, s, "a", testNow-80+int64(i)*10, float64(i))
	}
	for range 2 {
		if got := values(t, s, "a", testNow-81, testNow-10); !slices.Equal(got, []float64{0, 1, 2, 3, 4, 5, 6, 7}) {
			t.Errorf("got %v", got)
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.Points != 8 || st.Dropped["old"] != 6 || st.Dropped["future"] != 2 {
		t.Errorf("%+v", st)
	}
}

// TestPlace compares the archive of a point with the rule as it stands in words.
func TestPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		archives := rapid.SampledFrom([]string{"10s:6h,1m:7d,10m:5y", "1s:1m", "7s:70s,21s:3m,84s:1h", "1s:40s,5s:200s,20s:1h", "1m:1m"}).Draw(t, "retentions")
		all, err := schema.ParseRetentions(archives)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlan(all, schema.Aggregation{})
		now := rapid.OneOf(rapid.Int64Range(-1e4, 1e4), rapid.Int64Range(testNow-1000, testNow+1000)).Draw(t, "now")
		at := now - rapid.OneOf(rapid.Int64Range(-ahead, 300), rapid.Int64Range(0, 8000), rapid.Int64Range(0, 6*365*86400), rapid.Int64()).Draw(t, "age")
		k, slot, ok := p.place(at, now)
		coarse := all[len(all)-1]
		oldest := now - coarse.Keep
		if at > now+ahead {
			return // nobody asks
		}
		if want := at > oldest; ok != want {
			t.Fatalf("%v", ok)
		}
		if !ok {
			return
		}
		start := at // of the coarsest interval
		for start%coarse.Step != 0 {
			start--
		}
		want := 0
		for want < len(all)-1 && now-start >= all[want].Keep+coarse.Step {
			want++
		}
		if step := all[k].Step; k != want || slot*step > at || slot*step <= at-step {
			t.Fatalf("archive %d slot %d, want archive %d", k, slot, want)
		}
	})
}

// TestClockJumps: whatever the clock does, what comes now is kept and read now.
func TestClockJumps(t *testing.T) {
	o := testOptions(t)
	now := int64(testNow)
	o.Now = func() time.Time { return time.Unix(now, 0) }
	o.limit = limits{forget: time.Hour}
	s := mustOpen(t, o)
	want := 0.0
	for _, jump := range []int64{0, 3600, -7200, -30 * 86400, 60 * 86400, -testNow, -86400, 10, testNow, 30 * 365 * 86400, -30 * 365 * 86400, 20} {
		now += jump
		want++
		put(t, s, "a", now, want)
		for when, do := range []func() error{func() error { return nil }, s.flush, func() error { s = crash(t, s, o); return nil }, s.flush} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
			if got := values(t, s, "a", now-10, now); got[len(got)-1] != want {
				t.Errorf("after a jump of %d s, %d: %v, want %v", jump, when, got, want)
			}
			if when == 1 {
				if err := s.Sync(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestFetchFromTheEndsOfTime: any range gives values or an error.
func TestFetchFromTheEndsOfTime(t *testing.T) {
	o := testOptions(t)
	o.Rules = rules("10s:1h,1m:1d,1h:5y")
	s := mustOpen(t, o)
	put(t, s, "a", testNow-4000, 1)
	for range 2 {
		ends := []int64{math.MinInt64, math.MinInt64 + testNow, -testNow, -1, 0, testNow - 4001, testNow, testNow + 90000, math.MaxInt64 - testNow, math.MaxInt64}
		for _, from := range ends {
			for _, until := range ends {
				got, err := s.Fetch(context.Background(), Request{Names: []string{"a"}, From: from, Until: until})
				if (err != nil) != (until < from) {
					t.Errorf("(%d, %d]: %v", from, until, err)
				}
				if err == nil && (len(got) != 1 || len(got[0].Values) == 0 || from < math.MaxInt64 && got[0].Start < 0) {
					t.Errorf("(%d, %d]: %v", from, until, got)
				}
			}
		}
		if err := s.Apply(rules("20s:1h,1m:1d,1h:5y")); err != nil {
			t.Fatal(err)
		}
	}
}
