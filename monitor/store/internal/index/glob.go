package index

import (
	"slices"
	"strings"

	"steer/base/fault"
)

// glob is one node of a pattern: alternatives after its braces are expanded.
type glob struct {
	any      bool     // "**": any number of nodes
	literals []string // alternatives without wildcards, sorted
	wild     []string
	prefix   string // what all of wild start with
}

// mostAlternatives is how many ways the braces of one node may be read.
const mostAlternatives = 10_000

// parsePattern takes a find pattern apart. Dots inside braces, and those behind
// the first ";" that starts tags, do not part nodes.
func parsePattern(pattern string) ([]glob, error) {
	var globs []glob
	for _, node := range nodes(pattern, true) {
		if node == "**" {
			if n := len(globs); n == 0 || !globs[n-1].any {
				globs = append(globs, glob{any: true})
			}
			continue
		}
		var g glob
		all := expand([]string{""}, node)
		if all == nil {
			return nil, fault.New(fault.Invalid, "find %q: the braces of %q stand for more than %d names (use * or fewer braces)", pattern, node, mostAlternatives)
		}
		for _, alt := range all {
			if strings.ContainsAny(alt, "*?[") {
				g.wild = append(g.wild, alt)
			} else {
				g.literals = append(g.literals, alt)
			}
		}
		slices.Sort(g.literals)
		g.literals = slices.Compact(g.literals)
		for i, w := range g.wild {
			fixed := w[:strings.IndexAny(w, "*?[")]
			if i == 0 {
				g.prefix = fixed
			}
			for !strings.HasPrefix(fixed, g.prefix) {
				g.prefix = g.prefix[:len(g.prefix)-1]
			}
		}
		globs = append(globs, g)
	}
	if n := len(globs); n > 0 && globs[n-1].any {
		globs = append(globs, glob{wild: []string{"*"}})
	}
	return globs, nil
}

// nodes splits a name at its dots, as far as its tags.
func nodes(name string, braces bool) []string {
	var all []string
	depth, from := 0, 0
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == ';':
			return append(all, name[from:])
		case c == '{' && braces:
			depth++
		case c == '}' && depth > 0:
			depth--
		case c == '.' && depth == 0:
			all = append(all, name[from:i])
			from = i + 1
		}
	}
	if depth > 0 { // a brace that nothing closes is a letter like any other
		return nodes(name, false)
	}
	return append(all, name[from:])
}

// expand appends every reading of s to every prefix, or returns nil when there
// are too many.
func expand(prefixes []string, s string) []string {
	open := strings.IndexByte(s, '{')
	length := strings.IndexByte(s[max(open, 0):], '}')
	if open < 0 || length < 0 {
		for i := range prefixes {
			prefixes[i] += s
		}
		return prefixes
	}
	alternatives := strings.Split(s[open+1:open+length], ",")
	if len(prefixes)*len(alternatives) > mostAlternatives {
		return nil
	}
	var longer []string
	for _, p := range prefixes {
		for _, alt := range alternatives {
			longer = append(longer, p+s[:open]+alt)
		}
	}
	return expand(longer, s[open+length+1:])
}

// match says whether name is as pattern says: * any text, ? one byte, [a-z] one
// of them, [!a-z] one of the others. A bracket that nothing closes is a letter.
func match(pattern, name string) bool {
	star, mark := -1, 0 // where the last * stood and what it has eaten up to
	p, n := 0, 0
	for n < len(name) || p < len(pattern) {
		if p < len(pattern) {
			if pattern[p] == '*' {
				star, mark = p, n
				p++
				continue
			}
			if n < len(name) {
				if length, ok := one(pattern[p:], name[n]); ok {
					p += length
					n++
					continue
				}
			}
		}
		if star < 0 || mark >= len(name) {
			return false
		}
		mark++
		p, n = star+1, mark
	}
	return true
}

// one matches the first element of a pattern, which is no *, and returns its
// length.
func one(pattern string, c byte) (int, bool) {
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		from, not := 1, false
		if from < len(pattern) && pattern[from] == '!' {
			from, not = 2, true
		}
		// A ] right at the start is one of the letters.
		end := -1
		if from < len(pattern) {
			end = strings.IndexByte(pattern[from+1:], ']')
		}
		if end < 0 {
			break
		}
		end += from + 1
		in := false
		for i := from; i < end; i++ {
			if i+2 < end && pattern[i+1] == '-' {
				in = in || pattern[i] <= c && c <= pattern[i+2]
				i += 2
			} else {
				in = in || pattern[i] == c
			}
		}
		return end + 1, in != not
	}
	return 1, pattern[0] == c
}
