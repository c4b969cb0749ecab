package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"steer/base/metric"
)

// tree holds the names by their nodes, for globs. New names wait in a list
// until somebody looks, so that a long search never holds up a writer.
type tree struct {
	waiting struct {
		sync.Mutex
		names []string
	}
	mu   sync.RWMutex
	root node
}

type node struct {
	children map[string]*node
	leaf     bool
}

func (t *tree) add(name string) {
	t.waiting.Lock()
	t.waiting.names = append(t.waiting.names, name)
	t.waiting.Unlock()
}

// grow takes in the names that wait.
func (t *tree) grow() {
	t.waiting.Lock()
	names := t.waiting.names
	t.waiting.names = nil
	t.waiting.Unlock()
	if len(names) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		at := &t.root
		for rest, more := name, true; more; {
			var part string
			part, rest, more = cutNode(rest)
			child := at.children[part]
			if child == nil {
				if at.children == nil {
					at.children = map[string]*node{}
				}
				child = &node{}
				at.children[part] = child
			}
			at = child
		}
		at.leaf = true
	}
}

// cutNode takes the first node off; tags stay with the node before them.
func cutNode(name string) (first, rest string, more bool) {
	i := strings.IndexAny(name, ".;")
	if i < 0 || name[i] == ';' {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}

func (t *tree) find(ctx context.Context, pattern string, limit int) ([]metric.Match, error) {
	globs, err := parsePattern(pattern)
	if err != nil {
		return nil, err
	}
	t.grow()
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := search{ctx: ctx, limit: limit, deep: strings.Contains(pattern, "**")}
	if err := s.walk(&t.root, "", globs); err != nil {
		return nil, err
	}
	slices.SortFunc(s.found, func(a, b metric.Match) int {
		if a.Path == b.Path && a.Leaf != b.Leaf {
			if b.Leaf {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Path, b.Path)
	})
	s.found = slices.Compact(s.found)
	if limit > 0 && len(s.found) > limit {
		s.found = s.found[:limit]
	}
	return s.found, nil
}

type search struct {
	ctx   context.Context
	limit int
	deep  bool // the same node can be found in several ways
	steps int
	seen  map[visit]bool
	found []metric.Match
}

type visit struct {
	at   *node
	left int
}

func (s *search) walk(at *node, path string, globs []glob) error {
	if s.steps++; s.steps%4096 == 0 && s.ctx.Err() != nil {
		return s.ctx.Err()
	}
	if len(globs) == 0 {
		if len(at.children) > 0 {
			s.found = append(s.found, metric.Match{Path: path})
		}
		if at.leaf {
			s.found = append(s.found, metric.Match{Path: path, Leaf: true})
		}
		return nil
	}
	if s.deep {
		v := visit{at, len(globs)}
		if s.seen[v] {
			return nil
		}
		if s.seen == nil {
			s.seen = map[visit]bool{}
		}
		s.seen[v] = true
	}
	g := globs[0]
	if g.any {
		if err := s.walk(at, path, globs[1:]); err != nil {
			return err
		}
		for name, child := range at.children {
			if err := s.walk(child, join(path, name), globs); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range g.literals {
		if child := at.children[name]; child != nil {
			if err := s.walk(child, join(path, name), globs[1:]); err != nil {
				return err
			}
		}
	}
	if len(g.wild) == 0 {
		return nil
	}
	for name, child := range at.children {
		if _, known := slices.BinarySearch(g.literals, name); known || !slices.ContainsFunc(g.wild, func(w string) bool { return match(w, name) }) {
			continue
		}
		if err := s.walk(child, join(path, name), globs[1:]); err != nil {
			return err
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
