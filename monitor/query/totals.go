package query

// rowsAtOnce are worked on together: their totals stay in the fastest memory
// while the columns go past.
const rowsAtOnce = 1024

// totals makes one value of each row, in the order of the columns, beginning with
// the value none, and counts the nulls of the row.
func (g grid) totals(none float64, add func(columns [][]float64, totals []float64, nulls []int32)) (totals []float64, nulls []int32) {
	totals, nulls = make([]float64, g.rows), make([]int32, g.rows)
	_ = parallel(g.rows, g.rows*len(g.columns), func(from, to int) error {
		parts := make([][]float64, len(g.columns))
		for ; from < to; from += rowsAtOnce {
			end := min(from+rowsAtOnce, to)
			for i, c := range g.columns {
				parts[i] = c[min(from, len(c)):min(end, len(c))]
			}
			for i := from; i < end; i++ {
				totals[i] = none
			}
			add(parts, totals[from:end], nulls[from:end])
		}
		return nil
	})
	return totals, nulls
}

// addColumns adds columns to totals that begin with -0, which adds nothing to any
// number. A shorter column is padded with nulls.
func addColumns(columns [][]float64, totals []float64, nulls []int32) {
	for len(columns) >= 4 {
		a, b, c, d := columns[0], columns[1], columns[2], columns[3]
		if n := len(totals); len(a) < n || len(b) < n || len(c) < n || len(d) < n {
			break
		}
		b, c, d = b[:len(a)], c[:len(a)], d[:len(a)]
		for i, v := range a {
			if s := totals[i] + v + b[i] + c[i] + d[i]; s == s {
				totals[i] = s
				continue
			}
			for _, v := range [...]float64{v, b[i], c[i], d[i]} {
				if v == v {
					totals[i] += v
				} else {
					nulls[i]++
				}
			}
		}
		columns = columns[4:]
	}
	for _, column := range columns {
		for i, v := range column {
			if v == v {
				totals[i] += v
			} else {
				nulls[i]++
			}
		}
		padded(column, nulls)
	}
}

// extreme keeps the value of each row that goes before all others.
func extreme(before func(v, than float64) bool) func(columns [][]float64, totals []float64, nulls []int32) {
	return func(columns [][]float64, totals []float64, nulls []int32) {
		for _, column := range columns {
			for i, v := range column {
				switch total := totals[i]; {
				case v != v:
					nulls[i]++
				case total != total || before(v, total):
					totals[i] = v
				}
			}
			padded(column, nulls)
		}
	}
}

// padded counts the rows that a column does not reach.
func padded(column []float64, nulls []int32) {
	for i := len(column); i < len(nulls); i++ {
		nulls[i]++
	}
}
