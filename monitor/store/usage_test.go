package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steer/base/fault"
	"steer/base/metric"
)

func usage(t *testing.T, s *Store, query string) Usage {
	t.Helper()
	u, err := s.Usage(context.Background(), query)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// brief words a usage for comparisons; times are seconds before testNow.
func brief(u Usage) string {
	var b strings.Builder
	ago := func(at time.Time) string {
		if at.IsZero() {
			return "-"
		}
		return fmt.Sprint(testNow - at.Unix())
	}
	for _, s := range u.Schemas {
		fmt.Fprintf(&b, "%s %q %s: %d series, %d active, %d recent, %s to %s ago", s.Name, s.Pattern, s.Retentions, s.Series, s.Active, s.Recent, ago(s.Oldest), ago(s.Newest))
		for _, a := range s.Aggregations {
			fmt.Fprintf(&b, ", %s %s %v %d", a.Name, a.Method, a.XFilesFactor, a.Series)
		}
		b.WriteString("\n")
		for _, a := range s.Archives {
			former := ""
			if a.Former {
				former = " former"
			}
			fmt.Fprintf(&b, "  %s%s: %d blocks, %d points, %s to %s ago\n", a.Retention, former, a.Blocks, a.Points, ago(a.Oldest), ago(a.Newest))
		}
	}
	return b.String()
}

func TestUsage(t *testing.T) {
	o := testOptions(t)
	now := int64(testNow - 7200)
	o.Now = func() time.Time { return time.Unix(now, 0) }
	o.Rules.Schemas = File{"storage.yaml", []byte(`
- {name: web, pattern: '^web\.', retentions: '10s:1h,1m:1d'}
- {name: unused, pattern: '^unused\.', retentions: '1h:1y'}
`)}
	o.Rules.Aggregation = File{"aggregation.yaml", []byte(`
- {name: peak, pattern: '\.peak$', x_files_factor: 0, method: max}
- {name: rest, pattern: '', x_files_factor: 0, method: last}
`)}
	s := mustOpen(t, o)
	put(t, s, "web.old", now-60, 1) // four slots of the fine archive, one of the coarse one
	put(t, s, "web.old", now-30, 1)
	put(t, s, "web.peak", now-10, 1)
	put(t, s, "elsewhere", now-60, 1) // by Carbon's default, 1m:7d
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	now = testNow
	put(t, s, "web.peak", now-20, 1)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "web.wrong-clock", now+7200, 1) // in a stretch of its own, of the future
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "web.peak", now-10, 1)
	put(t, s, "web.peak", now-10, 2)
	put(t, s, "web.new", now-3600*5, 1) // too old for the fine archive
	put(t, s, "web.new", now, 1)

	all := usage(t, s, "")
	want := `web "^web\\." 10s:1h,1m:1d: 4 series, 2 active, 3 recent, 18000 to -7200 ago, peak max 0 1, rest last 0 3
  10s:1h: 3 blocks, 7 points, 7260 to -7200 ago
  1m:1d: 3 blocks, 4 points, 7260 to -7200 ago
unused "^unused\\." 1h:1y: 0 series, 0 active, 0 recent, - to - ago
  1h:1y: 0 blocks, 0 points, - to - ago
default "" 1m:1w: 1 series, 1 active, 0 recent, 7260 to 7260 ago, rest last 0 1
  1m:1w: 1 blocks, 1 points, 7260 to 7260 ago
`
	if got := brief(all); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if all.Totals.Series != 5 || all.Totals.Blocks == 0 || all.Totals.Memory == 0 {
		t.Errorf("totals %+v", all.Totals)
	}

	// Some series: only their schemas, and in those only they.
	want = `web "^web\\." 10s:1h,1m:1d: 1 series, 1 active, 1 recent, 7260 to 10 ago, peak max 0 1
  10s:1h: 2 blocks, 2 points, 7210 to 20 ago
  1m:1d: 2 blocks, 2 points, 7260 to 60 ago
`
	for _, query := range []string{"web.peak", "*.p*", "**.{peak,nothing}"} {
		if got := brief(usage(t, s, query)); got != want {
			t.Errorf("%s: got\n%swant\n%s", query, got, want)
		}
	}
	if u := usage(t, s, "nothing.*"); len(u.Schemas) != 0 || u.Totals.Series != 5 {
		t.Errorf("%+v", u)
	}
	if _, err := s.Usage(context.Background(), strings.Repeat("{a,b}", 20)); fault.Of(err) != fault.Invalid {
		t.Errorf("a wrong glob: %v", err)
	}

	// All that lies in block files but their heads and ends is somebody's.
	var sum int64
	for _, sc := range all.Schemas {
		for _, a := range sc.Archives {
			sum += a.Bytes
			if a.Points > 0 && a.BytesPerPoint != float64(a.Bytes)/float64(a.Points) {
				t.Errorf("%+v", a)
			}
		}
	}
	if over := all.Totals.BlockBytes - sum; over < 1 || over > 64*int64(all.Totals.Blocks) {
		t.Errorf("%d bytes of %d are nobody's", over, all.Totals.BlockBytes)
	}

	// Archives of an earlier schema are named as such.
	r := o.Rules
	r.Schemas.Data = []byte(strings.Replace(string(r.Schemas.Data), "10s:1h,1m:1d", "1m:1d", 1))
	if err := s.Apply(r); err != nil {
		t.Fatal(err)
	}
	got := brief(usage(t, s, "web.peak"))
	if want := "web \"^web\\\\.\" 1m:1d: 1 series, 1 active, 0 recent, 7260 to 10 ago, peak max 0 1\n  1m:1d: 3 blocks, 3 points, 7260 to 60 ago\n  10s:1h former: 3 blocks, 3 points, 7210 to 10 ago\n"; got != want {
		t.Errorf("after a change of rules got\n%swant\n%s", got, want)
	}
}

// What is damaged is left out and reported; the rest is counted.
func TestUsageOfADamagedBlock(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	for i := range 300 {
		put(t, s, fmt.Sprintf("s%03d", i), testNow-10, float64(i)+0.5)
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	name := files(t, filepath.Join(o.Dir, "blocks", "10s-6h"), ".blk")[0]
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	flip(t, name, info.Size()-3*32-24-5) // in the last index page, before directory and trailer
	u := usage(t, s, "")
	if got := u.Schemas[0].Archives[0].Points; got != 256 || u.Totals.Damaged != 1 {
		t.Errorf("%d points, %d damaged", got, u.Totals.Damaged)
	}
}

// Counting takes turns, ends with its context, and lets writers and flushes go on.
func TestUsageBesideOthers(t *testing.T) {
	o := testOptions(t)
	var tick atomic.Int64
	o.Now = func() time.Time { return time.Unix(testNow+10*tick.Load(), 0) }
	s := mustOpen(t, o)
	var points []metric.Point
	for i := range 500 {
		points = append(points, metric.Point{Name: []byte(fmt.Sprint("a.s", i)), Value: 1})
	}
	var wg sync.WaitGroup
	var ended atomic.Bool
	for range 2 {
		wg.Go(func() {
			for !ended.Load() {
				if u, err := s.Usage(context.Background(), "a.*"); err != nil || len(u.Schemas) == 1 && (u.Schemas[0].Series > 500 || u.Schemas[0].Active != u.Schemas[0].Series) {
					t.Errorf("%+v %v", u, err)
					return
				}
			}
		})
	}
	for n := range 200 {
		for i := range points {
			points[i].Time = o.Now().Unix()
		}
		if err := s.Write(context.Background(), points); err != nil {
			t.Fatal(err)
		}
		tick.Add(1)
		if n%10 == 0 {
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	ended.Store(true)
	wg.Wait()

	s.counting <- struct{}{} // somebody counts
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Usage(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	<-s.counting
	if _, err := s.Usage(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	for _, b := range s.blocks.all() {
		if n := b.refs.Load(); n != 1 {
			t.Errorf("%s is held %d times", b.path, n)
		}
	}
	s.Close()
	if _, err := s.Usage(context.Background(), ""); fault.Of(err) != fault.Unavailable {
		t.Errorf("a closed store: %v", err)
	}
}
