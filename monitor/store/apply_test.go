package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"steer/base/fault"
	"steer/base/metric"
)

func rules(retentions string) Rules {
	return Rules{Schemas: File{"storage.yaml", []byte("- {name: all, pattern: '', retentions: '" + retentions + "'}")}}
}

// TestApply: rules change while the store runs, and everything stays readable.
func TestApply(t *testing.T) {
	o := testOptions(t)
	o.Rules = rules("10s:1h,1m:1d")
	s := mustOpen(t, o)
	for i := range int64(12) {
		put(t, s, "a", testNow-240+i*10, float64(i))
	}
	for _, c := range []struct {
		retentions string
		want       []float64
	}{
		{"10s:2d", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
		{"30s:1d", []float64{1, 4, 7, 10}},
		{"5s:1h,10s:1d", []float64{0, math.NaN(), 1, math.NaN(), 2, math.NaN()}},
		{"10s:1h,1m:1d", []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
	} {
		if err := s.Apply(rules(c.retentions)); err != nil {
			t.Fatal(err)
		}
		check := func(when string) {
			t.Helper()
			got := values(t, s, "a", testNow-241, testNow-121)[:len(c.want)]
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s %s: %v, want %v", c.retentions, when, got, c.want)
			}
		}
		put(t, s, "b", testNow, 1)
		check("at once")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		o.Rules = rules(c.retentions)
		s = mustOpen(t, o)
		check("after a restart")
	}
	err := s.Apply(rules("10s:6x"))
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), `"storage.yaml" line 1: retention "10s:6x"`) {
		t.Errorf("got %v", err)
	}
	if got := values(t, s, "a", testNow-241, testNow-231); got[0] != 0 {
		t.Errorf("after wrong rules: %v", got)
	}
}

// TestNewArchives: an archive that comes to those that a series has shows what they
// hold, and late points of the time before it do not wipe their rollups.
func TestNewArchives(t *testing.T) {
	for _, c := range []struct {
		before, after string
		sum           float64 // when late points of the time before have come
	}{
		{"10s:1h,10m:2d", "10s:1h,1m:6h,10m:2d", 61},
		{"10s:1h", "10s:1h,1m:2d", 61},
		{"10s:1h,1m:2d", "5s:30m,10s:1h,1m:2d", 61},
		{"1m:2d", "10s:1h,1m:2d", 11}, // the last of six points stands for a minute
		{"20s:1h,1m:2d", "30s:1h,1m:2d", 0},
	} {
		o := testOptions(t)
		o.Rules = sums(c.before)
		s := mustOpen(t, o)
		start := int64(testNow - 1800)
		for i := range int64(60) {
			put(t, s, "a", start+i*10, 1)
		}
		want := 0.0
		check := func(when string) {
			t.Helper()
			for _, age := range []int64{1801, 3599, 3 * 3600, 30 * 3600} {
				got := 0.0
				for _, v := range values(t, s, "a", testNow-age, testNow) {
					if v == v {
						got += v
					}
				}
				if want == 0 {
					want = got
				}
				if got != want {
					t.Errorf("%s to %s, %s, from %d s ago: %v, want %v", c.before, c.after, when, age, got, want)
				}
			}
		}
		check("before")
		if err := s.Apply(sums(c.after)); err != nil {
			t.Fatal(err)
		}
		o.Rules = sums(c.after)
		check("after")
		if c.sum == 0 {
			continue // a late point stands for more than it did before
		}
		put(t, s, "a", start+600, 1) // a late point of the time before
		want++
		check("with a late point")
		put(t, s, "a", start+40, 1)
		check("with a late point again")
		for range 2 {
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			check("flushed")
			s = crash(t, s, o)
		}
		if want != c.sum {
			t.Errorf("%s to %s: %v, want %v", c.before, c.after, want, c.sum)
		}
	}
}

// TestLongerRetention: a schema that gets a coarser and longer archive keeps what it
// had before, for as long as that archive says and no longer.
func TestLongerRetention(t *testing.T) {
	o := testOptions(t)
	now := int64(testNow)
	o.Now = func() time.Time { return time.Unix(now, 0) }
	o.Rules = sums("10s:1h")
	s := mustOpen(t, o)
	for i := range int64(60) {
		put(t, s, "a", now-1800+i*10, 1)
	}
	if err := s.Apply(sums("10s:1h,1m:2d")); err != nil {
		t.Fatal(err)
	}
	o.Rules = sums("10s:1h,1m:2d")
	for range 46 {
		now += 3600
		put(t, s, "b", now, 1)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range values(t, s, "a", testNow-3600, testNow) {
			if v == v {
				sum += v
			}
		}
		if sum != 60 {
			t.Fatalf("after %d h: %v", (now-testNow)/3600, sum)
		}
		if now == testNow+36000 {
			s = crash(t, s, o)
		}
	}
	if n := len(files(t, o.Dir, "10s-1h/*.blk")); n > 16 {
		t.Errorf("%d files of ten seconds", n)
	}
	now += 4 * 3600
	put(t, s, "b", now, 1)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, o.Dir, "10s-1h/*.blk")); n != 1 {
		t.Errorf("%d files of ten seconds after two days: %v", n, files(t, o.Dir, "10s-1h/*.blk"))
	}
}

// TestApplyOnABadDisk: what cannot be flushed keeps the old rules.
func TestApplyOnABadDisk(t *testing.T) {
	o, disk := testOptions(t), newBadDisk()
	o.disk, o.Rules = disk, rules("10s:1h")
	s := mustOpen(t, o)
	put(t, s, "a", testNow, 1)
	disk.broken = true
	if err := s.Apply(rules("20s:1h")); err == nil {
		t.Fatal("no error")
	}
	disk.broken = false
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	put(t, s, "a", testNow-10, 2)
	if got := values(t, s, "a", testNow-20, testNow); fmt.Sprint(got) != "[2 1]" {
		t.Errorf("got %v", got)
	}
	if err := s.Apply(rules("20s:1h")); err != nil {
		t.Fatal(err)
	}
	if got := values(t, s, "a", testNow-20, testNow); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestApplyWhileWriting(t *testing.T) {
	o := testOptions(t)
	o.Rules = rules("10s:1d")
	s := mustOpen(t, o)
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range int64(500) {
				if err := s.Write(context.Background(), []metric.Point{{Name: fmt.Appendf(nil, "w%d", w), Time: testNow - 5000 + i*10, Value: float64(i)}}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 6 {
			if err := s.Apply(rules([]string{"5s:1d", "10s:1d"}[i%2])); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for w := range 2 {
		for i, v := range values(t, s, fmt.Sprint("w", w), testNow-5001, testNow-10) {
			if v != float64(i) {
				t.Fatalf("w%d[%d] = %v", w, i, v)
			}
		}
	}
}

// TestFilesAreReadAgain: an operator edits Carbon's file, nobody restarts.
func TestFilesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t)
		o.Schemas = filepath.Join(t.TempDir(), "storage-schemas.conf")
		set := func(retentions string) {
			if err := os.WriteFile(o.Schemas, []byte("[all]\npattern = .*\nretentions = "+retentions+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		set("10s:1h")
		s := mustOpen(t, o)
		put(t, s, "a", testNow, 1)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		for _, c := range []struct {
			retentions string
			step       int64
		}{{"30s:1h", 30}, {"nonsense", 30}, {"1m:1d", 60}} {
			set(c.retentions)
			time.Sleep(11 * time.Second)
			got, err := s.Fetch(context.Background(), Request{Names: []string{"a"}, From: testNow - 60, Until: testNow})
			if err != nil || got[0].Step != c.step {
				t.Errorf("%s: step %d, want %d, %v", c.retentions, got[0].Step, c.step, err)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

// TestNewRulesOnABadDisk: what could not be put in force is tried again.
func TestNewRulesOnABadDisk(t *testing.T) {
	for _, file := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o, disk := testOptions(t), newBadDisk()
			o.disk = disk
			if file {
				o.Schemas = filepath.Join(t.TempDir(), "storage.yaml")
				if err := os.WriteFile(o.Schemas, rules("10s:1h").Schemas.Data, 0o644); err != nil {
					t.Fatal(err)
				}
			} else {
				o.Rules = rules("10s:1h")
			}
			s := mustOpen(t, o)
			put(t, s, "a", testNow, 1)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- s.Run(ctx) }()
			disk.mu.Lock()
			disk.broken = true
			disk.mu.Unlock()
			if !file {
				if err := s.Apply(rules("30s:1h")); !errors.Is(err, syscall.EIO) {
					t.Errorf("got %v", err)
				}
			} else if err := os.WriteFile(o.Schemas, rules("30s:1h").Schemas.Data, 0o644); err != nil {
				t.Fatal(err)
			}
			for _, step := range []int64{10, 30} {
				time.Sleep(11 * time.Second)
				got, err := s.Fetch(context.Background(), Request{Names: []string{"a"}, From: testNow - 60, Until: testNow})
				if err != nil || got[0].Step != step {
					t.Errorf("from a file: %v: step %d, want %d, %v", file, got[0].Step, step, err)
				}
				disk.mu.Lock()
				disk.broken = false
				disk.mu.Unlock()
			}
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestForget: a series whose points have all expired is not listed any more, and
// may come again, also when the list of series could not be written.
func TestForget(t *testing.T) {
	for _, full := range []bool{false, true} {
		o, disk := testOptions(t), newBadDisk()
		now := int64(testNow)
		o.Now = func() time.Time { return time.Unix(now, 0) }
		o.disk, o.Rules = disk, rules("10s:1h,1m:3h")
		s := mustOpen(t, o)
		put(t, s, "gone.a", now, 1)
		put(t, s, "gone.b;host=x", now, 1)
		put(t, s, "kept", now, 1)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		now += 7 * 3600
		put(t, s, "kept", now, 2)
		if full {
			s.maintain.names.path += "/no/such/folder" // only the rewriting fails
		}
		if err := s.flush(); (err != nil) != full {
			t.Fatal(err)
		}
		if got, err := s.Find(context.Background(), "**", 0); err != nil || fmt.Sprint(got) != "[{kept true}]" || s.Stats().Series != 1 {
			t.Fatalf("%v %v %+v", got, err, s.Stats())
		}
		if got, err := s.Select(context.Background(), []TagMatch{{Tag: "host", Value: "x"}}, 0); err != nil || len(got) != 0 {
			t.Fatalf("%v %v", got, err)
		}
		s.maintain.names.path = filepath.Join(o.Dir, "names")
		put(t, s, "gone.a", now, 3)
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		for range 2 { // from the log, then from the list of series
			s.closed = true
			s.release()
			s = mustOpen(t, o)
			if got := values(t, s, "gone.a", now-10, now); got[0] != 3 {
				t.Errorf("list not written: %v: %v", full, got)
			}
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestMergesKeepTheOrderOfFlushes: a series that goes from one archive to another
// of the same step has values of a slot in both. Other series of the first one go
// on, and merging their files must not bring the old value in front.
func TestMergesKeepTheOrderOfFlushes(t *testing.T) {
	set := func(a string) Rules {
		return Rules{Schemas: File{"storage.yaml", []byte("- {name: a, pattern: ^a, retentions: '" + a + "'}\n- {name: b, pattern: '', retentions: '10s:1h'}")}}
	}
	o := testOptions(t)
	o.disk, o.Rules = newBadDisk(), set("10s:1h")
	s := mustOpen(t, o)
	last := 0.0
	for _, step := range []string{"10s:1h", "10s:1d", "10s:1h", "10s:1d"} {
		if err := s.Apply(set(step)); err != nil {
			t.Fatal(err)
		}
		o.Rules = set(step)
		last++
		put(t, s, "a", testNow-100, last)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		for range 2 * fanIn {
			put(t, s, "b", testNow-100, last)
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
		}
		if got := values(t, s, "a", testNow-101, testNow-100); got[0] != last {
			t.Errorf("as %s: %v, want %v", step, got[0], last)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, o)
		if got := values(t, s, "a", testNow-101, testNow-100); got[0] != last {
			t.Errorf("as %s, after a restart: %v, want %v", step, got[0], last)
		}
	}
	// The order stays when so much has changed since that nobody remembers.
	for change := range 2 * mostEras {
		r := set("10s:1d")
		r.Schemas.Data = fmt.Appendf(r.Schemas.Data, "\n- {name: c, pattern: ^c, retentions: '10s:%ds'}", 1000+10*change)
		if err := s.Apply(r); err != nil {
			t.Fatal(err)
		}
		put(t, s, "b", testNow-100, float64(change))
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		if got := values(t, s, "a", testNow-101, testNow-100); got[0] != last {
			t.Fatalf("after %d changes: %v, want %v", change, got[0], last)
		}
	}
	if n := len(files(t, o.Dir, ".blk")); n > 20 {
		t.Errorf("%d files: they are not merged between the changes", n)
	}
}
