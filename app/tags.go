package app

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

// tags are those of the resources of hosts that were visited.
type tags struct {
	mu    sync.Mutex
	known map[string]bool // nil: no host was compared
}

func (t *tags) add(m infra.Manifest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string]bool{}
	}
	for _, r := range m.Resources {
		for _, tag := range r.Tags {
			t.known[tag] = true
		}
	}
}

// check refuses tags of which no resource has any: nothing was done, by mistake.
func (t *tags) check(asked []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(asked) == 0 || t.known == nil || slices.ContainsFunc(asked, func(tag string) bool { return t.known[tag] }) {
		return nil
	}
	known := slices.Sorted(maps.Keys(t.known))
	hint := config.Suggest(asked[0], known)
	if len(known) == 0 {
		hint = " (they have no tags: write tags: beside their kind)"
	}
	return fault.New(fault.NotFound, "--tags %s: no resource of these hosts is tagged so%s", strings.Join(asked, ","), hint)
}
