package graphite

import (
	"fmt"
	"net/http"
	"slices"

	"steer/base/fault"
)

// expand lists the paths that globs match.
func (s *server) expand(w http.ResponseWriter, r *http.Request, p parameters) error {
	patterns := p.Values["query"]
	if len(patterns) > 100 {
		return fault.New(fault.Invalid, "expand: %d patterns at once, the limit is 100", len(patterns))
	}
	switches, err := p.switches("leavesOnly", "groupByExpr", "local")
	if err != nil {
		return fmt.Errorf("expand: %w", err)
	}
	groups := map[string][]string{}
	var all []string
	for _, pattern := range patterns {
		matches, err := s.nodes(r.Context(), pattern)
		if err != nil {
			return err
		}
		paths := []string{}
		for _, m := range matches {
			if m.Leaf || switches["leavesOnly"] == 0 {
				paths = append(paths, m.Path)
			}
		}
		slices.Sort(paths)
		groups[pattern] = slices.Compact(paths)
		all = append(all, groups[pattern]...)
	}
	out, err := open(w, p)
	if err != nil {
		return err
	}
	out.put(`{"results": `)
	if switches["groupByExpr"] != 0 {
		out.put("{")
		slices.Sort(patterns)
		for i, pattern := range slices.Compact(patterns) {
			if i > 0 {
				out.put(", ")
			}
			out.text(pattern)
			out.put(": ")
			out.list(groups[pattern])
		}
		out.put("}")
	} else {
		slices.Sort(all)
		out.list(slices.Compact(all))
	}
	out.put("}")
	return out.end()
}

// index lists the names of all series.
func (s *server) index(w http.ResponseWriter, r *http.Request, p parameters) error {
	matches, err := s.Find(r.Context(), "**")
	if err != nil {
		return err
	}
	var names []string
	for _, m := range matches {
		if m.Leaf {
			names = append(names, m.Path)
		}
	}
	slices.Sort(names)
	out, err := open(w, p)
	if err != nil {
		return err
	}
	out.list(slices.Compact(names))
	return out.end()
}
