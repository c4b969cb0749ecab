package graphite

import (
	"encoding/json"
	"fmt"
	"strings"

	"steer/monitor/query"
)

// tally counts what came out, group by group.
type tally struct {
	groups map[string]*[3]int // same, different on purpose, open
	order  []string
	lacks  []string // functions that Steer has not
}

func newTally(goldens map[string]Golden) *tally {
	r := &tally{groups: map[string]*[3]int{}}
	known := map[string]bool{"template": true}
	for _, f := range query.Functions() {
		known[f.Name] = true
		for _, alias := range f.Aliases {
			known[alias] = true
		}
	}
	var functions map[string]json.RawMessage
	_ = json.Unmarshal(goldens["/functions"].Body, &functions)
	for name := range functions {
		if !known[name] {
			r.lacks = append(r.lacks, name)
		}
	}
	return r
}

func (r *tally) add(group string, same, meant bool) {
	if r.groups[group] == nil {
		r.groups[group] = new([3]int)
		r.order = append(r.order, group)
	}
	switch {
	case same:
		r.groups[group][0]++
	case meant:
		r.groups[group][1]++
	default:
		r.groups[group][2]++
	}
}

func (r *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s %5s %5s %10s %5s\n", "", "cases", "same", "on purpose", "open")
	var all [3]int
	line := func(name string, n [3]int, note string) {
		fmt.Fprintf(&b, "%-32s %5d %5d %10d %5d%s\n", name, n[0]+n[1]+n[2], n[0], n[1], n[2], note)
	}
	for _, name := range r.order {
		n, note := *r.groups[name], ""
		for i := range n {
			all[i] += n[i]
		}
		for _, lack := range r.lacks {
			if lack == name {
				note = "  missing"
			}
		}
		line(name, n, note)
	}
	line("all", all, "")
	total := max(all[0]+all[1]+all[2], 1)
	fmt.Fprintf(&b, "%.1f %% of %d answers are graphite-web's, %.1f %% but for differences on purpose; %d functions are missing\n",
		100*float64(all[0])/float64(total), total, 100*float64(all[0]+all[1])/float64(total), len(r.lacks))
	return b.String()
}
