package query

import (
	"math"
	"slices"
	"strings"
)

// pairFunctions calculate with one list and another, series by series.
func pairFunctions() []*Function {
	first := Param{Name: "seriesListFirstPos", Type: SeriesList, Doc: "the first of every pair"}
	second := Param{Name: "seriesListSecondPos", Type: SeriesList, Doc: "the second of every pair; as many series as the first"}
	list := []*Function{
		{
			Name: "aggregateSeriesLists", Group: "Combine", Doc: "Combines the first series of two lists, the second ones, and so on, with an aggregation.",
			Params: []Param{first, second, {Name: "func", Type: AggFunc, Doc: "the aggregation"},
				{Name: "xFilesFactor", Type: Float, Optional: true, Doc: "share of the two that must have a value, 0 to 1"}},
			run: func(c *call) ([]*Result, error) {
				xFiles, err := c.share("xFilesFactor")
				if err != nil {
					return nil, err
				}
				return c.aggregated(strings.TrimSuffix(c.text("func"), "Series"), xFiles)
			},
		}, {
			Name: "divideSeriesLists", Group: "Combine", Doc: "Divides the first series of two lists, the second ones, and so on; dividing by zero gives no value.",
			Params: []Param{{Name: "dividendSeriesList", Type: SeriesList, Doc: "the series to divide"},
				{Name: "divisorSeriesList", Type: SeriesList, Doc: "what to divide by; as many series"}},
			run: func(c *call) ([]*Result, error) {
				return c.paired(func(a, b *Result) (*Result, error) {
					g, err := c.align([]*Result{a, b})
					if err != nil {
						return nil, err
					}
					column := g.each(func(row []float64) float64 { return quotient(row[0], row[1]) })
					return c.fresh("divideSeries("+a.Name+","+b.Name+")", g.start, g.end, g.step, column), nil
				})
			},
		}, {
			Name: "powSeries", Group: "Combine", Doc: "Raises the first series to the power of the second one, that to the power of the third, at every point.", combine: true,
			Params: []Param{{Name: "seriesList", Type: SeriesList, Repeated: true, Doc: "the base, and the exponents"}},
			run:    powSeries,
		}, {
			Name: "weightedAverage", Group: "Combine", Doc: "Takes the mean of series with weights from another list; nodes or tags tell which belong together.",
			Params: []Param{{Name: "seriesListAvg", Type: SeriesList, Doc: "the values"},
				{Name: "seriesListWeight", Type: SeriesList, Doc: "the weights; as many series"},
				{Name: "nodes", Type: NodeOrTag, Optional: true, Repeated: true, Doc: "nodes or tags that a value and its weight have in common"}},
			run: weightedAverage,
		},
	}
	for _, f := range [...]struct{ name, function, doc string }{
		{"sumSeriesLists", "sum", "Adds up"}, {"diffSeriesLists", "diff", "Subtracts"}, {"multiplySeriesLists", "multiply", "Multiplies"},
	} {
		list = append(list, &Function{
			Name: f.name, Group: "Combine", Doc: f.doc + " the first series of two lists, the second ones, and so on.",
			Params: []Param{first, second}, combine: true,
			run: func(c *call) ([]*Result, error) { return c.aggregated(f.function, c.xFiles) },
		})
	}
	return list
}

// paired calls f with the series of two lists that have the same place.
func (c *call) paired(f func(a, b *Result) (*Result, error)) ([]*Result, error) {
	one, other := c.op.fn.Params[0].Name, c.op.fn.Params[1].Name
	list, others := c.list(one), c.list(other)
	if len(list) != len(others) {
		return nil, refused("%s needs lists of the same length; %s has %d series, %s has %d", c.op.fn.Name, one, len(list), other, len(others))
	}
	for i, s := range list {
		var err error
		if list[i], err = f(s, others[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (c *call) aggregated(function string, xFiles float64) ([]*Result, error) {
	return c.paired(func(a, b *Result) (*Result, error) {
		made, err := c.combined([]*Result{a, b}, function, xFiles)
		if err != nil {
			return nil, err
		}
		made[0].Name = function + "Series(" + a.Name + "," + b.Name + ")"
		return made[0], nil
	})
}

func powSeries(c *call) ([]*Result, error) {
	list := c.input()
	if len(list) == 0 {
		return nil, nil
	}
	g, err := c.align(list)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.Name
	}
	column := g.each(func(row []float64) float64 {
		v := row[0]
		for _, exponent := range row[1:] {
			v = raised(v, exponent)
		}
		return v
	})
	return []*Result{c.fresh("powSeries("+strings.Join(names, ",")+")", g.start, g.end, g.step, column)}, nil
}

// raised is a power; what is missing, complex or too large gives no value.
func raised(base, exponent float64) float64 {
	p := math.Pow(base, exponent)
	if isNull(base) || isNull(exponent) || math.IsInf(p, 0) && !math.IsInf(base, 0) && !math.IsInf(exponent, 0) {
		return null()
	}
	return p
}

// weightedAverage is the sum of value times weight over the sum of the weights.
// Values without a weight are left out, weights without a value count.
func weightedAverage(c *call) ([]*Result, error) {
	nodes, weights := c.scalars("nodes"), c.list("seriesListWeight")
	type pair struct{ value, weight *Result }
	pairs := map[string]*pair{}
	var keys []string
	of := func(s *Result) *pair {
		k := key(s, nodes)
		if pairs[k] == nil {
			pairs[k] = &pair{}
			keys = append(keys, k)
		}
		return pairs[k]
	}
	values, err := c.paired(func(value, weight *Result) (*Result, error) {
		of(value).value = value
		of(weight).weight = weight
		return value, nil
	})
	if err != nil {
		return nil, err
	}
	var products []*Result
	for _, k := range keys {
		p := pairs[k]
		if p.value == nil || p.weight == nil {
			continue
		}
		g, err := c.align([]*Result{p.value, p.weight})
		if err != nil {
			return nil, err
		}
		products = append(products, c.fresh(k, g.start, g.end, g.step, g.each(product)))
	}
	if len(products) == 0 {
		return nil, nil
	}
	above, err := c.combined(products, "sum", c.xFiles)
	if err != nil {
		return nil, err
	}
	below, err := c.combined(weights, "sum", c.xFiles)
	if err != nil {
		return nil, err
	}
	g, err := c.align([]*Result{above[0], below[0]})
	if err != nil {
		return nil, err
	}
	shown := make([]string, len(nodes))
	for i, n := range nodes {
		shown[i] = numeral(n)
		if !n.integer {
			shown[i] = n.text
		}
	}
	name := "weightedAverage(" + sortedPaths(values) + ", " + sortedPaths(weights) + ", " + strings.Join(shown, ",") + ")"
	column := g.each(func(row []float64) float64 { return quotient(row[0], row[1]) })
	return []*Result{c.fresh(name, g.start, g.end, g.step, column)}, nil
}

func sortedPaths(list []*Result) string {
	paths := make([]string, len(list))
	for i, s := range list {
		paths[i] = s.PathExpression
	}
	slices.Sort(paths)
	return strings.Join(slices.Compact(paths), ",")
}
