package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"steer/monitor/store/whisper"
)

// The whole of it, on a Steer of these sources; the second one is a system that
// runs already.
func TestBenchOnSteer(t *testing.T) {
	program := filepath.Join(t.TempDir(), "steer")
	if out, err := exec.Command("go", "build", "-o", program, "steer").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	b := &bench{dir: t.TempDir(), out: t.Output(), progress: t.Output()}
	running := &run{peer: steer{program}, dir: t.TempDir(), log: filepath.Join(b.dir, "log")}
	if err := running.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer running.end()
	var out, progress strings.Builder
	err := start(t.Context(), []string{
		"-steer", program, "-dir", t.TempDir(), "-only", "steer,other", "-series", "60", "-points", "400", "-time", "200ms", "-clients", "2",
		"-other", "copy," + running.base + "," + running.addr.Graphite,
	}, &out, &progress)
	if err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	for _, row := range []string{
		`one series over 24 h, 2 at once`, `groupByNode of movingAverage of all over 6 h, 2 at once`,
		`\|  \| steer \| other \| steer / other \|`,
		`\| latency p50, ms \| \d+\.\d\d \| \d+\.\d\d \| \d+\.\d\d \|`,
		`\| CPU ms per request \| \d+\.\d\d \|  \|  \|`, // nobody knows the other's process
		`\| peak memory, MB \| \d+ \|  \|  \|`,
		`\| honest requests beside hostile ones \| \d+ \|`, `\| hostile requests refused \| [1-9]\d* \|`,
	} {
		if !regexp.MustCompile(row).MatchString(out.String()) {
			t.Errorf("no row %s in\n%s", row, out.String())
		}
	}
}

func TestWhatCantBeMeasured(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"-only nothing", `unknown system "nothing"`},
		{"-only steer -steer /nowhere/steer", "none of the systems is here"},
		{"-only victoria -victoria /nowhere/vm", "none of the systems is here"},
		{"-only graphite-web -python /nowhere/python3", "none of the systems is here"},
		{"-only other", "none of the systems is here"},
		{"-other a,b", "NAME,http://HOST:PORT,HOST:PORT"},
		{"-query two", "none of one, sum, average, moving, hostile"},
		{"-clients 0", "no number from 1 to 60"},
		{"-points 9", "at least 5 series of 60 points"},
	} {
		var out, progress strings.Builder
		err := start(t.Context(), append(strings.Fields(c.args), "-dir", t.TempDir()), &out, &progress)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
}

func some(t *testing.T) (*data, map[string]*query) {
	t.Helper()
	b := &bench{series: 50, points: 500}
	d := makeData(b.series, b.points, 3, time.Unix(1_700_000_005, 0))
	byName := map[string]*query{}
	for _, q := range b.all(d) {
		byName[q.name] = q
	}
	return d, byName
}

// right is the answer to a query that has been moved.
func right(q *query, d *data, moved int, want func(*data, string, int) float64) (all []answered) {
	for _, name := range q.results() {
		a := answered{Target: name}
		for k := range q.points {
			p := d.last(moved) - q.points + 1 + k
			at, v := float64(d.at(p)), want(d, name, p)
			a.Datapoints = append(a.Datapoints, [2]*float64{&v, &at})
		}
		all = append(all, a)
	}
	return all
}

func TestCompareFindsEachFault(t *testing.T) {
	d, queries := some(t)
	if d.names[7] != "servers.dc3.web-001.cpu.usage" || d.at(d.points-1) != 1_700_000_000 || d.points != 560 {
		t.Fatalf("series 7 is %s, the last of %d points is at %d", d.names[7], d.points, d.at(d.points-1))
	}
	for name, q := range queries {
		for _, moved := range []int{0, 59, 60} {
			if err := q.compare(d, moved, right(q, d, moved, q.want), q.want, 0); err != nil {
				t.Errorf("%s moved by %d: %v", name, moved, err)
			}
		}
		if err := q.compare(d, 1, right(q, d, 0, q.want), q.want, 0); err == nil {
			t.Errorf("%s: an answer for another range is right", name)
		}
		for what, spoil := range map[string]func(a []answered) []answered{
			"a value":          func(a []answered) []answered { *a[0].Datapoints[3][0] *= 1.000001; return a },
			"a null":           func(a []answered) []answered { a[0].Datapoints[3][0] = nil; return a },
			"a time":           func(a []answered) []answered { *a[0].Datapoints[3][1] += 10; return a },
			"a point less":     func(a []answered) []answered { a[0].Datapoints = a[0].Datapoints[1:]; return a },
			"a series less":    func(a []answered) []answered { return a[1:] },
			"a series more":    func(a []answered) []answered { return append(a, a[0]) },
			"all of it, empty": func([]answered) []answered { return nil },
		} {
			if err := q.compare(d, 0, spoil(right(q, d, 0, q.want)), q.want, 0); err == nil {
				t.Errorf("%s: %s is not found", name, what)
			}
		}
	}
	q := queries["moving"]
	if q.compare(d, 0, right(q, d, 0, q.early), q.want, 0) == nil {
		t.Error("windows that end early are windows that end with their point")
	}
}

// What the answers must be, from the definition, on values that one can add up in
// the head.
func TestWhatIsWanted(t *testing.T) {
	d, queries := some(t)
	for i := range d.values {
		for p := range d.values[i] {
			d.values[i][p] = int64(100*(i%groups) + p)
		}
	}
	// Values are p/100 in dc1, 1 more in dc2 and so on: ten series in each.
	for name, want := range map[string]float64{"one": 3.99, "sum": 50*3.99 + 10*(1+2+3+4), "average": 3.99 + 2, "moving": 10 * (3.99 - 0.145 + 1)} {
		if got := queries[name].want(d, "dc2", 399); !same(got, want) {
			t.Errorf("%s at point 399 is %v, want %v", name, got, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	r := &result{}
	for i := range 200 {
		r.latency = append(r.latency, time.Duration(200-i)*time.Millisecond)
	}
	for share, want := range map[float64]float64{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := r.quantile(share); got != want {
			t.Errorf("quantile %v is %v ms, want %v", share, got, want)
		}
	}
}

// graphite-web reads what carbon writes.
func TestWhisperFilesHaveThePoints(t *testing.T) {
	d, _ := some(t)
	dir := t.TempDir()
	if err := (graphiteWeb{}).Write(dir, d); err != nil {
		t.Fatal(err)
	}
	for i := range d.names {
		path := filepath.Join(dir, "whisper", "servers", fmt.Sprintf("dc%d/web-%03d/cpu/usage.wsp", i%groups+1, i/groups))
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := whisper.Parse(path, b)
		if err != nil {
			t.Fatal(err)
		}
		c := f.Column(0, d.at(d.points-1))
		if len(c.Values) == 0 || c.Values[len(c.Values)-1] != d.value(i, d.points-1) {
			t.Fatalf("%s ends with %v", path, c.Values[max(0, len(c.Values)-3):])
		}
	}
}
