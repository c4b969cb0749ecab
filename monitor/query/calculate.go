package query

import "strings"

func calculateFunctions() []*Function {
	list := []*Function{
		{
			Name: "movingWindow", Group: "Calculate", Doc: "Aggregates, at every point, the window that ends with it; the data before the range is read as well.",
			Params: []Param{many(), windowSize(),
				{Name: "func", Type: AggFunc, Default: "average", Doc: "the aggregation"}, windowShare()},
			reach: windowReach,
			run:   func(c *call) ([]*Result, error) { return moving(c, strings.TrimSuffix(c.text("func"), "Series")) },
		}, {
			Name: "nPercentile", Group: "Calculate", Doc: "Draws a flat line at the n-th percentile of every series.",
			Params: []Param{many(), {Name: "n", Type: Float, Doc: "the percentile, above 0"}},
			run: func(c *call) ([]*Result, error) {
				n := c.number("n")
				if !(n > 0) {
					return nil, refused("n of nPercentile is above 0, found %s", c.text("n"))
				}
				var out []*Result
				for _, s := range c.input() {
					p := percentile(s.Values, n, false)
					points := max(s.End-s.Start, 0) / max(s.Step, 1)
					if isNull(p) {
						continue
					}
					if err := c.spend(int(points)); err != nil {
						return nil, err
					}
					flat := make([]float64, points)
					for i := range flat {
						flat[i] = p
					}
					out = append(out, s.named("nPercentile("+s.Name+", "+general(n)+")").with(flat).tagged("nPercentile", float(n)))
				}
				return out, nil
			},
		},
	}
	for _, m := range [...]struct{ name, function, doc string }{
		{"movingAverage", "average", "mean"}, {"movingMax", "max", "maximum"}, {"movingMedian", "median", "median"},
		{"movingMin", "min", "minimum"}, {"movingSum", "sum", "sum"},
	} {
		list = append(list, &Function{
			Name: m.name, Group: "Calculate", Doc: "Gives, at every point, the " + m.doc + " of the window that ends with it.",
			Params: []Param{many(), windowSize(), windowShare()},
			reach:  windowReach,
			run:    func(c *call) ([]*Result, error) { return moving(c, m.function) },
		})
	}
	return list
}

func windowSize() Param {
	return Param{Name: "windowSize", Type: IntOrInterval, Doc: `a number of points, or a quoted interval such as "5min"`,
		Suggest: []string{"5", "7", "10", "1min", "5min", "10min", "30min", "1hour"}}
}

func windowShare() Param {
	return Param{Name: "xFilesFactor", Type: Float, Optional: true, Doc: "share of known values that a window needs, 0 to 1"}
}

// windowReach widens the range by a window that is given as an interval. One that
// is given in points is known only when the steps are.
func windowReach(_ *evaluation, o *op, s span) ([]span, error) {
	w, _ := o.scalar("windowSize")
	if w.integer {
		return []span{s}, nil
	}
	s.from -= int64(max(w.number, -w.number))
	return []span{s}, nil
}

func moving(c *call, function string) ([]*Result, error) {
	w, _ := c.op.scalar("windowSize")
	list, preview, err := c.early()
	if err != nil {
		return nil, err
	}
	name := "moving" + strings.ToUpper(function[:1]) + strings.ToLower(function[1:])
	_, fixed := c.op.scalar("xFilesFactor")
	xFiles, err := c.share("xFilesFactor")
	if err != nil {
		return nil, err
	}
	points := 0
	for _, s := range list {
		points += len(s.Values)
	}
	if err := c.spend(points); err != nil {
		return nil, err
	}
	out := make([]*Result, len(list))
	return out, c.parallel(len(list), points, func(from, to int) error {
		for i := from; i < to; i++ {
			s, size, shown, share := list[i], int64(w.number), w.text, xFiles
			if !w.integer {
				size = preview / max(s.Step, 1)
				shown = `"` + w.text + `"`
			}
			if !fixed {
				share = s.XFiles
			}
			column, err := c.windows(s.Values, int(size), function, share)
			if err != nil {
				return err
			}
			out[i] = s.named(name+"("+s.Name+","+shown+")").with(column).tagged(name, w.text)
			out[i].Start += preview
		}
		return nil
	})
}

// early is the input with the window before the range, and the seconds of that.
func (c *call) early() (list []*Result, preview int64, err error) {
	w, _ := c.op.scalar("windowSize")
	list = c.input()
	preview = int64(max(w.number, -w.number))
	if !w.integer || len(list) == 0 {
		return list, preview, nil
	}
	step := int64(1)
	for _, s := range list {
		step = max(step, s.Step)
	}
	if w.number > float64(c.engine.limits.Points) {
		return nil, 0, c.spend(int(w.number))
	}
	if preview > maxOffset/step {
		return nil, 0, refused("the window of %s is longer than 285 years", c.op.fn.Name)
	}
	preview *= step
	list, err = c.again(span{c.span.from - preview, c.span.until})
	return list, preview, err
}
