package store

import (
	"context"
	"slices"
	"syscall"
	"testing"
)

// crash opens the store again as after a kill: nothing is synced or flushed.
func crash(t testing.TB, s *Store, o Options) *Store {
	t.Helper()
	s.gate.Lock()
	s.closed = true
	s.release()
	s.gate.Unlock()
	return mustOpen(t, o)
}

// TestSyncFailsInTheMiddleOfAFlush: a point comes while a flush syncs the log, and
// the second sync, the one for that point, fails.
func TestSyncFailsInTheMiddleOfAFlush(t *testing.T) {
	o, disk := testOptions(t), newBadDisk()
	o.disk = disk
	s := mustOpen(t, o)
	put(t, s, "a", testNow-20, 1)
	syncs := 0
	disk.fail = func(op, name string) error {
		if op != "sync" {
			return nil
		}
		if syncs++; syncs == 1 {
			put(t, s, "a", testNow-10, 2)
			put(t, s, "b", testNow-10, 2)
			return nil
		}
		return syscall.EIO
	}
	if err := s.flush(); err == nil || syncs != 2 {
		t.Fatalf("%d syncs, %v", syncs, err)
	}
	disk.fail = nil
	for i := range 2 { // writes are refused until a sync works
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			put(t, s, "a", testNow, 3)
		}
	}
	for range 3 {
		if got := values(t, s, "a", testNow-21, testNow); !slices.Equal(got, []float64{1, 2, 3}) {
			t.Errorf("a: %v", got)
		}
		if got := values(t, s, "b", testNow-11, testNow-10); !slices.Equal(got, []float64{2}) {
			t.Errorf("b: %v", got)
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		s = crash(t, s, o)
	}
}
