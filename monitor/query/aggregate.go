package query

import (
	"math"
	"slices"
)

// aggregation turns a row or column of values, nulls among them, into one.
type aggregation func(values []float64) float64

// aggregationNames are the names that an aggFunc parameter takes.
func aggregationNames() []string {
	return []string{"average", "avg", "avg_zero", "count", "current", "diff", "last", "max", "median",
		"min", "multiply", "range", "rangeOf", "stddev", "sum", "total"}
}

// aggregationOf finds an aggregation by name, or nil.
func aggregationOf(name string) aggregation {
	switch name {
	case "average", "avg":
		return average
	case "avg_zero":
		return averageZero
	case "count":
		return count
	case "diff":
		return difference
	case "last", "current":
		return last
	case "max":
		return maximum
	case "median":
		return median
	case "min":
		return minimum
	case "multiply":
		return product
	case "range", "rangeOf":
		return func(v []float64) float64 { return maximum(v) - minimum(v) }
	case "stddev":
		return deviation
	case "sum", "total":
		return sum
	}
	return nil
}

func sum(values []float64) float64 {
	s, n := 0.0, 0
	for _, v := range values {
		if v == v {
			s += v
			n++
		}
	}
	if n == 0 {
		return null()
	}
	return s
}

func average(values []float64) float64 {
	s, n := 0.0, 0
	for _, v := range values {
		if v == v {
			s += v
			n++
		}
	}
	if n == 0 {
		return null()
	}
	return s / float64(n)
}

func averageZero(values []float64) float64 {
	if len(values) == 0 {
		return null()
	}
	s := 0.0
	for _, v := range values {
		if v == v {
			s += v
		}
	}
	return s / float64(len(values))
}

func count(values []float64) float64 { return float64(known(values)) }

func difference(values []float64) float64 {
	s, first := null(), true
	for _, v := range values {
		switch {
		case v != v:
		case first:
			s, first = v, false
		default:
			s -= v
		}
	}
	return s
}

func last(values []float64) float64 {
	for _, v := range slices.Backward(values) {
		if v == v {
			return v
		}
	}
	return null()
}

func first(values []float64) float64 {
	for _, v := range values {
		if v == v {
			return v
		}
	}
	return null()
}

func maximum(values []float64) float64 {
	m := null()
	for _, v := range values {
		if v > m || m != m {
			m = v
		}
	}
	return m
}

func minimum(values []float64) float64 {
	m := null()
	for _, v := range values {
		if v < m || m != m {
			m = v
		}
	}
	return m
}

func product(values []float64) float64 {
	if len(values) == 0 {
		return null()
	}
	p := 1.0
	for _, v := range values {
		p *= v
	}
	return p
}

func median(values []float64) float64 {
	s := sorted(values)
	n := len(s)
	switch {
	case n == 0:
		return null()
	case n%2 == 1:
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// deviation is the standard deviation of the whole population.
func deviation(values []float64) float64 { return math.Sqrt(variance(values)) }

func variance(values []float64) float64 {
	mean, squares, n := average(values), 0.0, 0
	for _, v := range values {
		if v == v {
			squares += (v - mean) * (v - mean)
			n++
		}
	}
	if n == 0 {
		return null()
	}
	return squares / float64(n)
}

// sorted are the known values, ascending, in a slice of their own.
func sorted(values []float64) []float64 {
	s := make([]float64, 0, len(values))
	for _, v := range values {
		if v == v {
			s = append(s, v)
		}
	}
	slices.Sort(s)
	return s
}

// percentile of the known values: rank n/100*(count+1), rounded up unless
// interpolated, held within the ends.
func percentile(values []float64, n float64, interpolate bool) float64 {
	return ranked(sorted(values), n, interpolate)
}

// ranked is the percentile of sorted values.
func ranked(s []float64, n float64, interpolate bool) float64 {
	if len(s) == 0 {
		return null()
	}
	rank := n / 100 * float64(len(s)+1)
	whole := math.Floor(rank)
	part := rank - whole
	if !interpolate {
		return s[min(max(int(math.Ceil(min(rank, float64(len(s))))), 1), len(s))-1]
	}
	if whole < 1 {
		return s[0]
	}
	if whole >= float64(len(s)) {
		return s[len(s)-1]
	}
	low := s[int(whole)-1]
	return low + part*(s[int(whole)]-low)
}
