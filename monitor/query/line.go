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
	for i, s := range list[:min(len(list), len(sources))] {
		if err := c.spend(len(s.Values) + len(sources[i].Values)); err != nil {
			return nil, err
		}
		slope, level, ok := leastSquares(sources[i].Values)
		if !ok {
			continue
		}
		line := make([]float64, len(s.Values))
		for k := range line {
			line[k] = level + slope*float64(s.Start+int64(k)*s.Step-sources[i].Start)/float64(sources[i].Step)
		}
		r := s.named("linearRegression("+s.Name+", "+from+", "+until+")").with(line).tagged("linearRegressions", from+", "+until)
		r.Consolidate = "average"
		out = append(out, r)
	}
	return out, nil
}

// leastSquares fits level + slope*i to the known values, whose places i count
// from 0. It needs two of them.
func leastSquares(values []float64) (slope, level float64, ok bool) {
	n, places, total := 0.0, 0.0, 0.0
	for i, v := range values {
		if v == v {
			n, places, total = n+1, places+float64(i), total+v
		}
	}
	if n < 2 {
		return 0, 0, false
	}
	// Around the means, where no digits are lost.
	x, y := places/n, total/n
	var xx, xy float64
	for i, v := range values {
		if v == v {
			xx += (float64(i) - x) * (float64(i) - x)
			xy += (float64(i) - x) * (v - y)
		}
	}
	slope = xy / xx
	return slope, y - slope*x, true
}
