package store

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/fault"
	"steer/base/metric"
)

const modelSchemas = `
[a]
pattern = ^a
retentions = 1s:40s,5s:200s,20s:1h
[b]
pattern = ^b
retentions = 10s:2m,1m:30m
[c]
pattern = ^c
retentions = 1s:5m
[d]
pattern = ^d
retentions = 2s:1m,4s:2m,8s:4m,16s:1h
`

const modelAggregation = `
- {name: half, pattern: half$, x_files_factor: 0.5, method: average}
- {name: sum, pattern: sum$, x_files_factor: 0, method: sum}
- {name: max, pattern: max$, x_files_factor: 0.3, method: max}
- {name: last, pattern: last$, x_files_factor: 0, method: last}
- {name: zero, pattern: '', x_files_factor: 0, method: avg_zero}
`

var modelArchives = map[byte][][2]int64{ // step, keep
	'a': {{1, 40}, {5, 200}, {20, 3600}},
	'b': {{10, 120}, {60, 1800}},
	'c': {{1, 300}},
	'd': {{2, 60}, {4, 120}, {8, 240}, {16, 3600}},
}

var modelNames = []string{"a.half", "a.sum", "b.max", "b.last", "c.zero", "d.zero", "d.half", "d.last"}

// model is the store as one would write it without any care for speed.
type model map[string][]map[int64]float64 // name → archive → slot

func (m model) write(name string, t, now int64, v float64) {
	archives := modelArchives[name[0]]
	coarse := archives[len(archives)-1]
	if v != v || now-t >= coarse[1] || t > now+86400 {
		return
	}
	if m[name] == nil {
		m[name] = make([]map[int64]float64, len(archives))
		for k := range archives {
			m[name][k] = map[int64]float64{}
		}
	}
	k := 0
	for k < len(archives)-1 && now-t/coarse[0]*coarse[0] >= archives[k][1]+coarse[0] {
		k++
	}
	m[name][k][t/archives[k][0]] = v
	for k++; k < len(archives); k++ {
		step, fine := archives[k][0], archives[k-1][0]
		slot := t / step
		var known []float64
		for s := slot * step / fine; s < (slot+1)*step/fine; s++ {
			if v, ok := m[name][k-1][s]; ok {
				known = append(known, v)
			}
		}
		v, ok := modelRoll(name, known, int(step/fine))
		if !ok {
			break
		}
		m[name][k][slot] = v
	}
}

func modelRoll(name string, known []float64, of int) (float64, bool) {
	share := float64(len(known)) / float64(of)
	if len(known) == 0 {
		return 0, false
	}
	sum, high := 0.0, math.Inf(-1)
	for _, v := range known {
		sum += v
		high = max(high, v)
	}
	last := known[len(known)-1]
	v, factor := sum/float64(of), 0.0
	switch name[2:] {
	case "half":
		v, factor = sum/float64(len(known)), 0.5
	case "sum":
		v = sum
	case "max":
		v, factor = high, 0.3
	case "last":
		v = last
	}
	if v != v {
		v = last
	}
	return v, share >= factor
}

func (m model) fetch(name string, from, until, now int64) (metric.Series, bool) {
	if m[name] == nil {
		return metric.Series{}, false
	}
	archives := modelArchives[name[0]]
	last := len(archives) - 1
	from = max(from, now-archives[last][1])
	until = max(until, from)
	k := 0
	for k < last && now-from > archives[k][1] {
		k++
	}
	step := archives[k][0]
	s := metric.Series{Name: name, Start: from - from%step + step, Step: step}
	for t := s.Start; t <= until || t == s.Start; t += step {
		v, ok := m[name][k][t/step]
		if !ok {
			v = math.NaN()
		}
		s.Values = append(s.Values, v)
	}
	return s, true
}

func same(a, b metric.Series) bool {
	if a.Name != b.Name || a.Start != b.Start || a.Step != b.Step || len(a.Values) != len(b.Values) {
		return false
	}
	for i, v := range a.Values {
		// Rollups add decimals as such, the model adds floats.
		if w := b.Values[i]; v != w && (v == v || w == w) && !(math.Abs(v-w) <= 1e-12*math.Abs(w)) {
			return false
		}
	}
	return true
}

// TestAgainstModel does random things to a store and to the model: writes of any
// age and value, flushes, restarts, losses of power, full and broken disks.
func TestAgainstModel(t *testing.T) {
	dir := t.TempDir()
	conf := Config{Sync: "1m", Schemas: filepath.Join(dir, "schemas.conf"), Aggregation: filepath.Join(dir, "aggregation.yaml")}
	for name, text := range map[string]string{conf.Schemas: modelSchemas, conf.Aggregation: modelAggregation} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		m := &machine{
			now: 1_800_000_000, model: model{}, disk: newBadDisk(),
			options: Options{Config: conf, Dir: filepath.Join(dir, fmt.Sprint(run)), Log: slog.New(slog.DiscardHandler), limit: limits{segment: 200}},
		}
		m.options.disk = m.disk
		m.options.Now = func() time.Time { return time.Unix(m.now, 0) }
		m.open(t)
		defer func() {
			m.s.Close()
			os.RemoveAll(m.options.Dir)
		}()
		t.Repeat(map[string]func(*rapid.T){
			"write": m.write, "write much": m.writeMuch, "advance": m.advance, "flush": m.flush, "sync": m.sync,
			"restart": m.restart, "lose power": m.losePower, "fill disk": m.fillDisk, "break disk": m.breakDisk, "mend disk": m.mendDisk,
			"fetch": m.fetch, "snapshot": m.snapshot, "": func(t *rapid.T) {},
		})
		m.mendDisk(t)
		m.checkAll(t)
		m.restart(t)
		m.checkAll(t)
	})
}

type machine struct {
	now     int64
	model   model
	disk    *badDisk
	options Options
	s       *Store
	ill     bool
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

var modelValues = rapid.OneOf(
	rapid.Float64(),
	rapid.Map(rapid.IntRange(-3, 3), func(i int) float64 { return float64(i) }),
	rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-310}),
)

func (m *machine) write(t *rapid.T) {
	var points []metric.Point
	for range rapid.IntRange(1, 8).Draw(t, "points") {
		age := rapid.OneOf(rapid.Int64Range(-30, 60), rapid.Int64Range(-100, 700), rapid.Int64Range(0, 4000)).Draw(t, "age")
		points = append(points, metric.Point{
			Name: []byte(rapid.SampledFrom(modelNames).Draw(t, "name")), Time: m.now - age, Value: modelValues.Draw(t, "value"),
		})
	}
	m.put(t, points)
}

// writeMuch writes a run of one series, as a sender that kept points back does.
func (m *machine) writeMuch(t *rapid.T) {
	name := rapid.SampledFrom(modelNames).Draw(t, "name")
	age := rapid.Int64Range(0, 1000).Draw(t, "age")
	step := modelArchives[name[0]][0][0]
	var points []metric.Point
	for i := range rapid.Int64Range(10, 150).Draw(t, "count") {
		points = append(points, metric.Point{Name: []byte(name), Time: m.now - age + i*step, Value: float64(i % 7)})
	}
	m.put(t, points)
}

func (m *machine) advance(t *rapid.T) {
	m.now += rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, 300)).Draw(t, "seconds")
}

func (m *machine) flush(t *rapid.T) {
	if err := m.s.flush(); err != nil && !m.ill {
		t.Fatalf("flush: %v", err)
	}
}

func (m *machine) sync(t *rapid.T) {
	if err := m.s.Sync(context.Background()); err != nil && !m.ill {
		t.Fatalf("sync: %v", err)
	}
}

func (m *machine) restart(t *rapid.T) {
	m.mendDisk(t)
	if err := m.s.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	m.open(t)
}

func (m *machine) losePower(t *rapid.T) {
	if m.ill {
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

func (m *machine) mendDisk(t *rapid.T) {
	m.disk.mu.Lock()
	m.disk.room, m.disk.broken, m.ill = -1, false, false
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
	got, err := m.s.Fetch(context.Background(), Request{Names: modelNames, From: from, Until: until})
	if err != nil {
		t.Fatalf("fetch: %v", err)
	}
	for _, name := range modelNames {
		want, ok := m.model.fetch(name, from, until, m.now)
		if !ok {
			continue
		}
		if len(got) == 0 || !same(got[0], want) {
			t.Fatalf("(%d, %d] at %d:\ngot  %v\nwant %v", from, until, m.now, got, want)
		}
		got = got[1:]
	}
	if len(got) > 0 {
		t.Fatalf("series that nobody wrote: %v", got)
	}
}
