package prometheus

import (
	"context"
	"slices"
	"strings"

	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/internal/index"
)

// mostRegexp is how long a regular expression in an address may be: many proxies
// take 8 KiB of address, and escaping makes it longer.
const mostRegexp = 2 << 10

// Find returns the matches of a glob, as store.Driver says. The cluster is asked
// for the names that may match; which do is found out here.
func (s *Store) Find(ctx context.Context, pattern string, limit int) ([]metric.Match, error) {
	p, err := index.ParsePattern(pattern)
	if err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	plain, tagged := p.Regexps(mostRegexp, exactly)
	return p.Find(func(take func(string) error) error {
		return s.names(ctx, s.series(matcher(pathLabel, "=~", plain)), s.series(matcher(pathLabel, "=~", tagged)), take)
	}, limit)
}

// Select returns names by their tags, as store.Driver says.
func (s *Store) Select(ctx context.Context, match []store.TagMatch, limit int) ([]string, error) {
	if err := store.CheckTagMatches(match); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	tagged := s.matching(match)
	plain := tagged
	for _, m := range match {
		if m.Tag != "name" && !m.Matches("") {
			plain = nil
		}
	}
	var names []string
	if err := s.names(ctx, plain, tagged, func(name string) error {
		names = append(names, name)
		return nil
	}); err != nil {
		return nil, err
	}
	slices.Sort(names)
	return cut(slices.Compact(names), limit), nil
}

func (s *Store) matching(match []store.TagMatch) selector {
	of := s.series()
	for _, m := range match {
		of = append(of, tagMatcher(m))
	}
	return of
}

// Tags returns names of tags, as store.Driver says.
func (s *Store) Tags(ctx context.Context, match []store.TagMatch, prefix string, limit int) ([]string, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	return s.texts(prefix, limit, func(take func(string) error) error {
		return s.labelNames(ctx, s.matching(match), func(label string) error { return take(toTag(label)) })
	})
}

// TagValues returns values of a tag, as store.Driver says.
func (s *Store) TagValues(ctx context.Context, tag string, match []store.TagMatch, prefix string, limit int) ([]string, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	if tag == "" {
		return nil, nil
	}
	label := toLabel(tag)
	return s.texts(prefix, limit, func(take func(string) error) error {
		return s.values(ctx, label, s.matching(match).with(matcher(label, "=~", exactly(prefix)+".*")), take)
	})
}

// texts sorts what is not empty and starts with prefix.
func (s *Store) texts(prefix string, limit int, all func(take func(string) error) error) ([]string, error) {
	var texts []string
	if err := all(func(text string) error {
		if text != "" && strings.HasPrefix(text, prefix) {
			texts = append(texts, text)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	slices.Sort(texts)
	return cut(slices.Compact(texts), limit), nil
}

func cut(all []string, limit int) []string {
	if limit > 0 && len(all) > limit {
		return all[:limit]
	}
	return all
}
