package store

import (
	"context"

	"steer/base/metric"
)

// Find returns the matches of a glob, as Driver says.
func (s *Store) Find(ctx context.Context, pattern string, limit int) ([]metric.Match, error) {
	if err := s.enterGate(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	return s.index.Find(ctx, pattern, limit)
}

// Select returns names by their tags, as Driver says.
func (s *Store) Select(ctx context.Context, match []TagMatch, limit int) ([]string, error) {
	if err := CheckTagMatches(match); err != nil {
		return nil, err
	}
	if err := s.enterGate(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	return s.index.Select(ctx, match, limit)
}

// Tags returns names of tags, as Driver says.
func (s *Store) Tags(ctx context.Context, match []TagMatch, prefix string, limit int) ([]string, error) {
	if err := s.enterGate(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	return s.index.Tags(ctx, match, prefix, limit)
}

// TagValues returns values of a tag, as Driver says.
func (s *Store) TagValues(ctx context.Context, tag string, match []TagMatch, prefix string, limit int) ([]string, error) {
	if err := s.enterGate(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	return s.index.Values(ctx, tag, match, prefix, limit)
}

// Traits are those of Steer's own engine.
func (s *Store) Traits() Traits {
	return Traits{Rewrites: true, Rollups: true, Ahead: ahead, Special: true}
}
