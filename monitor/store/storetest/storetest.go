// Package storetest says in tests what every driver of the metric store must
// do.
package storetest

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
)

// Run tests the driver that open opens on a folder; the same folder again is the
// same store, another one is empty. The driver must keep series whose name starts
// with "t." at 10s:6h,1m:7d,10m:1y, rolled up by average, by maximum when the name
// ends in ".max", from one known value on, and it must use the real clock. Late of
// its Traits must be 0 or at least 12 hours.
//
// Where a driver does not claim a trait, the test of it asks for what remains. A
// driver with a Lag has that long for each thing that is looked for.
func Run(t *testing.T, open func(t *testing.T, dir string) store.Driver) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *suite)
	}{
		{"grid", testGrid}, {"rewrite", testRewrite}, {"out of order", testOutOfOrder},
		{"values", testValues}, {"left out", testLeftOut}, {"unknown names", testUnknown},
		{"order of names", testOrder}, {"globs", testGlobs}, {"odd names", testOddNames}, {"tags", testTags}, {"archives", testArchives},
		{"rollups of late points", testLateRollup}, {"names are copied", testCopied},
		{"many series", testMany}, {"reopen", testReopen}, {"concurrent", testConcurrent},
		{"closed", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{t: t, dir: t.TempDir(), open: open}
			s.d = open(t, s.dir)
			t.Cleanup(func() {
				if s.d != nil {
					if err := s.d.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}
			})
			c.test(t, s)
		})
	}
}

type suite struct {
	t    *testing.T
	dir  string
	open func(*testing.T, string) store.Driver
	d    store.Driver
}

func (s *suite) reopen() {
	s.t.Helper()
	if err := s.d.Close(); err != nil {
		s.t.Fatalf("close: %v", err)
	}
	s.d = s.open(s.t, s.dir)
}

func point(name string, time int64, value float64) metric.Point {
	return metric.Point{Name: []byte(name), Time: time, Value: value}
}

func (s *suite) write(points ...metric.Point) {
	s.t.Helper()
	if err := s.d.Write(context.Background(), points); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

func (s *suite) fetch(from, until int64, names ...string) []metric.Series {
	s.t.Helper()
	got, err := s.d.Fetch(context.Background(), store.Request{Names: names, From: from, Until: until})
	if err != nil {
		s.t.Fatalf("fetch: %v", err)
	}
	return got
}

// settle asks again until nothing is wrong, for as long as the driver may lag.
func (s *suite) settle(wrong func() string) {
	s.t.Helper()
	if text := s.settled(wrong); text != "" {
		s.t.Fatal(text)
	}
}

func (s *suite) settled(wrong func() string) string {
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		text := wrong()
		if text == "" || time.Since(start) >= s.d.Traits().Lag {
			return text
		}
	}
}

// keeps is how far back the archive with a step reaches.
var keeps = map[int64]int64{10: 6 * 3600, 60: 7 * 86400, 600: 365 * 86400}

// want compares one series with start, step and values.
func (s *suite) want(from, until int64, name string, start, step int64, values ...float64) {
	s.t.Helper()
	want := []metric.Series{{Name: name, Start: start, Step: step, Keep: keeps[step], Values: values}}
	if !s.d.Traits().Rollups {
		want[0].Keep = keeps[600] // there is one archive, and it is the longest
	}
	s.settle(func() string {
		if diff := cmp.Diff(want, s.fetch(from, until, name), cmpopts.EquateNaNs()); diff != "" {
			return fmt.Sprintf("(%d, %d] of %s (-want +got):\n%s", from, until, name, diff)
		}
		return ""
	})
}

// finds looks for nodes as find returns them.
func (s *suite) finds(pattern string, want ...string) {
	s.t.Helper()
	s.settle(func() string {
		if got := s.find(pattern, 0); !slices.Equal(got, want) {
			return fmt.Sprintf("find %s: %q, want %q", pattern, got, want)
		}
		return ""
	})
}

func (s *suite) find(pattern string, limit int) []string {
	s.t.Helper()
	matches, err := s.d.Find(context.Background(), pattern, limit)
	if err != nil {
		s.t.Fatalf("find %s: %v", pattern, err)
	}
	var got []string
	for _, m := range matches {
		if m.Leaf {
			got = append(got, m.Path)
		} else {
			got = append(got, m.Path+".")
		}
	}
	return got
}

// base is a time some minutes ago on a whole ten minutes, so that what tests
// write after it is neither in the future nor near the end of an archive.
func base() int64 {
	now := time.Now().Unix()
	return now - now%600 - 3600
}

func testGrid(t *testing.T, s *suite) {
	b := base()
	s.write(point("t.a", b+3, 1), point("t.a", b+10, 2), point("t.a", b+39, 4))
	s.want(b-10, b+40, "t.a", b, 10, 1, 2, math.NaN(), 4, math.NaN())
	s.want(b, b+30, "t.a", b+10, 10, 2, math.NaN(), 4)
	s.want(b-1, b+30, "t.a", b, 10, 1, 2, math.NaN(), 4) // a border's own point is in from just before it
	s.want(b+1, b+39, "t.a", b+10, 10, 2, math.NaN(), 4)
	s.want(b+31, b+39, "t.a", b+40, 10, math.NaN()) // both in one step: one point comes
	s.want(b+30, b+30, "t.a", b+40, 10, math.NaN())
	s.want(b+300, b+320, "t.a", b+310, 10, math.NaN(), math.NaN())
	if got, err := s.d.Fetch(context.Background(), store.Request{Names: []string{"t.a"}, From: b + 10, Until: b}); err == nil {
		t.Errorf("a range that ends before it starts: %v", got)
	}
}

func testRewrite(t *testing.T, s *suite) {
	b := base()
	s.write(point("t.a", b, 1), point("t.a", b+9, 2)) // one slot
	s.write(point("t.a", b+10, 3))
	s.want(b-1, b+10, "t.a", b, 10, 2, 3)
	s.write(point("t.a", b+10, 4))
	s.write(point("t.z", b, 1))
	if !s.d.Traits().Rewrites {
		// Either value, but one of them, and the rest as it was.
		either := func() string {
			got := s.fetch(b-1, b+10, "t.a", "t.z")
			if len(got) != 2 || len(got[0].Values) != 2 || got[0].Values[0] != 2 || got[0].Values[1] != 3 && got[0].Values[1] != 4 {
				return fmt.Sprintf("3 was written again as 4: %v", got)
			}
			return ""
		}
		s.settle(either)
		s.reopen()
		s.settle(either)
		return
	}
	s.want(b-1, b+10, "t.a", b, 10, 2, 4)
	s.reopen()
	s.write(point("t.a", b, 5))
	s.want(b-1, b+10, "t.a", b, 10, 5, 4)
	s.reopen()
	s.want(b-1, b+10, "t.a", b, 10, 5, 4)
}

func testOutOfOrder(t *testing.T, s *suite) {
	b := base()
	order := rand.Perm(200)
	want := make([]float64, 200)
	for n, i := range order {
		s.write(point("t.a", b+int64(i)*10, float64(i)))
		want[i] = float64(i)
		if n == 120 {
			s.reopen()
		}
	}
	s.want(b-1, b+1990, "t.a", b, 10, want...)
}

func testValues(t *testing.T, s *suite) {
	b := base()
	values := []float64{
		0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64,
		math.SmallestNonzeroFloat64, -math.SmallestNonzeroFloat64, 0.1, 1.0 / 3, 1e-300, 1e300,
		1 << 53, 1<<53 + 2, math.Pi, -1, 42, 42, 42,
	}
	name := func(int) string { return "t.a" }
	same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
	if !s.d.Traits().Special {
		// Numbers come back to eleven digits if those of a series are alike.
		values = []float64{0, 0.1, 1.0 / 3, math.Pi, 1 << 53, 1<<53 + 2, -1, -123456.789, 1e-9, 42, 1e15 / 7}
		name = func(i int) string { return fmt.Sprintf("t.a%d", i) }
		same = func(a, b float64) bool { return math.Abs(a-b) <= 1e-11*math.Abs(a) }
	}
	for i, v := range values {
		s.write(point(name(i), b+int64(i)*10, v))
	}
	for range 2 {
		for i, v := range values {
			s.settle(func() string {
				got := s.fetch(b+int64(i)*10-1, b+int64(i)*10, name(i))
				if len(got) != 1 || len(got[0].Values) != 1 || !same(v, got[0].Values[0]) {
					return fmt.Sprintf("wrote %v (%#x), read %v", v, math.Float64bits(v), got)
				}
				return ""
			})
		}
		s.reopen()
	}
}

func testLeftOut(t *testing.T, s *suite) {
	b := base()
	now := time.Now().Unix()
	s.write(point("t.a", b, 1), point("t.a", b, math.NaN()), point("t.a", b+10, math.NaN()),
		point("t.a", now+3*86400, 5), point("t.a", now-400*86400, 5), point("t.a", 0, 5), point("t.a", -5, 5))
	s.want(b-1, b+10, "t.a", b, 10, 1, math.NaN())
	s.write(point("t.old", now-400*86400, 5), point("t.nan", b, math.NaN()), point("", b, 1), point("t..a", b, 1), point("t.a b", b, 1))
	traits := s.d.Traits()
	if traits.Ahead < 0 || traits.Ahead > 86400 {
		t.Errorf("points may lie %d s ahead, more than a day", traits.Ahead)
	}
	s.write(point("t.ahead", now+traits.Ahead+60, 5))
	if traits.Late > 0 {
		s.write(point("t.late", now-traits.Late-60, 5))
	}
	s.write(point("t.z", b, 1)) // when it is there, so would be what came before
	s.finds("**", "t.", "t.a", "t.z")
	if traits.Ahead > 120 {
		s.write(point("t.ahead", now+traits.Ahead-60, 5))
		s.finds("t.ahead", "t.ahead")
	}
	if traits.Late > 0 {
		at := (now-traits.Late)/10*10 + 600
		s.write(point("t.late", at, 5))
		s.want(at-1, at, "t.late", at, 10, 5)
	}
}

func testUnknown(t *testing.T, s *suite) {
	b := base()
	s.write(point("t.a.b", b, 1))
	s.settle(func() string {
		got := s.fetch(b-1, b, "t.x", "t.a.b", "t.a", "t.*", "")
		if len(got) != 1 || got[0].Name != "t.a.b" {
			return fmt.Sprintf("got %v", got)
		}
		return ""
	})
	if got := s.fetch(b-1, b); len(got) != 0 {
		t.Errorf("no names: %v", got)
	}
}

func testOrder(t *testing.T, s *suite) {
	b := base()
	s.write(point("t.c", b, 3), point("t.a", b, 1), point("t.b", b, 2))
	names := []string{"t.b", "t.c", "t.a", "t.b"}
	s.settle(func() string {
		all := s.fetch(b-1, b, names...)
		if len(all) != len(names) {
			return fmt.Sprintf("%d series: %v", len(all), all)
		}
		for i, got := range all {
			if got.Name != names[i] || got.Values[0] != float64(names[i][2]-'a'+1) {
				return fmt.Sprintf("%d: %v", i, got)
			}
		}
		return ""
	})
	got := s.fetch(b-1, b, "t.a", "t.a")
	if got[0].Values[0] = 7; got[1].Values[0] != 1 {
		t.Error("a name that is asked for twice comes with the same slice twice")
	}
}

func testGlobs(t *testing.T, s *suite) {
	b := base()
	for _, name := range []string{
		"t.web1.cpu.idle", "t.web1.cpu.user", "t.web2.cpu.idle", "t.db-1.cpu.idle", "t.db-1.cpu", "t.db-1.disk.sda.used",
		"t.web10.cpu.idle", "t.x[1].v", "t.used;host=web.example;mount=a", "t.é.v",
	} {
		s.write(point(name, b, 1))
	}
	for range 2 {
		for _, c := range []struct {
			pattern string
			want    []string
		}{
			{"*", []string{"t."}},
			{"t", []string{"t."}},
			{"t.web1.cpu.idle", []string{"t.web1.cpu.idle"}},
			{"t.web?.cpu.idle", []string{"t.web1.cpu.idle", "t.web2.cpu.idle"}},
			{"t.web*.cpu.idle", []string{"t.web1.cpu.idle", "t.web10.cpu.idle", "t.web2.cpu.idle"}},
			{"t.web[2-9].cpu.*", []string{"t.web2.cpu.idle"}},
			{"t.web[!2-9].cpu.*", []string{"t.web1.cpu.idle", "t.web1.cpu.user"}},
			{"t.web[12].cpu.u*r", []string{"t.web1.cpu.user"}},
			{"t.{web1,db-1}.cpu.{idle,no}", []string{"t.db-1.cpu.idle", "t.web1.cpu.idle"}},
			{"t.{web{1,2},db-1}.cpu.idle", nil}, // braces do not nest
			{"t.web{1,2,1*}.cpu.idle", []string{"t.web1.cpu.idle", "t.web10.cpu.idle", "t.web2.cpu.idle"}},
			{"t.db-1.*", []string{"t.db-1.cpu.", "t.db-1.cpu", "t.db-1.disk."}},
			{"t.db-1.**", []string{"t.db-1.cpu.", "t.db-1.cpu", "t.db-1.cpu.idle", "t.db-1.disk.", "t.db-1.disk.sda.", "t.db-1.disk.sda.used"}},
			{"**.idle", []string{"t.db-1.cpu.idle", "t.web1.cpu.idle", "t.web10.cpu.idle", "t.web2.cpu.idle"}},
			{"t.**.used", []string{"t.db-1.disk.sda.used"}},
			{"t.**.cpu.idle", []string{"t.db-1.cpu.idle", "t.web1.cpu.idle", "t.web10.cpu.idle", "t.web2.cpu.idle"}},
			{"t.x[1.v", nil},
			{"t.x[[]1].v", []string{"t.x[1].v"}},
			{"t.used;host=web.example;mount=a", []string{"t.used;host=web.example;mount=a"}},
			{"t.é.v", []string{"t.é.v"}},
			{"t.web1.cpu.idle.x", nil}, {"", nil}, {"t.", nil}, {"nope.*", nil},
		} {
			if text := s.settled(func() string {
				if got := s.find(c.pattern, 0); !slices.Equal(got, c.want) {
					return fmt.Sprintf("find %s: %q, want %q", c.pattern, got, c.want)
				}
				return ""
			}); text != "" {
				t.Error(text)
			}
		}
		if got := s.find("t.web*.cpu.idle", 2); len(got) != 2 {
			t.Errorf("limit 2: %q", got)
		}
		s.reopen()
	}
}

// Every name that has no control characters or spaces comes back as it was sent.
func testOddNames(t *testing.T, s *suite) {
	b := base()
	names := []string{
		`t."quoted"`, "t.'single'", `t.back\slash`, "t.{a,b}", "t.a|b", "t.$x", "t.^x", "t.a+b", "t.(a)", "t.a=b", "t.%41", "t.#", "t.日本", "t.\U0010FEC3",
		"t.\xc3", "t.\xf4\x8f\xb8\x80", "t.x;", "t.x;a", "t.x;b=2;a=1", "t.x;a=1;b=2", "t.x;a=1;a=2", "t.x;1st=a", "t.x;path=a", "t.x;name=a", "t.x;__name__=a",
		"t.x;tag_x=a", "t.x;é=ü", `t.x;a="b"`, "t.x;le=0.5;job=j;instance=i", "t.X;A=1", "t." + strings.Repeat("long", 900),
	}
	var batch []metric.Point
	for i, name := range names {
		batch = append(batch, point(name, b, float64(i)))
	}
	s.write(batch...)
	slices.Sort(names)
	for range 2 {
		s.finds("t.**", names...)
		s.settle(func() string {
			got := s.fetch(b-1, b, names...)
			for i, name := range names {
				value := float64(slices.IndexFunc(batch, func(p metric.Point) bool { return string(p.Name) == name }))
				if len(got) != len(names) || got[i].Name != name || got[i].Values[0] != value {
					return fmt.Sprintf("%d of %d series, the value of %q is not %v: %v", len(got), len(names), name, value, got)
				}
			}
			return ""
		})
		for expr, want := range map[string][]string{
			"1st=a": {"t.x;1st=a"}, "path=a": {"t.x;path=a"}, "__name__=a": {"t.x;__name__=a"}, "tag_x=a": {"t.x;tag_x=a"}, "é=~ü": {"t.x;é=ü"}, `a="b"`: {`t.x;a="b"`},
			"a=1 b=2": {"t.x;a=1;b=2", "t.x;b=2;a=1"}, `name=t."quoted"`: {`t."quoted"`}, `name=t.back\slash`: {`t.back\slash`}, "name=t.\xc3": {"t.\xc3"},
		} {
			s.settle(func() string {
				got, err := s.d.Select(t.Context(), s.tags(expr), 0)
				if err != nil || !slices.Equal(got, want) {
					return fmt.Sprintf("select %s: %q %v, want %q", expr, got, err, want)
				}
				return ""
			})
		}
		want := []string{"1st", "A", "__name__", "a", "b", "instance", "job", "le", "name", "path", "tag_x", "é"}
		s.settle(func() string {
			if got, err := s.d.Tags(t.Context(), nil, "", 0); err != nil || !slices.Equal(got, want) {
				return fmt.Sprintf("tags: %q %v, want %q", got, err, want)
			}
			return ""
		})
		s.reopen()
	}
}

func testTags(t *testing.T, s *suite) {
	b := base()
	for _, name := range []string{
		"t.used;host=web1;mount=root", "t.used;host=web2;mount=root", "t.used;host=web10;mount=data", "t.free;host=web1", "t.plain",
	} {
		s.write(point(name, b, 1))
	}
	for range 2 {
		for _, c := range []struct {
			exprs string
			want  []string
		}{
			{"host=web1", []string{"t.free;host=web1", "t.used;host=web1;mount=root"}},
			{"name=t.used host=~web1", []string{"t.used;host=web10;mount=data", "t.used;host=web1;mount=root"}},
			{"name=t.used host=~web1$", []string{"t.used;host=web1;mount=root"}},
			{"name=t.used host!=web1", []string{"t.used;host=web10;mount=data", "t.used;host=web2;mount=root"}},
			{"name=t.used host!=~web1", []string{"t.used;host=web2;mount=root"}},
			{"host=web1 mount=", []string{"t.free;host=web1"}},
			{"host!= mount!=root", []string{"t.free;host=web1", "t.used;host=web10;mount=data"}},
			{"name=~.*plain", []string{"t.plain"}},
			{"name=~t.(used|plain) mount!=root", []string{"t.plain", "t.used;host=web10;mount=data"}},
			{"name=used", nil}, {"host=~eb", nil}, {"other=x", nil},
			{"name=t.used host=~web(1|2) mount=root", []string{"t.used;host=web1;mount=root", "t.used;host=web2;mount=root"}},
		} {
			if text := s.settled(func() string {
				got, err := s.d.Select(t.Context(), s.tags(c.exprs), 0)
				if err != nil || !slices.Equal(got, c.want) {
					return fmt.Sprintf("select %s: %q %v, want %q", c.exprs, got, err, c.want)
				}
				return ""
			}); text != "" {
				t.Error(text)
			}
		}
		for _, exprs := range []string{"", "host!=web1", "host= mount=", "host=~web.*|$"} {
			if got, err := s.d.Select(t.Context(), s.tags(exprs), 0); fault.Of(err) != fault.Invalid {
				t.Errorf("select %q: %q %v", exprs, got, err)
			}
		}
		if got, err := s.d.Select(t.Context(), s.tags("name=~t"), 2); err != nil || len(got) != 2 {
			t.Errorf("limit 2: %q %v", got, err)
		}
		for _, c := range []struct {
			exprs, prefix string
			want          []string
		}{
			{"", "", []string{"host", "mount", "name"}}, {"", "m", []string{"mount"}}, {"name=t.free", "", []string{"host", "name"}}, {"", "x", []string{}},
		} {
			if text := s.settled(func() string {
				got, err := s.d.Tags(t.Context(), s.tags(c.exprs), c.prefix, 0)
				if err != nil || !slices.Equal(got, c.want) {
					return fmt.Sprintf("tags of %q from %q: %q %v, want %q", c.exprs, c.prefix, got, err, c.want)
				}
				return ""
			}); text != "" {
				t.Error(text)
			}
		}
		for _, c := range []struct {
			tag, exprs, prefix string
			limit              int
			want               []string
		}{
			{"host", "", "", 0, []string{"web1", "web10", "web2"}}, {"host", "", "web1", 0, []string{"web1", "web10"}},
			{"host", "mount=data", "", 0, []string{"web10"}}, {"name", "", "t.", 2, []string{"t.free", "t.plain"}}, {"no", "", "", 0, []string{}},
		} {
			if text := s.settled(func() string {
				got, err := s.d.TagValues(t.Context(), c.tag, s.tags(c.exprs), c.prefix, c.limit)
				if err != nil || !slices.Equal(got, c.want) {
					return fmt.Sprintf("values of %s in %q from %q: %q %v, want %q", c.tag, c.exprs, c.prefix, got, err, c.want)
				}
				return ""
			}); text != "" {
				t.Error(text)
			}
		}
		s.reopen()
	}
}

// tags parses expressions parted by spaces.
func (s *suite) tags(exprs string) (all []store.TagMatch) {
	s.t.Helper()
	for _, e := range strings.Fields(exprs) {
		m, err := store.ParseTagMatch(e)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, m)
	}
	return all
}

func testArchives(t *testing.T, s *suite) {
	// Ten hours ago: not covered by 10s:6h, so it comes from 1m:7d.
	now := time.Now().Unix()
	b := now - now%600 - 36000
	for i := range int64(20) {
		s.write(point("t.a", b+i*60+5, float64(i)), point("t.a.max", b+i*60, float64(i)))
	}
	if !s.d.Traits().Rollups {
		testOneArchive(t, s, now, b)
		return
	}
	for range 2 {
		s.want(b-1, b+120, "t.a", b, 60, 0, 1, 2)
		s.want(b-1-8*86400, b-8*86400+600, "t.a", b-8*86400, 600, math.NaN(), math.NaN())
		got := s.fetch(b-8*86400, b+600, "t.a", "t.a.max")
		for i, want := range []float64{4.5, 9} {
			n := len(got[i].Values)
			if got[i].Step != 600 || got[i].Start+int64(n-1)*600 != b+600 || got[i].Values[n-2] != want || got[i].Values[n-1] != want+10 {
				t.Errorf("%s at 10m: step %d, last values %v, want %v and 10 more", got[i].Name, got[i].Step, got[i].Values[n-2:], want)
			}
		}
		s.reopen()
	}
	// From time immemorial: from the border of the oldest archive on.
	got := s.fetch(0, b+600, "t.a")[0]
	if got.Step != 600 || got.Start < now-366*86400 || got.Start+int64(len(got.Values)-1)*600 != b+600 {
		t.Errorf("everything: start %d, step %d, %d values", got.Start, got.Step, len(got.Values))
	}
}

// testOneArchive is testArchives where the points come as they were sent, however
// far back the range reaches.
func testOneArchive(t *testing.T, s *suite, now, b int64) {
	nan := math.NaN()
	for range 2 {
		s.want(b-1, b+70, "t.a", b, 10, 0, nan, nan, nan, nan, nan, 1, nan)
		s.want(b-1-8*86400, b-8*86400+10, "t.a", b-8*86400, 10, nan, nan)
		s.reopen()
	}
	for _, from := range []int64{b - 8*86400, 0} {
		got := s.fetch(from, b+1199, "t.a", "t.a.max")
		for _, g := range got {
			n := len(g.Values)
			if g.Step != 10 || g.Start < now-366*86400 || g.Start+int64(n-1)*10 != b+1190 || g.Values[n-6] != 19 || g.Values[n-12] != 18 {
				t.Errorf("%s from %d: start %d, step %d, %d values, at the end %v", g.Name, from, g.Start, g.Step, n, g.Values[max(n-12, 0):])
			}
		}
		if len(got) != 2 {
			t.Errorf("%d series", len(got))
		}
	}
}

func testLateRollup(t *testing.T, s *suite) {
	b := base()
	s.write(point("t.a", b, 10), point("t.a", b+20, 20), point("t.a", b+60, 5))
	if !s.d.Traits().Rollups {
		// A late point is there where it belongs.
		nan := math.NaN()
		s.want(b-1, b+60, "t.a", b, 10, 10, nan, 20, nan, nan, nan, 5)
		s.reopen()
		s.write(point("t.a", b+50, 60))
		s.want(b-1, b+60, "t.a", b, 10, 10, nan, 20, nan, nan, 60, 5)
		return
	}
	coarse := func(want ...float64) {
		t.Helper()
		s.settle(func() string {
			got := s.fetch(b-86400, b+60, "t.a")[0]
			if last := got.Values[len(got.Values)-len(want):]; got.Step != 60 || !slices.Equal(last, want) {
				return fmt.Sprintf("at 1m: step %d, last values %v, want %v", got.Step, last, want)
			}
			return ""
		})
	}
	coarse(15, 5)
	s.reopen()
	coarse(15, 5)
	s.write(point("t.a", b+50, 60)) // late
	s.write(point("t.a", b, 70))    // rewritten
	coarse(50, 5)
	s.reopen()
	coarse(50, 5)
	got := s.fetch(b-30*86400, b, "t.a")[0]
	if last := got.Values[len(got.Values)-1]; got.Step != 600 || last != 27.5 {
		t.Fatalf("at 10m: step %d, last value %v", got.Step, last)
	}
}

func testCopied(t *testing.T, s *suite) {
	b := base()
	name := []byte("t.a")
	s.write(metric.Point{Name: name, Time: b, Value: 1})
	copy(name, "x.y")
	s.write(metric.Point{Name: []byte("t.b"), Time: b, Value: 2})
	s.finds("**", "t.", "t.a", "t.b")
}

func testMany(t *testing.T, s *suite) {
	b := base()
	const series, times = 2000, 6
	names := make([]string, series)
	for i := range names {
		names[i] = fmt.Sprintf("t.host%d.metric%d", i/40, i%40)
	}
	for step := range int64(times) {
		var batch []metric.Point
		for i, name := range names {
			batch = append(batch, point(name, b+step*10, float64(i)*1000+float64(step)))
		}
		s.write(batch...)
		if step == times/2 {
			s.reopen()
		}
	}
	s.settle(func() string {
		all := s.fetch(b-1, b+(times-1)*10, names...)
		if len(all) != series {
			return fmt.Sprintf("%d of %d series", len(all), series)
		}
		for i, got := range all {
			for step, v := range got.Values {
				if got.Name != names[i] || v != float64(i)*1000+float64(step) {
					return fmt.Sprintf("%s: %v", names[i], got)
				}
			}
		}
		return ""
	})
	if got := s.find("t.host7.*", 0); len(got) != 40 {
		t.Errorf("%d names", len(got))
	}
}

func testReopen(t *testing.T, s *suite) {
	b := base()
	var want []float64
	for i := range 8 {
		s.write(point("t.a", b+int64(i)*10, float64(i)))
		want = append(want, float64(i))
		s.write(point(fmt.Sprintf("t.new%d", i), b, float64(i)))
		if i%2 == 0 {
			if err := s.d.Sync(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		s.reopen()
		s.want(b-1, b+int64(i)*10, "t.a", b, 10, want...)
		s.settle(func() string {
			if got := s.find("t.new*", 0); len(got) != i+1 {
				return fmt.Sprintf("after %d reopens: %q", i+1, got)
			}
			return ""
		})
	}
	for i := range 8 {
		s.want(b-1, b, fmt.Sprintf("t.new%d", i), b, 10, float64(i))
	}
}

func testConcurrent(t *testing.T, s *suite) {
	b := base()
	const writers, times = 4, 150
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	// A driver that lags may show a point before the one written before it.
	ordered := s.d.Traits().Lag == 0
	for w := range writers {
		writing.Go(func() {
			for i := range int64(times) {
				err := s.d.Write(context.Background(), []metric.Point{
					point(fmt.Sprintf("t.w%d", w), b+i*10, float64(i)),
					point("t.shared", b+i*10, float64(i)),
				})
				if err != nil {
					t.Errorf("write: %v", err)
					return
				}
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				got, err := s.d.Fetch(context.Background(), store.Request{Names: []string{"t.w0", "t.shared"}, From: b - 1, Until: b + times*10})
				if err != nil {
					t.Errorf("fetch: %v", err)
					return
				}
				for _, series := range got {
					gap := false
					for i, v := range series.Values {
						if !math.IsNaN(v) && (v != float64(i) || gap && ordered && series.Name == "t.w0") {
							t.Errorf("%s[%d] = %v, after a gap: %v", series.Name, i, v, gap)
							return
						}
						gap = gap || math.IsNaN(v)
					}
				}
				if _, err := s.d.Find(context.Background(), "t.*", 0); err != nil {
					t.Errorf("find: %v", err)
					return
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	for _, name := range []string{"t.w0", "t.w1", "t.w2", "t.w3", "t.shared"} {
		s.settle(func() string {
			got := s.fetch(b-1, b+(times-1)*10, name)
			if len(got) != 1 {
				return name + " is not there"
			}
			for i, v := range got[0].Values {
				if v != float64(i) {
					return fmt.Sprintf("%s[%d] = %v", name, i, v)
				}
			}
			return ""
		})
	}
}

func testClosed(t *testing.T, s *suite) {
	d := s.d
	s.d = nil
	for range 2 {
		if err := d.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	ctx := context.Background()
	if err := d.Write(ctx, []metric.Point{point("t.a", base(), 1)}); err == nil {
		t.Error("write after close")
	}
	if _, err := d.Fetch(ctx, store.Request{Names: []string{"t.a"}, Until: 1}); err == nil {
		t.Error("fetch after close")
	}
	if _, err := d.Find(ctx, "*", 0); err == nil {
		t.Error("find after close")
	}
	if err := d.Sync(ctx); err == nil {
		t.Error("sync after close")
	}
}
