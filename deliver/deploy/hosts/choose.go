package hosts

import (
	"cmp"
	"slices"

	"steer/deliver/deploy"
)

// choose picks the host for a node: the one with the fewest nodes of its release, then
// of its service, then of all. "" when there is none.
func choose(s deploy.Spec, candidates []string, nodes map[string][]deploy.Spec) string {
	type count struct {
		host                  string
		release, service, all int
	}
	var counts []count
	for _, h := range candidates {
		c := count{host: h, all: len(nodes[h])}
		for _, n := range nodes[h] {
			if n.Environment != s.Environment || n.Service != s.Service {
				continue
			}
			c.service++
			if n.Release == s.Release {
				c.release++
			}
		}
		counts = append(counts, c)
	}
	if len(counts) == 0 {
		return ""
	}
	return slices.MinFunc(counts, func(a, b count) int {
		return cmp.Or(cmp.Compare(a.release, b.release), cmp.Compare(a.service, b.service), cmp.Compare(a.all, b.all), cmp.Compare(a.host, b.host))
	}).host
}
