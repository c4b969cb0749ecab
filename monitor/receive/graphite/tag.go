package graphite

import (
	"bytes"
	"slices"

	"steer/base/fault"
)

// check says what is wrong with a name, and whether it is the one that its series
// is called by. Tags may come in any order; tidy makes that name.
//
// Rules: https://graphite.readthedocs.io/en/latest/tags.html, and what Carbon
// 1.1 does with duplicates, a tag called name, and a path that begins with ~.
func check(name []byte) (tidied bool, reason string) {
	i := bytes.IndexByte(name, ';')
	if i < 0 {
		return true, checkName(name)
	}
	if len(name) > longestName {
		return false, tooLong
	}
	path := bytes.TrimLeft(name[:i], "~")
	if len(path) == 0 {
		return false, "there is no path before the tags (write: path;tag=value)"
	}
	if reason = checkName(path); reason != "" {
		return false, reason
	}
	tidied, reason = checkTags(name[i+1:])
	return tidied && len(path) == i, reason
}

// Canonical is the name that a series is called by which a sender calls name, or an
// error of kind Invalid that says why there can be none.
func Canonical(name string) (string, error) {
	if name == "" {
		return "", fault.New(fault.Invalid, "it has no name")
	}
	text := []byte(name)
	tidied, reason := check(text)
	if reason != "" {
		return "", fault.New(fault.Invalid, "%s", reason)
	}
	if !tidied {
		text = tidy(text)
	}
	return string(text), nil
}

// checkTags looks at what comes behind the first semicolon.
func checkTags(tags []byte) (tidied bool, reason string) {
	tidied = true
	for last, more := []byte(nil), true; more; {
		var pair []byte
		pair, tags, more = bytes.Cut(tags, semicolon)
		end := -1
		for i, c := range pair {
			switch {
			case c < ' ' || c == 0x7f:
				return false, "a tag has a control character"
			case end >= 0:
			case c == '=':
				end = i + 1
			case c == '!' || c == '^':
				return false, "the name of a tag has a ! or ^"
			}
		}
		switch {
		case end < 0:
			return false, "a tag has no value (write: path;tag=value)"
		case end == 1:
			return false, "a tag has no name (write: path;tag=value)"
		case end == len(pair):
			return false, "the value of a tag is empty"
		case pair[end] == '~':
			return false, "the value of a tag begins with ~"
		}
		// Carbon sorts texts, so that the = counts: a1=x stands before a=x.
		key := pair[:end]
		tidied = tidied && bytes.Compare(last, key) < 0 && string(key) != pathTag
		last = key
	}
	return tidied, ""
}

const pathTag = "name=" // the path itself, whatever a sender says

var semicolon = []byte{';'}

// tidy rewrites a name that has passed check: without ~ in front, tags sorted, of
// several with one name the last. The result is the beginning of name.
func tidy(name []byte) []byte {
	var memory [512]byte
	var few [16]tag
	text, tags := append(memory[:0], name...), few[:0]
	path := bytes.IndexByte(text, ';')
	for start := path + 1; start <= len(text); {
		end := len(text)
		if i := bytes.IndexByte(text[start:], ';'); i >= 0 {
			end = start + i
		}
		t := tag{start, start + bytes.IndexByte(text[start:], '=') + 1, end}
		if string(text[t.start:t.value]) != pathTag {
			tags = append(tags, t)
		}
		start = end + 1
	}
	compare := func(a, b tag) int { return bytes.Compare(text[a.start:a.value], text[b.start:b.value]) }
	slices.SortStableFunc(tags, compare)
	name = append(name[:0], bytes.TrimLeft(text[:path], "~")...)
	for i, t := range tags {
		if i+1 < len(tags) && compare(t, tags[i+1]) == 0 {
			continue
		}
		name = append(append(name, ';'), text[t.start:t.end]...)
	}
	return name
}

// tag is where one stands in a text: places, because slices would make the text
// escape to the heap.
type tag struct{ start, value, end int }
