package query

// styled changes how every series is drawn.
func (c *call) styled(f func(s *Result)) ([]*Result, error) {
	list := c.input()
	for i, s := range list {
		r := *s
		f(&r)
		list[i] = &r
	}
	return list, nil
}

func graphFunctions() []*Function {
	return []*Function{
		{
			Name: "threshold", Group: "Graph", Doc: "Draws a flat line to compare with.",
			Params: []Param{{Name: "value", Type: Float, Doc: "where the line is"},
				{Name: "label", Type: String, Optional: true, Doc: "its name; the number if left out"},
				{Name: "color", Type: String, Optional: true, Doc: "a name or hex digits"}},
			run: func(c *call) ([]*Result, error) {
				line := c.constant(c.number("value"), float(c.number("value")))
				if label := c.text("label"); label != "" {
					line.Name = label
				}
				line.Style.Color = c.text("color")
				return []*Result{line}, nil
			},
		}, {
			Name: "color", Group: "Graph", Doc: "Sets the colour of the lines.",
			Params: []Param{many(), {Name: "theColor", Type: String, Doc: "a name or hex digits"}},
			run: func(c *call) ([]*Result, error) {
				return c.styled(func(s *Result) { s.Style.Color = c.text("theColor") })
			},
		}, {
			Name: "alpha", Group: "Graph", Doc: "Sets the opacity of the lines.",
			Params: []Param{many(), {Name: "alpha", Type: Float, Doc: "0 is invisible, 1 is solid"}},
			run: func(c *call) ([]*Result, error) {
				return c.styled(func(s *Result) { s.Style.Alpha = min(max(c.number("alpha"), 0), 1) })
			},
		}, {
			Name: "lineWidth", Group: "Graph", Doc: "Sets the thickness of the lines.",
			Params: []Param{many(), {Name: "width", Type: Float, Doc: "pixels"}},
			run: func(c *call) ([]*Result, error) {
				return c.styled(func(s *Result) { s.Style.Width = min(max(c.number("width"), 0), 100) })
			},
		}, {
			Name: "dashed", Group: "Graph", Doc: "Draws dashed lines.",
			Params: []Param{many(), {Name: "dashLength", Type: Integer, Default: "5", Doc: "pixels"}},
			run: func(c *call) ([]*Result, error) {
				return c.styled(func(s *Result) {
					s.Name = "dashed(" + s.Name + ", " + general(c.number("dashLength")) + ")"
					s.Style.Dash = min(max(c.number("dashLength"), 0), 1000)
					*s = *s.tagged("dashed", c.text("dashLength"))
				})
			},
		}, {
			Name: "drawAsInfinite", Group: "Graph", Doc: "Draws a vertical line wherever the value is above zero.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.styled(func(s *Result) {
					s.Name = "drawAsInfinite(" + s.Name + ")"
					s.Style.Infinite = true
					*s = *s.tagged("drawAsInfinite", "1")
				})
			},
		}, {
			Name: "secondYAxis", Group: "Graph", Doc: "Measures the lines on an axis of their own, at the right.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.styled(func(s *Result) {
					s.Name = "secondYAxis(" + s.Name + ")"
					s.Style.Right = true
					*s = *s.tagged("secondYAxis", "1")
				})
			},
		},
	}
}
