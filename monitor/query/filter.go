package query

import (
	"slices"
	"strings"
)

// A filter compares an aggregate of a series with a bound. Graphite's < and <=
// let series through that have no value at all, its > and >= do not.
func passes(v float64, operator string, bound float64) bool {
	switch operator {
	case "=":
		return v == bound
	case "!=":
		return v != bound
	case ">":
		return v > bound
	case ">=":
		return v >= bound
	case "<":
		return isNull(v) || v < bound
	}
	return isNull(v) || v <= bound
}

func (c *call) filtered(keep func(s *Result) bool) ([]*Result, error) {
	return slices.DeleteFunc(c.input(), func(s *Result) bool { return !keep(s) }), nil
}

func bound() Param { return Param{Name: "n", Type: Float, Doc: "the bound"} }

func filterFunctions() []*Function {
	list := []*Function{
		{
			Name: "filterSeries", Group: "Filter Series", Doc: "Keeps the series whose aggregate compares with a bound as asked.",
			Params: []Param{many(), {Name: "func", Type: AggFunc, Doc: "the aggregation over the series"},
				{Name: "operator", Type: String, Options: []string{"!=", "<", "<=", "=", ">", ">="}, Doc: "the comparison"},
				{Name: "threshold", Type: Float, Doc: "the bound"}},
			run: func(c *call) ([]*Result, error) {
				f := aggregationOf(strings.TrimSuffix(c.text("func"), "Series"))
				return c.filtered(func(s *Result) bool { return passes(f(s.Values), c.text("operator"), c.number("threshold")) })
			},
		}, {
			Name: "exclude", Group: "Filter Series", Doc: "Drops the series whose name a regular expression finds.",
			Params: []Param{many(), {Name: "pattern", Type: String, Doc: "regular expression (RE2), found anywhere in the name"}},
			run:    func(c *call) ([]*Result, error) { return matching(c, false) },
		}, {
			Name: "grep", Group: "Filter Series", Doc: "Keeps the series whose name a regular expression finds.",
			Params: []Param{many(), {Name: "pattern", Type: String, Doc: "regular expression (RE2), found anywhere in the name"}},
			run:    func(c *call) ([]*Result, error) { return matching(c, true) },
		}, {
			Name: "limit", Group: "Filter Series", Doc: "Keeps the first n series.",
			Params: []Param{many(), {Name: "n", Type: Integer, Doc: "how many; a negative number drops as many from the end"}},
			run: func(c *call) ([]*Result, error) {
				list, n := c.input(), int(c.number("n"))
				if n < 0 {
					n = max(len(list)+n, 0)
				}
				return list[:min(n, len(list))], nil
			},
		}, {
			Name: "removeEmptySeries", Group: "Filter Series", Doc: "Drops the series that have no value, or too small a share of values.",
			Params: []Param{many(), {Name: "xFilesFactor", Type: Float, Optional: true, Doc: "the share of values that a series needs, 0 to 1"}},
			run: func(c *call) ([]*Result, error) {
				share := 0.0
				if c.given("xFilesFactor") {
					var err error
					if share, err = c.share("xFilesFactor"); err != nil {
						return nil, err
					}
				}
				return c.filtered(func(s *Result) bool { return enough(known(s.Values), len(s.Values), share) })
			},
		}, {
			Name: "unique", Group: "Filter Series", Doc: "Drops series whose name came before.",
			Params: []Param{several()},
			run: func(c *call) ([]*Result, error) {
				seen := map[string]bool{}
				return c.filtered(func(s *Result) bool {
					before := seen[s.Name]
					seen[s.Name] = true
					return !before
				})
			},
		}, {
			Name: "highest", Group: "Filter Series", Doc: "Keeps the n series with the largest aggregate, largest first.",
			Params: []Param{many(), {Name: "n", Type: Integer, Doc: "how many"}, {Name: "func", Type: AggFunc, Default: "average", Doc: "the aggregation"}},
			run:    func(c *call) ([]*Result, error) { return top(c, c.text("func"), true) },
		}, {
			Name: "lowest", Group: "Filter Series", Doc: "Keeps the n series with the smallest aggregate, smallest first.",
			Params: []Param{many(), {Name: "n", Type: Integer, Doc: "how many"}, {Name: "func", Type: AggFunc, Default: "average", Doc: "the aggregation"}},
			run:    func(c *call) ([]*Result, error) { return top(c, c.text("func"), false) },
		},
	}
	for _, f := range [...]struct{ name, function, operator, doc string }{
		{"averageAbove", "average", ">", "mean is above"}, {"averageBelow", "average", "<=", "mean is at most"},
		{"currentAbove", "last", ">", "last value is above"}, {"currentBelow", "last", "<=", "last value is at most"},
		{"maximumAbove", "max", ">", "maximum is above"}, {"maximumBelow", "max", "<=", "maximum is at most"},
		{"minimumAbove", "min", ">", "minimum is above"}, {"minimumBelow", "min", "<=", "minimum is at most"},
	} {
		list = append(list, &Function{
			Name: f.name, Group: "Filter Series", Doc: "Keeps the series whose " + f.doc + " n.",
			Params: []Param{many(), bound()},
			run: func(c *call) ([]*Result, error) {
				aggregate := aggregationOf(f.function)
				return c.filtered(func(s *Result) bool { return passes(aggregate(s.Values), f.operator, c.number("n")) })
			},
		})
	}
	for _, f := range [...]struct {
		name, function, doc string
		largest             bool
	}{
		{"highestAverage", "average", "largest mean", true}, {"highestCurrent", "current", "largest last value", true},
		{"highestMax", "max", "largest maximum", true},
		{"lowestAverage", "average", "smallest mean", false}, {"lowestCurrent", "current", "smallest last value", false},
	} {
		list = append(list, &Function{
			Name: f.name, Group: "Filter Series", Doc: "Keeps the n series with the " + f.doc + ".",
			Params: []Param{many(), {Name: "n", Type: Integer, Doc: "how many"}},
			run:    func(c *call) ([]*Result, error) { return top(c, f.function, f.largest) },
		})
	}
	for _, f := range [...]struct {
		name, doc  string
		percentile bool
		remove     func(v, n float64) bool
	}{
		{"removeAboveValue", "above n", false, func(v, n float64) bool { return v > n }},
		{"removeBelowValue", "below n", false, func(v, n float64) bool { return v < n }},
		{"removeAbovePercentile", "above the n-th percentile of their series", true, func(v, n float64) bool { return v > n }},
		{"removeBelowPercentile", "below the n-th percentile of their series", true, func(v, n float64) bool { return v < n }},
	} {
		list = append(list, &Function{
			Name: f.name, Group: "Filter Data", Doc: "Takes out the values " + f.doc + ".",
			Params: []Param{many(), bound()},
			run: func(c *call) ([]*Result, error) {
				n := c.number("n")
				if f.percentile && !(n > 0) {
					return nil, refused("n of %s is above 0, found %s", f.name, c.text("n"))
				}
				return c.each(func(s *Result) *Result {
					limit := n
					if f.percentile {
						limit = percentile(s.Values, n, false)
					}
					r := s.named(f.name + "(" + s.Name + ", " + general(n) + ")").with(values(s, func(v float64) float64 {
						if f.remove(v, limit) {
							return null()
						}
						return v
					}))
					if f.percentile && !isNull(limit) {
						r = r.tagged("nPercentile", float(n))
					}
					return r
				})
			},
		})
	}
	return list
}

func matching(c *call, keep bool) ([]*Result, error) {
	re, err := compiled(c, "pattern")
	if err != nil {
		return nil, err
	}
	return c.filtered(func(s *Result) bool { return re.MatchString(s.Name) == keep })
}

// top keeps the first n series of a ranking; a negative n drops from its end, as
// a slice does in Graphite.
func top(c *call, function string, largest bool) ([]*Result, error) {
	list, n := c.input(), int(c.number("n"))
	rank(list, aggregationOf(strings.TrimSuffix(function, "Series")), largest)
	if n < 0 {
		n = max(len(list)+n, 0)
	}
	return list[:min(n, len(list))], nil
}
