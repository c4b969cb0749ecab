package query

import (
	"slices"
	"strings"
)

func groupFunctions() []*Function {
	callback := Param{Name: "callback", Type: AggOrSeriesFunc, Doc: "an aggregation, or the name of a function that combines series"}
	list := []*Function{
		{
			Name: "group", Group: "Combine", Doc: "Puts several lists of series into one.",
			Params: []Param{{Name: "seriesLists", Type: SeriesList, Repeated: true, Optional: true, Doc: "the lists"}},
			run:    func(c *call) ([]*Result, error) { return c.input(), nil },
		}, {
			Name: "groupByNode", Group: "Combine", Doc: "Combines the series that agree in one node of their path; the node becomes the name.",
			Params: []Param{many(), {Name: "nodeNum", Type: NodeOrTag, Doc: "the number of the node, or a quoted tag"},
				{Name: "callback", Type: AggOrSeriesFunc, Default: "average", Doc: callback.Doc}},
			run: func(c *call) ([]*Result, error) { return groupBy(c, c.scalars("nodeNum")) },
		}, {
			Name: "groupByNodes", Group: "Combine", Doc: "Combines the series that agree in some nodes of their path; the nodes, joined by dots, become the name.",
			Params: []Param{many(), callback,
				{Name: "nodes", Type: NodeOrTag, Optional: true, Repeated: true, Doc: "the numbers of the nodes, or quoted tags"}},
			run: func(c *call) ([]*Result, error) { return groupBy(c, c.scalars("nodes")) },
		}, {
			Name: "aggregateWithWildcards", Group: "Combine", Doc: "Combines the series that agree in all nodes but those at some positions; what is left becomes the name.",
			Params: []Param{many(), {Name: "func", Type: AggFunc, Doc: "the aggregation"}, positions()},
			run:    func(c *call) ([]*Result, error) { return without(c, strings.TrimSuffix(c.text("func"), "Series")) },
		},
	}
	for _, f := range [...]struct{ name, function, doc string }{
		{"sumSeriesWithWildcards", "sum", "Adds up"}, {"averageSeriesWithWildcards", "average", "Averages"},
		{"multiplySeriesWithWildcards", "multiply", "Multiplies"},
	} {
		list = append(list, &Function{
			Name: f.name, Group: "Combine", Doc: f.doc + " the series that agree in all nodes but those at some positions.",
			Params: []Param{many(), positions()}, combine: true,
			run: func(c *call) ([]*Result, error) { return without(c, f.function) },
		})
	}
	return list
}

func positions() Param {
	return Param{Name: "position", Type: Node, Optional: true, Repeated: true, Doc: "the nodes to leave out, 0 is the first"}
}

// grouped sorts series into groups; the keys come in the order of their first
// series.
func grouped(list []*Result, key func(s *Result) string) (map[string][]*Result, []string) {
	groups := map[string][]*Result{}
	var keys []string
	for _, s := range list {
		k := key(s)
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], s)
	}
	return groups, keys
}

func groupBy(c *call, nodes []scalar) ([]*Result, error) {
	groups, keys := grouped(c.input(), func(s *Result) string { return key(s, nodes) })
	var out []*Result
	for _, k := range keys {
		made, err := c.merged(groups[k], c.text("callback"))
		if err != nil {
			return nil, err
		}
		if len(made) > 0 {
			r := *made[0]
			r.Name = k
			out = append(out, &r)
		}
	}
	return out, nil
}

// merged makes one series of a group, by the name of a function or aggregation.
func (c *call) merged(list []*Result, callback string) ([]*Result, error) {
	if fn := c.engine.functions[callback]; fn != nil {
		return c.callback(fn, list)
	}
	return c.combined(list, strings.TrimSuffix(callback, "Series"), c.xFiles)
}

// callback calls a function with lists of series and nothing else.
func (c *call) callback(fn *Function, given ...[]*Result) ([]*Result, error) {
	o := &op{expr: c.op.expr, fn: fn, args: make([]arg, len(fn.Params))}
	for i, p := range fn.Params {
		if p.Default != "" {
			s, _ := convert(p, &Expr{Kind: Text, Text: p.Default})
			o.args[i].scalars = []scalar{s}
		}
	}
	lists := make([][][]*Result, len(fn.Params))
	for i, list := range given {
		slot := min(i, len(lists)-1)
		lists[slot] = append(lists[slot], list)
		o.args[slot].given = true
	}
	return fn.run(&call{evaluation: c.evaluation, op: o, span: c.span, lists: lists})
}

// without groups by the name with some nodes left out.
func without(c *call, function string) ([]*Result, error) {
	skip := map[int]bool{}
	for _, p := range c.scalars("position") {
		skip[int(p.number)] = true
	}
	groups, keys := grouped(c.input(), func(s *Result) string {
		nodes := strings.Split(s.Name, ".")
		i := -1
		return strings.Join(slices.DeleteFunc(nodes, func(string) bool { i++; return skip[i] }), ".")
	})
	var out []*Result
	for _, k := range keys {
		made, err := c.combined(groups[k], function, c.xFiles)
		if err != nil {
			return nil, err
		}
		made[0].Name = k
		out = append(out, made[0])
	}
	return out, nil
}
