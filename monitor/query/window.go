package query

import (
	"math"
	"slices"
)

// windows aggregates the last size values at every point from the one behind the
// first full window on.
func (v *evaluation) windows(column []float64, size int, function string, xFiles float64) ([]float64, error) {
	if size >= len(column) {
		return []float64{}, nil
	}
	out := make([]float64, len(column)-size)
	if size == 0 {
		for i := range out {
			out[i] = null()
		}
		return out, nil
	}
	// Short windows are summed anew, so that the result is exact to the last bit.
	// Long ones run on, with the rounding error carried along.
	long := size > 256 && !slices.ContainsFunc(column, func(v float64) bool { return math.IsInf(v, 0) })
	switch {
	case long && (function == "sum" || function == "total"):
		slideSum(column, size, xFiles, out, false)
	case long && (function == "average" || function == "avg"):
		slideSum(column, size, xFiles, out, true)
	case function == "median":
		slideMedian(column, size, xFiles, out)
	case function == "max":
		slideExtreme(column, size, xFiles, out, func(a, b float64) bool { return a >= b })
	case function == "min":
		slideExtreme(column, size, xFiles, out, func(a, b float64) bool { return a <= b })
	default:
		f := aggregationOf(function)
		buffer := make([]float64, 0, size)
		one := func(window []float64) float64 {
			buffer = buffer[:0]
			for _, x := range window {
				if x == x {
					buffer = append(buffer, x)
				}
			}
			if !enough(len(buffer), size, xFiles) {
				return null()
			}
			return f(buffer)
		}
		for i := 0; i < len(out); i += 1024 {
			if err := v.ctx.Err(); err != nil {
				return nil, err
			}
			part := out[i:min(i+1024, len(out))]
			switch function {
			case "average", "avg", "sum", "total":
				exactSums(column[i:], size, function[0] == 'a', part, one)
			default:
				for k := range part {
					part[k] = one(column[i+k+1 : i+k+1+size])
				}
			}
		}
	}
	return out, nil
}

func slideSum(column []float64, size int, xFiles float64, out []float64, mean bool) {
	total, lost, n := 0.0, 0.0, 0
	add := func(x float64) {
		t := total + x
		if math.Abs(total) >= math.Abs(x) {
			lost += (total - t) + x
		} else {
			lost += (x - t) + total
		}
		total = t
	}
	for i, x := range column {
		if x == x {
			add(x)
			n++
		}
		if i < size {
			if i == 0 && x == x { // the first value is in no window
				add(-x)
				n--
			}
			continue
		}
		if gone := column[i-size]; i > size && gone == gone {
			add(-gone)
			n--
		}
		o := i - size
		switch {
		case !enough(n, size, xFiles):
			out[o] = null()
		case mean:
			out[o] = (total + lost) / float64(n)
		default:
			out[o] = total + lost
		}
	}
}

func slideMedian(column []float64, size int, xFiles float64, out []float64) {
	window := make([]float64, 0, size)
	for i, x := range column[1:] {
		if i >= size {
			if gone := column[i+1-size]; gone == gone {
				at, _ := slices.BinarySearch(window, gone)
				window = slices.Delete(window, at, at+1)
			}
		}
		if x == x {
			at, _ := slices.BinarySearch(window, x)
			window = slices.Insert(window, at, x)
		}
		if i+1 < size {
			continue
		}
		o, n := i+1-size, len(window)
		switch {
		case !enough(n, size, xFiles):
			out[o] = null()
		case n%2 == 1:
			out[o] = window[n/2]
		default:
			out[o] = (window[n/2-1] + window[n/2]) / 2
		}
	}
}

// slideExtreme keeps the places of the values that may still become the extreme.
func slideExtreme(column []float64, size int, xFiles float64, out []float64, beats func(a, b float64) bool) {
	var candidates []int
	n := 0
	for i := 1; i < len(column); i++ {
		x := column[i]
		if i > size {
			if gone := column[i-size]; gone == gone {
				n--
			}
			if len(candidates) > 0 && candidates[0] == i-size {
				candidates = candidates[1:]
			}
		}
		if x == x {
			n++
			for len(candidates) > 0 && beats(x, column[candidates[len(candidates)-1]]) {
				candidates = candidates[:len(candidates)-1]
			}
			candidates = append(candidates, i)
		}
		if i < size {
			continue
		}
		o := i - size
		out[o] = null()
		if enough(n, size, xFiles) {
			out[o] = column[candidates[0]]
		}
	}
}
