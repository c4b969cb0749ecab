package query

// deriveFunctions look from one value at the one before.
func deriveFunctions() []*Function {
	bounds := []Param{many(),
		{Name: "maxValue", Type: Float, Optional: true, Doc: "the counter's largest value: beyond it, it starts over"},
		{Name: "minValue", Type: Float, Optional: true, Doc: "the value at which the counter starts over"}}
	return []*Function{
		{
			Name: "derivative", Group: "Transform", Doc: "Takes the difference of every value to the one before.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					out, before := make([]float64, len(s.Values)), null()
					for i, v := range s.Values {
						out[i], before = v-before, v
					}
					return s.named("derivative("+s.Name+")").with(out).tagged("derivative", "1")
				})
			},
		}, {
			Name: "nonNegativeDerivative", Group: "Transform", Doc: "Takes the growth of a counter from point to point; a counter that fell gives no value, or a wrap at maxValue.",
			Params: bounds,
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					return s.named("nonNegativeDerivative("+s.Name+")").with(growth(c, s.Values)).tagged("nonNegativeDerivative", "1")
				})
			},
		}, {
			Name: "perSecond", Group: "Transform", Doc: "Takes the growth of a counter per second; a counter that fell gives no value, or a wrap at maxValue.",
			Params: bounds,
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					out := growth(c, s.Values)
					for i, v := range out {
						if v == v {
							out[i] = roundMicro(v / float64(s.Step))
						}
					}
					return s.named("perSecond("+s.Name+")").with(out).tagged("perSecond", "1")
				})
			},
		}, {
			Name: "integral", Group: "Transform", Doc: "Adds the values up over the range.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					total := 0.0
					return s.named("integral("+s.Name+")").with(values(s, func(v float64) float64 {
						total += v
						return total
					})).tagged("integral", "1")
				})
			},
		},
	}
}

// growth of a counter. A value beyond the bounds is dropped and forgotten, and
// after a missing value the count begins anew.
func growth(c *call, in []float64) []float64 {
	high, withHigh := c.op.scalar("maxValue")
	low, withLow := c.op.scalar("minValue")
	out, before := make([]float64, len(in)), null()
	for i, v := range in {
		out[i] = null()
		switch {
		case isNull(v), withHigh && v > high.number, withLow && v < low.number:
			before = null()
			continue
		case isNull(before):
		case v >= before:
			out[i] = v - before
		case withHigh:
			out[i] = high.number + 1 + v - before - low.number
		case withLow:
			out[i] = v - low.number
		}
		before = v
	}
	return out
}
