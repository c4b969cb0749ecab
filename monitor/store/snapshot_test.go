package store

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/metric"
)

// unpack writes a snapshot to a new folder, in pieces and with pauses between
// files, and closes it.
func unpack(t interface{ Fatal(...any) }, snap *Snapshot, dir string, pause func()) {
	defer snap.Close()
	for _, f := range snap.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
		if err != nil || int64(len(b)) != f.Size {
			t.Fatal(fmt.Sprintf("%s: %d of %d bytes: %v", f.Name, len(b), f.Size, err))
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		pause()
	}
}

// reopened opens a restored folder, which must need no repair.
func reopened(t interface{ Fatal(...any) }, o Options, dir string) *Store {
	var log bytes.Buffer
	o.Dir, o.disk, o.Log = dir, nil, slog.New(slog.NewTextHandler(&log, nil))
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Fatal("the restored store says:\n" + log.String())
	}
	return s
}

// snapshot is an action of TestAgainstModel: what is restored is as the original.
func (m *machine) snapshot(t *rapid.T) {
	if m.ill { // what cannot be read cannot be copied
		return
	}
	snap, err := m.s.Snapshot(context.Background())
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	dir := m.options.Dir + ".restored"
	defer os.RemoveAll(dir)
	unpack(t, snap, dir, func() {})
	r := &machine{now: m.now, model: m.model, s: reopened(t, m.options, dir)}
	defer r.s.Close()
	r.checkAll(t)
}

// TestSnapshotHasWhatWasAccepted: with writers, flushes, merges, expiry and
// changing rules at the same time, a restored store has every point that was
// accepted before Snapshot was called, and rollups that agree with them.
func TestSnapshotHasWhatWasAccepted(t *testing.T) {
	const writers, each, start = 4, 40, testNow / 600 * 600
	retentions := []string{"10s:10m,1m:2h", "10s:10m,1m:2h,10m:1d"}
	var slot atomic.Int64 // of the store's clock, in tens of seconds from start
	o := testOptions(t)
	o.Rules = rules(retentions[0])
	o.Rules.Aggregation = File{"aggregation.yaml", []byte("- {name: all, pattern: '', x_files_factor: 0, method: max}")}
	o.Now = func() time.Time { return time.Unix(start+10*slot.Load(), 0) }
	o.limit = limits{segment: 10_000}
	s := mustOpen(t, o)

	value := func(writer, series int, slot int64) float64 { return float64(writer*1000+series) + float64(slot)/1e5 }
	name := func(writer, series int) string { return fmt.Sprintf("w%d.s%d", writer, series) }
	var accepted [writers]atomic.Int64 // the newest slot
	var ended atomic.Bool
	var wg sync.WaitGroup
	defer wg.Wait()
	defer ended.Store(true)
	for w := range writers {
		wg.Go(func() {
			for at := int64(1); !ended.Load(); at++ {
				var points []metric.Point
				for i := range each {
					points = append(points, metric.Point{Name: []byte(name(w, i)), Time: start + 10*at, Value: value(w, i, at)})
				}
				if err := s.Write(context.Background(), points); err != nil {
					t.Error(err)
					return
				}
				accepted[w].Store(at)
				// The clock follows the writers, so that what they write is young.
				for now := slot.Load(); now < at && !slot.CompareAndSwap(now, at); now = slot.Load() {
				}
				for at > 3*int64(s.counters.flushes.Load()+2) && !ended.Load() {
					time.Sleep(10 * time.Microsecond) // for the flushes, or all is old before it is read
				}
			}
		})
	}
	wg.Go(func() {
		for n := 0; !ended.Load(); n++ {
			if err := s.flush(); err != nil {
				t.Error(err)
			}
			if n%7 == 0 {
				r := o.Rules
				r.Schemas = rules(retentions[n/7%2]).Schemas
				if err := s.Apply(r); err != nil {
					t.Error(err)
				}
			}
		}
	})

	checked := 0
	for round := range 8 {
		before := slot.Load()
		for slot.Load() < before+30 {
			time.Sleep(10 * time.Microsecond)
		}
		var sure [writers]int64
		for w := range writers {
			sure[w] = accepted[w].Load()
		}
		snap, err := s.Snapshot(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		now := slot.Load() // what is older than its archive by then may be gone
		dir := filepath.Join(t.TempDir(), "restored")
		first := true
		unpack(t, snap, dir, func() {
			if first || rand.IntN(4) == 0 { // the store is flushed, merged and expired meanwhile
				first = false
				for was := s.counters.flushes.Load(); s.counters.flushes.Load() == was; {
					time.Sleep(10 * time.Microsecond)
				}
			}
		})
		restored := o
		restored.Now = func() time.Time { return time.Unix(start+10*now, 0) }
		restored.Rules.Schemas = rules(retentions[0]).Schemas
		r := reopened(t, restored, dir)
		for w := range writers {
			for i := range each {
				// Half an hour back the coarse archive answers, and then the fine one.
				for _, from := range []int64{now - 180, now - 59} {
					from = max(from, 0)
					got, err := r.Fetch(context.Background(), Request{Names: []string{name(w, i)}, From: start + 10*from, Until: start + 10*now})
					if err != nil || len(got) != 1 {
						t.Fatalf("round %d: %s: %v %v", round, name(w, i), got, err)
					}
					step := got[0].Step / 10
					for n, v := range got[0].Values {
						last := ((got[0].Start-start)/10 + int64(n)*step) + step - 1 // slot that makes the value
						if last <= 0 || last > sure[w] {
							continue
						}
						if want := value(w, i, last); v != want {
							t.Fatalf("round %d: %s at slot %d, step %d: %v, want %v (accepted up to %d, clock %d)", round, name(w, i), last, step, v, want, sure[w], now)
						}
						checked++
					}
				}
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if checked < 8*writers*each*30 {
		t.Errorf("only %d values were compared", checked)
	}
	ended.Store(true)
	wg.Wait()
	for _, b := range s.blocks.all() {
		if n := b.refs.Load(); n != 1 {
			t.Errorf("%s is held %d times", b.path, n)
		}
	}
}

// TestSnapshotAfterAStuckFlush: points of a flush that failed half-way and newer
// ones are both there.
func TestSnapshotAfterAStuckFlush(t *testing.T) {
	o, disk := testOptions(t), newBadDisk()
	o.disk = disk
	s := mustOpen(t, o)
	put(t, s, "a", testNow-20, 1)
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.maintain.Lock()
	if err := s.freeze(); err != nil { // and there it ended
		t.Fatal(err)
	}
	s.maintain.frozen = true
	s.maintain.gen++
	s.maintain.Unlock()
	put(t, s, "a", testNow-10, 2)
	put(t, s, "b", testNow-10, 3)

	disk.mu.Lock()
	disk.room = 0
	disk.mu.Unlock()
	if _, err := s.Snapshot(context.Background()); err == nil || !strings.Contains(err.Error(), "take snapshot: ") {
		t.Fatalf("with a full disk: %v", err)
	}
	disk.mu.Lock()
	disk.room = -1
	disk.mu.Unlock()
	snap, err := s.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	unpack(t, snap, dir, func() {})
	r := reopened(t, o, dir)
	defer r.Close()
	if got := values(t, r, "a", testNow-30, testNow-10); fmt.Sprint(got) != "[1 2]" {
		t.Errorf("a: %v", got)
	}
	if got := values(t, r, "b", testNow-20, testNow-10); fmt.Sprint(got) != "[3]" {
		t.Errorf("b: %v", got)
	}
}

// TestSnapshotOfADamagedBlock: it is copied as it is and marked, and the restored
// store serves the rest like the original.
func TestSnapshotOfADamagedBlock(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	for i := range 300 {
		put(t, s, fmt.Sprintf("s%03d", i), testNow-10, float64(i)+0.5)
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	fine := files(t, filepath.Join(o.Dir, "blocks", "10s-6h"), ".blk")
	if len(fine) != 1 {
		t.Fatal(fine)
	}
	flip(t, fine[0], 60) // in the chunks
	lost := -1
	for i := range 300 {
		if v := values(t, s, fmt.Sprintf("s%03d", i), testNow-20, testNow-10)[0]; v != v {
			if lost >= 0 {
				t.Fatalf("series %d and %d are lost", lost, i)
			}
			lost = i
		}
	}
	if lost < 0 {
		t.Fatal("nothing is damaged")
	}
	snap, err := s.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var marked []string
	for _, f := range snap.Files {
		if f.Damaged {
			marked = append(marked, filepath.Base(f.Name))
		}
	}
	if len(marked) != 1 || marked[0] != filepath.Base(fine[0]) {
		t.Errorf("marked are %v", marked)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	unpack(t, snap, dir, func() {})
	r := reopened(t, o, dir)
	defer r.Close()
	for i := range 300 {
		if v := values(t, r, fmt.Sprintf("s%03d", i), testNow-20, testNow-10)[0]; i != lost && v != float64(i)+0.5 {
			t.Errorf("series %d: %v", i, v)
		}
	}
}

// TestSnapshotOutlivesTheStore: its files can be read after Close, and without the
// files' names.
func TestSnapshotOutlivesTheStore(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	put(t, s, "a", testNow-10, 1)
	snap, err := s.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "later", testNow-10, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(o.Dir); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	unpack(t, snap, dir, func() {})
	r := reopened(t, o, dir)
	defer r.Close()
	if got := values(t, r, "a", testNow-20, testNow-10); fmt.Sprint(got) != "[1]" {
		t.Errorf("%v", got)
	}
	if n := r.Stats().Series; n != 1 {
		t.Errorf("%d series, want those of the moment", n)
	}
	if _, err := s.Snapshot(context.Background()); err == nil {
		t.Error("a closed store makes snapshots")
	}
	snap.Close() // twice does no harm
}
