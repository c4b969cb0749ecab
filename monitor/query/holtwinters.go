package query

import "strings"

// Smoothing factors of Holt-Winters, as Graphite has them.
const (
	levelFactor, trendFactor, seasonFactor = 0.1, 0.0035, 0.1
)

// holtWintersFunctions forecast by triple exponential smoothing, additive, with
// the deviations of Brutlag, "Aberrant Behavior Detection in Time Series for
// Network Monitoring" (LISA 2000).
func holtWintersFunctions() []*Function {
	bootstrap := Param{Name: "bootstrapInterval", Type: Interval, Default: "7d", Doc: "how much from before the range it learns from", Suggest: []string{"7d", "30d"}}
	season := Param{Name: "seasonality", Type: Interval, Default: "1d", Doc: "the time after which things repeat", Suggest: []string{"1d", "7d"}}
	delta := Param{Name: "delta", Type: Integer, lenient: true, Default: "3", Doc: "half of the width of the band, in deviations"}
	early := func(_ *evaluation, o *op, s span) ([]span, error) {
		seconds, err := bootstrapOf(o)
		return []span{{s.from - seconds, s.until}}, err
	}
	return []*Function{
		{
			Name: "holtWintersForecast", Group: "Calculate", Doc: "Shows what Holt-Winters would have forecast for every point.",
			Params: []Param{many(), bootstrap, season},
			reach:  early,
			run: func(c *call) ([]*Result, error) {
				list, err := c.learned()
				for i, s := range list {
					f, err := c.foresee(s)
					if err != nil {
						return nil, err
					}
					list[i] = f.result("holtWintersForecast("+s.Name+")", f.predictions)
				}
				return list, err
			},
		}, {
			Name: "holtWintersConfidenceBands", Group: "Calculate", Doc: "Draws the lower and the upper end of what Holt-Winters expects.",
			Params: []Param{many(), delta, bootstrap, season},
			reach:  early,
			run: func(c *call) ([]*Result, error) {
				list, err := c.learned()
				if err != nil {
					return nil, err
				}
				return c.bands(list)
			},
		}, {
			Name: "holtWintersConfidenceArea", Group: "Calculate", Doc: "Fills the area between what Holt-Winters expects at least and at most, of exactly one series.",
			Params: []Param{many(), delta, bootstrap, season},
			reach:  early,
			run: func(c *call) ([]*Result, error) {
				list, err := c.learned()
				if err != nil {
					return nil, err
				}
				if len(list) != 1 {
					return nil, refused("holtWintersConfidenceArea takes exactly one series, found %d", len(list))
				}
				list, err = c.bands(list)
				for i, s := range list {
					name := "holtWintersConfidenceArea(" + strings.ReplaceAll(s.PathExpression, "areaBetween", "holtWintersConfidenceArea") + ")"
					s.Name, s.PathExpression = name, name
					s.Tags["holtWintersConfidenceArea"] = "1" // its own, by bands
					s.Style.Stack, s.Style.Invisible = name, i == 0
				}
				return list, err
			},
		}, {
			Name: "holtWintersAberration", Group: "Calculate", Doc: "Shows how far a series is above or below what Holt-Winters expects; 0 within.",
			Params: []Param{many(), delta, bootstrap, season},
			reach: func(v *evaluation, o *op, s span) ([]span, error) {
				before, err := early(v, o, s)
				return append([]span{s}, before...), err
			},
			run: holtWintersAberration,
		},
	}
}

func bootstrapOf(o *op) (int64, error) {
	s, _ := o.scalar("bootstrapInterval")
	if s.number < 0 {
		return 0, refused("bootstrapInterval of %s is not below zero, found %q", o.fn.Name, s.text)
	}
	return int64(s.number), nil
}

// learned is the input with the time before the range.
func (c *call) learned() ([]*Result, error) {
	if len(c.op.args[0].series) == 0 { // called by another function
		return nil, refused("%s reads data of another time, which %s has not", c.op.fn.Name, c.op.expr.Text)
	}
	return c.input(), nil
}

// forecast is what Holt-Winters expected of a series, point by point, without
// the time that it learned from.
type forecast struct {
	of                      *Result
	start                   int64
	predictions, deviations []float64
}

func (f *forecast) result(name string, values []float64) *Result {
	r := f.of.named(name).with(values).tagged("holtWintersForecast", "1").tagged("holtWintersDeviation", "1")
	r.Start, r.Consolidate = f.start, "average"
	return r
}

// foresee goes through a series and the time before it. After a gap it begins
// anew from the next value, with what it knows of the season.
func (c *call) foresee(s *Result) (*forecast, error) {
	if err := c.spend(3 * len(s.Values)); err != nil {
		return nil, err
	}
	n := len(s.Values)
	season := max(int64(c.number("seasonality"))/s.Step, 2)
	seasons, f := make([]float64, n), forecast{of: s, predictions: make([]float64, n), deviations: make([]float64, n)}
	past := func(column []float64, i int) float64 {
		if j := int64(i) - season; j >= 0 {
			return column[j]
		}
		return 0
	}
	level, trend, next := null(), 0.0, null()
	for i, v := range s.Values {
		f.predictions[i] = next
		if isNull(v) {
			level, trend, next = null(), 0, null()
			continue
		}
		if i == 0 {
			f.predictions[0] = v
		}
		if isNull(level) {
			level = v
		}
		before, expected := level, f.predictions[i]
		if isNull(expected) {
			expected = 0
		}
		level = levelFactor*(v-past(seasons, i)) + (1-levelFactor)*(before+trend)
		trend = trendFactor*(level-before) + (1-trendFactor)*trend
		seasons[i] = seasonFactor*(v-level) + (1-seasonFactor)*past(seasons, i)
		next = level + trend + past(seasons, i+1)
		f.deviations[i] = seasonFactor*max(v-expected, expected-v) + (1-seasonFactor)*past(f.deviations, i)
	}
	learned, err := bootstrapOf(c.op)
	cut := min(learned/s.Step, int64(n))
	f.start, f.predictions, f.deviations = s.Start+learned, f.predictions[cut:], f.deviations[cut:]
	return &f, err
}

// bands are the lower and the upper end for every series, one after the other.
func (c *call) bands(list []*Result) ([]*Result, error) {
	delta := c.number("delta")
	var out []*Result
	for _, s := range list {
		f, err := c.foresee(s)
		if err != nil {
			return nil, err
		}
		lower, upper := f.predictions, f.deviations // they become the bands
		for i, v := range f.predictions {
			width := delta * f.deviations[i]
			lower[i], upper[i] = v-width, v+width
		}
		for _, band := range [...]struct {
			name   string
			values []float64
		}{{"Lower", lower}, {"Upper", upper}} {
			r := f.result("holtWintersConfidence"+band.name+"("+s.Name+")", band.values).
				tagged("holtWintersConfidenceUpper", "1").tagged("holtWintersConfidenceLower", "1")
			r.PathExpression = s.PathExpression
			out = append(out, r)
		}
	}
	return out, nil
}

func holtWintersAberration(c *call) ([]*Result, error) {
	seconds, err := bootstrapOf(c.op)
	if err != nil {
		return nil, err
	}
	list := c.input()
	before, err := c.again(span{c.span.from - seconds, c.span.until})
	if err != nil {
		return nil, err
	}
	for i, learned := range counterparts(list, before) {
		s := list[i]
		if learned == nil {
			return nil, refused("holtWintersAberration knows nothing of %s from before the range", brief(s.Name))
		}
		bands, err := c.bands([]*Result{learned})
		if err != nil {
			return nil, err
		}
		lower, upper := bands[0].Values, bands[1].Values
		out := make([]float64, len(s.Values))
		for k, v := range s.Values[:min(len(out), len(lower))] {
			switch {
			case v > upper[k]:
				out[k] = v - upper[k]
			case v < lower[k]:
				out[k] = v - lower[k]
			}
		}
		r := s.named("holtWintersAberration("+s.Name+")").with(out).tagged("holtWintersAberration", "1")
		r.Consolidate = "average"
		list[i] = r
	}
	return list, nil
}
