package store

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// soak is whether tests do all that they can and not what there is time for.
func soak() bool { return os.Getenv("STEER_SOAK") != "" }

// damageStore fills a folder with every kind of file and says what was written.
func damageStore(t *testing.T, o Options) map[string]float64 {
	t.Helper()
	want := map[string]float64{}
	n := 0
	write := func(s *Store, names ...string) {
		t.Helper()
		for _, name := range names {
			n++
			put(t, s, name, testNow-100, float64(n))
			want[name] = float64(n)
		}
		if err := s.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	first := o
	first.Rules = rules("20s:1h")
	s := mustOpen(t, first)
	write(s, "past.a", "past.b")
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Rules{rules("50s:1h"), o.Rules} {
		if err := s.Apply(r); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			write(s, fmt.Sprintf("more.%d", len(want)), fmt.Sprintf("more.tags;n=%d", len(want)))
			if err := s.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 3 {
		write(s, fmt.Sprint("log.", len(want)))
	}
	s.closed = true
	s.release()
	return want
}

// TestFlippedBitsInEveryFile: whatever bit of whatever file flips, the store starts,
// serves everything that is sound and nothing else, keeps what is damaged for a
// person and tells of it once.
func TestFlippedBitsInEveryFile(t *testing.T) {
	o := testOptions(t)
	o.Rules = rules("10s:1h,1m:1d")
	want := damageStore(t, o)
	kinds := map[string]int{}
	for _, path := range append(files(t, o.Dir, ""), filepath.Join(o.Dir, "LOCK")) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			continue
		}
		name, err := filepath.Rel(o.Dir, path)
		if err != nil {
			t.Fatal(err)
		}
		step := int64(1)
		if !soak() {
			step = 1 + info.Size()/4
		}
		for at := rand.Int64N(step); at < info.Size(); at += step {
			damage(t, o, name, at, want)
			kinds[filepath.Ext(name)]++
		}
	}
	t.Logf("bits flipped by kind of file: %v", kinds)
	if len(kinds) != 4 {
		t.Errorf("kinds of files: %v", kinds)
	}
}

// damage flips one bit in a copy of the store.
func damage(t *testing.T, o Options, name string, at int64, want map[string]float64) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(o.Dir)); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bit := rand.IntN(8)    // -1: zeros instead
	if rand.IntN(4) == 0 { // a piece was never written
		clear(data[at:min(at+40, int64(len(data)))])
		bit = -1
	} else {
		data[at] ^= 1 << bit
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	fail := func(format string, args ...any) {
		t.Helper()
		t.Fatalf("%s byte %d bit %d: %s", name, at, bit, fmt.Sprintf(format, args...))
	}
	var log bytes.Buffer
	o.disk, o.Dir, o.Log = newBadDisk(), dir, slog.New(slog.NewTextHandler(&log, nil))
	lost := map[string]bool{}
	for round := range 3 {
		s, err := Open(o)
		if err != nil {
			fail("start %d: %v", round, err)
		}
		for n, v := range want {
			got, err := s.Fetch(context.Background(), Request{Names: []string{n}, From: testNow - 150, Until: testNow - 90})
			if err != nil {
				fail("%v", err)
			}
			known := math.NaN()
			for _, series := range got {
				for _, v := range series.Values {
					if v == v {
						known = v
					}
				}
			}
			if known != v && (known == known || round > 0 && !lost[n]) {
				fail("start %d: %s is %v, want %v", round, n, known, v)
			}
			if known != known {
				lost[n] = true
			}
		}
		set := len(files(t, dir, ".damaged"))
		tells := strings.Contains(log.String(), "level=ERROR")
		switch {
		case round == 0 && strings.HasSuffix(name, ".json") && len(lost) > 0:
			fail("%v is not shown", lost)
		case round == 0 && len(lost) > 0 && !tells && !strings.Contains(log.String(), "torn tail"):
			fail("%v lost without a word", lost)
		case round == 1 && len(lost) > 0 && set == 0 && !strings.Contains(log.String(), "torn tail"):
			fail("%v lost, and no copy is kept", lost)
		case len(lost) > 6: // three frames are hit at most
			fail("%d lost: %v", len(lost), lost)
		case round == 2 && (tells || s.Stats().Damaged > 0):
			fail("still told at the third start: %+v\n%s", s.Stats(), &log)
		}
		put(t, s, "new", testNow, float64(round))
		if got := values(t, s, "new", testNow-1, testNow); got[0] != float64(round) {
			fail("a new point is read as %v", got)
		}
		if err := s.Close(); err != nil {
			fail("%v", err)
		}
		if round > 0 {
			log.Reset()
		}
	}
}

// TestDamageInALongList: what one bit costs is a few hundred names at most.
func TestDamageInALongList(t *testing.T) {
	o := testOptions(t)
	s := mustOpen(t, o)
	points := testBatch(20_000)
	for i := range points {
		points[i].Time = testNow
	}
	if err := s.Write(context.Background(), points); err != nil {
		t.Fatal(err)
	}
	for range 2 { // appended, then sorted
		if err := s.flush(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		flip(t, filepath.Join(o.Dir, "names"), 30_000)
		s = mustOpen(t, o)
		lost := int64(len(points)) - s.Stats().Series
		if lost < 1 || lost > 600 {
			t.Errorf("%d series lost", lost)
		}
		points = points[lost:]
		s.maintain.names.loose = 1e6
	}
}
