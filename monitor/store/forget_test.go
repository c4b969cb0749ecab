package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestForgetWhileNamesCome forgets series while others are created and looked for:
// none of those gets lost, and none comes twice.
func TestForgetWhileNamesCome(t *testing.T) {
	o := testOptions(t)
	var now atomic.Int64
	now.Store(testNow)
	o.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	o.Rules = rules("10s:1h")
	s := mustOpen(t, o)
	rounds := 4
	names := make([][]string, rounds)
	for round := range rounds {
		put(t, s, fmt.Sprint("gone.", round), now.Load(), 1)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		now.Add(7 * 3600)
		var wg sync.WaitGroup
		done := make(chan struct{})
		for w := range 2 {
			wg.Go(func() {
				for i := 0; ; i++ {
					name := fmt.Sprintf("n%d.w%d.i%d;host=h%d", round, w, i, i%5)
					put(t, s, name, now.Load(), float64(i))
					if w == 0 {
						names[round] = append(names[round], name)
					}
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		wg.Go(func() {
			for {
				if _, err := s.Find(context.Background(), "nobody", 0); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
		if err := s.flush(); err != nil {
			t.Error(err)
		}
		close(done)
		wg.Wait()
		check := func(when string) {
			t.Helper()
			want := slices.Sorted(slices.Values(names[round]))
			got, err := s.Select(context.Background(), []TagMatch{{Tag: "name", Match: regexp.MustCompile(fmt.Sprintf(`^n%d\.w0`, round))}}, 0)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("round %d %s: selected %d, want %d %v", round, when, len(got), len(want), err)
			}
			found, err := s.Find(context.Background(), fmt.Sprintf("n%d.w0.*", round), 0)
			if err != nil || len(found) != len(want) {
				t.Fatalf("round %d %s: found %d, want %d %v", round, when, len(found), len(want), err)
			}
			if got, err := s.Find(context.Background(), fmt.Sprint("gone.", round), 0); err != nil || len(got) != 0 {
				t.Fatalf("round %d %s: %v %v is not forgotten", round, when, got, err)
			}
		}
		check("at once")
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		s = crash(t, s, o)
		check("after a restart")
	}
}

// TestForgetWhileOneComesAgain: a point of a series comes while that one is just to be
// forgotten.
func TestForgetWhileOneComesAgain(t *testing.T) {
	o, disk := testOptions(t), newBadDisk()
	now := int64(testNow)
	o.Now = func() time.Time { return time.Unix(now, 0) }
	o.disk, o.Rules = disk, rules("10s:1h")
	for after := range 100 {
		o.Dir, now = t.TempDir(), testNow
		s := mustOpen(t, o)
		put(t, s, "gone", now, 1)
		put(t, s, "kept", now, 1)
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		now += 7 * 3600
		put(t, s, "kept", now, 2)
		ops := 0
		disk.fail = func(op, name string) error {
			if ops++; ops == after {
				put(t, s, "gone", now, 3)
			}
			return nil
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		disk.fail = nil
		if ops < after {
			return
		}
		for range 2 {
			if err := s.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			s = crash(t, s, o)
			if found, err := s.Find(context.Background(), "*", 0); err != nil || len(found) != 1+min(after, 1) {
				t.Fatalf("after %d operations: %v %v", after, found, err)
			}
			if after > 0 {
				if got := values(t, s, "gone", now-1, now); got[0] != 3 {
					t.Fatalf("after %d operations: %v", after, got)
				}
			}
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Error("the flush has no end")
}

// TestRewrittenListIsNotYetOnDisk: the list of series was rewritten but its new name
// did not reach the disk; what is appended afterwards must not hang on it.
func TestRewrittenListIsNotYetOnDisk(t *testing.T) {
	o, disk := testOptions(t), newBadDisk()
	now := int64(testNow)
	o.Now = func() time.Time { return time.Unix(now, 0) }
	o.disk, o.Rules = disk, rules("10s:1h")
	s := mustOpen(t, o)
	put(t, s, "gone", now, 1)
	put(t, s, "kept", now, 1)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	now += 7 * 3600
	put(t, s, "kept", now, 2)
	disk.fail = func(op, name string) error {
		if op == "syncdir" && name == o.Dir {
			return syscall.EIO
		}
		return nil
	}
	if err := s.flush(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	disk.fail = nil
	put(t, s, "new", now, 3)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	s.closed = true
	s.release()
	disk.powerLoss(func() bool { return true }, func(synced, size int64) int64 { return synced })
	s = mustOpen(t, o)
	if got := values(t, s, "new", now-1, now); got[0] != 3 {
		t.Errorf("got %v", got)
	}
}
