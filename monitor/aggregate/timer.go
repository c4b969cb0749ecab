package aggregate

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// timer collects the values of one interval.
type timer struct {
	values []float64
	count  float64 // events, with the sample rate taken into account
	names  timerNames
}

// timerNames are the paths of a timer's statistics, made once per timer.
type timerNames struct {
	count, countPs, sum, sumSquares, mean, median, std, upper, lower []byte
	percentiles                                                      []percentileNames
}

type percentileNames struct{ count, mean, upper, sum, sumSquares []byte }

func newTimerNames(prefix, name string, percentiles []float64) timerNames {
	base, tags := splitTags(name)
	path := func(stat string) []byte { return []byte(prefix + base + "." + stat + tags) }
	n := timerNames{path("count"), path("count_ps"), path("sum"), path("sum_squares"),
		path("mean"), path("median"), path("std"), path("upper"), path("lower"), nil}
	for _, p := range percentiles {
		text := strings.ReplaceAll(strconv.FormatFloat(math.Abs(p), 'f', -1, 64), ".", "_")
		bound := "upper_" + text
		if p < 0 {
			text = "top" + text
			bound = "lower_" + text
		}
		n.percentiles = append(n.percentiles, percentileNames{path("count_" + text), path("mean_" + text),
			path(bound), path("sum_" + text), path("sum_squares_" + text)})
	}
	return n
}

func splitTags(name string) (base, tags string) {
	if i := strings.IndexByte(name, ';'); i >= 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// flush emits the interval's statistics as statsd computes them and empties the
// timer. An idle timer emits only its zero counts. Std is that of the whole
// population; a percentile p covers the lowest (for p < 0 the highest)
// round(|p|/100·n) values.
func (t *timer) flush(emit func(name []byte, value float64), seconds float64, percentiles []float64) {
	n := &t.names
	emit(n.count, t.count)
	emit(n.countPs, t.count/seconds)
	if len(t.values) == 0 {
		t.count = 0
		return
	}
	v := t.values
	slices.Sort(v)
	sum, squares := sums(v)
	length := float64(len(v))
	mean := sum / length
	var deviation float64
	for _, x := range v {
		deviation += (x - mean) * (x - mean)
	}
	median := v[len(v)/2]
	if len(v)%2 == 0 {
		median = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	emit(n.sum, sum)
	emit(n.sumSquares, squares)
	emit(n.mean, mean)
	emit(n.median, median)
	emit(n.std, math.Sqrt(deviation/length))
	emit(n.upper, v[len(v)-1])
	emit(n.lower, v[0])
	for i, p := range percentiles {
		k := int(math.Floor(math.Abs(p)/100*length + 0.5)) // JavaScript's Math.round
		if k == 0 {
			continue
		}
		part, bound := v[:k], v[k-1]
		if p < 0 {
			part, bound = v[len(v)-k:], v[len(v)-k]
		}
		s, sq := sums(part)
		names := &n.percentiles[i]
		emit(names.count, float64(k))
		emit(names.mean, s/float64(k))
		emit(names.upper, bound)
		emit(names.sum, s)
		emit(names.sumSquares, sq)
	}
	t.values, t.count = v[:0], 0
}

func sums(v []float64) (sum, squares float64) {
	for _, x := range v {
		sum += x
		squares += x * x
	}
	return sum, squares
}
