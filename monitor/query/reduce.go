package query

import (
	"slices"
	"strings"
)

// reduceFunctions bring together series that belong to the same thing. What
// mapSeries makes are lists one behind the other: reduceSeries looks at names only.
func reduceFunctions() []*Function {
	return []*Function{
		{
			Name: "mapSeries", Aliases: []string{"map"}, Group: "Combine", Doc: "Makes a list of the series that agree in some nodes or tags, for reduceSeries.", lists: true,
			Params: []Param{many(), {Name: "mapNodes", Type: NodeOrTag, Repeated: true, Doc: "the numbers of the nodes, or quoted tags"}},
			run: func(c *call) ([]*Result, error) {
				nodes := c.scalars("mapNodes")
				groups, keys := grouped(c.input(), func(s *Result) string { return key(s, nodes) })
				var out []*Result
				for _, k := range keys {
					out = append(out, groups[k]...)
				}
				return out, nil
			},
		}, {
			Name: "reduceSeries", Aliases: []string{"reduce"}, Group: "Combine",
			Doc: "Calls a function with the series that agree in all nodes before one, picked and ordered by what that node is.",
			Params: []Param{{Name: "seriesLists", Type: SeriesLists, Doc: "the lists that mapSeries makes"},
				{Name: "reduceFunction", Type: String, Doc: "the name of a function that needs nothing but series"},
				{Name: "reduceNode", Type: Node, Doc: "the number of the node that tells the series apart"},
				{Name: "reduceMatchers", Type: String, Repeated: true, Doc: "what that node is: in the first argument of the function, in the second one, and so on"}},
			run: reduceSeries,
		},
	}
}

func reduceSeries(c *call) ([]*Result, error) {
	name, at := c.text("reduceFunction"), int(c.number("reduceNode"))
	var matchers []string
	for _, m := range c.scalars("reduceMatchers") {
		matchers = append(matchers, m.text)
	}
	fn := c.engine.functions[name]
	groups := map[string][]*Result{}
	var keys []string
	for _, s := range c.input() {
		nodes, i := strings.Split(s.Name, "."), at
		if i < 0 {
			i += len(nodes)
		}
		if i < 0 || i >= len(nodes) {
			return nil, refused("reduceNode of reduceSeries is %d, and %s has %d nodes", at, brief(s.Name), len(nodes))
		}
		place := slices.Index(matchers, nodes[i])
		if place < 0 {
			continue
		}
		k := strings.Join(nodes[:i], ".") + ".reduce." + name
		if groups[k] == nil {
			groups[k] = make([]*Result, len(matchers))
			keys = append(keys, k)
		}
		groups[k][place] = s
	}
	if len(keys) > 0 && (fn == nil || !fn.takesLists(len(matchers))) {
		return nil, refused("reduceFunction of reduceSeries is a function that takes %d lists of series and needs nothing else, found %q", len(matchers), brief(name))
	}
	out := make([]*Result, len(keys))
	for i, k := range keys {
		given := make([][]*Result, len(matchers))
		for j, s := range groups[k] {
			if s == nil {
				return nil, refused("reduceSeries finds no %q for %s", brief(matchers[j]), brief(k))
			}
			given[j] = []*Result{s}
		}
		made, err := c.callback(fn, given...)
		if err != nil {
			return nil, err
		}
		if len(made) == 0 {
			return nil, refused("%s gives no series for %s", name, brief(k))
		}
		r := *made[0]
		r.Name = k
		out[i] = &r
	}
	return out, nil
}

// takesLists tells whether the function can do with n lists of series and nothing
// else.
func (f *Function) takesLists(n int) bool {
	for i, p := range f.Params {
		series := p.Type == SeriesList || p.Type == Any
		switch {
		case i < n && !series, i >= n && !p.Optional && p.Default == "":
			return false
		case i == len(f.Params)-1:
			return n <= len(f.Params) || p.Repeated && series
		}
	}
	return false
}
