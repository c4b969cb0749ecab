package prometheus

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"steer/monitor/store"
)

const (
	nameLabel   = "__name__"
	pathLabel   = "path" // the name as far as its tags
	wholeLabel  = "name" // all of it, if it has tags
	escapedTags = "tag_"

	// mostTags is how many tags become labels: VictoriaMetrics drops labels above
	// 30, and which ones is its choice.
	mostTags = 25

	// firstByte stands for byte 0 where a label value is not UTF-8.
	firstByte = 0x10FE00
)

type label struct{ name, value string }

// labels are those of a series, sorted by name.
func labels(name string, metric label) []label {
	path, _, tagged := strings.Cut(name, ";")
	all := []label{metric, {pathLabel, toValue(path)}}
	if !tagged {
		return all
	}
	all = append(all, label{wholeLabel, toValue(name)})
	tags := store.ParseTags(name)[1:] // without the path
	for i, t := range tags {
		if i+1 < len(tags) && tags[i+1].Name == t.Name {
			continue // the last one counts
		}
		if len(all) == 3+mostTags {
			break
		}
		all = append(all, label{toLabel(t.Name), toValue(t.Value)})
	}
	slices.SortFunc(all, func(a, b label) int { return cmp.Compare(a.name, b.name) })
	return all
}

// toLabel is the label of a tag; "name" is the path.
func toLabel(tag string) string {
	if tag == "name" {
		return pathLabel
	}
	if legal(tag) && tag != pathLabel && !strings.HasPrefix(tag, "__") && !strings.HasPrefix(tag, escapedTags) {
		return tag
	}
	b := []byte(escapedTags)
	for i := range len(tag) {
		if c := tag[i]; letter(c) || digit(c) {
			b = append(b, c)
		} else {
			b = append(b, '_', "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		}
	}
	return string(b)
}

// toTag is the inverse of toLabel. Labels that are no tags give "".
func toTag(label string) string {
	switch {
	case label == pathLabel:
		return "name"
	case label == wholeLabel || strings.HasPrefix(label, "__"):
		return ""
	}
	rest, escaped := strings.CutPrefix(label, escapedTags)
	if !escaped {
		return label
	}
	var b []byte
	for rest != "" {
		if rest[0] != '_' {
			b = append(b, rest[0])
			rest = rest[1:]
			continue
		}
		if len(rest) < 3 {
			return ""
		}
		c, err := strconv.ParseUint(rest[1:3], 16, 8)
		if err != nil {
			return ""
		}
		b = append(b, byte(c))
		rest = rest[3:]
	}
	return string(b)
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func digit(c byte) bool  { return '0' <= c && c <= '9' }

// legal says whether a label may have this name.
func legal(name string) bool {
	for i := range len(name) {
		if c := name[i]; !letter(c) && c != '_' && (i == 0 || !digit(c)) {
			return false
		}
	}
	return name != ""
}

// toValue makes a label value of any text.
func toValue(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 || r >= firstByte && r <= firstByte+0xFF {
			for i := range size {
				b.WriteRune(firstByte + rune(s[i]))
			}
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// fromValue is the inverse of toValue.
func fromValue(s string) string {
	if plain(s) {
		return s
	}
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r >= firstByte && r <= firstByte+0xFF {
			b = append(b, byte(r-firstByte))
		} else {
			b = utf8.AppendRune(b, r)
		}
	}
	return string(b)
}

// plain says quickly of most texts that there is nothing to translate.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			// 0xF4 starts the last plane, which firstByte is in.
			return utf8.ValidString(s) && strings.IndexByte(s, 0xF4) < 0
		}
	}
	return true
}

// exactly is a regular expression for one label value.
func exactly(s string) string { return regexp.QuoteMeta(toValue(s)) }
