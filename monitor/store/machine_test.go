package store

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/fault"
	"steer/base/metric"
)

// TestAgainstModel does random things to a store and to the model: writes of any
// age and value, flushes, changes of the rules, restarts, losses of power, full and
// broken disks, reads that fail. While a flush or a change works, readers compare.
func TestAgainstModel(t *testing.T) {
	dir := t.TempDir()
	run := 0
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		checks.Value.Set(map[bool]string{false: "50", true: "2000"}[soak()]) //nolint:errcheck // a number
	}
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := &machine{
			now: 1_800_000_000, model: newModel([4]int{}), disk: newBadDisk(),
			options: Options{
				Config: Config{Sync: "1m"}, Rules: modelRules([4]int{}), Dir: filepath.Join(dir, fmt.Sprint(run)), Log: slog.New(slog.DiscardHandler),
				limit: limits{segment: 200, loose: 1, forget: 30 * time.Minute},
			},
		}
		m.options.disk = m.disk
		m.options.Now = func() time.Time { return time.Unix(m.now, 0) }
		m.open(t)
		defer func() {
			m.s.Close()
			os.RemoveAll(m.options.Dir)
		}()
		t.Repeat(map[string]func(*rapid.T){
			"write": m.write, "write much": m.writeMuch, "advance": m.advance, "advance far": m.advanceFar, "flush": m.flush, "sync": m.sync,
			"apply": m.apply, "restart": m.restart, "restart with other rules": m.restartWith, "lose power": m.losePower,
			"fill disk": m.fillDisk, "break disk": m.breakDisk, "fail reads": m.failReads, "mend disk": m.mendDisk,
			"fetch": m.fetch, "names": m.names, "snapshot": m.snapshot, "": func(t *rapid.T) {},
		})
		m.mendDisk(t)
		m.checkAll(t)
		m.names(t)
		m.restart(t)
		m.checkAll(t)
		m.names(t)
	})
}

type machine struct {
	now     int64
	model   *model
	disk    *badDisk
	options Options
	s       *Store
	ill     bool // the disk is
	blind   bool // reads may fail
}

func (m *machine) open(t *rapid.T) {
	s, err := Open(m.options)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	m.s = s
}

func (m *machine) put(t *rapid.T, points []metric.Point) {
	err := m.s.Write(context.Background(), points)
	if err != nil {
		if !m.ill || fault.Of(err) != fault.Unavailable {
			t.Fatalf("write: %v", err)
		}
		return
	}
	for _, p := range points {
		m.model.write(string(p.Name), p.Time, m.now, p.Value)
	}
}

func modelValues() *rapid.Generator[float64] {
	return rapid.OneOf(
		rapid.Float64(),
		rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }),
		rapid.Map(rapid.IntRange(-99999, 99999), func(i int) float64 { return float64(i) / 100 }),
		rapid.SampledFrom([]float64{
			math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-310,
			math.Copysign(0, -1), 1 << 53, 1<<53 + 2, 0.1, 1e22,
		}),
	)
}

func (m *machine) write(t *rapid.T) {
	values := modelValues()
	var points []metric.Point
	for range rapid.IntRange(1, 8).Draw(t, "points") {
		age := rapid.OneOf(rapid.Int64Range(-30, 60), rapid.Int64Range(-100, 700), rapid.Int64Range(0, 4000), rapid.Int64()).Draw(t, "age")
		points = append(points, metric.Point{
			Name: []byte(rapid.SampledFrom(modelNames()).Draw(t, "name")), Time: m.now - age, Value: values.Draw(t, "value"),
		})
	}
	m.put(t, points)
}

// writeMuch writes a run of one series, as a sender that kept points back does.
func (m *machine) writeMuch(t *rapid.T) {
	name := rapid.SampledFrom(modelNames()).Draw(t, "name")
	age := rapid.Int64Range(0, 1000).Draw(t, "age")
	step := m.model.rules[name[0]].archives[0][0]
	scale := rapid.SampledFrom([]float64{1, 0.01, 1.0 / 3}).Draw(t, "scale")
	var points []metric.Point
	for i := range rapid.Int64Range(10, 150).Draw(t, "count") {
		points = append(points, metric.Point{Name: []byte(name), Time: m.now - age + i*step, Value: float64(i%7) * scale})
	}
	m.put(t, points)
}

func (m *machine) advance(t *rapid.T) {
	m.now += rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, 300)).Draw(t, "seconds")
	m.model.age(m.now)
}

// advanceFar lets everything expire.
func (m *machine) advanceFar(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "really") > 0 {
		return
	}
	m.now += rapid.Int64Range(3600, 5*3600).Draw(t, "seconds")
	m.model.age(m.now)
}

// whileReading does something during which the store must say what it says before and
// after.
func (m *machine) whileReading(t *rapid.T, f func() error) error {
	if m.blind {
		return f()
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	var wrong error
	from := m.now - rapid.Int64Range(0, 4000).Draw(t, "readers from")
	wg.Go(func() {
		for wrong == nil {
			wrong = m.compare(from, m.now)
			select {
			case <-done:
				return
			default:
			}
		}
	})
	err := f()
	close(done)
	if wg.Wait(); wrong != nil {
		t.Fatalf("meanwhile: %v", wrong)
	}
	return err
}

func (m *machine) flush(t *rapid.T) {
	if err := m.whileReading(t, m.s.flush); err != nil && !m.ill {
		t.Fatalf("flush: %v", err)
	}
}

func (m *machine) sync(t *rapid.T) {
	if err := m.s.Sync(context.Background()); err != nil && !m.ill {
		t.Fatalf("sync: %v", err)
	}
}

func drawRules(t *rapid.T) (choice [4]int) {
	for i, kind := range []byte("abcd") {
		choice[i] = rapid.IntRange(0, len(modelRetentions(kind))-1).Draw(t, "rules")
	}
	return choice
}

func (m *machine) apply(t *rapid.T) {
	if m.ill || m.blind {
		return
	}
	choice := drawRules(t)
	if err := m.s.Apply(modelRules(choice)); err != nil {
		t.Fatalf("apply: %v", err)
	}
	m.options.Rules = modelRules(choice)
	m.model.apply(choice, m.now)
}

func (m *machine) restart(t *rapid.T) {
	m.mendDisk(t)
	if err := m.s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	m.open(t)
}

func (m *machine) restartWith(t *rapid.T) {
	m.mendDisk(t)
	if err := m.s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	choice := drawRules(t)
	m.options.Rules = modelRules(choice)
	m.model.apply(choice, m.now)
	m.open(t)
}

func (m *machine) losePower(t *rapid.T) {
	if m.ill || m.blind {
		return
	}
	m.sync(t)
	if rapid.Bool().Draw(t, "in a flush") {
		m.disk.fuse = rapid.IntRange(1, 60).Draw(t, "fuse")
		m.s.flush() //nolint:errcheck // it dies at some step, or after it
	}
	m.s.gate.Lock()
	m.s.closed = true
	m.s.gate.Unlock()
	m.s.release()
	m.disk.powerLoss(
		func() bool { return rapid.Bool().Draw(t, "lost") },
		func(synced, size int64) int64 { return rapid.Int64Range(synced, size).Draw(t, "kept") })
	m.open(t)
}

func (m *machine) fillDisk(t *rapid.T) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.room, m.ill = rapid.Int64Range(0, 3000).Draw(t, "room"), true
}

func (m *machine) breakDisk(t *rapid.T) {
	m.disk.mu.Lock()
	defer m.disk.mu.Unlock()
	m.disk.broken, m.ill = true, true
}

// failReads lets some reads fail and others not, until the disk is mended.
func (m *machine) failReads(t *rapid.T) {
	dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "dice"), 0))
	var mu sync.Mutex
	m.disk.fail = func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if (op == "read" || op == "open") && dice.IntN(4) == 0 {
			return syscall.EIO
		}
		return nil
	}
	m.ill, m.blind = true, true
}

func (m *machine) mendDisk(t *rapid.T) {
	m.disk.mu.Lock()
	m.disk.room, m.disk.broken, m.ill = -1, false, false
	m.disk.fail, m.blind = nil, false
	m.disk.mu.Unlock()
	m.sync(t)
}

func (m *machine) fetch(t *rapid.T) {
	from := m.now - rapid.OneOf(rapid.Int64Range(0, 70), rapid.Int64Range(0, 4500)).Draw(t, "from")
	m.check(t, from, from+rapid.Int64Range(0, 700).Draw(t, "length"))
}

func (m *machine) checkAll(t *rapid.T) {
	for _, age := range []int64{39, 40, 41, 60, 120, 200, 240, 300, 1800, 3599, 3600, 5000} {
		m.check(t, m.now-age, m.now)
	}
}

func (m *machine) check(t *rapid.T, from, until int64) {
	if err := m.compare(from, until); err != nil && !m.blind {
		t.Fatalf("(%d, %d] at %d: %v", from, until, m.now, err)
	}
}

func (m *machine) compare(from, until int64) error {
	got, err := m.s.Fetch(context.Background(), Request{Names: modelNames(), From: from, Until: until})
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	for _, name := range modelNames() {
		switch known := m.model.values[name] != nil; {
		case len(got) > 0 && got[0].Name == name && !known:
			return fmt.Errorf("%s was never written", name)
		case len(got) > 0 && got[0].Name == name:
			if err := m.model.compare(got[0], from, until, m.now); err != nil {
				return err
			}
			got = got[1:]
		case m.model.lives(name, m.now):
			return fmt.Errorf("%s is missing", name)
		}
	}
	if len(got) > 0 {
		return errors.New("series come in another order")
	}
	return nil
}

// names compares what can be found: all that live, and none that was never written.
func (m *machine) names(t *rapid.T) {
	found, err := m.s.Find(context.Background(), rapid.SampledFrom([]string{"**", "*.*", "{a,b,c,d}.*"}).Draw(t, "pattern"), 0)
	if err != nil {
		t.Fatal(err)
	}
	var leaves []string
	for _, f := range found {
		if f.Leaf {
			leaves = append(leaves, f.Path)
		}
	}
	m.sameNames(t, leaves, func(string) bool { return true })
	for _, dc := range []string{"1", "2"} {
		selected, err := m.s.Select(context.Background(), []TagMatch{{Tag: "dc", Value: dc}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		m.sameNames(t, selected, func(name string) bool { return strings.Contains(name, "dc="+dc) })
	}
}

func (m *machine) sameNames(t *rapid.T, got []string, asked func(string) bool) {
	if !slices.IsSortedFunc(got, cmp.Compare[string]) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Fatalf("not sorted or twice: %q", got)
	}
	for _, name := range modelNames() {
		there := slices.Contains(got, name)
		if there && (m.model.values[name] == nil || !asked(name)) || !there && asked(name) && m.model.lives(name, m.now) {
			t.Fatalf("%s: listed %v, lives %v: %q", name, there, m.model.lives(name, m.now), got)
		}
	}
}
