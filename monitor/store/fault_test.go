package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
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

// TestFlushDoesNotRollUpWhatItCannotRead: a rollup of the values that could be read
// only would stand for good. If a sector never comes back, points come first.
func TestFlushDoesNotRollUpWhatItCannotRead(t *testing.T) {
	for _, forever := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			o, disk := testOptions(t), newBadDisk()
			o.disk, o.Rules = disk, sums("10s:1h,1m:1d")
			s := mustOpen(t, o)
			start := int64(testNow - 600)
			want := 0.0
			for i := range int64(6) {
				put(t, s, "a", start+10*i, float64(i+1))
				want += float64(i + 1)
				if i == 2 {
					if err := s.flush(); err != nil {
						t.Fatal(err)
					}
				}
			}
			disk.fail = func(op, name string) error {
				if op == "read" && strings.HasSuffix(name, "-00000001.blk") {
					return syscall.EIO
				}
				return nil
			}
			if err := s.flush(); !errors.Is(err, syscall.EIO) {
				t.Fatalf("%v", err)
			}
			if forever {
				want = 4 + 5 + 6
				time.Sleep(unreadable)
			} else {
				disk.fail = nil
			}
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			disk.fail = nil
			s = crash(t, s, o)
			if got := values(t, s, "a", testNow-7200, testNow); !slices.Contains(got, want) {
				t.Errorf("no rollup of %v: %v", want, got)
			}
		})
	}
}

// sums are rules that roll up by sum.
func sums(retentions string) Rules {
	r := rules(retentions)
	r.Aggregation = File{"aggregation.yaml", []byte("- {name: sum, pattern: '', x_files_factor: 0, method: sum}")}
	return r
}

// TestReadErrorsDoNotFloodTheLog: one line a minute for each file is enough.
func TestReadErrorsDoNotFloodTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, disk := testOptions(t), newBadDisk()
		var log bytes.Buffer
		o.disk, o.Rules, o.Log = disk, rules("10s:1d"), slog.New(slog.NewTextHandler(&log, nil))
		s := mustOpen(t, o)
		for i := range 300 {
			put(t, s, fmt.Sprint("a", i), testNow-10, 1)
		}
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		disk.fail = func(op, name string) error {
			if op == "read" {
				return syscall.EIO
			}
			return nil
		}
		for minute := range 3 {
			for i := range 300 {
				values(t, s, fmt.Sprint("a", i), testNow-10, testNow)
			}
			if n := strings.Count(log.String(), "cannot be read"); n != minute+1 {
				t.Errorf("%d lines after %d minutes", n, minute)
			}
			time.Sleep(time.Minute)
		}
		disk.fail = nil
		if got := values(t, s, "a7", testNow-11, testNow-10); got[0] != 1 {
			t.Errorf("afterwards: %v", got)
		}
	})
}

// TestOneSickFileDoesNotStopTheRest: files of other archives are merged and rules
// changed while one file cannot be read or removed.
func TestOneSickFileDoesNotStopTheRest(t *testing.T) {
	o, disk := testOptions(t), newBadDisk()
	now := int64(testNow)
	o.Now = func() time.Time { return time.Unix(now, 0) }
	o.disk, o.Rules = disk, rules("10s:1h,1m:5h,5m:1d")
	s := mustOpen(t, o)
	put(t, s, "stuck", now-3000, 1)
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	stuck := files(t, o.Dir, "10s-1h/*.blk")[0]
	now += 30 * 3600
	for i := range int64(fanIn) {
		put(t, s, "a", now-10*i, float64(i))
		if i < fanIn-1 {
			if err := s.move(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.move(); err != nil {
		t.Fatal(err)
	}
	var sick string
	for _, b := range s.blocks.all() {
		if b.Step == 60 && b.new == 3 {
			sick = b.path
		}
	}
	disk.fail = func(op, name string) error {
		if op == "read" && name == sick || op == "remove" && name == stuck {
			return syscall.EIO
		}
		return nil
	}
	if err := s.flush(); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	if n := len(files(t, o.Dir, "5m-1d/*.blk")); n > 2 {
		t.Errorf("%d files of five minutes: they are not merged", n)
	}
	if n := len(files(t, o.Dir, "1m-5h/*.blk")); n < fanIn || n > fanIn+1 {
		t.Errorf("%d files of a minute", n)
	}
	if err := s.Apply(rules("10s:2h,1m:5h,5m:1d")); err != nil {
		t.Error(err)
	}
	disk.fail = nil
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, o.Dir, "1m-5h/*.blk")); n != 1 {
		t.Errorf("%d files of a minute afterwards", n)
	}
	if got := values(t, s, "a", now-31, now); !slices.Equal(got, []float64{3, 2, 1, 0}) {
		t.Errorf("%v", got)
	}
}

// TestShortWritesAndReads: a write or a read that is done in part, with an error or
// without one, is never taken for a whole one.
func TestShortWritesAndReads(t *testing.T) {
	for _, file := range []string{".wal", "names", "retentions.json.tmp"} {
		for _, err := range []error{nil, syscall.EIO, syscall.ENOSPC} {
			o, disk := testOptions(t), newBadDisk()
			o.disk, o.Rules = disk, rules("10s:1h")
			s := mustOpen(t, o)
			once := func(op, end string) {
				disk.fail = func(did, name string) error {
					if did != op || !strings.HasSuffix(name, end) {
						return nil
					}
					disk.fail = nil
					return short{err}
				}
			}
			put(t, s, "a", testNow, 1)
			once("write", file)
			flushed := s.flush()
			applied := s.Apply(rules("10s:2h"))
			if flushed == nil && applied == nil {
				t.Errorf("%s, %v: nobody noticed", file, err)
			}
			if err := s.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			put(t, s, "b", testNow, 2)
			if err := s.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
			s.closed = true
			s.release()
			// Then half a file is read when the store opens.
			once("read", strings.TrimSuffix(file, ".tmp"))
			if s, err := Open(o); err == nil {
				s.Close()
				t.Errorf("%s: half of it was read", file)
			}
			s = mustOpen(t, o)
			for name, want := range map[string]float64{"a": 1, "b": 2} {
				if got := values(t, s, name, testNow-1, testNow); got[0] != want {
					t.Errorf("%s, %v: %s is %v", file, err, name, got)
				}
			}
			if got := files(t, o.Dir, ".damaged"); len(got) > 0 {
				t.Errorf("%s, %v: %v", file, err, got)
			}
		}
	}
}
