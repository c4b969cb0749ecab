package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"steer/base/metric"
	"steer/monitor/store/internal/wal"
)

// senders are values of all kinds that blocks write in ways of their own, by the
// number of a round.
func senders(r *rand.Rand) map[string]func(i int) float64 {
	special := []float64{math.Inf(1), math.Inf(-1), math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64}
	return map[string]func(i int) float64{
		"app.constant":             func(int) float64 { return 42 },
		"app.count":                func(i int) float64 { return float64(i * 3) },
		"app.total":                func(i int) float64 { return float64(i*i) + 0.25 },
		"app.time.upper":           func(int) float64 { return float64(20000+r.IntN(900)) / 1000 },
		"moved.spikes":             func(int) float64 { return float64(7 + r.IntN(2) + r.IntN(40)/39*5000) },
		"moved.any":                func(int) float64 { return math.Float64frombits(r.Uint64() &^ (1 << 62)) },
		"app.thirds":               func(int) float64 { return float64(r.IntN(5)) / 3 },
		"app.special":              func(i int) float64 { return special[i%len(special)] },
		"app.mostly":               func(i int) float64 { return float64(i/40*10) + float64(i%40/39)*math.Pi },
		"größe.日本":                 func(i int) float64 { return -float64(i) / 10 },
		"disk.used;host=a;mount=/": func(i int) float64 { return float64(1<<40 + i*4096) },
		"disk.used;host=b;mount=/": func(i int) float64 { return float64(1<<40 - i*4096) },
	}
}

// history writes what senders say, with gaps, again, late, and too late for the
// finest archive.
type history struct {
	t       testing.TB
	r       *rand.Rand
	senders map[string]func(int) float64
	names   []string
	now     int64
	round   int
}

func newHistory(t testing.TB) *history {
	h := &history{t: t, r: rand.New(rand.NewPCG(1, 2)), now: testNow}
	h.senders = senders(h.r)
	h.names = slices.Sorted(maps.Keys(h.senders))
	return h
}

func (h *history) write(s *Store, steps int) {
	h.t.Helper()
	for i := range steps {
		h.now += 10
		for k, name := range h.names {
			var points []metric.Point
			add := func(at int64) {
				points = append(points, metric.Point{Name: []byte(name), Time: at, Value: h.senders[name](h.round + len(points))})
			}
			if k%3 == 0 || k%3 == 1 && i%4 > 0 || i%60 < 5 {
				add(h.now)
			}
			if h.r.IntN(20) == 0 {
				add(h.now - 10*h.r.Int64N(600))
				add(h.now - h.r.Int64N(20*86400))
			}
			if err := s.Write(context.Background(), points); err != nil {
				h.t.Fatal(err)
			}
		}
		h.round++
	}
}

// python runs the reader of docs/formats.
type python struct {
	t    testing.TB
	path string
	dir  string
}

func newPython(t testing.TB, dir string) python {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("python3 is not installed, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("python3 is not installed")
	}
	return python{t, path, dir}
}

func (p python) run(args ...string) (out, problems string, code int) {
	p.t.Helper()
	cmd := exec.Command(p.path, append([]string{"../../docs/formats/read_metrics.py", p.dir}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

// everything prints name, step, time and value of all series.
const everything = `
import os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, "../../docs/formats")
import read_metrics
store = read_metrics.Store(sys.argv[1])
for name in store.ids:
    for step, known in store.values(name).items():
        for time, value in known.items():
            print(os.fsdecode(name), step, time, repr(value))
sys.exit(store.damaged)
`

// values are those of all archives: name and step, time, value.
func (p python) values() map[string]map[int64]float64 {
	p.t.Helper()
	cmd := exec.Command(p.path, "-c", everything, p.dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		p.t.Fatal(err)
	}
	all := map[string]map[int64]float64{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		at, err := strconv.ParseInt(f[2], 10, 64)
		v, err2 := strconv.ParseFloat(f[3], 64)
		if err := errors.Join(err, err2); err != nil {
			p.t.Fatal(err)
		}
		archive := f[0] + " " + f[1]
		if all[archive] == nil {
			all[archive] = map[int64]float64{}
		}
		all[archive][at] = v
	}
	return all
}

// compare asks Fetch and the reader for the first archives of every series.
func (p python) compare(s *Store, names []string, now int64, archives int) {
	p.t.Helper()
	all := p.values()
	for _, name := range names {
		plan := s.lookup(name).plan
		for k, a := range plan.archives[:min(archives, len(plan.archives))] {
			got, err := s.Fetch(context.Background(), Request{Names: []string{name}, From: now - a.keep, Until: now})
			if err != nil || len(got) != 1 || got[0].Step != a.step {
				p.t.Fatalf("%s %d: %+v %v", name, k, got, err)
			}
			read, known, wrong := all[fmt.Sprint(name, " ", a.step)], 0, 0
			for i, want := range got[0].Values {
				at := got[0].Start + int64(i)*a.step
				v, ok := read[at]
				switch {
				case ok && math.Float64bits(v) == math.Float64bits(want):
					known++
				case !ok && want != want:
				case !ok && len(plan.others) > 0: // Fetch has it from an archive of another step
				default:
					if wrong++; wrong < 4 {
						p.t.Errorf("%s, %v, at %d: read %v %v, Fetch says %v", name, a, at, v, ok, want)
					}
				}
			}
			if known == 0 {
				p.t.Errorf("%s, %v: nothing was compared", name, a)
			}
		}
	}
}

// TestPythonReadsTheStore: the reader in docs/formats, written from the page about
// the format alone, comes to what Fetch says.
func TestPythonReadsTheStore(t *testing.T) {
	rules := func(moved string) Rules {
		return Rules{Schemas: File{"storage.yaml", fmt.Appendf(nil, "- {name: moved, pattern: ^moved, retentions: '%s'}\n- {name: rest, pattern: '', retentions: '10s:2h,1m:1d,10m:2y'}", moved)}}
	}
	o := testOptions(t)
	h, p := newHistory(t), newPython(t, o.Dir)
	o.Rules = rules("10s:2h,1m:1d,10m:2y")
	o.Now = func() time.Time { return time.Unix(h.now, 0) }
	s := mustOpen(t, o)
	before := map[string][]byte{} // all block files that there ever were
	flush := func(times, steps int) {
		t.Helper()
		for range times {
			h.write(s, steps)
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
			for _, path := range files(t, o.Dir, ".blk") {
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				before[path] = data
			}
		}
	}
	flush(9, 100)
	o.Rules = rules("10s:1d,1m:2d,10m:2y")
	if err := s.Apply(o.Rules); err != nil {
		t.Fatal(err)
	}
	flush(7, 40)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	left := 0
	for path, data := range before { // as if a crash had come before what was merged was removed
		old, new, _ := parseBlockName(filepath.Base(path))
		merged := slices.ContainsFunc(s.blocks.all(), func(b *blockFile) bool {
			return strings.HasPrefix(b.path, strings.TrimSuffix(path, fmt.Sprintf("%08d-%08d.blk", old, new))) && b.old <= old && new <= b.new && b.path != path
		})
		if !merged { // it is still there, or has expired
			continue
		}
		left++
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if left == 0 {
		t.Error("nothing was merged")
	}
	p.compare(s, h.names, h.now, 3)
	out, problems, code := p.run("--list")
	if want := strings.Join(h.names, "\n") + "\n"; out != want || problems != "" || code != 0 {
		t.Errorf("list: %d %s\n%s", code, problems, out)
	}

	// What is in the log only, series included.
	h.senders["late.comer"] = h.senders["app.count"]
	h.names = append(h.names, "late.comer")
	h.write(s, 50)
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	p.compare(s, h.names, h.now, 1)

	// To which archive those went that came late.
	want := map[string]float64{}
	for age := int64(7000); age < 90000; age += 50 {
		if age == 8000 {
			age = 86000
		}
		put(t, s, "old.friend", h.now-age, float64(age))
		plan := s.lookup("old.friend").plan
		k, slot, _ := plan.place(h.now-age, h.now)
		step := plan.archives[k].step
		want[fmt.Sprintf("%ds at %d", step, slot*step)] = float64(age)
	}
	if err := s.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for archive, values := range p.values() {
		if step, ok := strings.CutPrefix(archive, "old.friend "); ok {
			for at, v := range values {
				got[fmt.Sprintf("%ss at %d", step, at)] = v
			}
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("late points: got %v\nwant %v", got, want)
	}
}

// TestPythonAndDamage: the reader says what is damaged and shows the rest, and it
// refuses what a later version wrote.
func TestPythonAndDamage(t *testing.T) {
	o := testOptions(t)
	p := newPython(t, o.Dir)
	s := mustOpen(t, o)
	put(t, s, "a", testNow-50000, 1)
	put(t, s, "b", testNow-50000, 2)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	put(t, s, "a", testNow, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	blocks := files(t, o.Dir, "1m-1w/*.blk")
	if len(blocks) != 2 {
		t.Fatalf("%v", blocks)
	}
	const step = "60"
	for _, c := range []struct {
		file      string
		at        int64
		code      int
		out, says string
	}{
		{blocks[0], 41, 1, "1800000000,3.0\n", blocks[0] + ": damaged: chunk of series 1"},
		{blocks[0], -58, 1, "1800000000,3.0\n", blocks[0] + ": damaged: index page 0"},
		{blocks[0], -20, 1, "1800000000,3.0\n", blocks[0] + ": damaged: trailer or directory"},
		{blocks[1], 20, 1, "1799949960,1.0\n", blocks[1] + ": damaged: header"},
		{filepath.Join(o.Dir, "names"), 12, 1, "", "there is no series a"},
	} {
		flip(t, c.file, c.at)
		out, problems, code := p.run("a", step)
		if out != c.out || code != c.code || !strings.Contains(problems, c.says) {
			t.Errorf("%s at %d: %d %q %s", c.file, c.at, code, out, problems)
		}
		flip(t, c.file, c.at)
	}
	data, err := os.ReadFile(filepath.Join(o.Dir, "names"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		record []byte
		code   int
		says   string
	}{
		{wal.AppendSeries(nil, 4000, "a"), 0, ""}, // a came again under another id
		{[]byte{0, 99}, 1, "names: kind of record 99 is not known to this reader"},
	} {
		if err := os.WriteFile(filepath.Join(o.Dir, "names"), wal.AppendFrame(slices.Clone(data), int64(len(data)), c.record), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, problems, code := p.run("a", step); out != "" || !strings.Contains(problems, c.says) || c.says == "" && problems != "" || code != c.code {
			t.Errorf("%q: %d %q %s", c.record, code, out, problems)
		}
	}
}

// TestRecordOfANewerVersion: it has a right checksum, so it is no damage that may
// be skipped.
func TestRecordOfANewerVersion(t *testing.T) {
	for _, name := range []string{"names", "wal/0000000000000001.wal"} {
		o := testOptions(t)
		s := mustOpen(t, o)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(o.Dir, name)
		data := wal.AppendFrame(nil, 0, []byte{0, 200})
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(o); err == nil || !strings.Contains(err.Error(), path+": kind of record is not known to this version of Steer") {
			t.Errorf("got %v", err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s was changed: %x %v", name, got, err)
		}
	}
}
