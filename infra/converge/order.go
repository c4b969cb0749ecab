package converge

import (
	"container/heap"
	"fmt"
	"path"
	"slices"
	"strings"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

// stages arranges the resources of a manifest, by index: stages one after another,
// and in each what may be applied at the same time, except that a resource waits for
// those that before names. The order is as written, but for what has to come first:
// what a resource names in after, what notifies it, what makes its folder or its user.
func stages(all []infra.Declared, part bool) (order [][]int, before [][]int, err error) {
	before, err = edges(all, part)
	if err != nil {
		return nil, nil, err
	}
	sorted, err := topological(all, before)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range sorted {
		class := all[i].Class
		if n := len(order); n > 0 && class != "" && all[order[n-1][0]].Class == class {
			order[n-1] = append(order[n-1], i)
			continue
		}
		order = append(order, []int{i})
	}
	return order, before, nil
}

// Order is the order in which resources are applied, by their index: stages one after
// another, and in each what may be applied at the same time.
func Order(all []infra.Declared) ([][]int, error) {
	order, _, err := stages(all, false)
	return order, err
}

// edges lists for each resource those that come before it.
func edges(all []infra.Declared, part bool) ([][]int, error) {
	index := map[string]int{}
	refs := make([]string, len(all))
	gives := map[string]int{}
	for i, d := range all {
		ref := d.Ref()
		refs[i] = ref
		if first, twice := index[ref]; twice {
			return nil, fault.New(fault.Invalid, "%s: %s is declared twice, first at %s (a host has each thing once; make it a role that both include)", d.Place, ref, all[first].Place)
		}
		index[ref] = i
		if r, ok := d.Resource.(infra.Related); ok {
			for _, name := range r.Gives() {
				if _, given := gives[name]; !given {
					gives[name] = i
				}
			}
		}
	}
	before := make([][]int, len(all))
	add := func(i, first int) {
		if i != first && i != elsewhere && first != elsewhere && !slices.Contains(before[i], first) {
			before[i] = append(before[i], first)
		}
	}
	find := func(d infra.Declared, key, ref string) (int, error) {
		i, ok := index[ref]
		if !ok && part {
			return elsewhere, nil
		}
		if !ok {
			return 0, fault.New(fault.Invalid, "%s: %s of %s names %s, which no role of this host declares%s", d.Place, key, d.Ref(), ref, config.Suggest(ref, refs))
		}
		return i, nil
	}
	for i, d := range all {
		for _, ref := range d.After {
			first, err := find(d, "after", ref)
			if err != nil {
				return nil, err
			}
			add(i, first)
		}
		for _, ref := range d.Notify {
			later, err := find(d, "notify", ref)
			if err != nil {
				return nil, err
			}
			add(later, i)
		}
		if r, ok := d.Resource.(infra.Related); ok {
			for _, name := range r.Needs() {
				if first, ok := giver(gives, name, i); ok {
					add(i, first)
				}
			}
		}
	}
	return before, nil
}

// elsewhere stands for a resource that another part of the manifest has.
const elsewhere = -1

// giver finds who gives a name, and for a path who gives the nearest folder above.
func giver(gives map[string]int, name string, not int) (int, bool) {
	if i, ok := gives[name]; ok && i != not {
		return i, true
	}
	p, ok := strings.CutPrefix(name, "path:")
	for ok && p != "/" && p != "." {
		p = path.Dir(p)
		if i, ok := gives["path:"+p]; ok && i != not {
			return i, true
		}
	}
	return 0, false
}

// topological sorts so that each comes after its before, and else as written.
func topological(all []infra.Declared, before [][]int) ([]int, error) {
	waits := make([]int, len(all))
	next := make([][]int, len(all))
	ready := &lowest{}
	for i, b := range before {
		waits[i] = len(b)
		for _, first := range b {
			next[first] = append(next[first], i)
		}
		if waits[i] == 0 {
			heap.Push(ready, i)
		}
	}
	var sorted []int
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		sorted = append(sorted, i)
		for _, n := range next[i] {
			if waits[n]--; waits[n] == 0 {
				heap.Push(ready, n)
			}
		}
	}
	if len(sorted) == len(all) {
		return sorted, nil
	}
	return nil, fault.New(fault.Invalid, "resources wait for each other: %s (drop an after or a notify)", circle(all, before, waits))
}

// circle names resources that wait for each other, in a ring.
func circle(all []infra.Declared, before [][]int, waits []int) string {
	at := slices.IndexFunc(waits, func(n int) bool { return n > 0 })
	var path []int
	for !slices.Contains(path, at) {
		path = append(path, at)
		for _, b := range before[at] {
			if waits[b] > 0 {
				at = b
				break
			}
		}
	}
	path = append(path[slices.Index(path, at):], at)
	var names []string
	for _, i := range path {
		names = append(names, fmt.Sprintf("%s (%s)", all[i].Ref(), all[i].Place))
	}
	return strings.Join(names, " waits for ")
}

// lowest is a heap of indexes.
type lowest []int

func (l lowest) Len() int           { return len(l) }
func (l lowest) Less(i, j int) bool { return l[i] < l[j] }
func (l lowest) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *lowest) Push(x any)        { *l = append(*l, x.(int)) }
func (l *lowest) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}
