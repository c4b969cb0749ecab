package query

import (
	"math"
	"strconv"
)

// mapped is a function that turns every value into another one.
func mapped(name, doc string, f func(v float64) float64) *Function {
	return &Function{
		Name: name, Group: "Transform", Doc: doc, Params: []Param{many()},
		run: func(c *call) ([]*Result, error) {
			return c.each(func(s *Result) *Result {
				return s.named(name+"("+s.Name+")").with(values(s, f)).tagged(name, "1")
			})
		},
	}
}

// shifted is a function that turns every value into another one with a number.
func shifted(name, doc, param string, print func(n float64) string, f func(v, n float64) float64) *Function {
	return &Function{
		Name: name, Group: "Transform", Doc: doc, Params: []Param{many(), {Name: param, Type: Float, Doc: "the number"}},
		run: func(c *call) ([]*Result, error) {
			n := c.number(param)
			return c.each(func(s *Result) *Result {
				return s.named(name+"("+s.Name+","+print(n)+")").
					with(values(s, func(v float64) float64 { return f(v, n) })).tagged(name, float(n))
			})
		},
	}
}

func whole(n float64) string { return strconv.FormatFloat(math.Trunc(n), 'f', 0, 64) }

func transformFunctions() []*Function {
	plus := func(v, n float64) float64 { return v + n }
	return []*Function{
		mapped("absolute", "Drops the sign of every value.", math.Abs),
		mapped("invert", "Takes the reciprocal of every value; zero gives no value.", func(v float64) float64 { return quotient(1, v) }),
		shifted("scale", "Multiplies every value by a number.", "factor", general, func(v, n float64) float64 { return v * n }),
		shifted("offset", "Adds a number to every value.", "factor", general, plus),
		shifted("add", "Adds a number to every value.", "constant", whole, plus),
		{
			Name: "scaleToSeconds", Group: "Transform", Doc: "Turns values per step into values per so many seconds.",
			Params: []Param{many(), {Name: "seconds", Type: Float, Doc: "the seconds"}},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					n := c.number("seconds")
					factor := n / float64(s.Step)
					return s.named("scaleToSeconds("+s.Name+","+whole(n)+")").
						with(values(s, func(v float64) float64 { return roundMicro(v * factor) })).tagged("scaleToSeconds", float(n))
				})
			},
		}, {
			Name: "offsetToZero", Group: "Transform", Doc: "Takes the minimum of every series away from its values.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					low := minimum(s.Values)
					tag := "None"
					if !isNull(low) {
						tag = float(low)
					}
					return s.named("offsetToZero("+s.Name+")").
						with(values(s, func(v float64) float64 { return v - low })).tagged("offsetToZero", tag)
				})
			},
		}, {
			Name: "isNonNull", Group: "Transform", Doc: "Is 1 where there is a value and 0 where there is none.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					out := make([]float64, len(s.Values))
					for i, v := range s.Values {
						if v == v {
							out[i] = 1
						}
					}
					return s.named("isNonNull("+s.Name+")").with(out).tagged("isNonNull", "1")
				})
			},
		}, {
			Name: "transformNull", Group: "Transform", Doc: "Puts a number where there is no value.",
			Params: []Param{many(), {Name: "default", Type: Float, Default: "0", Doc: "the number"},
				{Name: "referenceSeries", Type: SeriesList, Optional: true, Doc: "only where one of these has a value"}},
			run: transformNull,
		}, {
			Name: "keepLastValue", Group: "Transform", Doc: "Fills gaps with the value before them; a gap longer than the limit stays as it is.",
			Params: []Param{many(), {Name: "limit", Type: IntOrInf, Default: "inf", Doc: "the longest gap to fill, in points"}},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					return s.named("keepLastValue(" + s.Name + ")").with(filled(s.Values, c.number("limit"), false))
				})
			},
		}, {
			Name: "interpolate", Group: "Transform", Doc: "Fills gaps between two values along a straight line; a gap longer than the limit stays as it is.",
			Params: []Param{many(), {Name: "limit", Type: IntOrInf, Default: "inf", Doc: "the longest gap to fill, in points"}},
			run: func(c *call) ([]*Result, error) {
				return c.each(func(s *Result) *Result {
					return s.named("interpolate(" + s.Name + ")").with(filled(s.Values, c.number("limit"), true))
				})
			},
		}, {
			Name: "summarize", Group: "Transform", Doc: "Puts the values into larger intervals and aggregates each.",
			Params: []Param{many(), bucket(),
				{Name: "func", Type: AggFunc, Default: "sum", Doc: "the aggregation"},
				{Name: "alignToFrom", Type: Bool, Default: "false", Doc: "count the intervals from the first point, not from the full hour or day"}},
			run: summarize,
		},
	}
}

func bucket() Param {
	return Param{Name: "intervalString", Type: Interval, Doc: `the length of an interval, such as "5min"`, Suggest: []string{"10min", "1h", "1d"}}
}

func transformNull(c *call) ([]*Result, error) {
	n, tag := c.number("default"), "0"
	if c.given("default") {
		tag = float(n)
	}
	reference := c.list("referenceSeries")
	end := ")"
	if len(reference) > 0 {
		end = ",referenceSeries)"
	}
	length := 0
	for _, r := range reference {
		length = max(length, len(r.Values))
	}
	fill := make([]bool, length)
	for _, r := range reference {
		for i, v := range r.Values {
			fill[i] = fill[i] || v == v
		}
	}
	return c.each(func(s *Result) *Result {
		out := make([]float64, max(len(s.Values), length))
		for i := range out {
			if out[i] = null(); i < len(s.Values) {
				out[i] = s.Values[i]
			}
			if isNull(out[i]) && (len(reference) == 0 || i < length && fill[i]) {
				out[i] = n
			}
		}
		r := s.named("transformNull("+s.Name+","+general(n)+end).with(out).tagged("transformNull", tag)
		if len(reference) > 0 {
			r = r.tagged("referenceSeries", "1")
		}
		return r
	})
}

// filled closes gaps of up to limit points behind a known value: with that
// value, or on the line to the next one. Only the former reaches past the last
// known value.
func filled(in []float64, limit float64, line bool) []float64 {
	out := make([]float64, len(in))
	copy(out, in)
	before := -1 // the last known value
	for i := 0; i <= len(in); i++ {
		if i < len(in) && isNull(in[i]) {
			continue
		}
		gap := i - before - 1
		if before >= 0 && gap > 0 && float64(gap) <= limit && (i < len(in) || !line) {
			for j := before + 1; j < i; j++ {
				out[j] = in[before]
				if line {
					out[j] += float64(j-before) * (in[i] - in[before]) / float64(gap+1)
				}
			}
		}
		before = i
	}
	return out
}

func summarize(c *call) ([]*Result, error) {
	interval := int64(c.number("intervalString"))
	if interval <= 0 {
		return nil, refused("intervalString of summarize is longer than nothing, found %q", c.text("intervalString"))
	}
	function, name := c.text("func"), ""
	f := aggregationOf(function)
	if f == nil {
		f = aggregationOf(function[:len(function)-len("Series")])
	}
	list := c.input()
	for i, s := range list {
		start, end := s.Start, s.End
		if c.yes("alignToFrom") {
			end = start + (max(end-start, 0)+interval-1)/interval*interval
			name = ", true"
		} else {
			start -= modulo(start, interval)
			end += interval - modulo(end, interval)
		}
		out, err := c.buckets(s, f, start, end, interval)
		if err != nil {
			return nil, err
		}
		r := s.named(`summarize(`+s.Name+`, "`+c.text("intervalString")+`", "`+function+`"`+name+`)`).with(out).
			tagged("summarize", c.text("intervalString")).tagged("summarizeFunction", function)
		r.Start, r.End, r.Step = start, end, interval
		list[i] = r
	}
	return list, nil
}

// buckets aggregates the values of a series in intervals from start to before
// end. An interval needs a known value, and a share that satisfies the series.
func (c *call) buckets(s *Result, f aggregation, start, end, interval int64) ([]float64, error) {
	n := max(end-start, 0) / interval
	if err := c.spend(int(min(n, math.MaxInt32)) + len(s.Values)); err != nil {
		return nil, err
	}
	out, next := make([]float64, n), int(max(start-s.Start, 0)/s.Step)
	for b := range out {
		first := min(next, len(s.Values))
		for border := start + int64(b+1)*interval; next < len(s.Values); next++ {
			if t := s.Start + int64(next)*s.Step; t >= border || t >= s.End {
				break
			}
		}
		bucket := s.Values[first:max(first, min(next, len(s.Values)))]
		out[b] = null()
		if n := known(bucket); n > 0 && float64(n)/(float64(interval)/float64(s.Step)) >= s.XFiles {
			out[b] = f(bucket)
		}
	}
	return out, nil
}

// roundMicro rounds to six decimals.
func roundMicro(v float64) float64 { return rounded(v, 6) }
