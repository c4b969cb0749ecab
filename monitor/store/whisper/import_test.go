package whisper

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/internal/schema"
)

func clock() time.Time { return time.Unix(testNow, 0) }

// openStore opens a store whose series have these retentions by the first part of
// their names, r0, r1, …
func openStore(t testing.TB, dir string, all []store.Retention) *store.Store {
	t.Helper()
	var schemas, rolls strings.Builder
	for n, r := range all {
		archives, _, _ := strings.Cut(r.String(), " ")
		fmt.Fprintf(&schemas, "- {name: r%d, pattern: '^r%d\\.', retentions: '%s'}\n", n, n, archives)
		fmt.Fprintf(&rolls, "- {name: r%d, pattern: '^r%d\\.', x_files_factor: %v, method: %s}\n", n, n, r.XFilesFactor, r.Method)
	}
	for name, text := range map[string]string{"schemas.yaml": schemas.String(), "rolls.yaml": rolls.String()} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(store.Options{
		Config: store.Config{Sync: "1m", Schemas: filepath.Join(dir, "schemas.yaml"), Aggregation: filepath.Join(dir, "rolls.yaml")},
		Dir:    filepath.Join(dir, "store"), Log: slog.New(slog.DiscardHandler), Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

type entry struct {
	name string
	data []byte
}

func pack(t testing.TB, entries ...entry) *bytes.Buffer {
	t.Helper()
	b := &bytes.Buffer{}
	w := tar.NewWriter(b)
	for _, e := range entries {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: e.name, Size: int64(len(e.data)), Mode: 0o644}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}

func mustImport(t testing.TB, o ImportOptions, in io.Reader) Summary {
	t.Helper()
	o.Now = clock
	sum, err := Import(t.Context(), o, in)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// told are the stories of the nth retention: in all, each method and each list of
// archives gets every one.
func told(n int) []string {
	first, other := n%7, 1+n/7%6
	return []string{stories[first], stories[(first+other)%7], "erratic"}
}

// A store that keeps series as their files did answers each request as the library
// does from the file: from memory, from the log after a crash, and from blocks.
func TestImportedSeriesAnswerAsWhisperDoes(t *testing.T) {
	o := newOracle(t)
	rng := rand.New(rand.NewPCG(5, 6))
	dir, files := t.TempDir(), t.TempDir()
	var all []store.Retention
	for n, archives := range retentions {
		for m, method := range methods {
			all = append(all, retention(t, archives, method, factors[(n+m)%len(factors)]))
		}
	}
	s := openStore(t, dir, all)
	var entries []entry
	paths := map[string]string{}
	for n, r := range all {
		for _, kind := range told(n) {
			name := fmt.Sprintf("r%d/%s.wsp", n, kind)
			path := filepath.Join(files, fmt.Sprintf("r%d-%s", n, kind))
			o.story(path, kind, r, rng)
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, entry{name, data})
			paths[fmt.Sprintf("r%d.%s", n, kind)] = path
		}
	}
	compare := func(when string, s *store.Store) {
		t.Helper()
		values := 0
		for n, r := range all {
			for _, kind := range told(n) {
				name := fmt.Sprintf("r%d.%s", n, kind)
				ranges := [][2]int64{}
				for _, a := range r.Archives {
					from := testNow - a.Keep
					at := from + rng.Int64N(a.Keep)
					ranges = append(ranges, [2]int64{from, testNow}, [2]int64{at, at + rng.Int64N(a.Keep)}, [2]int64{from, from})
				}
				for _, span := range ranges {
					want, ok := o.fetch(paths[name], span[0], span[1], testNow)
					got, err := s.Fetch(t.Context(), store.Request{Names: []string{name}, From: span[0], Until: min(span[1], testNow)})
					if err != nil || !ok {
						t.Fatal(err, ok)
					}
					if len(got) == 0 {
						if known(want) > 0 {
							t.Errorf("%s: %s (%v) is not there", when, name, r)
						}
						continue
					}
					if !same(got[0], want) {
						t.Errorf("%s: %s (%v) from %+d until %+d: %s", when, name, r, span[0]-testNow, span[1]-testNow, differ(got[0], want))
					}
					values += known(want)
				}
			}
		}
		if values < 30_000 {
			t.Errorf("%s: only %d values were compared", when, values)
		}
	}
	sum := mustImport(t, ImportOptions{Store: s}, pack(t, entries...))
	if sum.Files != len(entries) || sum.Skipped > 0 || sum.Different > 0 || sum.Series < len(entries)*3/4 {
		t.Errorf("%v %+v", sum, sum.Skips)
	}
	compare("at once", s)

	// What is synced is all there after a crash: a copy of the folder is what one
	// leaves.
	crashed := t.TempDir()
	if err := os.CopyFS(crashed, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	compare("after a crash", openStore(t, crashed, all))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, dir, all)
	compare("in blocks", s)

	// Once more: in memory over the blocks, then merged with them.
	if again := mustImport(t, ImportOptions{Store: s}, pack(t, entries...)); again.Written != sum.Written {
		t.Errorf("the second time: %v, the first: %v", again, sum)
	}
	compare("imported again", s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	compare("merged", openStore(t, dir, all))
}

// differ tells the first difference.
func differ(got, want metric.Series) string {
	if got.Start != want.Start || got.Step != want.Step || len(got.Values) != len(want.Values) {
		return fmt.Sprintf("%d values of %d s from %+d, want %d of %d s from %+d", len(got.Values), got.Step, got.Start-testNow, len(want.Values), want.Step, want.Start-testNow)
	}
	n, first := 0, -1
	for i := range got.Values {
		if !near(got.Values[i], want.Values[i]) {
			if n++; first < 0 {
				first = i
			}
		}
	}
	if n == 0 {
		return "no difference"
	}
	return fmt.Sprintf("%d of %d values differ, first at %+d: %v, want %v", n, len(got.Values), got.Start+int64(first)*got.Step-testNow, got.Values[first], want.Values[first])
}

// A store may move what it has to blocks at any time.
func TestFlushesDuringAnImportChangeNothing(t *testing.T) {
	o := newOracle(t)
	rng := rand.New(rand.NewPCG(7, 8))
	for n, archives := range []string{"10s:2h,1m:1d,10m:10d", "1m:3h,1h:2d,1d:30d"} {
		dir := t.TempDir()
		all := []store.Retention{retention(t, archives, methods[n], 0.5)}
		path := filepath.Join(dir, "a.wsp")
		o.story(path, "steady", all[0], rng)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s := &reopened{openStore(t, dir, all), func() *store.Store { return openStore(t, dir, all) }}
		mustImport(t, ImportOptions{Store: s}, pack(t, entry{"r0/a.wsp", data}))
		for _, a := range all[0].Archives {
			want, _ := o.fetch(path, testNow-a.Keep, testNow, testNow)
			got, err := s.Fetch(t.Context(), store.Request{Names: []string{"r0.a"}, From: testNow - a.Keep, Until: testNow})
			if err != nil || len(got) != 1 || !same(got[0], want) {
				t.Errorf("%v: archive %v: %v %s", archives, a, err, differ(got[0], want))
			}
		}
	}
}

// reopened is a store that is closed and opened again after each write, which
// moves all to blocks.
type reopened struct {
	*store.Store
	open func() *store.Store
}

func (r *reopened) WriteArchive(ctx context.Context, step int64, points []metric.Point) (int, error) {
	stored, err := r.Store.WriteArchive(ctx, step, points)
	if err == nil {
		err = r.Close()
	}
	r.Store = r.open()
	return stored, err
}

// column makes values that end at a time.
func column(step, until int64, values ...float64) metric.Series {
	return metric.Series{Step: step, Start: (floor(until, step) - int64(len(values)) + 1) * step, Values: values}
}

func encode(t testing.TB, r store.Retention, columns ...metric.Series) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, r, columns); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func counting(n int, v float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = v + float64(i)
	}
	return values
}

// Where the store keeps a series in another way, each of its archives shows the
// best that the file has.
func TestOtherRetentions(t *testing.T) {
	const minute = testNow / 60 * 60 // begins 3 s ago
	for _, c := range []struct {
		what, file, here string
		method           store.Method
		columns          []metric.Series
		want             map[int64][]float64 // the last values by step
	}{
		{
			"finer for longer than here: sums of what the store doesn't keep so fine", "10s:1d", "10s:1m,1m:1d", schema.Sum,
			[]metric.Series{column(10, testNow, counting(19, 1)...)}, // the 18 before this minute, and its first
			map[int64][]float64{10: {14, 15, 16, 17, 18, 19}, 60: {1 + 2 + 3 + 4 + 5 + 6, 7 + 8 + 9 + 10 + 11 + 12, 13 + 14 + 15 + 16 + 17 + 18, math.NaN()}},
		}, {
			"coarser than here: too few for a rollup, so the coarse archive has them too", "1m:1d", "10s:2m,1m:1d", schema.Average,
			[]metric.Series{column(60, testNow, counting(5, 1)...)},
			map[int64][]float64{10: {4, math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN(), 5}, 60: {1, 2, 3, 4, math.NaN()}},
		}, {
			"coarser than all here: where its intervals begin", "5m:1d", "1m:1d", schema.Max,
			[]metric.Series{column(300, minute, 1, 2)},
			map[int64][]float64{60: {1, math.NaN(), math.NaN(), math.NaN(), math.NaN(), 2, math.NaN(), math.NaN()}},
		}, {
			"one step more here: made of the file's finest", "1m:1d", "1m:10m,5m:1d", schema.Last,
			[]metric.Series{column(60, minute-120, counting(10, 1)...)},
			map[int64][]float64{60: {10, math.NaN(), math.NaN()}, 300: {4, 9, math.NaN()}},
		}, {
			"steps that don't divide: the values that begin in an interval", "10s:1d", "15s:1d", schema.Sum,
			[]metric.Series{column(10, minute-10, counting(6, 1)...)},
			map[int64][]float64{15: {1 + 2, 3, 4 + 5, 6, math.NaN()}},
		}, {
			"a coarse archive without its fine one: gaps are filled", "10s:1h,1m:1d", "10s:1h,1m:1d", schema.Average,
			[]metric.Series{column(10, minute-10, 7, 7, 7, 7, 7, 7), column(60, minute, 1, 2, 3, 4)},
			map[int64][]float64{60: {1, 2, 7, math.NaN()}}, // this minute is not over
		},
	} {
		r, here := retention(t, c.file, c.method, 0.5), retention(t, c.here, c.method, 0.5)
		s := openStore(t, t.TempDir(), []store.Retention{here})
		sum := mustImport(t, ImportOptions{Store: s}, pack(t, entry{"r0/a.wsp", encode(t, r, c.columns...)}))
		if different := c.file != c.here; sum.Files != 1 || (sum.Different == 1) != different || different && sum.Differences[0] != (Difference{r.String(), here.String(), 1, "r0/a.wsp"}) {
			t.Errorf("%s: %v %+v", c.what, sum, sum.Differences)
		}
		for _, a := range here.Archives {
			got, err := s.Fetch(t.Context(), store.Request{Names: []string{"r0.a"}, From: testNow - a.Keep, Until: testNow})
			if err != nil || len(got) != 1 || got[0].Step != a.Step {
				t.Fatalf("%s: %v %v", c.what, got, err)
			}
			want := c.want[a.Step]
			got[0].Values = got[0].Values[len(got[0].Values)-len(want):]
			if !same(got[0], metric.Series{Start: got[0].Start, Step: a.Step, Values: want}) {
				t.Errorf("%s: archive %v: %v, want %v", c.what, a, got[0].Values, want)
			}
		}
	}
}

func TestWhatIsNoFileIsSkipped(t *testing.T) {
	r := retention(t, "1m:1h", schema.Average, 0.5)
	good := encode(t, r, column(60, testNow, 1, 2, 3))
	old := encode(t, r, column(60, testNow-86400, 1, 2, 3))
	b := &bytes.Buffer{}
	w := tar.NewWriter(b)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "r0"},
		{Typeflag: tar.TypeSymlink, Name: "r0/link.wsp", Linkname: "/etc/passwd"},
		{Typeflag: tar.TypeLink, Name: "r0/hard.wsp", Linkname: "r0/link.wsp"},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	b.Write(pack(t,
		entry{"r0/good.wsp", good}, entry{"./r0/dot.wsp", good}, entry{"r0/old.wsp", old}, entry{"carbon.log", nil}, entry{"r0/empty.wsp", nil},
		entry{"r0/cut.wsp", good[:len(good)-1]}, entry{"../out.wsp", good}, entry{"/abs.wsp", good}, entry{"r0/a b.wsp", good}, entry{".wsp", good},
		entry{"r0/go.wsp", append([]byte(compressed), good...)}, entry{"r0/large.wsp", make([]byte, LargestFile+1)},
		entry{"r0/long" + strings.Repeat("g", 5000) + ".wsp", good},
		entry{"_tagged/eff/aae/" + strings.Repeat("0a", 32) + ".wsp", good},
		entry{"_tagged/eff/aae/r0_DOT_tag;a=1_DOT_2.wsp", good},
	).Bytes())
	s := openStore(t, t.TempDir(), []store.Retention{r})
	dry := mustImport(t, ImportOptions{Store: s, DryRun: true}, bytes.NewReader(b.Bytes()))
	if found, err := s.Find(t.Context(), "**", 0); len(found) > 0 || err != nil {
		t.Errorf("a dry run wrote %v %v", found, err)
	}
	sum := mustImport(t, ImportOptions{Store: s}, b)
	if sum.Files != 4 || sum.Series != 3 || sum.Read != 9 || sum.Written != 9 || sum.TooOld != 0 {
		t.Errorf("%v", sum)
	}
	if dry.DryRun = false; fmt.Sprint(dry) != fmt.Sprint(sum) {
		t.Errorf("the dry run said %v, then came %v", dry, sum)
	}
	want := []string{"r0/link.wsp: it is no file", "r0/hard.wsp: it is no file", "carbon.log: its name doesn't end in .wsp", "r0/empty.wsp: it has 0 bytes",
		"r0/cut.wsp: it has 747 bytes instead of 748", "../out.wsp: an empty part", "/abs.wsp: an empty part", "r0/a b.wsp: a space", ".wsp: an empty part",
		"r0/go.wsp: compressed", "r0/large.wsp: it has 64 MiB, more than 64", "r0/long: too long", "_tagged/eff/aae/0a0a: a hash"}
	if sum.Skipped != len(want) || len(sum.Skips) != len(want) {
		t.Fatalf("%d %+v", sum.Skipped, sum.Skips)
	}
	for n, skip := range sum.Skips {
		path, note, _ := strings.Cut(want[n], ": ")
		if !strings.HasPrefix(skip.Path, path) || !strings.Contains(skip.Why, note) || len(skip.Path)+len(skip.Why) > 2100 {
			t.Errorf("%+v, want %s", skip, want[n])
		}
	}
	found, err := s.Find(t.Context(), "**", 0)
	var names []string
	for _, m := range found {
		if m.Leaf {
			names = append(names, m.Path)
		}
	}
	if got := fmt.Sprint(names); err != nil || got != "[r0.dot r0.good r0.tag;a=1.2]" {
		t.Errorf("%s %v", got, err)
	}
}

func TestPrefix(t *testing.T) {
	r := retention(t, "1m:1h", schema.Average, 0.5)
	s := openStore(t, t.TempDir(), []store.Retention{r})
	file := entry{"a/b.wsp", encode(t, r, column(60, testNow, 1))}
	tagged := entry{"_tagged/eff/aae/a;b=c.wsp", file.data}
	mustImport(t, ImportOptions{Store: s, Prefix: "r0.old."}, pack(t, file, tagged))
	found, err := s.Find(t.Context(), "r0.old.**", 0)
	if err != nil || len(found) != 3 || found[1].Path != "r0.old.a.b" || found[2].Path != "r0.old.a;b=c" {
		t.Errorf("%v %v", found, err)
	}
	if sum := mustImport(t, ImportOptions{Store: s, Prefix: "a b"}, pack(t, file)); sum.Files != 0 || sum.Skipped != 1 || !strings.Contains(sum.Skips[0].Why, `"a b.a.b": the name has a space`) {
		t.Errorf("%+v", sum)
	}
}

// What is too old for the store is counted, and so are series that are too many.
func TestTooOldAndTooMany(t *testing.T) {
	long, short := retention(t, "1m:1h,5m:1d", schema.Average, 0.5), retention(t, "1m:1h,5m:2h", schema.Average, 0.5)
	s := openStore(t, t.TempDir(), []store.Retention{short})
	data := encode(t, long, column(60, testNow, counting(30, 1)...), column(300, testNow, counting(200, 1)...))
	sum := mustImport(t, ImportOptions{Store: s}, pack(t, entry{"r0/a.wsp", data}))
	// Two hours are 24 intervals of 5 minutes; of the newer ones the store makes
	// those itself that lie in the 30 minutes.
	if sum.Read != 230 || sum.TooOld != 200-24 || sum.Written >= 30+24 || sum.Written < 30+18 {
		t.Errorf("%v", sum)
	}
	dir := t.TempDir()
	few, err := store.Open(store.Options{Config: store.Config{MaxSeries: 1}, Dir: dir, Log: slog.New(slog.DiscardHandler), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer few.Close()
	sum = mustImport(t, ImportOptions{Store: few}, pack(t, entry{"a.wsp", data}, entry{"b.wsp", data}, entry{"a.wsp", data}))
	if sum.Files != 2 || sum.Different != 2 || len(sum.Differences) != 1 || sum.Differences[0].Series != 2 || sum.Skipped != 1 || !strings.Contains(sum.Skips[0].Why, "store.max_series") {
		t.Errorf("%v %+v", sum, sum.Skips)
	}
}
