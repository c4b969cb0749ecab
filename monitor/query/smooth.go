package query

import "math"

// smoothFunctions look at the values before each point.
func smoothFunctions() []*Function {
	return []*Function{
		{
			Name: "exponentialMovingAverage", Group: "Calculate", Doc: "Averages with weights that fade with age; it begins with the mean of the window before the range.",
			Params: []Param{many(), windowSize()},
			reach:  windowReach,
			run:    exponentialMovingAverage,
		}, {
			Name: "stdev", Group: "Calculate", Doc: "Takes the standard deviation of the last points at every point.",
			Params: []Param{many(), {Name: "points", Type: Integer, Doc: "how many points"},
				{Name: "windowTolerance", Type: Float, Default: "0.1", Doc: "the share of them that must be known, 0 to 1"}},
			run: func(c *call) ([]*Result, error) {
				n, tolerance := c.number("points"), c.number("windowTolerance")
				if n < 0 {
					return nil, refused("points of stdev is not below zero, found %s", c.text("points"))
				}
				return c.each(func(s *Result) *Result {
					return s.named("stdev("+s.Name+","+whole(n)+")").with(trailing(s.Values, n, tolerance)).tagged("stdev", whole(n))
				})
			},
		},
	}
}

// exponentialMovingAverage has the usual weight 2/(N+1) for the newest value,
// where N is the points of the window, or its seconds if it is an interval.
func exponentialMovingAverage(c *call) ([]*Result, error) {
	w, _ := c.op.scalar("windowSize")
	list, preview, err := c.early()
	if err != nil {
		return nil, err
	}
	weight := 2 / (math.Abs(w.number) + 1)
	for i, s := range list {
		if err := c.spend(len(s.Values)); err != nil {
			return nil, err
		}
		size, shown := int64(w.number), w.text
		if !w.integer {
			size, shown = preview/s.Step, `"`+w.text+`"`
		}
		before := s.Values[:min(size, int64(len(s.Values)))]
		after := s.Values[len(before):]
		level := 0.0
		if known(before) > 0 {
			level = average(before)
		}
		out := make([]float64, 1, 1+len(after))
		out[0] = roundMicro(level)
		for _, v := range after {
			if v == v {
				level = weight*v + (1-weight)*level
				v = roundMicro(level)
			}
			out = append(out, v)
		}
		r := s.named("exponentialMovingAverage("+s.Name+","+shown+")").with(out).tagged("exponentialMovingAverage", w.text)
		r.Start += preview
		list[i] = r
	}
	return list, nil
}

// spread is what the standard deviation of some values is made of. Two of them
// add up without losing digits (Chan, Golub and LeVeque, "Updating Formulae and
// a Pairwise Algorithm for Computing Sample Variances", 1979).
type spread struct{ n, mean, squares float64 }

func (a spread) plus(b spread) spread {
	if a.n == 0 || b.n == 0 {
		return spread{a.n + b.n, a.mean + b.mean, a.squares + b.squares}
	}
	n, apart := a.n+b.n, b.mean-a.mean
	return spread{n, a.mean + apart*b.n/n, a.squares + b.squares + apart*apart*a.n*b.n/n}
}

func spreadOf(v float64) spread {
	if isNull(v) {
		return spread{}
	}
	return spread{n: 1, mean: v}
}

// trailing is the standard deviation of the last n values at every point, if the
// share of known ones is large enough.
//
// Sums that run on, as Graphite's, will do while they keep nine digits. Where they
// don't, the column is cut into pieces as long as the window, so that each window
// is the end of one piece and the begin of the next, and nothing has to be taken
// out of a sum.
func trailing(values []float64, n, tolerance float64) []float64 {
	out := make([]float64, len(values))
	size := int(min(n, float64(len(values))))
	ends := make([]spread, size+1) // of the piece before, from each place on
	var begin spread
	var total, squares, largest float64
	for i, v := range values {
		out[i] = null()
		if size == 0 {
			continue
		}
		if i%size == 0 {
			for k := size - 1; k >= 0 && i > 0; k-- {
				ends[k] = spreadOf(values[i-size+k]).plus(ends[k+1])
			}
			begin = spread{}
		}
		begin = begin.plus(spreadOf(v))
		if i >= size && !isNull(values[i-size]) {
			total -= values[i-size]
			squares -= values[i-size] * values[i-size]
		}
		if v == v {
			total += v
			squares += v * v
			largest = max(largest, squares)
		}
		window := ends[i%size+1].plus(begin)
		if window.n == 0 || window.n/n < tolerance {
			continue
		}
		if rest := window.n*squares - total*total; rest > 1e-7*window.n*largest {
			out[i] = math.Sqrt(rest) / window.n
		} else if !math.IsInf(window.squares, 0) {
			out[i] = math.Sqrt(window.squares / window.n)
		}
	}
	return out
}
