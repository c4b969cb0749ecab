package schema

import (
	"regexp"
	"regexp/syntax"
	"strings"
)

// Pattern is a regular expression that is searched anywhere in a name. It looks
// for a fixed text that every match must contain before it starts the search
// proper, which takes a microsecond or more.
type Pattern struct {
	re  *regexp.Regexp
	any []string // one of them is in every match; nil: not known
}

// CompilePattern compiles a regular expression.
func CompilePattern(expr string) (Pattern, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return Pattern{}, err
	}
	p := Pattern{re: re}
	if parsed, err := syntax.Parse(expr, syntax.Perl); err == nil {
		p.any = fixed(parsed.Simplify())
	}
	return p, nil
}

// String is the expression.
func (p Pattern) String() string { return p.re.String() }

// Match says whether the pattern is found in name.
func (p Pattern) Match(name string) bool {
	for i, text := range p.any {
		if strings.Contains(name, text) {
			break
		}
		if i == len(p.any)-1 {
			return false
		}
	}
	return p.re.MatchString(name)
}

// fixed returns texts of which one is in every match of the expression, nil when
// there are none or too many.
func fixed(e *syntax.Regexp) []string {
	switch e.Op {
	case syntax.OpLiteral:
		if e.Flags&syntax.FoldCase == 0 {
			return []string{string(e.Rune)}
		}
	case syntax.OpCapture, syntax.OpPlus:
		return fixed(e.Sub[0])
	case syntax.OpConcat:
		var best []string
		for _, sub := range e.Sub {
			if some := fixed(sub); some != nil && (best == nil || shortest(some) > shortest(best)) {
				best = some
			}
		}
		return best
	case syntax.OpAlternate:
		var all []string
		for _, sub := range e.Sub {
			some := fixed(sub)
			if some == nil || len(all)+len(some) > 8 {
				return nil
			}
			all = append(all, some...)
		}
		return all
	}
	return nil
}

func shortest(texts []string) int {
	n := len(texts[0])
	for _, t := range texts {
		n = min(n, len(t))
	}
	return n
}

// Everything is the pattern that every name matches.
func Everything() Pattern { return Pattern{re: regexp.MustCompile("")} }
