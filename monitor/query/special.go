package query

func specialFunctions() []*Function {
	consolidateBy := func(c *call, function string) ([]*Result, error) {
		return c.styled(func(s *Result) {
			*s = *s.named(`consolidateBy(`+s.Name+`,"`+function+`")`).tagged("consolidateBy", function)
			s.Consolidate = function
		})
	}
	return []*Function{
		{
			Name: "seriesByTag", Group: "Special", Doc: "Finds series by their tags.", selects: true,
			Params: []Param{{Name: "tagExpressions", Type: String, Repeated: true,
				Doc: `tag=value, tag!=value, tag=~regexp or tag!=~regexp (RE2, from the start); a tag that is not there has the value ""`}},
		}, {
			Name: "consolidateBy", Group: "Special", Doc: "Sets how points are merged where there are more than asked for, or where steps differ.",
			Params: []Param{many(), {Name: "consolidationFunc", Type: String, Options: consolidations(), Doc: "the way to merge"}},
			run:    func(c *call) ([]*Result, error) { return consolidateBy(c, c.text("consolidationFunc")) },
		}, {
			Name: "cumulative", Group: "Special", Doc: "Merges points by adding them up, where there are more than asked for.",
			Params: []Param{many()},
			run:    func(c *call) ([]*Result, error) { return consolidateBy(c, "sum") },
		}, {
			Name: "constantLine", Group: "Special", Doc: "Draws a flat line.",
			Params: []Param{{Name: "value", Type: Float, Doc: "where the line is"}},
			run: func(c *call) ([]*Result, error) {
				return []*Result{c.constant(c.number("value"), float(c.number("value")))}, nil
			},
		}, {
			Name: "setXFilesFactor", Aliases: []string{"xFilesFactor"}, Group: "Special",
			Doc:    "Sets the share of values that merging asks for, here and in the functions around.",
			Params: []Param{many(), {Name: "xFilesFactor", Type: Float, Doc: "0 to 1; 0 is content with one value"}},
			run: func(c *call) ([]*Result, error) {
				share, err := c.share("xFilesFactor")
				if err != nil {
					return nil, err
				}
				c.xFiles = share
				return c.styled(func(s *Result) {
					*s = *s.tagged("xFilesFactor", float(share))
					s.XFiles = share
				})
			},
		}, {
			Name: "fallbackSeries", Group: "Special", Doc: "Gives other series where the first argument has none.",
			Params: []Param{many(), {Name: "fallback", Type: SeriesList, Doc: "what to show instead"}},
			run: func(c *call) ([]*Result, error) {
				if list := c.input(); len(list) > 0 {
					return list, nil
				}
				return c.list("fallback"), nil
			},
		}, {
			Name: "changed", Group: "Special", Doc: "Is 1 where a value differs from the last known one, else 0.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					out, before := make([]float64, len(s.Values)), null()
					for i, v := range s.Values {
						if isNull(v) {
							continue
						}
						if !isNull(before) && v != before {
							out[i] = 1
						}
						before = v
					}
					return s.named("changed(" + s.Name + ")").with(out)
				})
			},
		},
	}
}

// constant is a line of three points: at from, in the middle and at until.
func (c *call) constant(value float64, name string) *Result {
	step := max((c.span.until-c.span.from)/2, 1)
	line := c.fresh(name, c.span.from, c.span.until, step, []float64{value, value, value})
	line.PathExpression = "constantLine(" + name + ")"
	line.Style.Threshold = true
	return line
}
