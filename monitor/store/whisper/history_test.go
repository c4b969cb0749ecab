package whisper

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/internal/schema"
)

const testNow = 1_800_000_123

var (
	methods    = []store.Method{schema.Average, schema.Sum, schema.Last, schema.Max, schema.Min, schema.AvgZero, schema.AbsMax, schema.AbsMin}
	retentions = []string{
		"1m:1d",
		"10s:1h,1m:1d",
		"10s:2h,1m:1d,10m:10d",
		"1s:1m,5s:10m,1m:2h,10m:1d",
		"1m:3h,1h:2d,1d:30d", // an interval of the coarsest reaches beyond the finest
		"10s:1m,1m:2m",
	}
	factors = []float64{0, 0.25, 0.5, 1}
	stories = []string{"empty", "one", "steady", "sparse", "wrapped", "late", "stopped", "erratic"}
)

func retention(t testing.TB, archives string, m store.Method, xff float64) store.Retention {
	t.Helper()
	all, err := schema.ParseRetentions(archives)
	if err != nil {
		t.Fatal(err)
	}
	return store.Retention{Archives: all, Method: m, XFilesFactor: xff}
}

// story makes a file as Carbon would in the course of time. Values are quarters,
// so that sums are exact in any order.
func (o *oracle) story(path, kind string, r store.Retention, rng *rand.Rand) {
	o.t.Helper()
	o.create(path, r)
	fine, longest := r.Archives[0], r.Archives[len(r.Archives)-1]
	point := func(t int64) [2]float64 { return [2]float64{float64(t), float64(rng.IntN(4000)-2000) / 4} }
	// run sends what was measured from one time to another in batches of n steps, of
	// which a share is there.
	run := func(from, to int64, n int, share float64) {
		for t := from; t < to; {
			var points [][2]float64
			for range n {
				if t < to && rng.Float64() < share {
					points = append(points, point(t+rng.Int64N(fine.Step)))
				}
				t += fine.Step
			}
			if len(points) > 0 {
				o.update(path, min(t, to), points)
			}
		}
	}
	// Whisper lets what is about as old as its longest archive overwrite the newest
	// value there.
	oldest := longest.Keep - 2*longest.Step
	span := max(min(2*fine.Keep, oldest), fine.Keep/2)
	late := func(now int64, n int) {
		var points [][2]float64
		for range n {
			points = append(points, point(now-rng.Int64N(max(oldest, 1))))
		}
		o.update(path, now, points)
	}
	switch kind {
	case "one":
		o.update(path, testNow, [][2]float64{point(testNow - fine.Keep/2)})
	case "steady":
		run(testNow-span, testNow, 5, 1)
	case "sparse":
		run(testNow-span, testNow, 3, 0.3)
	case "wrapped": // more than one round of all archives that are not too long
		run(testNow-min(2*longest.Keep+longest.Keep/3, 3000*fine.Step), testNow, 5, 0.9)
	case "late": // history comes at once, then what is new
		late(testNow-fine.Keep/2, 300)
		run(testNow-fine.Keep/2, testNow, 5, 0.8)
	case "stopped": // and is fetched a while later
		end := testNow - fine.Keep/3 - rng.Int64N(longest.Keep/2)
		run(end-span, end, 5, 0.8)
	case "erratic":
		for at := testNow - oldest; at < testNow; {
			end := min(at+rng.Int64N(fine.Keep)+1, testNow)
			run(at, end, 1+rng.IntN(5), rng.Float64())
			if rng.IntN(2) == 0 {
				late(end, rng.IntN(20)+1)
			}
			at = end + rng.Int64N(oldest/10+1)
		}
	}
}

// Every archive of every file that the library makes is read as it reads it.
func TestFilesAreReadAsWhisperReadsThem(t *testing.T) {
	o := newOracle(t)
	rng := rand.New(rand.NewPCG(1, 2))
	path := filepath.Join(t.TempDir(), "a.wsp")
	total := 0
	for _, archives := range retentions {
		for n, kind := range stories {
			r := retention(t, archives, methods[n%len(methods)], factors[n%len(factors)])
			o.story(path, kind, r, rng)
			f := load(t, path)
			if f.String() != r.String() {
				t.Errorf("%s: %v", r, f.Retention)
			}
			// Later, when parts have grown too old, as well.
			for _, now := range []int64{testNow, testNow + 7, testNow + r.Archives[0].Keep/2, testNow + 2*r.Archives[0].Keep} {
				for k, a := range r.Archives {
					want, ok := o.fetch(path, now-a.Keep, now, now)
					got := f.Column(k, now)
					if !ok || !same(got, want) {
						t.Errorf("%s %s: archive %v at %+d: %d values, want %d", r, kind, a, now-testNow, known(got), known(want))
					}
					total += known(got)
				}
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	if total < 10_000 {
		t.Errorf("only %d values were compared", total)
	}
}

func load(t testing.TB, path string) *File {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(path, data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// What is written is read the same by the library, and by ourselves.
func TestWhisperReadsOurFiles(t *testing.T) {
	o := newOracle(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for n, archives := range retentions {
		for m, method := range methods {
			r := retention(t, archives, method, factors[(n+m)%len(factors)])
			columns := make([]metric.Series, len(r.Archives))
			for k, a := range r.Archives {
				points := a.Keep / a.Step
				c := metric.Series{Step: a.Step, Start: (floor(testNow, a.Step) - points + 1) * a.Step, Values: make([]float64, points)}
				for i := range c.Values {
					if c.Values[i] = rng.NormFloat64(); m == 0 || rng.IntN(3) == 0 {
						c.Values[i] = math.NaN() // with the first method all are
					}
				}
				columns[k] = c
			}
			path := filepath.Join(t.TempDir(), "a.wsp")
			w, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := Encode(w, r, columns); err != nil {
				t.Fatal(err)
			}
			w.Close()
			f := load(t, path)
			if info, _ := os.Stat(path); f.String() != r.String() || info.Size() != mustSize(t, r) {
				t.Errorf("%v: read again as %v, %d bytes", r, f.Retention, info.Size())
			}
			var info struct {
				AggregationMethod string
				MaxRetention      int64
				XFilesFactor      float64
			}
			o.ask(map[string]any{"op": "info", "path": path}, &info)
			if info.AggregationMethod != method.String() || info.MaxRetention != r.Archives[len(r.Archives)-1].Keep || info.XFilesFactor != r.XFilesFactor {
				t.Errorf("%v: the library sees %+v", r, info)
			}
			for k, a := range r.Archives {
				theirs, ok := o.fetch(path, testNow-a.Keep, testNow, testNow)
				if !ok || !same(theirs, columns[k]) || !same(f.Column(k, testNow), columns[k]) {
					t.Errorf("%v: archive %v is not read as written", r, a)
				}
			}
			// It can be written to, as Carbon goes on to do.
			o.update(path, testNow+r.Archives[0].Step, [][2]float64{{float64(testNow + r.Archives[0].Step), 7}})
			if c := load(t, path).Column(0, testNow+r.Archives[0].Step); c.Values[len(c.Values)-1] != 7 {
				t.Errorf("%v: the library's next point is not found", r)
			}
		}
	}
}

func mustSize(t *testing.T, r store.Retention) int64 {
	t.Helper()
	size, err := Size(r)
	if err != nil {
		t.Fatal(err)
	}
	return size
}
