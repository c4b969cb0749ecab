package graphite

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/base/metric"
)

// find lists the children that a glob matches: for trees (treejson, with the
// spelling json for Grafana's and carbonapi's sake) and for completion.
func (s *server) find(w http.ResponseWriter, r *http.Request, p parameters) error {
	pattern := p.Get("query")
	if pattern == "" {
		return fault.New(fault.Invalid, "find: the parameter query is missing; for example query=servers.*")
	}
	format := cmp.Or(p.Get("format"), "treejson")
	if format != "treejson" && format != "completer" && format != "json" && format != "nodelist" {
		return fault.New(fault.Invalid, "find: unknown format %q (known: treejson, completer, json, nodelist)", format)
	}
	for _, name := range [...]string{"from", "until"} {
		// Names outlive their data here, so the range does not matter, but a
		// mistake in it is told.
		if text := p.Get(name); text == "-1" {
			p.Values.Del(name)
		}
	}
	if _, _, _, err := s.times(p); err != nil {
		return fmt.Errorf("find: %w", err)
	}
	base := pattern[:strings.LastIndexByte(pattern, '.')+1]
	if format == "completer" {
		pattern = strings.ReplaceAll(pattern, "..", "*.")
		if !strings.HasSuffix(pattern, "*") {
			pattern += "*"
		}
	}
	matches, err := s.Find(r.Context(), pattern)
	if err != nil {
		return err
	}
	if p.yes("leavesOnly") {
		matches = slices.DeleteFunc(matches, func(m metric.Match) bool { return !m.Leaf })
	}
	slices.SortStableFunc(matches, func(a, b metric.Match) int { return strings.Compare(node(a), node(b)) })
	w.Header().Set("Cache-Control", "no-cache")
	out, err := open(w, p)
	if err != nil {
		return err
	}
	switch format {
	case "treejson":
		tree(out, matches, base, p.yes("wildcards"))
	case "completer":
		completer(out, matches, p.yes("wildcards"))
	case "nodelist":
		nodelist(out, matches)
	default:
		slices.SortStableFunc(matches, func(a, b metric.Match) int { return strings.Compare(a.Path, b.Path) })
		out.put("[")
		for i, m := range matches {
			if i > 0 {
				out.put(", ")
			}
			out.put(`{"path": `)
			out.text(m.Path)
			out.put(`, "is_leaf": `)
			out.put(map[bool]string{true: "true", false: "false"}[m.Leaf])
			out.put("}")
		}
		out.put("]")
	}
	return out.end()
}

// node is the last part of a path.
func node(m metric.Match) string { return m.Path[strings.LastIndexByte(m.Path, '.')+1:] }

// tree lists branches before leaves, each name once.
func tree(out *writer, matches []metric.Match, base string, wildcards bool) {
	count := 0
	add := func(name string, leaf bool) {
		if count++; count > 1 {
			out.put(", ")
		}
		out.put(`{"text": `)
		out.text(name)
		out.put(`, "id": `)
		out.text(base + name)
		if leaf {
			out.put(`, "allowChildren": 0, "expandable": 0, "leaf": 1}`)
		} else {
			out.put(`, "allowChildren": 1, "expandable": 1, "leaf": 0}`)
		}
	}
	out.put("[")
	branch := func(m metric.Match) bool { return !m.Leaf }
	if wildcards && len(matches) > 1 {
		add("*", !slices.ContainsFunc(matches, branch))
	}
	for _, leaves := range [...]bool{false, true} {
		seen := map[string]bool{}
		for _, m := range matches {
			if m.Leaf == leaves && !seen[node(m)] {
				seen[node(m)] = true
				add(node(m), leaves)
			}
		}
	}
	out.put("]")
}

func completer(out *writer, matches []metric.Match, wildcards bool) {
	out.put(`{"metrics": [`)
	for i, m := range matches {
		if i > 0 {
			out.put(", ")
		}
		path, leaf := m.Path+".", `"0"`
		if m.Leaf {
			path, leaf = m.Path, `"1"`
		}
		out.put(`{"path": `)
		out.text(path)
		out.put(`, "name": `)
		out.text(node(m))
		out.put(`, "is_leaf": ` + leaf + "}")
	}
	if wildcards && len(matches) > 1 {
		out.put(`, {"name": "*"}`)
	}
	out.put("]}")
}

func nodelist(out *writer, matches []metric.Match) {
	names := make([]string, len(matches))
	for i, m := range matches {
		names[i] = node(m)
	}
	slices.Sort(names)
	out.put(`{"nodes": `)
	out.list(slices.Compact(names))
	out.put("}")
}

func (w *writer) list(texts []string) {
	w.put("[")
	for i, t := range texts {
		if i > 0 {
			w.put(", ")
		}
		w.text(t)
	}
	w.put("]")
}

// expand lists the paths that globs match.
func (s *server) expand(w http.ResponseWriter, r *http.Request, p parameters) error {
	patterns := p.Values["query"]
	if len(patterns) == 0 {
		return fault.New(fault.Invalid, "expand: the parameter query is missing; for example query=servers.*")
	}
	if len(patterns) > 100 {
		return fault.New(fault.Invalid, "expand: %d patterns at once, the limit is 100", len(patterns))
	}
	groups := map[string][]string{}
	var all []string
	for _, pattern := range patterns {
		matches, err := s.Find(r.Context(), pattern)
		if err != nil {
			return err
		}
		paths := []string{}
		for _, m := range matches {
			if m.Leaf || !p.yes("leavesOnly") {
				paths = append(paths, m.Path)
			}
		}
		slices.Sort(paths)
		groups[pattern] = slices.Compact(paths)
		all = append(all, paths...)
	}
	out, err := open(w, p)
	if err != nil {
		return err
	}
	out.put(`{"results": `)
	if p.yes("groupByExpr") {
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
