package index

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/base/fault"
	"steer/base/metric"
)

// TestFindAgainstPlainSearch compares the tree with a search through a list.
func TestFindAgainstPlainSearch(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "a-b", "ab", "c", "a;t=1", "a;t=1.5", "b;x=y"})
	rapid.Check(t, func(t *rapid.T) {
		x := &Index{}
		known := map[string]bool{}
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			for range rapid.IntRange(0, 20).Draw(t, "names") {
				parts := rapid.SliceOfN(part, 1, 4).Draw(t, "parts")
				for i := range parts[:len(parts)-1] {
					parts[i], _, _ = strings.Cut(parts[i], ";")
				}
				name := strings.Join(parts, ".")
				known[name] = true
				x.Add(name)
			}
			pattern := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"*", "a", "a*", "?", "{a,b}", "a{,-b}", "[ab]", "a;t=1", "a;*", "**", "c"}), 1, 4).Draw(t, "pattern"), ".")
			got, err := x.Find(context.Background(), pattern, 0)
			if err != nil {
				t.Fatal(err)
			}
			if want := plainFind(t, known, pattern); !slices.Equal(got, want) {
				t.Fatalf("%s in %v:\ngot  %v\nwant %v", pattern, known, got, want)
			}
		}
		late := false
		x.Replace(func(name []byte) (string, bool) {
			if !late { // comes in the middle of it
				late = true
				x.Add("a.late")
			}
			if name[0] == 'a' {
				return string(name), true
			}
			delete(known, string(name))
			return "", false
		})
		if late {
			known["a.late"] = true
		}
		if got, _ := x.Find(context.Background(), "**", 0); !slices.Equal(got, plainFind(t, known, "**")) {
			t.Fatalf("after Replace: %v", got)
		}
	})
}

func plainFind(t *rapid.T, known map[string]bool, pattern string) []metric.Match {
	globs, err := parsePattern(pattern)
	if err != nil {
		t.Fatal(err)
	}
	found := map[metric.Match]bool{}
	for name := range known {
		parts := nodes(name, false)
		for n := 1; n <= len(parts); n++ {
			if plainMatch(globs, parts[:n]) {
				found[metric.Match{Path: strings.Join(parts[:n], "."), Leaf: n == len(parts)}] = true
			}
		}
	}
	var all []metric.Match
	for m := range found {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b metric.Match) int {
		if a.Path != b.Path {
			return strings.Compare(a.Path, b.Path)
		}
		if a.Leaf {
			return 1
		}
		return -1
	})
	return all
}

func plainMatch(globs []glob, parts []string) bool {
	if len(globs) == 0 || len(parts) == 0 {
		return len(globs) == 0 && len(parts) == 0 || len(globs) == 1 && globs[0].any && len(parts) == 0
	}
	if g := globs[0]; g.any {
		return plainMatch(globs[1:], parts) || plainMatch(globs, parts[1:])
	} else if !slices.Contains(g.literals, parts[0]) && !slices.ContainsFunc(g.wild, func(w string) bool { return match(w, parts[0]) }) {
		return false
	}
	return plainMatch(globs[1:], parts[1:])
}

func TestCompareIsTheOrderOfTheTree(t *testing.T) {
	want := []string{
		"a", "a.b", "a.b.c", "a.b.c.d", "a.b-c", "a.b;t=1", "a.b;t=1-5", "a.b;t=1.5", "a.c", "a-b", "a-b.c", "a;t=1",
		"long.prefix.in.common", "long.prefix.in.common.x", "long.prefix.in.common-x",
	}
	names := slices.Clone(want)
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	slices.SortFunc(names, Compare)
	if !slices.Equal(names, want) {
		t.Errorf("got  %q\nwant %q", names, want)
	}
	x := &Index{}
	x.Add(names...)
	var walked []string
	x.Each(func(name []byte) { walked = append(walked, string(name)) })
	if !slices.Equal(walked, want) {
		t.Errorf("Each: %q\nwant  %q", walked, want)
	}
}

func TestSelectAgainstPlainSearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := &Index{}
		known := map[string]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "names") {
			name := rapid.SampledFrom([]string{"cpu", "disk", "a.b"}).Draw(t, "path")
			for _, tag := range []string{"dc", "host", "host"} { // senders repeat tags too
				if v := rapid.IntRange(0, 4).Draw(t, tag); v > 0 {
					name += fmt.Sprintf(";%s=%d", tag, v)
				}
			}
			known[name] = true
			x.Add(name)
		}
		var match []Match
		for range rapid.IntRange(1, 3).Draw(t, "expressions") {
			e := rapid.SampledFrom([]string{"name", "dc", "host"}).Draw(t, "tag") +
				rapid.SampledFrom([]string{"=", "!=", "=~", "!=~"}).Draw(t, "op") +
				rapid.SampledFrom([]string{"", "1", "2", "[12]", "cpu", "c|a", "a.b", ".", "1|$"}).Draw(t, "value")
			m, err := ParseMatch(e)
			if err != nil {
				t.Fatal(err)
			}
			match = append(match, m)
		}
		if CheckMatches(match) != nil {
			return
		}
		var want []string
		for name := range known {
			if matchAll(ParseTags(name), match) {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		got, err := x.Select(context.Background(), match, 0)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v in %v: %v\ngot  %v\nwant %v", match, known, err, got, want)
		}
	})
}

func TestWrongExpressions(t *testing.T) {
	for _, s := range []string{"", "host", "=a", "!=a", "host~a", "host=a;b", "a;b=c", "host=~(", "host!=~["} {
		if m, err := ParseMatch(s); fault.Of(err) != fault.Invalid {
			t.Errorf("%q is read as %+v: %v", s, m, err)
		}
	}
}

func BenchmarkGrow(b *testing.B) {
	names := make([]string, 1_000_000)
	for i := range names {
		names[i] = fmt.Sprintf("servers.dc%d.web-%05d.cpu.%d.idle", i%3, i/48, i%16)
	}
	for b.Loop() {
		x := &Index{}
		x.Add(slices.Clone(names)...)
		x.Grow()
	}
}
