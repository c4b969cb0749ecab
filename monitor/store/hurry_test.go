package store

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"

	"steer/base/fault"
	"steer/base/metric"
)

// flood writes many times what memory may hold, as fast as it goes.
func flood(s *Store, each func(err error) (goOn bool)) {
	batch := make([]metric.Point, 500)
	for round := range 400 {
		for i := range batch {
			batch[i] = metric.Point{Name: fmt.Appendf(nil, "series.%d", i), Time: testNow - 20000 + int64(round)*10, Value: float64(round * i)}
		}
		if !each(s.Write(context.Background(), batch)) {
			return
		}
	}
}

// TestSenderFasterThanFlushes: a sender waits while memory is full; nothing is refused.
func TestSenderFasterThanFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions(t)
		o.Rules, o.limit = rules("10s:1d"), limits{memory: 4096}
		s := mustOpen(t, o)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		flood(s, func(err error) bool {
			if err != nil {
				t.Error(err)
			}
			return err == nil
		})
		if st := s.Stats(); st.Refused != 0 || st.Points != 200_000 || st.Flushes < 2 {
			t.Errorf("%+v", st)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := values(t, s, "series.7", testNow-20001, testNow-16010); len(got) != 400 || got[399] != 399*7 {
			t.Errorf("%d values, the last %v", len(got), got[len(got)-1])
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestFullMemoryWithABadDisk: a sender that waits is told when the flush does not work,
// and when the flusher ends.
func TestFullMemoryWithABadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, disk := testOptions(t), newBadDisk()
		o.Rules, o.limit, o.disk = rules("10s:1d"), limits{memory: 4096}, disk
		s := mustOpen(t, o)
		disk.mu.Lock()
		disk.fail = func(op, name string) error {
			if op == "create" && strings.HasSuffix(name, ".tmp") && strings.Contains(name, "blocks") {
				return fs.ErrPermission
			}
			return nil
		}
		disk.mu.Unlock()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		var refused error
		flood(s, func(err error) bool { refused = err; return err == nil })
		if fault.Of(refused) != fault.Unavailable || !strings.Contains(refused.Error(), "memory is full") {
			t.Errorf("got %v", refused)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := s.Write(context.Background(), []metric.Point{{Name: []byte("a"), Time: testNow, Value: 1}}); fault.Of(err) != fault.Unavailable {
			t.Errorf("got %v", err)
		}
		disk.mu.Lock()
		disk.fail = nil
		disk.mu.Unlock()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
