package query

import (
	"regexp"
	"strings"
)

// many is the first parameter of most functions.
func many() Param {
	return Param{Name: "seriesList", Type: SeriesList, Doc: "the series to work on"}
}

// renamed gives every series another name and keeps its path expression.
func (c *call) renamed(f func(s *Result) string) ([]*Result, error) {
	list := c.input()
	for i, s := range list {
		r := *s
		r.Name = f(s)
		list[i] = &r
	}
	return list, nil
}

func aliasFunctions() []*Function {
	byNode := func(c *call) ([]*Result, error) {
		nodes := c.scalars(c.op.fn.Params[1].Name)
		return c.renamed(func(s *Result) string { return key(s, nodes) })
	}
	return []*Function{
		{
			Name: "alias", Group: "Alias", Doc: "Gives every series the name newName.",
			Params: []Param{many(), {Name: "newName", Type: String, Doc: "the name to show"}},
			run: func(c *call) ([]*Result, error) {
				return c.renamed(func(*Result) string { return c.text("newName") })
			},
		}, {
			Name: "aliasByNode", Group: "Alias", Doc: "Names every series after some nodes of its path, or values of its tags, joined by dots.",
			Params: []Param{many(), {Name: "nodes", Type: NodeOrTag, Repeated: true, Doc: "numbers of nodes, 0 is the first and -1 the last; or quoted tags"}},
			run:    byNode,
		}, {
			Name: "aliasByTags", Group: "Alias", Doc: "Names every series after the values of some tags, joined by dots.",
			Params: []Param{many(), {Name: "tags", Type: NodeOrTag, Repeated: true, Doc: "quoted tags, or numbers of nodes"}},
			run:    byNode,
		}, {
			Name: "aliasByMetric", Group: "Alias", Doc: "Names every series after the last node of its path.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.renamed(func(s *Result) string { return slice(s.Name, -1, 0) })
			},
		}, {
			Name: "substr", Group: "Special", Doc: "Names every series after the nodes of its path from start to before stop.",
			Params: []Param{many(),
				{Name: "start", Type: Node, Default: "0", Doc: "the first node, 0 is the first of the path"},
				{Name: "stop", Type: Node, Default: "0", Doc: "the node behind the last one; 0 takes all to the end"}},
			run: func(c *call) ([]*Result, error) {
				start, stop := int(c.number("start")), int(c.number("stop"))
				return c.renamed(func(s *Result) string { return slice(s.Name, start, stop) })
			},
		}, {
			Name: "aliasSub", Group: "Alias", Doc: "Replaces what a regular expression finds in the name of every series.",
			Params: []Param{many(),
				{Name: "search", Type: String, Doc: "regular expression (RE2)"},
				{Name: "replace", Type: String, Doc: `the text to put there; \1 is the first group`}},
			run: func(c *call) ([]*Result, error) {
				search, err := compiled(c, "search")
				if err != nil {
					return nil, err
				}
				list, replace := c.input(), replacement(c.text("replace"))
				for i, s := range list {
					r := *s
					if r.Name, err = c.substitute(search, s.Name, replace); err != nil {
						return nil, err
					}
					list[i] = &r
				}
				return list, nil
			},
		},
	}
}

// compiled is the regular expression in a parameter.
func compiled(c *call, param string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(c.text(param))
	if err != nil {
		return nil, refused("%s of %s is no regular expression: %w", param, c.op.fn.Name, err)
	}
	return re, nil
}

// replacement turns \1 and \g<name> into what Go's regular expressions expect.
func replacement(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '$':
			b.WriteString("$$")
		case s[i] != '\\' || i+1 == len(s):
			b.WriteByte(s[i])
		case s[i+1] >= '0' && s[i+1] <= '9':
			n := 1
			if i+2 < len(s) && s[i+2] >= '0' && s[i+2] <= '9' {
				n = 2
			}
			b.WriteString("${" + s[i+1:i+1+n] + "}")
			i += n
		case strings.HasPrefix(s[i+1:], "g<") && strings.IndexByte(s[i:], '>') > 0:
			end := i + strings.IndexByte(s[i:], '>')
			b.WriteString("${" + s[i+3:end] + "}")
			i = end
		default:
			i++
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
