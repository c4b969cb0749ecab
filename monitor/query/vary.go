package query

import "slices"

// varyFunctions choose series by how they vary, in themselves or from the others.
func varyFunctions() []*Function {
	percent := Param{Name: "n", Type: Float, Doc: "the percentile, 0 to 100; n and 100-n are the same band"}
	return []*Function{
		{
			Name: "minMax", Group: "Transform", Doc: "Brings every series onto the scale from 0, its minimum, to 1, its maximum.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					low, high := minimum(s.Values), maximum(s.Values)
					return s.named("minMax(" + s.Name + ")").with(values(s, func(v float64) float64 {
						if high == low {
							return 0
						}
						return (v - low) / (high - low)
					}))
				})
			},
		}, {
			Name: "mostDeviant", Group: "Filter Series", Doc: "Keeps the n series with the largest standard deviation, largest first.",
			Params: []Param{many(), {Name: "n", Type: Integer, Doc: "how many; a negative number drops as many from the end"}},
			run: func(c *call) ([]*Result, error) {
				list, err := c.filtered(func(s *Result) bool { return known(s.Values) > 0 })
				n := int(c.number("n"))
				rank(list, variance, true)
				if n < 0 {
					n = max(len(list)+n, 0)
				}
				return list[:min(n, len(list))], err
			},
		}, {
			Name: "averageOutsidePercentile", Group: "Filter Series", Doc: "Keeps the series whose mean is not within the band around the median of all means.",
			Params: []Param{many(), percent},
			run: func(c *call) ([]*Result, error) {
				n, err := c.band()
				if err != nil {
					return nil, err
				}
				var means []float64
				for _, s := range c.input() {
					means = append(means, average(s.Values))
				}
				means = sorted(means)
				low, high := ranked(means, 100-n, false), ranked(means, n, false)
				return c.filtered(func(s *Result) bool {
					mean := average(s.Values)
					return mean <= low || mean >= high
				})
			},
		}, {
			Name: "removeBetweenPercentile", Group: "Filter Series", Doc: "Keeps the series that are, at one point at least, not within the band around the median of all series.",
			Params: []Param{many(), percent},
			run:    removeBetweenPercentile,
		},
	}
}

// band is the upper end of a band of percentiles around the median.
func (c *call) band() (float64, error) {
	n := c.number("n")
	if !(n >= 0 && n <= 100) {
		return 0, refused("n of %s is from 0 to 100, found %s", c.op.fn.Name, c.text("n"))
	}
	return max(n, 100-n), nil
}

func removeBetweenPercentile(c *call) ([]*Result, error) {
	n, err := c.band()
	list := c.input()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	g, err := c.align(list)
	if err != nil {
		return nil, err
	}
	outside := make([]bool, len(list))
	row := make([]float64, 0, len(list))
	for i := range g.rows {
		if i%1024 == 0 && c.ctx.Err() != nil {
			return nil, c.ctx.Err()
		}
		row = row[:0]
		for _, column := range g.columns {
			if i < len(column) && !isNull(column[i]) {
				row = append(row, column[i])
			}
		}
		slices.Sort(row)
		low, high := ranked(row, 100-n, false), ranked(row, n, false)
		for j, column := range g.columns {
			if i < len(column) && (column[i] <= low || column[i] >= high) {
				outside[j] = true
			}
		}
	}
	i := -1
	return c.filtered(func(*Result) bool { i++; return outside[i] })
}
