package query

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
)

// rank sorts series by an aggregate. It is stable in both directions, and series
// without a value come below all others.
func rank(list []*Result, f aggregation, largest bool) {
	ranks := make(map[*Result]float64, len(list))
	for _, s := range list {
		r := f(s.Values)
		if isNull(r) {
			r = math.Inf(-1)
		}
		ranks[s] = r
	}
	slices.SortStableFunc(list, func(a, b *Result) int {
		if largest {
			a, b = b, a
		}
		return cmp.Compare(ranks[a], ranks[b])
	})
}

func sortFunctions() []*Function {
	reverse := Param{Name: "reverse", Type: Bool, Default: "false", Doc: "largest or last first"}
	return []*Function{
		{
			Name: "sortBy", Group: "Sorting", Doc: "Sorts series by an aggregate.",
			Params: []Param{many(), {Name: "func", Type: AggFunc, Default: "average", Doc: "the aggregation"}, reverse},
			run: func(c *call) ([]*Result, error) {
				list := c.input()
				rank(list, aggregationOf(strings.TrimSuffix(c.text("func"), "Series")), c.yes("reverse"))
				return list, nil
			},
		}, {
			Name: "sortByMaxima", Group: "Sorting", Doc: "Sorts series by their maximum, largest first.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				list := c.input()
				rank(list, maximum, true)
				return list, nil
			},
		}, {
			Name: "sortByMinima", Group: "Sorting", Doc: "Sorts series by their minimum, smallest first; drops those that never rise above zero.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				list, err := c.filtered(func(s *Result) bool { return maximum(s.Values) > 0 })
				rank(list, minimum, false)
				return list, err
			},
		}, {
			Name: "sortByTotal", Group: "Sorting", Doc: "Sorts series by their sum, largest first.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				list := c.input()
				rank(list, sum, true)
				return list, nil
			},
		}, {
			Name: "sortByName", Group: "Sorting", Doc: "Sorts series by name.",
			Params: []Param{many(), {Name: "natural", Type: Bool, Default: "false", Doc: "web2 comes before web10"}, reverse},
			run: func(c *call) ([]*Result, error) {
				list := c.input()
				number := regexp.MustCompile(`\d+`)
				names := make(map[*Result]string, len(list))
				for _, s := range list {
					names[s] = s.Name
					if c.yes("natural") {
						names[s] = number.ReplaceAllStringFunc(s.Name, func(d string) string {
							d = strings.TrimLeft(d, "0")
							return strings.Repeat("0", max(10-len(d), 0)) + d
						})
					}
				}
				slices.SortStableFunc(list, func(a, b *Result) int {
					if c.yes("reverse") {
						a, b = b, a
					}
					return strings.Compare(names[a], names[b])
				})
				return list, nil
			},
		},
	}
}
