package store

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"steer/base/metric"
)

// A story is days in the life of a store in which everything happens: flushes with
// merges, blocks that expire, series that are forgotten and come again, a list of
// series that is written anew, changes of the rules, late and rewritten points. Tests
// let the disk fail or the machine die at each of its steps.
type story struct {
	t     testing.TB
	o     Options
	disk  *badDisk
	s     *Store
	now   int64
	sure  map[string]map[int64]float64   // points that a sync brought to disk
	maybe map[string]map[int64][]float64 // what else may be there
	count float64                        // grows with every point
}

var storyRules = []string{"10s:30m,1m:3h,5m:2d", "10s:1h,1m:3h,5m:2d", "10s:1h,30s:2h,1m:3h,5m:2d"}

func newStory(t testing.TB) *story {
	st := &story{t: t, disk: newBadDisk(), now: testNow, sure: map[string]map[int64]float64{}, maybe: map[string]map[int64][]float64{}}
	st.o = Options{
		Config: Config{Sync: "1m"}, Dir: filepath.Join(t.TempDir(), "store"), Log: slog.New(slog.DiscardHandler), Rules: sums(storyRules[0]),
		Now: func() time.Time { return time.Unix(st.now, 0) }, disk: st.disk, limit: limits{segment: 300},
	}
	return st
}

// write writes one value to each of the times and syncs.
func (st *story) write(name string, times ...int64) error {
	var points []metric.Point
	for _, at := range times {
		st.count++
		if st.maybe[name] == nil {
			st.maybe[name] = map[int64][]float64{}
		}
		st.maybe[name][at] = append(st.maybe[name][at], st.count)
		points = append(points, metric.Point{Name: []byte(name), Time: at, Value: st.count})
	}
	if err := st.s.Write(context.Background(), points); err != nil {
		return err
	}
	if err := st.s.Sync(context.Background()); err != nil {
		return err
	}
	for _, p := range points {
		if st.sure[name] == nil {
			st.sure[name] = map[int64]float64{}
		}
		st.sure[name][p.Time] = p.Value
		delete(st.maybe[name], p.Time)
	}
	return nil
}

// steps are the parts of the story; one that failed can be done again.
func (st *story) steps() (all []func() error) {
	do := func(f func() error) { all = append(all, f) }
	at := func(seconds int64) { do(func() error { st.now = testNow + seconds; return nil }) }
	flush := func() { do(func() error { return st.s.flush() }) }
	round := func(extra ...string) {
		do(func() error {
			for _, name := range append(extra, "s0", "s1", "s2;tag=x") {
				if err := st.write(name, st.now-20, st.now-10, st.now); err != nil {
					return err
				}
			}
			return nil
		})
	}
	apply := func(rules string) {
		do(func() error {
			if err := st.s.Apply(sums(rules)); err != nil {
				return err
			}
			st.o.Rules = sums(rules)
			return nil
		})
	}
	const hour = 3600
	do(st.open)
	for i := range int64(fanIn) {
		at(40 * i)
		round(fmt.Sprint("new.", i))
		flush()
	}
	at(200)
	round("gone.a", "gone.b;tag=y")
	flush()
	at(4 * hour)
	round()
	flush()
	at(60 * hour)
	round()
	flush()
	at(60*hour + 10)
	round("gone.a")
	flush()
	at(60*hour + 300)
	apply(storyRules[1])
	at(60*hour + 340)
	round()
	do(func() error { return st.write("s0", st.now-200, st.now-20) }) // late, and again
	flush()
	at(60*hour + 600)
	apply(storyRules[2])
	for i := range int64(fanIn) {
		at(60*hour + 640 + 40*i)
		round()
		flush()
	}
	do(func() error { return st.write("s1", st.now-290) })
	do(func() error { return st.s.Close() })
	do(st.open)
	at(60*hour + 900)
	round("new.last")
	return all
}

func (st *story) open() (err error) {
	if st.s == nil || st.s.closed {
		st.s, err = Open(st.o)
	}
	return err
}

// kill ends it as a kill would.
func (st *story) kill() {
	if st.s == nil {
		return
	}
	st.s.gate.Lock()
	defer st.s.gate.Unlock()
	if !st.s.closed {
		st.s.closed = true
		st.s.release()
	}
}

// bounds are the least and the most that values of a series in [from, until) add up to.
func (st *story) bounds(name string, from, until int64) (low, high float64) {
	for at := from; at < until; at += 10 {
		v, sure := st.sure[name][at]
		least, most := v, v
		for _, v := range st.maybe[name][at] {
			if most = max(most, v); sure {
				least = min(least, v)
			}
		}
		low, high = low+least, high+most
	}
	return low, high
}

// check reads everything.
func (st *story) check(when string) {
	st.t.Helper()
	var names []string
	for name, points := range st.sure {
		for at := range points {
			if at > st.now-2*86400+600 && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	found, err := st.s.Find(context.Background(), "**", 0)
	if err != nil {
		st.t.Fatal(err)
	}
	for _, name := range names {
		if !slices.Contains(found, metric.Match{Path: name, Leaf: true}) {
			st.t.Fatalf("%s: %s is not listed: %v", when, name, found)
		}
	}
	for _, age := range []int64{1700, 3500, 7100, 3*3600 - 100, 2*86400 - 100} {
		got, err := st.s.Fetch(context.Background(), Request{Names: names, From: st.now - age, Until: st.now})
		if err != nil || len(got) != len(names) {
			st.t.Fatalf("%s: %d of %v: %v", when, len(got), names, err)
		}
		for _, series := range got {
			parts := map[int64]float64{} // by five minutes
			for i, v := range series.Values {
				at := series.Start + int64(i)*series.Step
				if v != v {
					v = 0
				}
				if low, high := st.bounds(series.Name, at, at+10); series.Step == 10 && !(v >= low && v <= high) {
					st.t.Fatalf("%s: %s at %d is %v, want %v to %v", when, series.Name, at-testNow, v, low, high)
				}
				parts[at/300] += v
			}
			for part, sum := range parts {
				if part*300 < series.Start {
					continue
				}
				if low, high := st.bounds(series.Name, part*300, part*300+300); !(sum >= low && sum <= high) {
					st.t.Fatalf("%s: from %d s ago, step %d: %s from %d adds up to %v, want %v to %v", when, age, series.Step, series.Name, part*300-testNow, sum, low, high)
				}
			}
		}
	}
	if set := files(st.t, st.o.Dir, ".damaged"); len(set) > 0 {
		st.t.Fatalf("%s: set aside: %v", when, set)
	}
}

// TestStory: without any fault.
func TestStory(t *testing.T) {
	st := newStory(t)
	ops := map[string]int{}
	st.disk.fail = func(op, name string) error {
		ops[op]++
		return nil
	}
	for i, step := range st.steps() {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if st.s != nil && !st.s.closed {
			st.check(fmt.Sprint("step ", i))
		}
	}
	found, err := st.s.Find(context.Background(), "**", 0)
	if err != nil || fmt.Sprint(found) != "[{gone false} {gone.a true} {new false} {new.last true} {s0 true} {s1 true} {s2;tag=x true}]" {
		t.Errorf("what nobody writes any more is not forgotten: %v %v", found, err)
	}
	t.Log(ops)
	st.kill()
}

// TestEveryFaultOnce lets one operation of the disk fail, or a few in a row, anywhere in
// the story. Whoever failed tries again, and in the end everything is as if nothing had
// happened.
func TestEveryFaultOnce(t *testing.T) {
	total := 0
	st := newStory(t)
	st.disk.fail = func(op, name string) error { total++; return nil }
	for _, step := range st.steps() {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	st.kill()
	faults := []error{syscall.EIO, syscall.ENOSPC, short{}, short{syscall.EIO}, syscall.EMFILE}
	tries, noticed := 0, 0
	try := func(at, row int, fault error) {
		tries++
		when := fmt.Sprintf("%d operations from %d on fail with %T %v", row, at, fault, fault)
		st := newStory(t)
		n := 0
		st.disk.fail = func(op, name string) error {
			n++
			if _, part := fault.(short); n <= at || n > at+row || part && op != "write" && op != "read" {
				return nil
			}
			return fault
		}
		for i, step := range st.steps() {
			for attempt := 0; ; attempt++ {
				err := step()
				if err == nil {
					break
				}
				noticed++
				if attempt > 100 {
					t.Fatalf("%s: step %d does not come through: %v", when, i, err)
				}
				if st.s != nil && st.s.closed { // by a Close that failed
					break
				}
				if st.s != nil {
					st.s.Sync(context.Background()) //nolint:errcheck // as Run does every second
				}
			}
		}
		st.disk.fail = nil
		st.check(when)
		st.kill()
		if err := st.open(); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		st.check(when + ", opened again")
		if n := st.s.Stats().Damaged; n > 0 {
			t.Fatalf("%s, opened again: %d damaged", when, n)
		}
		for _, name := range files(t, st.o.Dir, ".tmp") {
			t.Errorf("%s: %s stays behind", when, name)
		}
		st.kill()
	}
	if soak() {
		for at := range total {
			for i, fault := range faults {
				try(at, 1+at%3*i*i, fault)
			}
		}
	} else {
		for range 30 {
			try(rand.IntN(total), 1+rand.IntN(2)*rand.IntN(20), faults[rand.IntN(len(faults))])
		}
	}
	t.Logf("%d operations, %d tries, %d errors", total, tries, noticed)
}

// TestDeathAnywhereInTheStory lets the machine die at any operation of the story, with
// what was not synced lost, kept, or both, and goes on after a start.
func TestDeathAnywhereInTheStory(t *testing.T) {
	deaths := 0
	die := func(fuse int, lost func() bool) (died bool) {
		st := newStory(t)
		st.disk.fuse = fuse
		when := fmt.Sprint("death at operation ", fuse)
		for i, step := range st.steps() {
			err := step()
			if err != nil && died {
				t.Fatalf("%s, step %d afterwards: %v", when, i, err)
			}
			if err == nil {
				continue
			}
			died = true
			st.kill()
			st.disk.powerLoss(lost, func(synced, size int64) int64 { return synced + rand.Int64N(size-synced+1) })
			st.s = nil
			if err := st.open(); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			st.check(when)
			if err := step(); err != nil {
				t.Fatalf("%s, step %d again: %v", when, i, err)
			}
		}
		st.check(when + ", at the end")
		st.kill()
		return died
	}
	lost := []func() bool{func() bool { return true }, func() bool { return false }, func() bool { return rand.IntN(2) == 0 }}
	step := 1
	if !soak() {
		step = 40
	}
	for fuse := 1 + rand.IntN(step); die(fuse, lost[deaths%len(lost)]); fuse += step {
		deaths++
	}
	if deaths < 10 {
		t.Errorf("%d deaths", deaths)
	}
	t.Logf("%d deaths", deaths)
}
