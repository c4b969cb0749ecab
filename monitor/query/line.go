package query

import "strconv"

// lineFunctions draw straight lines through series.
func lineFunctions() []*Function {
	return []*Function{
		{
			Name: "aggregateLine", Group: "Calculate", Doc: "Draws a flat line at an aggregate of every series.",
			Params: []Param{many(), {Name: "func", Type: AggFunc, Default: "average", Doc: "the aggregation"},
				{Name: "keepStep", Type: Bool, Default: "false", Doc: "a point for each of the series, not three over the range"}},
			run: aggregateLine,
		}, {
			Name: "linearRegression", Group: "Calculate", Doc: "Draws the straight line that fits every series best: least squares, over the range or another one.",
			Params: []Param{many(), {Name: "startSourceAt", Type: Date, Optional: true, Doc: "where the values begin that the line is made of; the start of the range if left out"},
				{Name: "endSourceAt", Type: Date, Optional: true, Doc: "where they end"}},
			reach: func(v *evaluation, o *op, s span) ([]span, error) {
				source, err := v.sourceSpan(o, s)
				return []span{s, source}, err
			},
			run: linearRegression,
		},
	}
}

func aggregateLine(c *call) ([]*Result, error) {
	f, err := c.aggregation("func")
	if err != nil {
		return nil, err
	}
	list := c.input()
	for i, s := range list {
		if err := c.spend(len(s.Values)); err != nil {
			return nil, err
		}
		value := f(s.Values)
		level, printed := general(value), float(value)
		switch {
		case isNull(value):
			level, printed = "None", "None"
		case c.text("func") == "count":
			printed = whole(value)
		}
		name := "aggregateLine(" + s.Name + ", " + level + ")"
		if !c.yes("keepStep") {
			line := c.constant(value, printed)
			line.Name, line.PathExpression = name, name
			list[i] = line
			continue
		}
		out := make([]float64, len(s.Values))
		for k := range out {
			out[k] = value
		}
		list[i] = s.named(name).with(out)
	}
	return list, nil
}

// sourceSpan is what the line of a linearRegression is made of.
func (v *evaluation) sourceSpan(o *op, s span) (span, error) {
	for i, end := range [...]*int64{1: &s.from, 2: &s.until} {
		if end == nil || len(o.args[i].scalars) == 0 {
			continue
		}
		t, err := v.date(o, o.fn.Params[i].Name)
		if err != nil {
			return s, err
		}
		*end = t
	}
	return s, nil
}

func linearRegression(c *call) ([]*Result, error) {
	source, err := c.sourceSpan(c.op, c.span)
	if err != nil {
		return nil, err
	}
	if source.from > source.until {
		return nil, refused("startSourceAt of linearRegression is before endSourceAt")
	}
	list := c.input()
	sources := list
	if source != c.span {
		if sources, err = c.again(source); err != nil {
			return nil, err
		}
	}
	from, until := strconv.FormatInt(source.from, 10), strconv.FormatInt(source.until, 10)
	var out []*Result
	for i, source := range counterparts(list, sources) {
		s := list[i]
		if source == nil {
			continue
		}
		if err := c.spend(len(s.Values) + len(source.Values)); err != nil {
			return nil, err
		}
		slope, level, ok := leastSquares(source)
		if !ok {
			continue
		}
		line := make([]float64, len(s.Values))
		for k := range line {
			line[k] = level + float64(s.Start+int64(k)*s.Step)*slope
		}
		r := s.named("linearRegression("+s.Name+", "+from+", "+until+")").with(line).tagged("linearRegressions", from+", "+until)
		r.Consolidate = "average"
		out = append(out, r)
	}
	return out, nil
}

// leastSquares fits level + slope*t to the known values, where t are epoch
// seconds. It needs two of them. The sums are those of Graphite, step by step, so
// that results are the same to the last digits.
func leastSquares(s *Result) (slope, level float64, ok bool) {
	var n, i, ii, v, iv float64
	for k, value := range s.Values {
		if value == value {
			at := float64(k)
			n, i, ii, v, iv = n+1, i+at, ii+at*at, v+value, iv+at*value
		}
	}
	divisor := n*ii - i*i
	if divisor == 0 {
		return 0, 0, false
	}
	slope = (n*iv - i*v) / divisor / float64(s.Step)
	return slope, (ii*v-iv*i)/divisor - slope*float64(s.Start), true
}
