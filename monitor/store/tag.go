package store

import "steer/monitor/store/internal/index"

// TagMatch is one tag expression of Graphite's seriesByTag.
type TagMatch = index.Match

// Tag is one tag of a series.
type Tag = index.Tag

// ParseTagMatch reads an expression; what is wrong with it is fault.Invalid.
func ParseTagMatch(s string) (TagMatch, error) { return index.ParseMatch(s) }

// ParseTagMatches reads several expressions.
func ParseTagMatches(expressions []string) ([]TagMatch, error) {
	match := make([]TagMatch, len(expressions))
	for i, e := range expressions {
		var err error
		if match[i], err = ParseTagMatch(e); err != nil {
			return nil, err
		}
	}
	return match, nil
}

// CheckTagMatches says what is wrong with a list of expressions: one at least
// must ask for a tag that is there, so that not every series is a match.
func CheckTagMatches(all []TagMatch) error { return index.CheckMatches(all) }

// ParseTags takes a name apart: its path is the tag "name", which comes first.
func ParseTags(name string) []Tag { return index.ParseTags(name) }
