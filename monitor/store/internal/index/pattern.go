package index

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"steer/base/metric"
)

// Pattern is a find pattern for drivers that have a list of names instead of a
// tree. It finds the same as an Index.
type Pattern struct {
	globs []glob
	text  string
}

// ParsePattern reads a pattern as Find takes it.
func ParsePattern(s string) (*Pattern, error) {
	globs, err := parsePattern(s)
	if err != nil {
		return nil, err
	}
	return &Pattern{globs, s}, nil
}

// Find returns what the pattern matches in the tree of all names that it is
// given one after another, as Index.Find says.
func (p *Pattern) Find(names func(take func(name string) error) error, limit int) ([]metric.Match, error) {
	found := map[metric.Match]bool{}
	at, next := make([]bool, len(p.globs)+1), make([]bool, len(p.globs)+1)
	if err := names(func(name string) error {
		clear(at)
		p.enter(at, 0)
		for end, more := 0, true; more; {
			from := end
			if i := strings.IndexAny(name[from:], ".;"); i < 0 || name[from+i] == ';' {
				end, more = len(name), false
			} else {
				end += i
			}
			clear(next)
			p.step(at, next, name[from:end])
			at, next = next, at
			if at[len(p.globs)] {
				found[metric.Match{Path: name[:end], Leaf: !more}] = true
			}
			end++ // behind the dot
		}
		return nil
	}); err != nil {
		return nil, err
	}
	all := make([]metric.Match, 0, len(found))
	for m := range found {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b metric.Match) int {
		if a.Path == b.Path && a.Leaf != b.Leaf {
			if b.Leaf {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Path, b.Path)
	})
	return first(all, limit), nil
}

// enter marks that globs before i have matched; ** may match no node at all.
func (p *Pattern) enter(at []bool, i int) {
	at[i] = true
	for ; i < len(p.globs) && p.globs[i].any; i++ {
		at[i+1] = true
	}
}

// step marks in next what has matched once a node follows on what is marked in at.
func (p *Pattern) step(at, next []bool, node string) {
	for i, g := range p.globs {
		switch {
		case !at[i]:
		case g.any:
			p.enter(next, i)
		case g.matches(node):
			p.enter(next, i+1)
		}
	}
}

func (g *glob) matches(node string) bool {
	if _, ok := slices.BinarySearch(g.literals, node); ok {
		return true
	}
	return slices.ContainsFunc(g.wild, func(w string) bool { return match(w, node) })
}

// Regexps returns regular expressions (RE2, to be anchored at both ends) for the
// paths, without tags, of series that the pattern can find anything of: one for
// series without tags and one for those that have some. They may match more.
// quote makes a text without wildcards an expression; one that grows longer than
// most bytes only says how paths start.
func (p *Pattern) Regexps(most int, quote func(string) string) (plain, tagged string) {
	end := strings.IndexAny(p.text, "*?[{;")
	if end < 0 {
		end = len(p.text)
	}
	start := ".*"
	if text := p.text[:end]; utf8.ValidString(text) {
		start = quote(text) + ".*"
	}
	if plain = p.regexp(false, quote); len(plain) > most {
		plain = start
	}
	if tagged = p.regexp(true, quote); len(tagged) > most {
		tagged = start
	}
	return plain, tagged
}

func (p *Pattern) regexp(tagged bool, quote func(string) string) string {
	var b strings.Builder
	for i, g := range p.globs {
		last := i == len(p.globs)-1
		if g.any {
			b.WriteString(".*")
			continue
		}
		if i > 0 && !p.globs[i-1].any {
			b.WriteString(`\.`)
		}
		// Behind ** the dot may be missing: there need not be a node before.
		b.WriteString("(?:")
		for j, alt := range slices.Concat(g.literals, g.wild) {
			if j > 0 {
				b.WriteByte('|')
			}
			if last && tagged {
				b.WriteString(nodeStart(alt, quote))
				continue
			}
			b.WriteString(nodeRegexp(alt, quote))
		}
		b.WriteByte(')')
	}
	if !tagged {
		b.WriteString(`(?:\..*)?`)
	}
	return b.String()
}

// nodeRegexp is what nodes look like that one alternative matches.
func nodeRegexp(alt string, quote func(string) string) string {
	if !utf8.ValidString(alt) {
		return "[^.]*" // globs match bytes, regular expressions letters
	}
	var b strings.Builder
	for alt != "" {
		switch length, _ := one(alt, 0); {
		case alt[0] == '*':
			b.WriteString("[^.]*")
			alt = alt[1:]
		case alt[0] == '?' || length > 1:
			b.WriteString("[^.]?") // no letter where ?? matches one of two bytes
			alt = alt[length:]
		default:
			_, size := utf8.DecodeRuneInString(alt)
			b.WriteString(quote(alt[:size]))
			alt = alt[size:]
		}
	}
	return b.String()
}

// nodeStart is how paths start whose last node has tags and is matched, or that
// go on behind a node that is.
func nodeStart(alt string, quote func(string) string) string {
	if i := strings.IndexAny(alt, "*?[;"); i >= 0 {
		alt = alt[:i]
	}
	if !utf8.ValidString(alt) {
		return ".*"
	}
	return quote(alt) + ".*"
}
