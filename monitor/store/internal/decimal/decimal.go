// Package decimal finds the numbers that senders print, integers over a power of
// ten, in float64.
package decimal

import "math"

const (
	// MostExponent is the largest power of ten that Of tries.
	MostExponent = 15
	// MostInteger bounds the integers: every one below it is exact in a float64.
	MostInteger = 1 << 53
)

var powers = [MostExponent + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// Power is 10^exponent.
func Power(exponent int) float64 { return powers[exponent] }

// Of is v as an integer over a power of ten: float64(m) / Power(exponent) is v, bit
// by bit, the exponent being least or more. It is -1 if there is none.
func Of(v float64, least int) (m int64, exponent int) {
	for e := least; e <= MostExponent; e++ {
		m := math.RoundToEven(v * powers[e])
		if !(m > -MostInteger && m < MostInteger) {
			break
		}
		if m/powers[e] == v && (m != 0 || !math.Signbit(v)) {
			return int64(m), e
		}
	}
	return 0, -1
}

// OfThird is v as a third of an integer over a power of ten, in the same way:
// averages of six, twelve or sixty decimals are such numbers.
func OfThird(v float64, least int) (m int64, exponent int) {
	for e := least; e <= MostExponent; e++ {
		m := math.RoundToEven(v * 3 * powers[e])
		if !(m > -MostInteger && m < MostInteger) {
			break
		}
		if m/powers[e]/3 == v && (m != 0 || !math.Signbit(v)) {
			return int64(m), e
		}
	}
	return 0, -1
}

// Sum adds the values that are not NaN as the decimals that they are, without the
// errors of sums of float64. It is false when one is no decimal or the sum is too
// large.
func Sum(values []float64) (float64, bool) {
	sum, exponent := int64(0), 0
	for _, v := range values {
		if v != v {
			continue
		}
		m, e := Of(v, exponent)
		if e < 0 {
			return 0, false
		}
		for ; exponent < e; exponent++ {
			if sum *= 10; sum <= -MostInteger || sum >= MostInteger {
				return 0, false
			}
		}
		if sum += m; sum <= -MostInteger || sum >= MostInteger {
			return 0, false
		}
	}
	return float64(sum) / powers[exponent], true
}
