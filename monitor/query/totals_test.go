package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// rough are columns with nulls, infinities, zeros of both signs and different
// lengths.
func rough(r *rand.Rand, columns, rows int) [][]float64 {
	odd := [...]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1)}
	all := make([][]float64, columns)
	for i := range all {
		c := make([]float64, max(rows-r.IntN(8)/6*r.IntN(rows), 1))
		for k := range c {
			if c[k] = r.NormFloat64() * 1e3; r.IntN(16) == 0 && i%2 == 0 {
				c[k] = odd[r.IntN(len(odd))]
			}
		}
		all[i] = c
	}
	return all
}

// same tells whether two values are the same to the last bit; NaN is NaN.
func same(a, b float64) bool {
	return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
}

// Whatever way the columns are gone through, each row gives what its aggregation
// makes of it, to the last bit.
func TestAggregateGoesByRows(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, size := range [][2]int{{1, 1}, {3, 50}, {4, 2000}, {9, 1025}, {70, 1500}} {
		g := grid{columns: rough(r, size[0], size[1])}
		for _, c := range g.columns {
			g.rows = max(g.rows, len(c))
		}
		for _, name := range aggregationNames() {
			for _, xFiles := range []float64{0, 0.5, 1} {
				got := g.aggregate(name, xFiles)
				for i := range g.rows {
					row := make([]float64, len(g.columns))
					for j, c := range g.columns {
						if row[j] = null(); i < len(c) {
							row[j] = c[i]
						}
					}
					want := null()
					if enough(known(row), len(row), xFiles) {
						want = aggregationOf(name)(row)
					}
					if got[i] == 0 && want == 0 { // a sum of negative zeros may have either sign
						continue
					}
					if !same(got[i], want) {
						t.Fatalf("%s of row %d of %d columns is %v, want %v: %v", name, i, len(row), got[i], want, row)
					}
				}
			}
		}
	}
}

func TestWindowsAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	v := &evaluation{ctx: t.Context()}
	for _, size := range []int{1, 2, 7, 8, 30, 200} {
		for _, length := range []int{size + 1, size + 7, size + 8, size + 1030, 3000} {
			column := rough(r, 1, length)[0]
			if length%2 == 0 {
				for i := range column {
					column[i] = r.Float64()
				}
			}
			for _, function := range []string{"average", "sum", "stddev"} {
				for _, xFiles := range []float64{0, 0.9} {
					got, err := v.windows(column, size, function, xFiles)
					if err != nil || len(got) != max(len(column)-size, 0) {
						t.Fatalf("%d windows of %d in %d values: %v", len(got), size, len(column), err)
					}
					for i := range got {
						window := slices.DeleteFunc(slices.Clone(column[i+1:i+1+size]), isNull)
						want := null()
						if enough(len(window), size, xFiles) {
							want = aggregationOf(function)(window)
						}
						if !same(got[i], want) {
							t.Fatalf("%s of window %d of %d is %v, want %v", function, i, size, got[i], want)
						}
					}
				}
			}
		}
	}
}

func TestParallelPartsAreAllOfIt(t *testing.T) {
	for _, n := range []int{0, 1, 2, 7, 1000} {
		done := make([]int, n)
		if err := (*evaluation)(nil).parallel(n, 1<<30, func(from, to int) error {
			for i := from; i < to; i++ {
				done[i]++
			}
			return nil
		}); err != nil || slices.ContainsFunc(done, func(times int) bool { return times != 1 }) {
			t.Errorf("of %d: %v, %v", n, done, err)
		}
	}
	if runtime.GOMAXPROCS(0) == 1 {
		return // there is no other goroutine
	}
	done := make(chan struct{})
	defer func() {
		if p := fmt.Sprint(recover()); !strings.Contains(p, "broken") {
			t.Errorf("a panic is lost: %s", p)
		}
	}()
	_ = (*evaluation)(nil).parallel(2, 1<<30, func(from, _ int) error {
		if from == 0 {
			<-done // so that a helper has to do the rest
			return nil
		}
		defer close(done)
		panic("broken")
	})
}
