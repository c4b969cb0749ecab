package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
)

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

func testCopied(t *testing.T, s *suite) {
	b := base()
	name := []byte("t.a")
	s.write(metric.Point{Name: name, Time: b, Value: 1})
	copy(name, "x.y")
	s.write(metric.Point{Name: []byte("t.b"), Time: b, Value: 2})
	s.finds("**", "t.", "t.a", "t.b")
}
