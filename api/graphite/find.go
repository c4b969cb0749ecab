package graphite

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
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
	switch format {
	case "treejson", "completer", "json", "nodelist", "pickle", "msgpack":
	default:
		return fault.New(fault.Invalid, "find: unknown format %q (known: treejson, completer, json, nodelist, pickle, msgpack)", format)
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
	switches, err := p.switches("leavesOnly", "wildcards", "automatic_variants", "local", "position")
	if err != nil {
		return fmt.Errorf("find: %w", err)
	}
	base := pattern[:strings.LastIndexByte(pattern, '.')+1]
	if format == "completer" {
		pattern = completing(pattern, switches["automatic_variants"] != 0)
	}
	matches, err := s.nodes(r.Context(), pattern)
	if err != nil {
		return err
	}
	if switches["leavesOnly"] != 0 {
		matches = slices.DeleteFunc(matches, func(m metric.Match) bool { return !m.Leaf })
	}
	slices.SortStableFunc(matches, func(a, b metric.Match) int { return strings.Compare(node(a), node(b)) })
	w.Header().Set("Cache-Control", "no-cache")
	if format == "pickle" || format == "msgpack" {
		return packNodes(packed(w, format), matches, s.Now().Unix())
	}
	out, err := open(w, p)
	if err != nil {
		return err
	}
	switch format {
	case "treejson":
		tree(out, matches, base, switches["wildcards"] != 0)
	case "completer":
		completer(out, matches, switches["wildcards"] != 0)
	case "nodelist":
		position := -1
		if p.has("position") {
			position = switches["position"]
		}
		nodelist(out, matches, position)
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

// nodes are the matches of a glob, without series that have tags unless it asks
// for some.
func (s *server) nodes(ctx context.Context, pattern string) ([]metric.Match, error) {
	matches, err := s.Find(ctx, pattern)
	if err != nil || strings.Contains(pattern, ";") {
		return matches, err
	}
	return slices.DeleteFunc(slices.Clone(matches), func(m metric.Match) bool { return strings.Contains(m.Path, ";") }), nil
}

// completing makes a glob of what somebody has typed so far.
func completing(typed string, variants bool) string {
	pattern := strings.ReplaceAll(typed, "..", "*.")
	if !strings.HasSuffix(pattern, "*") {
		pattern += "*"
	}
	if variants { // a,b without braces
		nodes := strings.Split(pattern, ".")
		for i, n := range nodes {
			if strings.Contains(n, ",") && !strings.Contains(n, "{") {
				nodes[i] = "{" + n + "}"
			}
		}
		pattern = strings.Join(nodes, ".")
	}
	return pattern
}

// switches reads parameters that are whole numbers, 0 by default.
func (p parameters) switches(names ...string) (map[string]int, error) {
	m := map[string]int{}
	for _, name := range names {
		if text := p.Get(name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil {
				return nil, fault.New(fault.Invalid, "the parameter %s is a whole number, found %q", name, text)
			}
			m[name] = n
		}
	}
	return m, nil
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

// nodelist lists the nodes at one position, from the end where it is negative.
func nodelist(out *writer, matches []metric.Match, position int) {
	var names []string
	for _, m := range matches {
		nodes := strings.Split(m.Path, ".")
		at := position
		if at < 0 {
			at += len(nodes)
		}
		if at >= 0 && at < len(nodes) {
			names = append(names, nodes[at])
		}
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
