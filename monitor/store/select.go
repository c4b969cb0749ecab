package store

import (
	"context"
	"slices"
	"strings"
)

// Select returns names by their tags, as Driver says.
func (s *Store) Select(ctx context.Context, match []TagMatch, limit int) ([]string, error) {
	if err := CheckTagMatches(match); err != nil {
		return nil, err
	}
	if err := s.enterGate(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	names, err := s.selected(ctx, match)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return first(names, limit), nil
}

// Tags returns names of tags, as Driver says.
func (s *Store) Tags(ctx context.Context, match []TagMatch, prefix string, limit int) ([]string, error) {
	return s.tagTexts(ctx, match, prefix, limit, func(t Tag) string { return t.Name })
}

// TagValues returns values of a tag, as Driver says.
func (s *Store) TagValues(ctx context.Context, tag string, match []TagMatch, prefix string, limit int) ([]string, error) {
	return s.tagTexts(ctx, match, prefix, limit, func(t Tag) string {
		if t.Name == tag {
			return t.Value
		}
		return ""
	})
}

func (s *Store) tagTexts(ctx context.Context, match []TagMatch, prefix string, limit int, text func(Tag) string) ([]string, error) {
	if err := s.enterGate(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	names, err := s.selected(ctx, match)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, name := range names {
		for _, t := range ParseTags(name) {
			if v := text(t); v != "" && strings.HasPrefix(v, prefix) {
				seen[v] = true
			}
		}
	}
	all := make([]string, 0, len(seen))
	for v := range seen {
		all = append(all, v)
	}
	slices.Sort(all)
	return first(all, limit), nil
}

func (s *Store) selected(ctx context.Context, match []TagMatch) (names []string, err error) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, ser := range sh.series {
			for ; ser != nil; ser = ser.next {
				if matchesAll(ParseTags(ser.name), match) {
					names = append(names, ser.name)
				}
			}
		}
		sh.mu.Unlock()
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func matchesAll(tags []Tag, match []TagMatch) bool {
	for _, m := range match {
		value := ""
		for _, t := range tags {
			if t.Name == m.Tag {
				value = t.Value
			}
		}
		if !m.Matches(value) {
			return false
		}
	}
	return true
}

func first[T any](all []T, limit int) []T {
	if limit > 0 && len(all) > limit {
		return all[:limit]
	}
	return all
}

// Traits are those of Steer's own engine.
func (s *Store) Traits() Traits {
	return Traits{Rewrites: true, Rollups: true, Ahead: ahead, Special: true}
}
