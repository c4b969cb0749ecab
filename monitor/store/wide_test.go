package store

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestPointsOfManyStretches: a sender that brings years at once makes hundreds of
// block files, but not all of them at a time.
func TestPointsOfManyStretches(t *testing.T) {
	o, disk := testOptions(t), newBadDisk()
	o.disk, o.Rules = disk, rules("10s:1y")
	s := mustOpen(t, o)
	const apart = 8192 * 10
	for at := int64(testNow - 350*86400); at < testNow; at += apart {
		put(t, s, "a", at, float64(at))
	}
	made, most, sick := 0, 0, true
	open := map[string]bool{}
	disk.fail = func(op, name string) error {
		switch {
		case op == "create" && strings.HasSuffix(name, ".blk.tmp"):
			if made++; sick && made == mostOutputs+50 {
				return syscall.EIO // in the second round
			}
			open[name] = true
			most = max(most, len(open))
		case op == "rename":
			delete(open, name+".tmp")
		case op == "remove":
			delete(open, name)
		}
		return nil
	}
	if err := s.flush(); err == nil {
		t.Error("no error")
	}
	sick = false
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, o.Dir, ".blk")); n < mostOutputs+50 || most != mostOutputs {
		t.Errorf("%d files, %d at a time", n, most)
	}
	s = crash(t, s, o)
	for at := int64(testNow - 350*86400); at < testNow; at += apart {
		if got := values(t, s, "a", at-10, at); got[0] != float64(at) {
			t.Fatalf("%d: %v", at, got)
		}
	}
}

// measure says how many MiB f allocates.
func measure(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) >> 20
}

// TestLongStretchesTakeLittleMemory: neither rollups nor archives of an earlier schema
// are held whole when one value of a coarse archive stands for a great many.
func TestLongStretchesTakeLittleMemory(t *testing.T) {
	o := testOptions(t)
	o.disk, o.Rules = newBadDisk(), rules("1s:2d,1d:10y")
	s := mustOpen(t, o)
	put(t, s, "a", testNow, 1)
	if err := s.Apply(rules("1d:30y")); err != nil {
		t.Fatal(err)
	}
	if n := measure(func() { values(t, s, "a", testNow-30*365*86400, testNow) }); n > 20 {
		t.Errorf("thirty years of days take %d MiB", n)
	}
	o.Dir, o.Rules = t.TempDir(), rules("1s:100d,1h:2y")
	s = mustOpen(t, o)
	for hour := range int64(24 * 90) {
		put(t, s, "a", testNow-hour*3600, 1)
	}
	if n := measure(func() { values(t, s, "a", testNow-101*86400, testNow) }); n > 20 {
		t.Errorf("rollups of ninety days of seconds take %d MiB", n)
	}
}

// TestManySeriesHaveComeAndGone: ids grow with every new series.
func TestManySeriesHaveComeAndGone(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	put(t, s, "first", testNow, 1)
	s.lastID.Store(1e8)
	put(t, s, "later", testNow, 2)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "first", testNow, 3)
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := measure(func() { s = crash(t, s, o) }); n > 40 {
		t.Errorf("a start takes %d MiB", n)
	}
	s.lastID.Store(math.MaxUint32 - 1<<20)
	put(t, s, "last", testNow, 4)
	for i := range 3 {
		put(t, s, fmt.Sprint("none", i), testNow, 5)
	}
	if st := s.Stats(); st.Series != 3 || st.Dropped["limit"] != 3 {
		t.Errorf("%+v", st)
	}
	for name, want := range map[string]float64{"first": 3, "later": 2, "last": 4} {
		if got := values(t, s, name, testNow-1, testNow); got[0] != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestPointsWithoutAName: the list of series is lost, and the log still has points of
// one. A new series must not get its id, and with it those points at a later start.
func TestPointsWithoutAName(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	put(t, s, "lost", testNow, 1)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	put(t, s, "lost", testNow-10, 666)
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(o.Dir, "names"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(o.Dir, "blocks")); err != nil {
		t.Fatal(err)
	}
	s = crash(t, s, o)
	put(t, s, "new", testNow, 2)
	if err := s.freeze(); err != nil {
		t.Fatal(err)
	}
	if err := s.maintain.names.add(s.maintain.fresh); err != nil {
		t.Fatal(err)
	}
	s = crash(t, s, o)
	if got := values(t, s, "new", testNow-11, testNow); !math.IsNaN(got[0]) || got[1] != 2 {
		t.Errorf("got %v", got)
	}
}

// TestDeepNames: a series of 4096 bytes could make 2048 nodes of the tree.
func TestDeepNames(t *testing.T) {
	s := mustOpen(t, testOptions(t))
	deep := func(nodes int) string { return strings.Repeat("a.", nodes-1) + "a" }
	put(t, s, deep(mostNodes), testNow, 1)
	put(t, s, deep(mostNodes+1), testNow, 1)
	put(t, s, deep(2048), testNow, 1)
	if st := s.Stats(); st.Series != 1 || st.Dropped["name"] != 2 {
		t.Errorf("%+v", st)
	}
}
