package prometheus

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"steer/monitor/store"
)

func TestLabels(t *testing.T) {
	metric := label{nameLabel, "graphite"}
	for _, c := range []struct {
		name string
		want string
	}{
		{"a.b", "__name__=graphite path=a.b"},
		{"a.é[1]", "__name__=graphite path=a.é[1]"},
		{"a.b;host=web1;dc=x", "__name__=graphite dc=x host=web1 name=a.b;host=web1;dc=x path=a.b"},
		{"a;Zone=1", "Zone=1 __name__=graphite name=a;Zone=1 path=a"},
		{"a;host=1;host=2", "__name__=graphite host=2 name=a;host=1;host=2 path=a"},
		{"a;path=p;name=n;__x=1;tag_y=2", "__name__=graphite name=a;path=p;name=n;__x=1;tag_y=2 path=a tag__5f_5fx=1 tag_path=p tag_tag_5fy=2"},
		{"a;1b=x;é=y;b-c=z", "__name__=graphite name=a;1b=x;é=y;b-c=z path=a tag_1b=x tag__c3_a9=y tag_b_2dc=z"},
		{"a;", "__name__=graphite name=a; path=a"},
		{"a;b;c=", "__name__=graphite name=a;b;c= path=a"},
		{"a.\xc3", "__name__=graphite path=a.\U0010FEC3"},
	} {
		var got []string
		for _, l := range labels(c.name, metric) {
			got = append(got, l.name+"="+l.value)
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%q: %q, want %q", c.name, text, c.want)
		}
	}
	var many strings.Builder
	many.WriteString("a")
	for i := range 40 {
		many.WriteString(";t" + string(rune('a'+i/10)) + string(rune('0'+i%10)) + "=v")
	}
	if got := labels(many.String(), metric); len(got) != 28 || got[len(got)-1].name != "tc4" {
		t.Errorf("40 tags: %v", got)
	}
}

// Whatever a name is made of, its labels are legal and give it back.
func TestLabelsAreReversible(t *testing.T) {
	piece := rapid.SampledFrom([]string{"a", "path", "name", "__", "_", "tag_", "tag", "9", "é", "\U0010FE00", "\U0010FEFF", "\U0010FF00", "\xff", "\xf4", "\xc3", ".", "\"", "\\", "-", "\uFFFD"})
	text := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(piece, 1, 6).Draw(t, "pieces"), "") })
	rapid.Check(t, func(t *rapid.T) {
		name := text.Draw(t, "path")
		for range rapid.IntRange(0, 4).Draw(t, "tags") {
			name += ";" + text.Draw(t, "tag") + rapid.SampledFrom([]string{"=", ""}).Draw(t, "equals") + text.Draw(t, "value")
		}
		all := labels(name, label{nameLabel, "graphite"})
		if !slices.IsSortedFunc(all, func(a, b label) int { return strings.Compare(a.name, b.name) }) {
			t.Fatalf("%q: not sorted: %v", name, all)
		}
		metric := map[string]string{}
		for i, l := range all {
			if !legal(l.name) || !utf8.ValidString(l.value) || l.value == "" || i > 0 && l.name == all[i-1].name {
				t.Fatalf("%q: bad label %q=%q", name, l.name, l.value)
			}
			metric[l.name] = l.value
		}
		if got := (element{Metric: metric}).name(); got != name {
			t.Fatalf("%q comes back as %q", name, got)
		}
		last := map[string]string{}
		for _, tag := range store.ParseTags(name) {
			last[tag.Name] = tag.Value
		}
		back := map[string]string{}
		for l, v := range metric {
			if tag := toTag(l); tag != "" {
				back[tag] = fromValue(v)
			}
		}
		if len(last) != len(back) {
			t.Fatalf("%q: tags %q, back %q", name, last, back)
		}
		for tag, v := range last {
			if back[tag] != v {
				t.Fatalf("%q: tag %q=%q comes back as %q", name, tag, v, back[tag])
			}
		}
	})
}

// Labels of others that look escaped are no tags, and do no harm.
func TestForeignLabels(t *testing.T) {
	for _, l := range []string{"tag__", "tag__f", "tag__zz", "__replica__", "name"} {
		if got := toTag(l); got != "" {
			t.Errorf("%s is tag %q", l, got)
		}
	}
}
