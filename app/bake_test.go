package app

import (
	"fmt"
	"testing"

	"steer/infra"
)

// TestLayers: the groups of the first resources do not depend on what comes later, but
// for the one that was the last; no image has too many.
func TestLayers(t *testing.T) {
	manifest := func(n int) (all []infra.Declared, order [][]int) {
		for i := range n {
			all = append(all, infra.Declared{Kind: "k", ID: fmt.Sprint(i)})
			if i%35 == 0 { // one alone, then 34 of a class
				order = append(order, []int{i}, nil)
				continue
			}
			order[len(order)-1] = append(order[len(order)-1], i)
		}
		return all, order
	}
	sizes := func(n int) []int {
		var out []int
		for _, g := range layers(manifest(n)) {
			if len(g) > 0 {
				out = append(out, len(g))
			}
		}
		return out
	}
	if got, want := fmt.Sprint(sizes(40)), "[1 10 10 10 4 1 3 1]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := fmt.Sprint(sizes(47)), "[1 10 10 10 4 1 10 1]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, n := range []int{1, 2, 12, 500, 5000} {
		sum := 0
		all := sizes(n)
		for _, s := range all {
			sum += s
		}
		if sum != n || len(all) > mostLayers {
			t.Errorf("%d resources are %d in %d layers", n, sum, len(all))
		}
	}
}
