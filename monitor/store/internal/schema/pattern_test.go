package schema

import (
	"regexp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestFixedTexts(t *testing.T) {
	for expr, want := range map[string][]string{
		"": nil, ".*": nil, `^carbon\.`: {"carbon."}, `\.count$`: {".count"}, "(?i)cpu": nil,
		`[._](min|lower(_\d+)?)$`: {"min", "lower"}, `[._](sum|count)(_\d+)?$|^stats_counts\.`: {"sum", "count", "stats_counts."},
		"a?b": {"b"}, "(ab)*": nil, "(ab)+c": {"ab"}, "a|": nil,
	} {
		p, err := CompilePattern(expr)
		if err != nil || !slices.Equal(p.any, want) {
			t.Errorf("%q: %q %v, want %q", expr, p.any, err, want)
		}
	}
}

// TestPatternsMatchAsRegexpsDo draws expressions and names.
func TestPatternsMatchAsRegexpsDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		expr := ""
		for range rapid.IntRange(1, 5).Draw(t, "parts") {
			expr += rapid.SampledFrom([]string{"a", "ab", "b?", "(a|b)", "(ab|c.)+", "[ab]", ".", "^", "$", "|", "(?i:A)", "a{2}", "(a|)", "c*", "x{0,2}"}).Draw(t, "part")
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		p, err := CompilePattern(expr)
		if err != nil {
			t.Fatal(err)
		}
		name := rapid.StringOfN(rapid.SampledFrom([]rune("abcxA")), 0, 8, -1).Draw(t, "name")
		if got := p.Match(name); got != re.MatchString(name) {
			t.Fatalf("%q in %q: %v", expr, name, got)
		}
	})
}
