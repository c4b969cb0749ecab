package query

import (
	"slices"
	"strings"
)

func asPercentFunction() *Function {
	return &Function{
		Name: "asPercent", Aliases: []string{"pct"}, Group: "Combine", combine: true,
		Doc: "Shows every series as a share (0 to 100) of a total: of the sum of all, of another series, of a number, or of the sum of its group.",
		Params: []Param{many(),
			{Name: "total", Type: Any, Optional: true, Doc: "one series, as many as there are shares, or a number; the sum of all shares if left out"},
			{Name: "nodes", Type: NodeOrTag, Optional: true, Repeated: true, Doc: "nodes or tags that shares and totals have in common"}},
		run: func(c *call) ([]*Result, error) {
			list := c.input()
			total, withList := c.list("total"), len(c.lists[c.slot("total")]) > 0
			number, withNumber := c.op.scalar("total")
			nodes := c.scalars("nodes")
			switch {
			case len(nodes) > 0 && withNumber:
				return nil, refused("asPercent takes nodes only with a list of totals or without one, not with the number %s", number.text)
			case len(list) == 0:
				return nil, nil
			case len(nodes) > 0:
				return percentByNodes(c, list, total, withList, nodes)
			case withNumber:
				return c.each(func(s *Result) *Result {
					column := values(s, func(v float64) float64 { return quotient(v, number.number) * 100 })
					return c.fresh("asPercent("+s.Name+","+numeral(number)+")", s.Start, s.End, s.Step, column)
				})
			case withList && len(total) == 1:
				return percentOf(c, list, total[0])
			case withList && len(total) == len(list):
				byName := func(a, b *Result) int { return strings.Compare(a.Name, b.Name) }
				slices.SortStableFunc(list, byName)
				slices.SortStableFunc(total, byName)
				for i, s := range list {
					share, err := percentOf(c, []*Result{s}, total[i])
					if err != nil {
						return nil, err
					}
					list[i] = share[0]
				}
				return list, nil
			case withList:
				return nil, refused("asPercent needs one total or as many as shares; it got %d totals for %d series", len(total), len(list))
			}
			all, err := c.sumOf(list)
			if err != nil {
				return nil, err
			}
			return percentOf(c, list, all)
		},
	}
}

// numeral prints a number as it was written, whole or as a float.
func numeral(s scalar) string {
	if s.integer {
		return strings.TrimPrefix(s.text, "+")
	}
	return float(s.number)
}

func (v *evaluation) sumOf(list []*Result) (*Result, error) {
	g, err := v.align(list)
	if err != nil {
		return nil, err
	}
	return v.fresh("sumSeries("+pathExpressions(list)+")", g.start, g.end, g.step, g.aggregate("sum", 0)), nil
}

// percentOf brings all series and the total onto one step.
func percentOf(c *call, list []*Result, total *Result) ([]*Result, error) {
	g, err := c.align(append(slices.Clone(list), total))
	if err != nil {
		return nil, err
	}
	totals := g.columns[len(list)]
	out := make([]*Result, len(list))
	for i, s := range list {
		column := make([]float64, max(len(g.columns[i]), len(totals)))
		for j := range column {
			column[j] = null()
			if j < len(g.columns[i]) && j < len(totals) {
				column[j] = quotient(g.columns[i][j], totals[j]) * 100
			}
		}
		start, end := s.Start, s.End
		if len(list) == 1 {
			start, end = g.start, g.end
		}
		out[i] = c.fresh("asPercent("+s.Name+","+total.Name+")", start, end, g.step, column)
	}
	return out, nil
}

func percentByNodes(c *call, list, total []*Result, withTotals bool, nodes []scalar) ([]*Result, error) {
	shares, keys := grouped(list, func(s *Result) string { return key(s, nodes) })
	sums := map[string]*Result{}
	from := shares
	if withTotals {
		var more []string
		from, more = grouped(total, func(s *Result) string { return key(s, nodes) })
		for _, k := range more {
			if shares[k] == nil {
				keys = append(keys, k)
			}
		}
	}
	for k, group := range from {
		if sums[k] = group[0]; len(group) > 1 {
			all, err := c.sumOf(group)
			if err != nil {
				return nil, err
			}
			sums[k] = all
		}
	}
	nothing := func(s *Result, name string) *Result {
		column := make([]float64, len(s.Values))
		for i := range column {
			column[i] = null()
		}
		return c.fresh(name, s.Start, s.End, s.Step, column)
	}
	var out []*Result
	for _, k := range keys {
		if shares[k] == nil {
			out = append(out, nothing(sums[k], "asPercent(MISSING,"+sums[k].Name+")"))
			continue
		}
		for _, s := range shares[k] {
			if sums[k] == nil {
				out = append(out, nothing(s, "asPercent("+s.Name+",MISSING)"))
				continue
			}
			share, err := percentOf(c, []*Result{s}, sums[k])
			if err != nil {
				return nil, err
			}
			out = append(out, share...)
		}
	}
	return out, nil
}
