package store

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/metric"
)

const testNow = 1_800_000_000

func testOptions(t testing.TB) Options {
	return Options{
		Config: Config{Sync: "1m"}, Dir: filepath.Join(t.TempDir(), "store"), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Unix(testNow, 0) },
	}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t testing.TB, s *Store, name string, at int64, v float64) {
	t.Helper()
	if err := s.Write(context.Background(), []metric.Point{{Name: []byte(name), Time: at, Value: v}}); err != nil {
		t.Fatal(err)
	}
}

func values(t testing.TB, s *Store, name string, from, until int64) []float64 {
	t.Helper()
	got, err := s.Fetch(context.Background(), Request{Names: []string{name}, From: from, Until: until})
	if err != nil || len(got) != 1 {
		t.Fatalf("fetch %s: %v %v", name, got, err)
	}
	return got[0].Values
}

// files lists block files below dir whose names end so.
func files(t testing.TB, dir, end string) (all []string) {
	t.Helper()
	for _, pattern := range []string{"*", "*/*", "*/*/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern+end))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, names...)
	}
	return all
}

func flip(t testing.TB, name string, at int64) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[(at+int64(len(b)))%int64(len(b))] ^= 4
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	_, err := Open(o)
	if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), fmt.Sprintf("process %d uses it", os.Getpid())) {
		t.Fatalf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, o)
}

func TestWrongConfig(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Sync = "sometimes" }, `open metric store: sync: "sometimes" is no duration (write a number with ms, s, m, h, d or w, like 90s or 10m) (or write always)`},
		{func(o *Options) { o.Sync = "1h" }, "open metric store: sync: 1h is not between 1ms and 1m (or write always)"},
		{func(o *Options) { o.Schemas = "none.conf" }, "read schema: open none.conf: no such file or directory"},
		{func(o *Options) {
			o.Schemas = filepath.Join(t.TempDir(), "storage.yaml")
			os.WriteFile(o.Schemas, []byte("- {name: x, pattern: a,\n   retentions: 10s:6x}"), 0o644)
		}, `storage.yaml" line 2: retention "10s:6x": unknown unit "x" (use s m h d w y)`},
	} {
		o := testOptions(t)
		c.change(&o)
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}

func TestDropsAreCounted(t *testing.T) {
	o := testOptions(t)
	o.MaxSeries = 2
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := mustOpen(t, o)
	for _, p := range []metric.Point{
		{Name: []byte("a"), Time: testNow, Value: 1},
		{Name: []byte("a"), Time: testNow, Value: math.NaN()},
		{Name: []byte("a"), Time: testNow + 86400, Value: math.Inf(1)},
		{Name: []byte("a"), Time: testNow + 86401, Value: 1},
		{Name: []byte("a"), Time: testNow - 6*365*86400, Value: 1},
		{Name: []byte("old"), Time: testNow - 6*365*86400, Value: 1},
		{Name: []byte("b"), Time: testNow, Value: 1},
		{Name: []byte("runaway.c"), Time: testNow, Value: 1},
		{Name: []byte("b..c"), Time: testNow, Value: 1},
		{Name: []byte(strings.Repeat("x", 5000)), Time: testNow, Value: 1},
	} {
		if err := s.WriteFrom(context.Background(), "graphite tcp 10.1.2.3", []metric.Point{p}); err != nil {
			t.Fatal(err)
		}
	}
	st := s.Stats()
	want := map[string]uint64{"nan": 1, "future": 1, "old": 2, "limit": 1, "name": 2}
	if fmt.Sprint(st.Dropped) != fmt.Sprint(want) || st.Points != 3 || st.Series != 2 || st.NewSeries != 2 {
		t.Errorf("%+v", st)
	}
	for reason, name := range map[string]string{"nan": "a", "future": "a", "old": "a", "name": "b..c", "limit": "runaway.c"} {
		if want := fmt.Sprintf("reason=%s from=\"graphite tcp 10.1.2.3\" for_example=%s ", reason, name); !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s:\n%s", want, &log)
		}
	}
}

func TestFullDisk(t *testing.T) {
	for _, sync := range []string{"1m", "always"} {
		synctest.Test(t, func(t *testing.T) {
			o, disk := testOptions(t), newBadDisk()
			o.disk, o.Sync = disk, sync
			s := mustOpen(t, o)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			put(t, s, "a", testNow-60, 1)
			disk.mu.Lock()
			disk.room = 5
			disk.mu.Unlock()
			batch := []metric.Point{{Name: []byte("a"), Time: testNow - 50, Value: 2}}
			err := s.Write(context.Background(), batch)
			if err == nil { // accepted; the next sync finds out
				err = s.Sync(context.Background())
			}
			if fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "no space left on device") {
				t.Fatalf("got %v", err)
			}
			if err := s.Write(context.Background(), []metric.Point{{Name: []byte("a"), Time: testNow, Value: 3}}); fault.Of(err) != fault.Unavailable {
				t.Fatalf("got %v", err)
			}
			if st := s.Stats(); st.Refused != 1 || !strings.Contains(st.Failure, "no space") {
				t.Errorf("%+v", st)
			}
			if got := values(t, s, "a", testNow-61, testNow-60); got[0] != 1 {
				t.Errorf("reads stop too: %v", got)
			}
			disk.mu.Lock()
			disk.room = -1
			disk.mu.Unlock()
			time.Sleep(2 * time.Minute) // by itself
			if st := s.Stats(); st.Failure != "" {
				t.Errorf("does not recover: %+v", st)
			}
			put(t, s, "a", testNow-40, 4)
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			// What was accepted is on disk, without any help of Close.
			s.closed = true
			s.release()
			s2 := mustOpen(t, o)
			if got := values(t, s2, "a", testNow-61, testNow-40); !slices.Equal(got, []float64{1, 2, 4}) {
				t.Errorf("after recovery: %v", got)
			}
		})
	}
}

func TestRunSyncsAndFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t)
		o.Sync, o.Flush, o.Now = "1s", config.Duration(10*time.Minute), nil
		s := mustOpen(t, o)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		put(t, s, "a", time.Now().Unix(), 1)
		time.Sleep(1001 * time.Millisecond)
		if st := s.Stats(); st.WALBytes == 0 || st.LastSync.IsZero() || st.Flushes != 0 {
			t.Errorf("after a second: %+v", st)
		}
		time.Sleep(10 * time.Minute)
		if st := s.Stats(); st.WALBytes != 0 || st.Flushes != 1 || st.Blocks != 3 || st.Memory != 0 {
			t.Errorf("after ten minutes: %+v", st)
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestTornLogTail(t *testing.T) {
	o := testOptions(t)
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	s := mustOpen(t, o)
	for i := range int64(5) {
		put(t, s, "a", testNow-50+10*i, float64(i))
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	s.closed = true
	s.release()
	name := files(t, o.Dir, ".wal")[0]
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b[:len(b)-3], 0o644); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	if got := values(t, s, "a", testNow-51, testNow-20); !slices.Equal(got, []float64{0, 1, 2, 3}) {
		t.Errorf("got %v", got)
	}
	if !strings.Contains(log.String(), "torn tail cut off") || !strings.Contains(log.String(), name) {
		t.Errorf("log:\n%s", &log)
	}
}

func TestFlippedBitInLog(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	for i := range int64(5) {
		put(t, s, fmt.Sprint("a", i), testNow, float64(i))
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	s.closed = true
	s.release()
	name := files(t, o.Dir, ".wal")[0]
	b, _ := os.ReadFile(name)
	flip(t, name, int64(len(b)/2))
	s = mustOpen(t, o)
	matches, err := s.Find(context.Background(), "*", 0)
	if err != nil || len(matches) != 4 {
		t.Fatalf("%v %v", matches, err)
	}
	if got := files(t, o.Dir, ".wal.damaged"); len(got) != 1 {
		t.Errorf("no copy for a person to look at: %v", got)
	}
}

func TestDamagedBlock(t *testing.T) {
	o := testOptions(t)
	o.Schemas = filepath.Join(t.TempDir(), "schemas.conf")
	if err := os.WriteFile(o.Schemas, []byte("[all]\npattern = .*\nretentions = 10s:1d\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]int64{"chunk": 45, "trailer": -1} {
		t.Run(name, func(t *testing.T) {
			o := o
			o.Dir = filepath.Join(t.TempDir(), "store")
			s := mustOpen(t, o)
			for i := range int64(3) {
				put(t, s, fmt.Sprint("a", i), testNow-20000, float64(i))
				put(t, s, fmt.Sprint("a", i), testNow, float64(i))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			blocks := files(t, o.Dir, ".blk")
			if len(blocks) != 2 {
				t.Fatalf("%v", blocks)
			}
			flip(t, blocks[0], at)
			s = mustOpen(t, o)
			lost := 0
			for range 2 {
				lost = 0
				for i := range int64(3) {
					if got := values(t, s, fmt.Sprint("a", i), testNow-1, testNow); got[0] != float64(i) {
						t.Errorf("the sound block is not served: %v", got)
					}
					switch got := values(t, s, fmt.Sprint("a", i), testNow-20001, testNow-20000); {
					case math.IsNaN(got[0]):
						lost++
					case got[0] != float64(i):
						t.Errorf("wrong value %v", got)
					}
				}
				if want := map[string]int{"chunk": 1, "trailer": 3}[name]; lost != want {
					t.Errorf("%d series lost, want %d", lost, want)
				}
				if st := s.Stats(); st.Damaged != 1 {
					t.Errorf("%+v", st)
				}
				if err := s.flush(); err != nil {
					t.Fatal(err)
				}
				if got := files(t, o.Dir, ".damaged"); len(got) != 1 {
					t.Errorf("set aside: %v", got)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, o)
			if st := s.Stats(); st.Damaged != 0 {
				t.Errorf("after another start: %+v", st)
			}
		})
	}
}

func TestRetentionRemovesFiles(t *testing.T) {
	o := testOptions(t)
	now := int64(testNow)
	o.Now = func() time.Time { return time.Unix(now, 0) }
	s := mustOpen(t, o)
	for range 40 {
		put(t, s, "a", now, 1)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		now += 3600
	}
	if n := len(files(t, o.Dir, "10s-6h/*.blk")); n < 6 || n > 12 {
		t.Errorf("%d files of ten-second values after 40 hours", n)
	}
	for _, b := range s.blocks.all() {
		if b.Step == 10 && b.End()*10 < now-3600-21600-600-3600 {
			t.Errorf("%s is older than needed", b.path)
		}
	}
	if n := len(files(t, o.Dir, "10m-5y/*.blk")); n == 0 || n > 8 {
		t.Errorf("%d files of ten-minute values: small ones are not merged", n)
	}
}

// TestChangedRetention: other archives than before keep what the old ones have.
func TestChangedRetention(t *testing.T) {
	o := testOptions(t)
	o.Schemas = filepath.Join(t.TempDir(), "schemas.conf")
	set := func(retentions string) {
		if err := os.WriteFile(o.Schemas, []byte("[all]\npattern = .*\nretentions = "+retentions+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set("10s:1h,1m:1d")
	s := mustOpen(t, o)
	for i := range int64(12) {
		put(t, s, "a", testNow-240+i*10, float64(i))
	}
	steps := []struct {
		retentions string
		want       []float64
	}{
		{"10s:2d", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"30s:1d", []float64{1, 4, 7, 10}},
		{"5s:1h,10s:1d", []float64{0, math.NaN(), 1, math.NaN(), 2, math.NaN()}},
		{"10s:1h,1m:1d", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
	}
	for _, c := range steps {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		set(c.retentions)
		s = mustOpen(t, o)
		put(t, s, "b", testNow, 1)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		got := values(t, s, "a", testNow-241, testNow-121)[:len(c.want)]
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", c.retentions, got, c.want)
		}
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	s := mustOpen(t, testOptions(t))
	batch := testBatch(1000)
	at := int64(testNow - 20000)
	write := func() {
		for i := range batch {
			batch[i].Time = at
		}
		at += 10
		if err := s.Write(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		write()
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(50, write) / float64(len(batch)); n > 0.05 {
		t.Errorf("%.3f allocations per point", n)
	}
}

func testBatch(series int) []metric.Point {
	points := make([]metric.Point, series)
	for i := range points {
		points[i] = metric.Point{Name: fmt.Appendf(nil, "servers.host-%d.cpu.core%d.idle", i/16, i%16), Value: float64(i % 100)}
	}
	return points
}

// TestReadersSeeEverythingDuringFlushes: what was written before a read shows in
// it, wherever it just is on its way from memory to blocks.
func TestReadersSeeEverythingDuringFlushes(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	const slots = 300
	names := []string{"a", "b", "c", "d", "e"}
	var written atomic.Int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for i := range int64(slots) {
			for _, name := range names {
				put(t, s, name, testNow-10*slots+i*10, float64(i))
			}
			written.Store(i + 1)
		}
	})
	loop := func(f func() error) {
		wg.Go(func() {
			for {
				if err := f(); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	loop(s.flush)
	for _, age := range []int64{10*slots + 1, 7 * 3600, 8 * 86400} {
		loop(func() error {
			n := written.Load()
			got, err := s.Fetch(context.Background(), Request{Names: names, From: testNow - age, Until: testNow - 10*slots + n*10 - 1})
			if err != nil || n == 0 {
				return err
			}
			for _, series := range got {
				first := (testNow - 10*slots - series.Start) / series.Step
				for _, v := range series.Values[max(first, 0):] {
					if v != v {
						return fmt.Errorf("after %d writes, from %d s ago: %s has a gap: %v", n, age, series.Name, series.Values[max(first, 0):])
					}
				}
			}
			return nil
		})
	}
	wg.Wait()
}
