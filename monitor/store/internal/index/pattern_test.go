package index

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What a pattern finds in a list is what it finds in the tree, and the regular
// expressions miss no path that it finds anything of.
func TestPatternFindsWhatTheTreeFinds(t *testing.T) {
	node := rapid.StringOfN(rapid.SampledFrom([]rune("ab[]é\uFFFD")), 1, 4, -1)
	tags := rapid.SampledFrom([]string{"", "", "", ";a=b.c", ";", ";é=a;b=.a"})
	piece := rapid.SampledFrom([]string{"a", "b", "é", "\xc3", "\xa9", "*", "?", "[ab]", "[!a]", "[", "]", "{a,b}", "{a*,b.a}", "{", ";a=b.c", ";", ";*", "."})
	rapid.Check(t, func(t *rapid.T) {
		var names []string
		var in Index
		for range rapid.IntRange(0, 12).Draw(t, "names") {
			name := strings.Join(rapid.SliceOfN(node, 1, 4).Draw(t, "nodes"), ".") + tags.Draw(t, "tags")
			if rapid.IntRange(0, 9).Draw(t, "garbled") == 0 {
				name = strings.ReplaceAll(name, "é", "\xc3")
			}
			names = append(names, name)
			in.Add(name)
		}
		var nodes []string
		for range rapid.IntRange(1, 4).Draw(t, "pattern nodes") {
			n := strings.Join(rapid.SliceOfN(piece, 0, 4).Draw(t, "pieces"), "")
			if rapid.IntRange(0, 4).Draw(t, "deep") == 0 {
				n = "**"
			}
			nodes = append(nodes, n)
		}
		pattern := strings.Join(nodes, ".")
		limit := rapid.IntRange(0, 3).Draw(t, "limit")
		want, err := in.Find(t.Context(), pattern, limit)
		if err != nil {
			t.Skip(err)
		}
		p, err := ParsePattern(pattern)
		if err != nil {
			t.Fatal(err)
		}
		got, err := p.Find(list(names), limit)
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q in %q, limit %d: %v %v, the tree finds %v", pattern, names, limit, got, err, want)
		}
		for _, most := range []int{1 << 10, 0} {
			plain, tagged := p.Regexps(most, regexp.QuoteMeta)
			for _, name := range names {
				found, _ := p.Find(list([]string{name}), 0)
				path, _, isTagged := strings.Cut(name, ";")
				re := plain
				if isTagged {
					re = tagged
				}
				if len(found) > 0 && !regexp.MustCompile("^(?:"+re+")$").MatchString(path) {
					t.Fatalf("%q finds %v of %q, but %s does not match", pattern, found, name, re)
				}
			}
		}
	})
}

// Globs match bytes: half a letter is one as well.
func TestPatternOfBytes(t *testing.T) {
	for _, c := range []struct{ pattern, name string }{
		{"t.?\xa9", "t.é"}, {"t.\xc3?", "t.é"}, {"t.??", "t.é"}, {"t.\xc3*", "t.é;a=b"}, {"t.[\xc3]\xa9", "t.é"}, {"t.\xff", "t.\xff"}, {"t.\xc3", "t.\xc3"},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		found, err := p.Find(list([]string{c.name}), 0)
		if err != nil || len(found) != 1 {
			t.Errorf("%q finds %v of %q, %v", c.pattern, found, c.name, err)
		}
		path, _, tagged := strings.Cut(c.name, ";")
		plain, withTags := p.Regexps(1<<10, regexp.QuoteMeta)
		re := plain
		if tagged {
			re = withTags
		}
		if !regexp.MustCompile("^(?:" + re + ")$").MatchString(path) {
			t.Errorf("%s of %q does not match %q", re, c.pattern, path)
		}
	}
}

func list(names []string) func(func(string) error) error {
	return func(take func(string) error) error {
		for _, name := range names {
			if err := take(name); err != nil {
				return err
			}
		}
		return nil
	}
}
