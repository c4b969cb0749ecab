package state

import (
	"math"

	"steer/base/metric"
	"steer/catalog"
)

// read judges the newest value of each series; the worst decides. Series without
// a value in the window do not count beside others that have one.
func read(c catalog.Check, series []metric.Series) reading {
	worst := reading{state: NoData}
	margin := math.Inf(-1)
	for _, s := range series {
		v, ok := newest(s.Values)
		if !ok {
			continue
		}
		r := reading{state: judge(c, v), value: &v, from: s.Name}
		if m := beyond(c, v); worst.value == nil || rank[r.state] > rank[worst.state] || r.state == worst.state && m > margin {
			worst, margin = r, m
		}
	}
	if worst.value == nil {
		switch c.NoData {
		case "ok":
			worst.state = OK
		case "critical":
			worst.state = Critical
		}
	}
	return worst
}

var rank = map[string]int{OK: 0, Warn: 1, Critical: 2}

// newest returns the last value that is there. JSON has no infinity, so that
// becomes the largest number.
func newest(values []float64) (float64, bool) {
	for i := len(values) - 1; i >= 0; i-- {
		if v := values[i]; !math.IsNaN(v) {
			return max(-math.MaxFloat64, min(v, math.MaxFloat64)), true
		}
	}
	return 0, false
}

func judge(c catalog.Check, v float64) string {
	switch {
	case over(v, c.Above, c.Below):
		return Critical
	case over(v, c.WarnAbove, c.WarnBelow):
		return Warn
	}
	return OK
}

// over says whether v breaks a bound. A value equal to a bound keeps it.
func over(v float64, above, below *float64) bool {
	return above != nil && v > *above || below != nil && v < *below
}

// beyond measures how near v is to being bad, to choose among values of equal
// state: the distance over the upper or under the lower bound.
func beyond(c catalog.Check, v float64) float64 {
	m := math.Inf(-1)
	for _, b := range []*float64{c.Above, c.WarnAbove} {
		if b != nil {
			m = max(m, v-*b)
		}
	}
	for _, b := range []*float64{c.Below, c.WarnBelow} {
		if b != nil {
			m = max(m, *b-v)
		}
	}
	return m
}

// bound is the bound that v breaks in state, for people: "above 300".
func bound(c catalog.Check, state string, v float64) (word string, at *float64) {
	above, below := c.Above, c.Below
	if state == Warn {
		above, below = c.WarnAbove, c.WarnBelow
	}
	switch {
	case above != nil && v > *above:
		return "above", above
	case below != nil && v < *below:
		return "below", below
	}
	return "", nil
}
