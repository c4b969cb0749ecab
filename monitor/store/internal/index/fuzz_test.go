package index

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"steer/base/metric"
)

// FuzzFind finds a name by any pattern; a pattern without braces and "**" is compared
// with the regular expression that it stands for.
func FuzzFind(f *testing.F) {
	f.Add("a.b.c", "a.*.c")
	f.Add("servers.web-01.cpu;dc=1.5", "servers.{web,db}-[0-9]?.*")
	f.Add("a.b", "**.b")
	f.Add("a]b", "a[]]b")
	f.Add("a{b", "a{b")
	f.Add("x", "[!a-]")
	f.Fuzz(func(t *testing.T, name, pattern string) {
		if name == "" || len(name) > 100 || len(pattern) > 100 || strings.ContainsAny(name, "\x00\n") {
			return
		}
		for _, part := range nodes(name, false) {
			if part == "" {
				return
			}
		}
		x := &Index{}
		x.Add(name)
		got, err := x.Find(context.Background(), pattern, 0)
		if err != nil || strings.ContainsAny(pattern, "{}") || strings.Contains(pattern, "**") {
			return
		}
		var want []metric.Match
		globs, parts := nodes(pattern, true), nodes(name, false)
		if len(globs) <= len(parts) {
			ok := true
			for i, g := range globs {
				ok = ok && globExpression(g).MatchString(parts[i])
			}
			if ok {
				want = []metric.Match{{Path: strings.Join(parts[:len(globs)], "."), Leaf: len(globs) == len(parts)}}
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%q in %q: %v, want %v", pattern, name, got, want)
		}
	})
}

// globExpression matches bytes as Latin-1 letters.
func globExpression(glob string) matcher {
	expr := "(?s)^"
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			expr += ".*"
		case '?':
			expr += "."
		case '[':
			from, not := i+1, ""
			if from < len(glob) && glob[from] == '!' {
				from, not = from+1, "^"
			}
			end := -1
			if from < len(glob) {
				end = strings.IndexByte(glob[from+1:], ']')
			}
			if end < 0 {
				expr += regexp.QuoteMeta("[")
				continue
			}
			end += from + 1
			class := ""
			for k := from; k < end; k++ {
				if k+2 < end && glob[k+1] == '-' {
					if glob[k] <= glob[k+2] {
						class += quoteClass(glob[k]) + "-" + quoteClass(glob[k+2])
					}
					k += 2
				} else {
					class += quoteClass(glob[k])
				}
			}
			switch {
			case class != "":
				expr += "[" + not + class + "]"
			case not == "":
				expr += "[^\\x{0}-\\x{10ffff}]"
			default:
				expr += "."
			}
			i = end
		default:
			expr += quoteClass(c)
		}
	}
	return matcher{regexp.MustCompile(expr + "$")}
}

func quoteClass(c byte) string {
	return "\\x{" + string("0123456789abcdef"[c>>4]) + string("0123456789abcdef"[c&15]) + "}"
}

type matcher struct{ *regexp.Regexp }

func (m matcher) MatchString(s string) bool {
	var letters []rune
	for i := range len(s) {
		letters = append(letters, rune(s[i]))
	}
	return m.Regexp.MatchString(string(letters))
}

// FuzzTags takes any name and expression apart.
func FuzzTags(f *testing.F) {
	f.Add("cpu;dc=1;host=a;host=b", "host=~a|b")
	f.Add("cpu;;=;x=", "name!=")
	f.Add("a.b", "name=a.b")
	f.Fuzz(func(t *testing.T, name, expression string) {
		m, err := ParseMatch(expression)
		if err != nil {
			return
		}
		if again, err := ParseMatch(m.String()); err != nil || again.String() != m.String() || again.Matches("") != m.Matches("") {
			t.Fatalf("%q: %v %v", expression, again, err)
		}
		if name == "" || CheckMatches([]Match{m}) != nil {
			return
		}
		x := &Index{}
		x.Add(name)
		got, err := x.Select(context.Background(), []Match{m}, 0)
		if err != nil || len(got) > 1 || (len(got) == 1) != matchAll(ParseTags(name), []Match{m}) {
			t.Fatalf("%q of %q: %v %v", expression, name, got, err)
		}
	})
}
