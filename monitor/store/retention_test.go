package store

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store/internal/schema"
)

func TestRetentionIsWhatTheFilesSay(t *testing.T) {
	o := testOptions(t)
	o.Schemas, o.Aggregation = filepath.Join(t.TempDir(), "s.yaml"), filepath.Join(t.TempDir(), "a.yaml")
	os.WriteFile(o.Schemas, []byte("- {name: a, pattern: ^a, retentions: '10s:1h,1m:1d'}"), 0o644)
	os.WriteFile(o.Aggregation, []byte("- {name: a, pattern: ^a, method: absmax, x_files_factor: 0.1}"), 0o644)
	s := mustOpen(t, o)
	put(t, s, "a.known", testNow, 1)
	for name, want := range map[string]string{"a.known": "10s:1h,1m:1d absmax 0.1", "a.new": "10s:1h,1m:1d absmax 0.1", "b": "1m:1w average 0.5"} {
		if got := s.Retention(name).String(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if v, ok := s.Retention("a.new").Roll([]float64{math.NaN(), 1, -3}); v != -3 || !ok {
		t.Error(v, ok)
	}
}

// A point that goes to a given archive is found there again by its time and
// arrival, as the log does, unless it is too old for it.
func TestArrival(t *testing.T) {
	lists := []string{"10s:6h,1m:7d,10m:5y", "1m:3h,1h:2d,1d:30d", "1s:1m,5s:10m,1m:2h", "10s:1m,1m:2m", "1m:90m,1h:2h"}
	rapid.Check(t, func(rt *rapid.T) {
		archives, err := schema.ParseRetentions(rapid.SampledFrom(lists).Draw(rt, "retentions"))
		if err != nil {
			rt.Fatal(err)
		}
		p := newPlan(archives, schema.Aggregation{})
		k := rapid.IntRange(0, len(archives)-1).Draw(rt, "archive")
		age := rapid.Int64Range(0, archives[k].Keep-1).Draw(rt, "age")
		now := rapid.Int64Range(testNow, testNow+86400).Draw(rt, "now")
		point, at := p.arrival(k, now-age, now)
		got, slot, ok := p.place(point, at)
		if !ok || got != k || slot != floor(now-age, archives[k].Step) || at < now {
			rt.Fatalf("%v: %d s old goes to archive %d, slot %d, %v; want %d, %d", archives, age, got, slot, ok, k, floor(now-age, archives[k].Step))
		}
	})
}

// What was written to an archive stands there: beside finer values that are in
// memory, in the log, and in blocks.
func TestWriteArchive(t *testing.T) {
	o := testOptions(t)
	o.Schemas = filepath.Join(t.TempDir(), "s.yaml")
	os.WriteFile(o.Schemas, []byte("- {name: a, pattern: '', retentions: '10s:10m,1m:1h,10m:1d'}"), 0o644)
	s := mustOpen(t, o)
	const minute = (testNow - 300) / 60 * 60
	for i := range int64(6) {
		put(t, s, "a", minute+10*i, 1)
	}
	n, err := s.WriteArchive(t.Context(), 60, []metric.Point{{Name: []byte("a"), Time: minute, Value: 5}, {Name: []byte("a"), Time: minute - 3600, Value: 6}, {Name: []byte("a"), Time: testNow - 86400, Value: 7}})
	if n != 2 || err != nil { // the second is placed by its age, the third is too old
		t.Errorf("%d stored, %v", n, err)
	}
	if d := s.Stats().Dropped["old"]; d != 1 {
		t.Errorf("%d dropped as too old", d)
	}
	check := func(when string, s *Store) {
		t.Helper()
		if v := values(t, s, "a", testNow-3600, testNow); v[(minute-(testNow-3600)/60*60)/60-1] != 5 {
			t.Errorf("%s: minutes %v", when, v)
		}
		if v := values(t, s, "a", minute-10, minute); v[0] != 1 {
			t.Errorf("%s: ten seconds %v", when, v)
		}
		slots := values(t, s, "a", minute-3600-600, minute)
		if v := slots[0]; v != 6 {
			t.Errorf("%s: ten minutes %v", when, slots)
		}
	}
	check("in memory", s)
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	crashed := o
	crashed.Dir = filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(crashed.Dir, os.DirFS(o.Dir)); err != nil {
		t.Fatal(err)
	}
	check("from the log", mustOpen(t, crashed))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, o)
	check("in blocks", s)
	put(t, s, "a", minute+10, 3)
	if v := values(t, s, "a", testNow-3600, testNow); v[(minute-(testNow-3600)/60*60)/60-1] == 5 {
		t.Error("a finer point that comes later changes nothing")
	}
}

func TestWriteArchiveRefuses(t *testing.T) {
	o := testOptions(t)
	o.MaxSeries = 1
	s := mustOpen(t, o)
	put(t, s, "a", testNow, 1)
	for _, c := range []struct {
		name string
		step int64
		kind fault.Kind
		want string
	}{
		{"a", 20, fault.Invalid, "store points of a: it has no archive with a step of 20 s"},
		{"b", 60, fault.TooMuch, "as many as store.max_series allows"},
		{"b c", 60, fault.Invalid, `store points of "b c": this is no name of a series`},
		{strings.Repeat("x", 5000), 60, fault.Invalid, "this is no name"},
	} {
		n, err := s.WriteArchive(t.Context(), c.step, []metric.Point{{Name: []byte(c.name), Time: testNow, Value: 1}})
		if n != 0 || fault.Of(err) != c.kind || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%.20s: %d %v", c.name, n, err)
		}
	}
	if n, err := s.WriteArchive(t.Context(), 60, nil); n != 0 || err != nil {
		t.Error(n, err)
	}
	s.Close()
	if _, err := s.WriteArchive(t.Context(), 60, []metric.Point{{Name: []byte("a"), Time: testNow}}); fault.Of(err) != fault.Unavailable {
		t.Error(err)
	}
}
