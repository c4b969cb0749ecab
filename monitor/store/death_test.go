package store

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"steer/base/metric"
)

// TestDeathAtEveryStep lets the machine die at each single operation of a flush
// with a merge, an expired block and several log segments, with what was not
// synced lost or not, and starts again.
func TestDeathAtEveryStep(t *testing.T) {
	for _, lost := range []bool{false, true} {
		for fuse := 1; ; fuse++ {
			if !die(t, fuse, lost) {
				if fuse < 30 {
					t.Errorf("only %d steps", fuse)
				}
				break
			}
		}
	}
}

// die says whether the flush came to the step.
func die(t *testing.T, fuse int, lost bool) bool {
	t.Helper()
	disk := newBadDisk()
	now := int64(1_800_000_000)
	o := Options{
		Config: Config{Sync: "1m"}, Dir: filepath.Join(t.TempDir(), "store"), Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Unix(now, 0) }, disk: disk, limit: limits{segment: 1},
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{}
	put := func(name string, v float64) {
		t.Helper()
		if err := s.Write(context.Background(), []metric.Point{{Name: []byte(name), Time: now, Value: v}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		want[name] = v
	}
	put("old", 1)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	now += 10 * 3600 // its ten-second block expires at the next flush
	clear(want)
	for i := range fanIn - 1 {
		put("a", float64(i))
		put(fmt.Sprint("b", i), 1)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 { // three segments that disagree
		put("a", float64(10+i))
		put("c", float64(20+i))
	}
	disk.fuse = fuse
	died := s.flush() != nil
	s.closed = true
	s.release()
	disk.powerLoss(func() bool { return lost }, func(synced, size int64) int64 { return synced })
	if s, err = Open(o); err != nil {
		t.Fatalf("after death at step %d: %v", fuse, err)
	}
	defer s.Close()
	check := func(when string) {
		t.Helper()
		for name, v := range want {
			for _, age := range []int64{1, 7 * 3600, 8 * 86400} {
				got, err := s.Fetch(context.Background(), Request{Names: []string{name}, From: now - age, Until: now})
				if err != nil || len(got) != 1 || !slices.Contains(got[0].Values, v) {
					t.Fatalf("%s death at step %d (unsynced lost: %v): %s from %d s ago: %v %v, want %v", when, fuse, lost, name, age, got, err, v)
				}
			}
		}
	}
	check("after")
	put("a", 99)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	check("after flush after")
	if n := s.Stats(); n.Damaged > 0 || n.WALBytes > 0 {
		t.Errorf("after death at step %d: %+v", fuse, n)
	}
	return died
}
