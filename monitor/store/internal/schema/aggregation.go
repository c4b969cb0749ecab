package schema

import (
	"fmt"
	"math"
	"strings"

	"steer/monitor/store/internal/decimal"
)

// Method makes one coarse value of finer ones.
type Method uint8

// Whisper's methods.
const (
	Average Method = iota
	Sum
	Last
	Max
	Min
	AvgZero // average that counts missing values as 0
	AbsMax  // the value furthest from 0
	AbsMin  // the value nearest to 0
)

var methods = [...]string{
	Average: "average", Sum: "sum", Last: "last", Max: "max", Min: "min",
	AvgZero: "avg_zero", AbsMax: "absmax", AbsMin: "absmin",
}

// String is the name that Carbon uses.
func (m Method) String() string { return methods[m] }

// ParseMethod reads a method's name; "avg" is short for average.
func ParseMethod(s string) (Method, error) {
	for m, name := range methods {
		if s == name || s == "avg" && m == int(Average) {
			return Method(m), nil
		}
	}
	return 0, fmt.Errorf("unknown method %q (use %s)", s, strings.Join(methods[:], " "))
}

// Roll makes the coarse value of all fine slots of one interval, NaN being a
// missing one. It is false when too few are known for the x-files factor; one
// always has to be. The result is never NaN: where infinities of both signs
// leave the sum undefined, the last value stands for the interval.
func (a *Aggregation) Roll(fine []float64) (float64, bool) {
	var sum, last, high, low, far, near float64
	known := 0
	for _, v := range fine {
		if v != v {
			continue
		}
		if known == 0 {
			high, low, far, near = v, v, v, v
		}
		known++
		sum += v
		last = v
		high, low = max(high, v), min(low, v)
		if math.Abs(v) > math.Abs(far) {
			far = v
		}
		if math.Abs(v) < math.Abs(near) {
			near = v
		}
	}
	if known == 0 || float64(known)/float64(len(fine)) < a.XFilesFactor {
		return 0, false
	}
	switch a.Method {
	case Sum, Average, AvgZero:
		// 0.1 + 0.2 is 0.3 here: what is exact reads well and takes little room.
		if exact, ok := decimal.Sum(fine); ok {
			sum = exact
		}
	}
	v := sum
	switch a.Method {
	case Average:
		v = sum / float64(known)
	case AvgZero:
		v = sum / float64(len(fine))
	case Last:
		v = last
	case Max:
		v = high
	case Min:
		v = low
	case AbsMax:
		v = far
	case AbsMin:
		v = near
	}
	if v != v {
		v = last
	}
	return v, true
}
