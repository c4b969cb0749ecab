package query

import (
	"bytes"
	"math"
	"strconv"
)

// curve is a function that turns every value into another one. A value that it
// cannot take, or whose result is too large for a float64, becomes none.
func curve(name, doc, tag string, f func(v float64) float64) *Function {
	return &Function{
		Name: name, Group: "Transform", Doc: doc, Params: []Param{many()},
		run: func(c *call) ([]*Result, error) {
			return c.each(func(s *Result) *Result {
				return s.named(name+"("+s.Name+")").with(values(s, f)).tagged(name, tag)
			})
		},
	}
}

func mathFunctions() []*Function {
	return []*Function{
		curve("exp", "Raises e to the power of every value.", "e", exponential),
		curve("logit", "Takes log(v / (1 - v)) of every value v between 0 and 1; others give no value.", "logit", func(v float64) float64 {
			if v >= 1 {
				return null()
			}
			return natural(v / (1 - v))
		}),
		curve("sigmoid", "Takes 1 / (1 + exp(-v)) of every value v.", "sigmoid", func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }),
		curve("squareRoot", "Takes the square root of every value; a negative one gives no value.", "1", func(v float64) float64 {
			return power(v, 0.5)
		}),
		shifted("pow", "Raises every value to a power; where the result is no number or too large, there is no value.", "factor", general, power),
		{
			Name: "log", Group: "Transform", Doc: "Takes the logarithm of every value; zero and negative values give none.",
			Params: []Param{many(), {Name: "base", Type: Integer, lenient: true, Default: "10", Doc: "the base, above 0 and not 1"}},
			run: func(c *call) ([]*Result, error) {
				base, _ := c.op.scalar("base")
				if base.number <= 0 || base.number == 1 {
					return nil, refused("base of log is above 0 and not 1, found %s", base.text)
				}
				shown, scale := numeral(base), math.Log(base.number)
				return c.each(func(s *Result) *Result {
					return s.named("log("+s.Name+", "+shown+")").
						with(values(s, func(v float64) float64 { return natural(v) / scale })).tagged("log", shown)
				})
			},
		}, {
			Name: "round", Group: "Transform", Doc: "Rounds every value to some decimals, half to even.",
			Params: []Param{many(), {Name: "precision", Type: Integer, Default: "0", Doc: "decimals; below zero rounds to tens, hundreds and so on"}},
			run: func(c *call) ([]*Result, error) {
				n, end := c.number("precision"), ")"
				if c.given("precision") {
					end = "," + general(n) + ")"
				}
				digits := int(min(max(n, -400), 400))
				return c.each(func(s *Result) *Result {
					return s.named("round("+s.Name+end).
						with(values(s, func(v float64) float64 { return rounded(v, digits) })).tagged("round", whole(n))
				})
			},
		},
	}
}

// natural is the natural logarithm, or null.
func natural(v float64) float64 {
	if v <= 0 {
		return null()
	}
	return math.Log(v)
}

func exponential(v float64) float64 { return finite(math.Exp(v), v) }

func power(v, n float64) float64 { return finite(math.Pow(v, n), v, n) }

// finite gives null for a result that finite numbers made infinite.
func finite(result float64, from ...float64) float64 {
	if math.IsInf(result, 0) {
		for _, v := range from {
			if math.IsInf(v, 0) {
				return result
			}
		}
		return null()
	}
	return result
}

// rounded rounds to decimals, or to tens and hundreds where digits is negative:
// half to even, on the exact value that the float64 stands for.
func rounded(v float64, digits int) float64 {
	switch {
	case v == 0 || math.IsInf(v, 0) || digits > 323: // no float64 has more
		return v
	case digits == 0:
		return math.RoundToEven(v)
	case digits > 0 && digits <= 15:
		// Up to 10^22, powers of ten are exact, and so is the result unless v is
		// near the middle between two.
		scale := math.Pow10(digits)
		scaled := v * scale
		if a := math.Abs(scaled); a < 1<<40 {
			if _, part := math.Modf(a); math.Abs(part-0.5) > 1e-3 {
				return math.RoundToEven(scaled) / scale
			}
		}
	}
	var buffer [64]byte
	if digits >= 0 {
		return parsed(strconv.AppendFloat(buffer[:0], v, 'f', digits, 64))
	}
	// The exponent tells how many digits stay in front of the rounded ones.
	text := strconv.AppendFloat(buffer[:0], v, 'e', -1, 64)
	exponent, _ := strconv.Atoi(string(text[bytes.IndexByte(text, 'e')+1:]))
	switch keep := exponent + digits; {
	case keep >= 0:
		return parsed(strconv.AppendFloat(buffer[:0], v, 'e', keep, 64))
	case keep == -1 && math.Abs(v) > parsed([]byte("5e"+strconv.Itoa(exponent))):
		return math.Copysign(parsed([]byte("1e"+strconv.Itoa(exponent+1))), v)
	}
	return math.Copysign(0, v)
}

// parsed reads what strconv wrote. A number that rounding made too large is null.
func parsed(text []byte) float64 {
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return null()
	}
	return v
}
