package index

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"steer/base/fault"
)

// Match is one tag expression of Graphite's seriesByTag: tag=value,
// tag!=value, tag=~regexp or tag!=~regexp. An absent tag is like an empty one.
// A regular expression is anchored at the start only.
//
// Source: https://graphite.readthedocs.io/en/latest/tags.html
type Match struct {
	Tag   string // "name" is the path
	Value string
	Not   bool           // != or !=~
	Match *regexp.Regexp // for =~ and !=~, else nil
}

// ParseMatch reads an expression; what is wrong with it is fault.Invalid.
func ParseMatch(s string) (Match, error) {
	i := strings.IndexAny(s, "!=")
	op := ""
	if i >= 0 {
		for _, o := range []string{"!=~", "=~", "!=", "="} {
			if strings.HasPrefix(s[i:], o) {
				op = o
				break
			}
		}
	}
	if i < 1 || op == "" || strings.Contains(s, ";") { // no tag and no value has a semicolon
		return Match{}, fault.New(fault.Invalid, "tag expression %q: write tag=value, tag!=value, tag=~regexp or tag!=~regexp", s)
	}
	m := Match{Tag: s[:i], Value: s[i+len(op):], Not: op[0] == '!'}
	if strings.HasSuffix(op, "~") {
		var err error
		if m.Match, err = regexp.Compile("^(?:" + m.Value + ")"); err != nil {
			return Match{}, fault.New(fault.Invalid, "tag expression %q: %w", s, err)
		}
	}
	return m, nil
}

// String is the expression as ParseMatch reads it.
func (m Match) String() string {
	op := "="
	if m.Not {
		op = "!="
	}
	if m.Match != nil {
		op += "~"
	}
	return m.Tag + op + m.Value
}

// Matches says whether a value is as m says; "" is an absent tag.
func (m Match) Matches(value string) bool {
	if m.Match != nil {
		return m.Match.MatchString(value) != m.Not
	}
	return (value == m.Value) != m.Not
}

// CheckMatches says what is wrong with a list of expressions: one at least
// must ask for a tag that is there, so that not every series is a match.
func CheckMatches(all []Match) error {
	for _, m := range all {
		if !m.Matches("") {
			return nil
		}
	}
	var texts []string
	for _, m := range all {
		texts = append(texts, m.String())
	}
	return fault.New(fault.Invalid, "select series by %q: at least one expression must ask for a tag that is not empty (like name=~. or host!=)", strings.Join(texts, " "))
}

// Tag is one tag of a series.
type Tag struct{ Name, Value string }

// ParseTags takes a name apart: its path is the tag "name", which comes first.
// What stands behind a ";" without "=" is no tag.
func ParseTags(name string) []Tag {
	path, rest, more := strings.Cut(name, ";")
	tags := []Tag{{"name", path}}
	for more {
		var pair string
		pair, rest, more = strings.Cut(rest, ";")
		if tag, value, ok := strings.Cut(pair, "="); ok && tag != "" && value != "" && tag != "name" {
			tags = append(tags, Tag{tag, value})
		}
	}
	slices.SortStableFunc(tags[1:], func(a, b Tag) int { return cmp.Compare(a.Name, b.Name) })
	return tags
}
