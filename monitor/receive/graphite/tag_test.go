package graphite

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"steer/base/metric"
)

// TestTagsAreTidied: all ways to write the tags of a series give one name.
func TestTagsAreTidied(t *testing.T) {
	many := "a"
	for _, c := range "zyxwvutsrqponmlkjihgfedcba" {
		many += ";" + string(c) + "=" + strings.Repeat("v", 40)
	}
	parts := strings.Split(many, ";")
	slices.Reverse(parts[1:])
	for in, want := range map[string]string{
		"a;b=2;z=1":         "a;b=2;z=1",
		"a;z=1;b=2":         "a;b=2;z=1",
		"a;z=1;b=2;z=3":     "a;b=2;z=3",
		"a;z=1;z=1":         "a;z=1",
		"x;long=1;b=2;b=33": "x;b=33;long=1",
		"a;b1=x;b=y":        "a;b1=x;b=y", // Carbon sorts texts
		"a;b=y;b1=x":        "a;b1=x;b=y",
		"a;b=x=y;a==":       "a;a==;b=x=y",
		"a;name=x;b=1":      "a;b=1",
		"a;name=x":          "a",
		"~~a;b=1":           "a;b=1",
		"a;p=/x/../y.":      "a;p=/x/../y.",
		"a;ü=ö;b=!^~":       "a;b=!^~;ü=ö",
		many:                strings.Join(parts, ";"),
	} {
		for _, line := range []string{in + " 1 1600000000\n", in + "\t1\n"} {
			points, _, err := Parse(nil, []byte(line+"next 2 1600000000\n"), 0)
			if err != nil || len(points) != 2 || string(points[0].Name) != want || string(points[1].Name) != "next" {
				t.Errorf("%q: %v, %v, want %s", line, points, err, want)
			}
		}
	}
}

func TestTagsThatCannotBeRead(t *testing.T) {
	for in, want := range map[string]string{
		"a;":                               "a tag has no value (write: path;tag=value)",
		"a;b":                              "a tag has no value",
		"a;b=1;":                           "a tag has no value",
		"a;;b=1":                           "a tag has no value",
		"a;=1":                             "a tag has no name",
		"a;b=":                             "the value of a tag is empty",
		"a;b=~x":                           "the value of a tag begins with ~",
		"a;b!=x":                           "the name of a tag has a ! or ^",
		"a;^b=x":                           "the name of a tag has a ! or ^",
		"a;b=x\x01":                        "a tag has a control character",
		";b=1":                             "no path before the tags",
		"~;b=1":                            "no path before the tags",
		"a.;b=1":                           "empty part",
		"a..b;b=1":                         "empty part",
		"a\x7f;b=1":                        "the path has a control character",
		"a;b=" + strings.Repeat("x", 4096): "longer than 4096",
	} {
		line := []byte(in + " 1 1600000000\n")
		kept := bytes.Clone(line)
		points, bad, err := Parse(nil, line, 0)
		if len(points) != 0 || bad != 1 || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, bad %d, error %v; want %q", in, points, bad, err, want)
		}
		if !bytes.Equal(line, kept) {
			t.Errorf("%q was changed to %q", kept, line)
		}
	}
	// What is wrong further on leaves the name as it came, too.
	if _, _, err := Parse(nil, []byte("a;c=1;b=2;b=333 x 1\n"), 0); err == nil || !strings.Contains(err.Error(), "a;c=1;b=2;b=333 x") {
		t.Error(err)
	}
}

func TestTagsAllocateNothing(t *testing.T) {
	for _, name := range []string{"disk.used;host=web1;mount=root", "disk.used;mount=root;host=web1;mount=home"} {
		line := []byte(name + " 98.25 1600000000\n")
		data := make([]byte, len(line))
		points := make([]metric.Point, 0, 1)
		if n := testing.AllocsPerRun(100, func() {
			copy(data, line)
			points, _, _ = Parse(points[:0], data, 0)
		}); n != 0 || len(points) != 1 {
			t.Errorf("%s: %v allocations, %d points", name, n, len(points))
		}
	}
}

// FuzzTags: a name comes out as Carbon's definition says, a table of tags whose
// texts are sorted.
func FuzzTags(f *testing.F) {
	for _, s := range []string{"a;z=1;b=2", "a;b=1;b=2", "a;name=1", "~a;c=d", "a;b1=1;b=2", "a;b", "a;=;c=", "a;;", ";", "a;b=~", "a;!=1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		path, rest, tagged := strings.Cut(string(name), ";")
		if len(name) > longestName || bytes.ContainsAny(name, "\n\t\r ") || !tagged {
			return
		}
		tags, good := map[string]string{}, true
		for pair := range strings.SplitSeq(rest, ";") {
			tag, value, _ := strings.Cut(pair, "=")
			good = good && tag != "" && !strings.ContainsAny(tag, "!^") && value != "" && value[0] != '~'
			tags[tag] = ";" + tag + "=" + value
		}
		delete(tags, "name")
		path = strings.TrimLeft(path, "~")
		good = good && path != "" && checkName([]byte(path)) == "" && look([]byte(strings.ReplaceAll(rest, ".", ""))) == ""
		want := path + strings.Join(slices.Sorted(maps.Values(tags)), "")

		points, bad, err := Parse(nil, append(name, " 1 2\n"...), 0)
		if good != (bad == 0) || good && string(points[0].Name) != want {
			t.Fatalf("%q: %v, %v; good %v, want %q", name, points, err, good, want)
		}
	})
}

func BenchmarkParseTags(b *testing.B) {
	for _, name := range []string{"disk.used;host=web1;mount=root", "disk.used;mount=root;host=web1"} {
		b.Run(name, func(b *testing.B) {
			lines := []byte(strings.Repeat(name+" 98.25 1600000000\n", 1000))
			data := make([]byte, len(lines))
			points := make([]metric.Point, 0, 1000)
			for b.Loop() {
				copy(data, lines)
				points, _, _ = Parse(points[:0], data, 0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/point")
		})
	}
}
