package query

import "math"

// consolidations are the ways to merge neighbouring points of one series.
func consolidations() []string {
	return []string{"average", "avg", "avg_zero", "first", "last", "max", "min", "sum"}
}

func consolidation(name string) aggregation {
	switch name {
	case "avg_zero":
		return averageZero
	case "first":
		return first
	case "last":
		return last
	case "max":
		return maximum
	case "min":
		return minimum
	case "sum":
		return sum
	}
	return average
}

// merge makes one value of each k values, counted from the first. A bucket needs
// a known value, and a share of them that satisfies the series.
func merge(r *Result, k int64) []float64 {
	if k <= 1 {
		return r.Values
	}
	size := int(min(k, int64(max(len(r.Values), 1))))
	f := consolidation(r.Consolidate)
	out := make([]float64, 0, (len(r.Values)+size-1)/size)
	for i := 0; i < len(r.Values); i += size {
		bucket := r.Values[i:min(i+size, len(r.Values))]
		value := null()
		if n := known(bucket); n > 0 && float64(n)/float64(k) >= r.XFiles {
			value = f(bucket)
		}
		out = append(out, value)
	}
	return out
}

// reduce brings the results of a request down to at most points values each. The
// starts move so that the same moments fall into the same bucket whenever the
// range moves on: a chart that is refreshed does not jitter.
func (v *evaluation) reduce(results []Result, points int) error {
	if len(results) == 0 {
		return nil
	}
	first, behind, all := results[0].Start, results[0].End, 0
	for _, r := range results {
		first, behind = min(first, r.Start), max(behind, r.End)
		all += len(r.Values)
	}
	return v.parallel(len(results), all, func(from, to int) error {
		for i := from; i < to; i++ {
			results[i].reduce(behind-first, points)
		}
		return nil
	})
}

// reduce merges points so that a range of so many seconds has at most points of
// them.
func (r *Result) reduce(seconds int64, points int) {
	if len(r.Values) == 0 || r.Step <= 0 || r.Start == r.End { // a moment, see verticalLine, is not merged with what is around
		return
	}
	if points == 1 {
		k := int64(len(r.Values))
		r.Values, r.Step = merge(r, k), r.Step*k
		return
	}
	expected := float64(seconds) / float64(r.Step)
	if float64(points) >= expected {
		return
	}
	k := int64(math.Ceil(expected / float64(points)))
	step := k * r.Step
	nudge := step + modulo(r.Start, r.Step) - modulo(r.Start, step)
	r.Start += nudge
	r.Values = r.Values[min(max(nudge/r.Step-1, 0), int64(len(r.Values))):]
	r.Values, r.Step = merge(r, k), step
}

// modulo is never negative, so that times before 1970 fall on the same grid.
func modulo(a, b int64) int64 {
	if m := a % b; m < 0 {
		return m + b
	} else {
		return m
	}
}

// grid is the common ground of several series.
type grid struct {
	*evaluation
	start, end, step int64
	columns          [][]float64 // of different lengths; a shorter one is padded with nulls
	rows             int
}

// align brings series onto one step: the least common multiple of theirs. Each
// is merged in groups counted from its own first point.
func (v *evaluation) align(list []*Result) (grid, error) {
	g := grid{evaluation: v, start: list[0].Start, end: list[0].End, step: 1}
	for _, s := range list {
		step := lcm(g.step, max(s.Step, 1))
		if step <= 0 || step > maxEpoch {
			return g, at(-1, "its series have steps that no common step fits (%d s and %d s)", g.step, s.Step)
		}
		g.step = step
		g.start, g.end = min(g.start, s.Start), max(g.end, s.End)
	}
	g.end -= modulo(g.end-g.start, g.step)
	g.columns = make([][]float64, len(list))
	for i, s := range list {
		k := g.step / max(s.Step, 1)
		made := 0 // a column that is on the common step already is taken as it is
		if k > 1 {
			made = int(int64(len(s.Values))/k) + 1
		}
		if err := v.spend(made); err != nil {
			return g, err
		}
		g.columns[i] = merge(s, k)
		g.rows = max(g.rows, len(g.columns[i]))
	}
	return g, v.spend(g.rows)
}

func lcm(a, b int64) int64 {
	x, y := a, b
	for y != 0 {
		x, y = y, x%y
	}
	if a/x > math.MaxInt64/b {
		return -1
	}
	return a / x * b
}

// each calls f with every row of the grid and returns what it makes of them. The
// row is reused. f is called from several goroutines.
func (g grid) each(f func(row []float64) float64) []float64 {
	const tile = 16 // rows that are gathered at once: a column is read in pieces, not value by value
	out, n := make([]float64, g.rows), len(g.columns)
	_ = g.parallel(g.rows, g.rows*n, func(from, to int) error {
		rows := make([]float64, tile*n)
		for ; from < to; from += tile {
			end := min(from+tile, to)
			for j, c := range g.columns {
				for i := from; i < end; i++ {
					v := null()
					if i < len(c) {
						v = c[i]
					}
					rows[(i-from)*n+j] = v
				}
			}
			for i := from; i < end; i++ {
				out[i] = f(rows[(i-from)*n:][:n])
			}
		}
		return nil
	}) // it fails only when the request has ended, which eval notices
	return out
}

// aggregate merges the columns with a named aggregation. The common ones run
// along the columns, which is kinder to the memory than along the rows.
func (g grid) aggregate(name string, xFiles float64) []float64 {
	if t := g.newTotals(name, g.rows); t != nil {
		_ = t.more(g.columns) // as in each
		return t.end(xFiles)
	}
	f := aggregationOf(name)
	return g.each(func(row []float64) float64 {
		if !enough(known(row), len(row), xFiles) {
			return null()
		}
		return f(row)
	})
}
