package query

import "math"

// rowsAtOnce are worked on together: their totals stay in the fastest memory
// while the columns go past.
const rowsAtOnce = 1024

// totals makes one value of each row, column by column, in the order of the
// columns.
type totals struct {
	*evaluation
	function string
	values   []float64
	nulls    []int32 // of each row
	columns  int     // so far
	add      func(columns [][]float64, totals []float64, nulls []int32)
}

// newTotals is nil for an aggregation that needs all values of a row at once.
func (v *evaluation) newTotals(function string, rows int) *totals {
	t := &totals{evaluation: v, function: function}
	none := null()
	switch function {
	case "sum", "total", "average", "avg":
		none, t.add = math.Copysign(0, -1), addColumns
	case "min":
		t.add = extreme(func(v, than float64) bool { return v < than })
	case "max":
		t.add = extreme(func(v, than float64) bool { return v > than })
	default:
		return nil
	}
	t.values, t.nulls = make([]float64, rows), make([]int32, rows)
	for i := range t.values {
		t.values[i] = none
	}
	return t
}

// more adds further columns.
func (t *totals) more(columns [][]float64) error {
	t.columns += len(columns)
	rows := len(t.values)
	return t.parallel(rows, rows*len(columns), func(from, to int) error {
		parts := make([][]float64, len(columns))
		for ; from < to; from += rowsAtOnce {
			end := min(from+rowsAtOnce, to)
			for i, c := range columns {
				parts[i] = c[min(from, len(c)):min(end, len(c))]
			}
			t.add(parts, t.values[from:end], t.nulls[from:end])
		}
		return nil
	})
}

// end is the aggregation of each row, null where too few of its values are known.
func (t *totals) end(xFiles float64) []float64 {
	for i, nulls := range t.nulls {
		switch n := t.columns - int(nulls); {
		case !enough(n, t.columns, xFiles):
			t.values[i] = null()
		case t.function == "average" || t.function == "avg":
			t.values[i] /= float64(n)
		}
	}
	return t.values
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
