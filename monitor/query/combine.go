package query

import (
	"maps"
	"strings"
)

func several() Param {
	return Param{Name: "seriesLists", Type: SeriesList, Repeated: true, Doc: "the series to combine"}
}

func combineFunctions() []*Function {
	var list []*Function
	for _, f := range [...]struct{ name, alias, function, doc string }{
		{"averageSeries", "avg", "average", "Takes the mean of all series at every point; missing values do not count."},
		{"diffSeries", "", "diff", "Takes the other series away from the first one, at every point."},
		{"maxSeries", "", "max", "Takes the largest value of all series at every point."},
		{"minSeries", "", "min", "Takes the smallest value of all series at every point."},
		{"multiplySeries", "", "multiply", "Multiplies all series at every point; a missing factor makes the product missing."},
		{"rangeOfSeries", "", "rangeOf", "Takes the distance between the largest and the smallest value at every point."},
		{"stddevSeries", "", "stddev", "Takes the standard deviation over all series at every point."},
		{"sumSeries", "sum", "sum", "Adds all series up at every point; missing values do not count."},
	} {
		fn := &Function{
			Name: f.name, Group: "Combine", Doc: f.doc, Params: []Param{several()}, combine: true,
			run: func(c *call) ([]*Result, error) {
				if list := c.input(); f.function == "multiply" && len(c.lists[0]) == 1 && len(list) == 1 {
					return list, nil
				}
				return c.combined(c.input(), f.function, c.xFiles)
			},
		}
		if (*evaluation)(nil).newTotals(f.function, 0) != nil {
			fn.total = f.function
		}
		if f.alias != "" {
			fn.Aliases = []string{f.alias}
		}
		list = append(list, fn)
	}
	return append(append(list, groupFunctions()...),
		&Function{
			Name: "aggregate", Group: "Combine", Doc: "Merges all series into one with an aggregation of your choice.",
			Params: []Param{many(), {Name: "func", Type: AggFunc, Doc: "the aggregation"},
				{Name: "xFilesFactor", Type: Float, Optional: true, Doc: "share of series that must have a value, 0 to 1"}},
			run: func(c *call) ([]*Result, error) {
				xFiles, err := c.share("xFilesFactor")
				if err != nil {
					return nil, err
				}
				return c.combined(c.input(), strings.TrimSuffix(c.text("func"), "Series"), xFiles)
			},
		},
		&Function{
			Name: "countSeries", Group: "Combine", Doc: "Counts the series, also where they have no value.",
			Params:  []Param{{Name: "seriesLists", Type: SeriesList, Repeated: true, Optional: true, Doc: "the series to count"}},
			combine: true, run: countSeries,
		},
		&Function{
			Name: "divideSeries", Group: "Combine", Doc: "Divides every series by one other; dividing by zero gives no value.",
			Params: []Param{{Name: "dividendSeriesList", Type: SeriesList, Doc: "the series to divide"},
				{Name: "divisorSeries", Type: SeriesList, Doc: "exactly one series"}},
			run: divideSeries,
		},
		&Function{
			Name: "percentileOfSeries", Group: "Combine", Doc: "Takes the n-th percentile over all series at every point.",
			Params: []Param{many(), {Name: "n", Type: Float, Doc: "the percentile, above 0"},
				{Name: "interpolate", Type: Bool, Default: "false", Doc: "between the two nearest values"}},
			run: func(c *call) ([]*Result, error) {
				n, list := c.number("n"), c.input()
				if !(n > 0) {
					return nil, refused("n of percentileOfSeries is above 0, found %s", c.text("n"))
				}
				if len(list) == 0 {
					return nil, nil
				}
				g, err := c.align(list)
				if err != nil {
					return nil, err
				}
				column := g.each(func(row []float64) float64 { return percentile(row, n, c.yes("interpolate")) })
				return []*Result{c.fresh("percentileOfSeries("+list[0].PathExpression+","+general(n)+")", g.start, g.end, g.step, column)}, nil
			},
		},
		asPercentFunction(),
	)
}

// combined makes one series of many, named after their path expressions.
func (v *evaluation) combined(list []*Result, function string, xFiles float64) ([]*Result, error) {
	if len(list) == 0 {
		return nil, nil
	}
	g, err := v.align(list)
	if err != nil {
		return nil, err
	}
	r := v.fresh("", g.start, g.end, g.step, g.aggregate(function, xFiles))
	return v.total(r, pathExpressions(list), function, commonTags(list), xFiles), nil
}

// total names a series that was made of others after their path expressions, and
// gives it their common tags.
func (v *evaluation) total(r *Result, paths, function string, tags map[string]string, xFiles float64) []*Result {
	r = r.named(function + "Series(" + paths + ")")
	r.Tags = tags
	if r.Tags["name"] == "" {
		r.Tags["name"] = r.Name
	}
	r.Tags["aggregatedBy"] = function
	r.XFiles = xFiles
	return []*Result{r}
}

// commonTags are those that all series have with the same value.
func commonTags(list []*Result) map[string]string {
	tags := maps.Clone(list[0].Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	for _, s := range list[1:] {
		keepCommon(tags, s.Tags)
	}
	return tags
}

// keepCommon leaves the tags that another series has as well.
func keepCommon(tags, others map[string]string) {
	for k, v := range tags {
		if other, ok := others[k]; !ok || other != v {
			delete(tags, k)
		}
	}
}

func countSeries(c *call) ([]*Result, error) {
	list := c.input()
	if len(c.lists[0]) == 0 {
		line := c.constant(0, "0")
		line.PathExpression = "countSeries()"
		return []*Result{line}, nil
	}
	if len(list) == 0 {
		return nil, nil
	}
	g, err := c.align(list)
	if err != nil {
		return nil, err
	}
	column := make([]float64, g.rows)
	for i := range column {
		column[i] = float64(len(list))
	}
	return []*Result{c.fresh("countSeries("+pathExpressions(list)+")", g.start, g.end, g.step, column)}, nil
}

func divideSeries(c *call) ([]*Result, error) {
	dividends, divisors := c.list("dividendSeriesList"), c.list("divisorSeries")
	if len(divisors) > 1 {
		return nil, refused("divideSeries divides by exactly one series, but divisorSeries is %d; combine them first, for example with sumSeries", len(divisors))
	}
	for i, s := range dividends {
		if len(divisors) == 0 {
			if err := c.spend(len(s.Values)); err != nil {
				return nil, err
			}
			dividends[i] = s.named("divideSeries(" + s.Name + ",MISSING)").with(values(s, func(float64) float64 { return null() }))
			continue
		}
		g, err := c.align([]*Result{s, divisors[0]})
		if err != nil {
			return nil, err
		}
		column := g.each(func(row []float64) float64 { return quotient(row[0], row[1]) })
		dividends[i] = c.fresh("divideSeries("+s.Name+","+divisors[0].Name+")", g.start, g.end, g.step, column)
	}
	return dividends, nil
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return null()
	}
	return a / b
}
