package query

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"steer/base/fault"
)

// nestedFunctions write further targets and evaluate them.
func nestedFunctions() []*Function {
	search := Param{Name: "search", Type: String, Doc: "regular expression (RE2), replaced wherever it is found in the name of a series"}
	replace := Param{Name: "replace", Type: String, Doc: `what to put there; \1 is the first group`}
	return []*Function{
		{
			Name: "applyByNode", Group: "Combine", Doc: "Cuts the names of the series behind a node, and evaluates an expression with each beginning that is left.",
			Params: []Param{many(), {Name: "nodeNum", Type: Node, Doc: "the last node to keep, 0 is the first of the path"},
				{Name: "templateFunction", Type: String, Doc: "the expression, with % where the beginning belongs"},
				{Name: "newName", Type: String, Optional: true, Doc: "a name for what the expression gives, with % as well"}},
			run: applyByNode,
		}, {
			Name: "aliasQuery", Group: "Alias", Doc: "Names every series after the last value of another one, whose name is found by a regular expression.",
			Params: []Param{many(), search, replace,
				{Name: "newName", Type: String, Doc: "the name, with a printf verb such as %d or %.2f for the value"}},
			run: aliasQuery,
		}, {
			Name: "useSeriesAbove", Group: "Filter Series", Doc: "Gives, for every series without gaps whose maximum is above a bound, another one, whose name is found by a regular expression.",
			Params: []Param{many(), {Name: "value", Type: Float, Doc: "the bound"}, search, replace},
			run:    useSeriesAbove,
		},
	}
}

// Texts that are made of texts can grow without end, and targets within targets
// go on without end; these bounds are far above what dashboards need.
const (
	maxNested = 8
	maxMade   = 8 << 20 // bytes, in one request
)

// made counts the bytes of names and targets that functions make of others.
func (v *evaluation) made(bytes int) error {
	if v.texts += bytes; bytes > maxLength || v.texts > maxMade {
		return fault.New(fault.TooMuch, "evaluate %s: a name grows to more than %d bytes, or all names that are made to more than %d; write less into them",
			brief(strings.Join(v.request.Targets, " & ")), maxLength, maxMade)
	}
	return nil
}

// nested evaluates targets that the function has written, over the range of the
// call: all their data is read in one plan.
func (c *call) nested(targets []string) ([][]*Result, error) {
	if c.depth >= maxNested {
		return nil, fault.New(fault.TooMuch, "evaluate %s: it is within more than %d other targets that functions made", brief(c.op.expr.Text), maxNested)
	}
	c.depth++
	defer func(xFiles float64) { c.depth, c.xFiles = c.depth-1, xFiles }(c.xFiles)
	wrong := func(target string, err error) error {
		var t *TargetError
		if err = within("evaluate", target, err); errors.As(err, &t) {
			return refused("%s made a wrong target: %s", c.op.fn.Name, t.Summary())
		}
		return err
	}
	ops, leaves := make([]*op, len(targets)), map[leaf]bool{}
	for i, target := range targets {
		if strings.TrimSpace(target) == "" {
			continue
		}
		o, err := c.engine.compile(target, c.request.Template)
		if err == nil {
			err = c.plan(o, c.span, leaves)
		}
		if err != nil {
			return nil, wrong(target, err)
		}
		ops[i] = o
	}
	if err := c.prefetch(leaves); err != nil {
		return nil, err
	}
	lists, xFiles := make([][]*Result, len(ops)), c.xFiles
	for i, o := range ops {
		if o == nil { // nothing was asked
			continue
		}
		c.xFiles = xFiles
		var err error
		if lists[i], err = c.series(o, c.span); err != nil {
			return nil, wrong(targets[i], err)
		}
	}
	return lists, nil
}

func applyByNode(c *call) ([]*Result, error) {
	node, template, newName := int(c.number("nodeNum")), c.text("templateFunction"), c.text("newName")
	var beginnings []string
	for _, s := range c.input() {
		nodes := strings.Split(s.Name, ".")
		end := node + 1
		if end < 0 {
			end = max(len(nodes)+end, 0)
		}
		if end > len(nodes) {
			return nil, refused("%s has no node %d (the first is 0)", brief(s.Name), node)
		}
		beginnings = append(beginnings, strings.Join(nodes[:end], "."))
	}
	slices.Sort(beginnings)
	beginnings = slices.Compact(beginnings)
	targets := make([]string, len(beginnings))
	fill := func(text, beginning string) (string, error) {
		if err := c.made(len(text) + strings.Count(text, "%")*len(beginning)); err != nil {
			return "", err
		}
		return strings.ReplaceAll(text, "%", beginning), nil
	}
	for i, b := range beginnings {
		var err error
		if targets[i], err = fill(template, b); err != nil {
			return nil, err
		}
	}
	lists, err := c.nested(targets)
	if err != nil {
		return nil, err
	}
	var out []*Result
	for i, b := range beginnings {
		name, err := fill(newName, b)
		if err != nil {
			return nil, err
		}
		for _, s := range lists[i] {
			r := *s
			if r.PathExpression = b; name != "" {
				r.Name = name
			}
			out = append(out, &r)
		}
	}
	return out, nil
}

func aliasQuery(c *call) ([]*Result, error) {
	list := c.input()
	targets, err := c.others(list, "%s")
	if err != nil {
		return nil, err
	}
	lists, err := c.nested(targets)
	if err != nil {
		return nil, err
	}
	for i, s := range list {
		if len(lists[i]) == 0 {
			return nil, refused("aliasQuery finds no series %s to name %s after", brief(targets[i]), brief(s.Name))
		}
		v := last(lists[i][0].Values)
		if isNull(v) {
			return nil, refused("aliasQuery finds no value of %s to name %s after", brief(targets[i]), brief(s.Name))
		}
		r := *s
		if r.Name, err = printf(c.text("newName"), v); err != nil {
			return nil, err
		}
		list[i] = &r
	}
	return list, nil
}

// useSeriesAbove leaves out series with gaps, as Graphite does, for which a gap
// cannot be compared with a number.
func useSeriesAbove(c *call) ([]*Result, error) {
	above, err := c.filtered(func(s *Result) bool {
		return known(s.Values) == len(s.Values) && maximum(s.Values) > c.number("value")
	})
	if err != nil {
		return nil, err
	}
	targets, err := c.others(above, "group(%s)")
	if err != nil {
		return nil, err
	}
	lists, err := c.nested(targets)
	return slices.Concat(lists...), err
}

// others makes targets of the names of series, replaced as the parameters search
// and replace say.
func (c *call) others(list []*Result, form string) ([]string, error) {
	search, err := compiled(c, "search")
	if err != nil {
		return nil, err
	}
	replace := replacement(c.text("replace"))
	targets := make([]string, len(list))
	for i, s := range list {
		name, err := c.substitute(search, s.Name, replace)
		if err != nil {
			return nil, err
		}
		targets[i] = fmt.Sprintf(form, name)
	}
	return targets, nil
}

// substitute replaces what the expression finds in a name.
func (v *evaluation) substitute(search *regexp.Regexp, name, replace string) (string, error) {
	var b []byte
	end, most := 0, len(replace)+strings.Count(replace, "$")*len(name)
	for _, m := range search.FindAllStringSubmatchIndex(name, -1) {
		if most > maxLength || len(b) > maxLength {
			return "", v.made(most + len(b))
		}
		b = search.ExpandString(append(b, name[end:m[0]]...), replace, name, m)
		end = m[1]
	}
	b = append(b, name[end:]...)
	return string(b), v.made(len(b))
}
