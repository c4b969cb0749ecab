// Package storetest says in tests what every driver of the metric store must
// do.
package storetest

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"steer/base/metric"
	"steer/monitor/store"
)

// Run tests the driver that open opens on a folder; the same folder again is the
// same store, another one is empty. The driver must keep series whose name starts
// with "t." at 10s:6h,1m:7d,10m:1y, rolled up by average, by maximum when the name
// ends in ".max", from one known value on, and it must use the real clock. Late of
// its Traits must be 0 or at least 12 hours.
//
// Where a driver does not claim a trait, the test of it asks for what remains. A
// driver with a Lag has that long for each thing that is looked for.
func Run(t *testing.T, open func(t *testing.T, dir string) store.Driver) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"grid", testGrid}, {"rewrite", testRewrite}, {"out of order", testOutOfOrder},
		{"values", testValues}, {"left out", testLeftOut}, {"unknown names", testUnknown},
		{"order of names", testOrder}, {"globs", testGlobs}, {"odd names", testOddNames}, {"tags", testTags}, {"archives", testArchives},
		{"rollups of late points", testLateRollup}, {"names are copied", testCopied},
		{"many series", testMany}, {"reopen", testReopen}, {"concurrent", testConcurrent},
		{"closed", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{t: t, dir: t.TempDir(), open: open}
			s.d = open(t, s.dir)
			t.Cleanup(func() {
				if s.d != nil {
					if err := s.d.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}
			})
			c.test(t, s)
		})
	}
}

type suite struct {
	t    *testing.T
	dir  string
	open func(*testing.T, string) store.Driver
	d    store.Driver
}

func (s *suite) reopen() {
	s.t.Helper()
	if err := s.d.Close(); err != nil {
		s.t.Fatalf("close: %v", err)
	}
	s.d = s.open(s.t, s.dir)
}

func point(name string, time int64, value float64) metric.Point {
	return metric.Point{Name: []byte(name), Time: time, Value: value}
}

func (s *suite) write(points ...metric.Point) {
	s.t.Helper()
	if err := s.d.Write(context.Background(), points); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

func (s *suite) fetch(from, until int64, names ...string) []metric.Series {
	s.t.Helper()
	got, err := s.d.Fetch(context.Background(), store.Request{Names: names, From: from, Until: until})
	if err != nil {
		s.t.Fatalf("fetch: %v", err)
	}
	return got
}

// settle asks again until nothing is wrong, for as long as the driver may lag.
func (s *suite) settle(wrong func() string) {
	s.t.Helper()
	if text := s.settled(wrong); text != "" {
		s.t.Fatal(text)
	}
}

func (s *suite) settled(wrong func() string) string {
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		text := wrong()
		if text == "" || time.Since(start) >= s.d.Traits().Lag {
			return text
		}
	}
}

// base is a time some minutes ago on a whole ten minutes, so that what tests
// write after it is neither in the future nor near the end of an archive.
func base() int64 {
	now := time.Now().Unix()
	return now - now%600 - 3600
}

func testValues(t *testing.T, s *suite) {
	b := base()
	values := []float64{
		0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
		math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, 0.1, 1.0 / 3, 1e-300, 1e300,
		1 << 53, 1<<53 + 2, math.Pi, -1, 42, 42, 42,
	}
	name := func(int) string { return "t.a" }
	same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
	if !s.d.Traits().Special {
		// Numbers come back to eleven digits if those of a series are alike.
		values = []float64{0, 0.1, 1.0 / 3, math.Pi, 1 << 53, 1<<53 + 2, -1, -123456.789, 1e-9, 42, 1e15 / 7}
		name = func(i int) string { return fmt.Sprintf("t.a%d", i) }
		same = func(a, b float64) bool { return math.Abs(a-b) <= 1e-11*math.Abs(a) }
	}
	for i, v := range values {
		s.write(point(name(i), b+int64(i)*10, v))
	}
	for range 2 {
		for i, v := range values {
			s.settle(func() string {
				got := s.fetch(b+int64(i)*10-1, b+int64(i)*10, name(i))
				if len(got) != 1 || len(got[0].Values) != 1 || !same(v, got[0].Values[0]) {
					return fmt.Sprintf("wrote %v (%#x), read %v", v, math.Float64bits(v), got)
				}
				return ""
			})
		}
		s.reopen()
	}
}

func testLeftOut(t *testing.T, s *suite) {
	b := base()
	now := time.Now().Unix()
	s.write(point("t.a", b, 1), point("t.a", b, math.NaN()), point("t.a", b+10, math.NaN()),
		point("t.a", now+3*86400, 5), point("t.a", now-400*86400, 5), point("t.a", 0, 5), point("t.a", -5, 5))
	s.want(b-1, b+10, "t.a", b, 10, 1, math.NaN())
	s.write(point("t.old", now-400*86400, 5), point("t.nan", b, math.NaN()), point("", b, 1), point("t..a", b, 1), point("t.a b", b, 1))
	traits := s.d.Traits()
	if traits.Ahead < 0 || traits.Ahead > 86400 {
		t.Errorf("points may lie %d s ahead, more than a day", traits.Ahead)
	}
	s.write(point("t.ahead", now+traits.Ahead+60, 5))
	if traits.Late > 0 {
		s.write(point("t.late", now-traits.Late-60, 5))
	}
	s.write(point("t.z", b, 1)) // when it is there, so would be what came before
	s.finds("**", "t.", "t.a", "t.z")
	if traits.Ahead > 120 {
		s.write(point("t.ahead", now+traits.Ahead-60, 5))
		s.finds("t.ahead", "t.ahead")
	}
	if traits.Late > 0 {
		at := (now-traits.Late)/10*10 + 600
		s.write(point("t.late", at, 5))
		s.want(at-1, at, "t.late", at, 10, 5)
	}
}

func testMany(t *testing.T, s *suite) {
	b := base()
	const series, times = 2000, 6
	names := make([]string, series)
	for i := range names {
		names[i] = fmt.Sprintf("t.host%d.metric%d", i/40, i%40)
	}
	for step := range int64(times) {
		var batch []metric.Point
		for i, name := range names {
			batch = append(batch, point(name, b+step*10, float64(i)*1000+float64(step)))
		}
		s.write(batch...)
		if step == times/2 {
			s.reopen()
		}
	}
	s.settle(func() string {
		all := s.fetch(b-1, b+(times-1)*10, names...)
		if len(all) != series {
			return fmt.Sprintf("%d of %d series", len(all), series)
		}
		for i, got := range all {
			for step, v := range got.Values {
				if got.Name != names[i] || v != float64(i)*1000+float64(step) {
					return fmt.Sprintf("%s: %v", names[i], got)
				}
			}
		}
		return ""
	})
	if got := s.find("t.host7.*", 0); len(got) != 40 {
		t.Errorf("%d names", len(got))
	}
}

func testReopen(t *testing.T, s *suite) {
	b := base()
	var want []float64
	for i := range 8 {
		s.write(point("t.a", b+int64(i)*10, float64(i)))
		want = append(want, float64(i))
		s.write(point(fmt.Sprintf("t.new%d", i), b, float64(i)))
		if i%2 == 0 {
			if err := s.d.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		s.reopen()
		s.want(b-1, b+int64(i)*10, "t.a", b, 10, want...)
		s.settle(func() string {
			if got := s.find("t.new*", 0); len(got) != i+1 {
				return fmt.Sprintf("after %d reopens: %q", i+1, got)
			}
			return ""
		})
	}
	for i := range 8 {
		s.want(b-1, b, fmt.Sprintf("t.new%d", i), b, 10, float64(i))
	}
}

func testConcurrent(t *testing.T, s *suite) {
	b := base()
	const writers, times = 4, 150
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	// A driver that lags may show a point before the one written before it.
	ordered := s.d.Traits().Lag == 0
	for w := range writers {
		writing.Go(func() {
			for i := range int64(times) {
				err := s.d.Write(context.Background(), []metric.Point{
					point(fmt.Sprintf("t.w%d", w), b+i*10, float64(i)),
					point("t.shared", b+i*10, float64(i)),
				})
				if err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := s.d.Fetch(context.Background(), store.Request{Names: []string{"t.w0", "t.shared"}, From: b - 1, Until: b + times*10})
				if err != nil {
					t.Errorf("fetch: %v", err)
					return
				}
				for _, series := range got {
					gap := false
					for i, v := range series.Values {
						if !math.IsNaN(v) && (v != float64(i) || gap && ordered && series.Name == "t.w0") {
							t.Errorf("%s[%d] = %v, after a gap: %v", series.Name, i, v, gap)
							return
						}
						gap = gap || math.IsNaN(v)
					}
				}
				if _, err := s.d.Find(context.Background(), "t.*", 0); err != nil {
					t.Errorf("find: %v", err)
					return
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	for _, name := range []string{"t.w0", "t.w1", "t.w2", "t.w3", "t.shared"} {
		s.settle(func() string {
			got := s.fetch(b-1, b+(times-1)*10, name)
			if len(got) != 1 {
				return name + " is not there"
			}
			for i, v := range got[0].Values {
				if v != float64(i) {
					return fmt.Sprintf("%s[%d] = %v", name, i, v)
				}
			}
			return ""
		})
	}
}

func testClosed(t *testing.T, s *suite) {
	d := s.d
	s.d = nil
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	ctx := context.Background()
	if err := d.Write(ctx, []metric.Point{point("t.a", base(), 1)}); err == nil {
		t.Error("write after close")
	}
	if _, err := d.Fetch(ctx, store.Request{Names: []string{"t.a"}, Until: 1}); err == nil {
		t.Error("fetch after close")
	}
	if _, err := d.Find(ctx, "*", 0); err == nil {
		t.Error("find after close")
	}
	if _, err := d.Select(ctx, s.tags("name=t.a"), 0); err == nil {
		t.Error("select after close")
	}
	if _, err := d.Tags(ctx, nil, "", 0); err == nil {
		t.Error("tags after close")
	}
	if _, err := d.TagValues(ctx, "name", nil, "", 0); err == nil {
		t.Error("values of a tag after close")
	}
	if err := d.Sync(ctx); err == nil {
		t.Error("sync after close")
	}
}
