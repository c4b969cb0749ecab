// Package index finds names: by globs in a tree of their nodes, by tags in an
// inverted index. It holds names only; they are its owner's memory.
package index

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"steer/base/metric"
)

// Index may be used concurrently. New names wait in a list until somebody looks,
// so that a long search never holds up a writer.
type Index struct {
	waiting struct {
		sync.Mutex
		names []string
	}
	growing sync.Mutex // one at a time sorts and takes in what waits
	mu      sync.RWMutex
	root    node
	tags    tags
}

// Add enters names. One that is in it already does no harm.
func (x *Index) Add(names ...string) {
	x.waiting.Lock()
	x.waiting.names = append(x.waiting.names, names...)
	x.waiting.Unlock()
}

// Replace keeps those names that pick says, which hands out the owner's own memory
// of each, and drops the others. It asks in the order of Compare. Searches wait for
// it; names that come by Add meanwhile stay.
func (x *Index) Replace(pick func(name []byte) (kept string, ok bool)) {
	x.growing.Lock()
	defer x.growing.Unlock()
	x.grow()
	var names []string
	x.root.each(nil, func(name []byte) { // only who holds growing changes the tree
		if kept, ok := pick(name); ok {
			names = append(names, kept)
		}
	})
	fresh := Index{}
	fresh.root.merge(names, 0)
	fresh.tags.add(names)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.root, x.tags = fresh.root, fresh.tags
}

// Grow takes in the names that wait. Every search does it; a first call in the
// background saves the first search the time.
func (x *Index) Grow() {
	x.growing.Lock()
	defer x.growing.Unlock()
	x.grow()
}

func (x *Index) grow() {
	x.waiting.Lock()
	names := x.waiting.names
	x.waiting.names = nil
	x.waiting.Unlock()
	if len(names) == 0 {
		return
	}
	if !slices.IsSortedFunc(names, Compare) {
		slices.SortFunc(names, Compare)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.root.merge(names, 0)
	x.tags.add(names)
}

// Each hands every name to take, in the order of Compare; the bytes are valid
// during the call.
func (x *Index) Each(take func(name []byte)) {
	x.Grow()
	x.mu.RLock()
	defer x.mu.RUnlock()
	x.root.each(nil, take)
}

// Find returns the nodes that a glob matches, sorted by path, a branch before the
// leaf of the same path; at most limit of them if limit is above 0.
func (x *Index) Find(ctx context.Context, pattern string, limit int) ([]metric.Match, error) {
	globs, err := parsePattern(pattern)
	if err != nil {
		return nil, err
	}
	x.Grow()
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := search{ctx: ctx, deep: strings.Contains(pattern, "**")}
	if err := s.walk(&x.root, "", globs); err != nil {
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
	return first(slices.Compact(s.found), limit), nil
}

// Select returns the names whose tags are as all expressions say, sorted; at most
// limit of them if limit is above 0.
func (x *Index) Select(ctx context.Context, match []Match, limit int) ([]string, error) {
	x.Grow()
	x.mu.RLock()
	defer x.mu.RUnlock()
	var names []string
	err := x.each(ctx, match, func(name string) { names = append(names, name) })
	slices.Sort(names)
	return first(slices.Compact(names), limit), err // a name may have a tag twice
}

// Tags returns the tags with a prefix that the selected names have, sorted.
func (x *Index) Tags(ctx context.Context, match []Match, prefix string, limit int) ([]string, error) {
	x.Grow()
	x.mu.RLock()
	defer x.mu.RUnlock()
	seen := map[string]bool{}
	if len(match) == 0 {
		for tag := range x.tags.values {
			seen[tag] = true
		}
		if len(x.root.children) > 0 {
			seen["name"] = true
		}
	}
	err := x.each(ctx, match, func(name string) {
		for _, t := range ParseTags(name) {
			seen[t.Name] = true
		}
	})
	return withPrefix(seen, prefix, limit), err
}

// Values returns the values with a prefix that the selected names have of a tag,
// sorted.
func (x *Index) Values(ctx context.Context, tag string, match []Match, prefix string, limit int) ([]string, error) {
	x.Grow()
	x.mu.RLock()
	defer x.mu.RUnlock()
	seen := map[string]bool{}
	if len(match) == 0 {
		for value := range x.tags.values[tag] {
			seen[value] = true
		}
		if tag == "name" {
			match = []Match{{Tag: "name", Not: true}}
		}
	}
	err := x.each(ctx, match, func(name string) {
		for _, t := range ParseTags(name) {
			if t.Name == tag {
				seen[t.Value] = true
			}
		}
	})
	return withPrefix(seen, prefix, limit), err
}

func withPrefix(seen map[string]bool, prefix string, limit int) []string {
	maps.DeleteFunc(seen, func(text string, _ bool) bool { return !strings.HasPrefix(text, prefix) })
	all := slices.AppendSeq(make([]string, 0, len(seen)), maps.Keys(seen))
	slices.Sort(all)
	return first(all, limit)
}

func first[T any](all []T, limit int) []T {
	if limit > 0 && len(all) > limit {
		return all[:limit]
	}
	return all
}
