package store

import (
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

// TestLongStretchesTakeLittleMemory: neither rollups nor archives of an earlier schema
// are held whole when one value of a coarse archive stands for a great many.
func TestLongStretchesTakeLittleMemory(t *testing.T) {
	measure := func(what string, most uint64, f func()) {
		t.Helper()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > most {
			t.Errorf("%s takes %d MiB", what, n)
		}
	}
	o := testOptions(t)
	o.disk, o.Rules = newBadDisk(), rules("1s:2d,1d:10y")
	s := mustOpen(t, o)
	put(t, s, "a", testNow, 1)
	if err := s.Apply(rules("1d:30y")); err != nil {
		t.Fatal(err)
	}
	measure("thirty years of days", 20, func() { values(t, s, "a", testNow-30*365*86400, testNow) })

	o.Dir, o.Rules = t.TempDir(), rules("1s:100d,1h:2y")
	s = mustOpen(t, o)
	for hour := range int64(24 * 90) {
		put(t, s, "a", testNow-hour*3600, 1)
	}
	measure("rollups of ninety days of seconds", 20, func() { values(t, s, "a", testNow-101*86400, testNow) })
}
