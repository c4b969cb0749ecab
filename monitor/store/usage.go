package store

import (
	"context"
	"time"
)

// Usage is what series take up, by the schema that says how long they are kept.
type Usage struct {
	Query   string        `json:"query,omitempty" doc:"Glob that the series match; empty: all."`
	Schemas []SchemaUsage `json:"schemas" doc:"In the order in which their patterns are tried."`
	Totals  Stats         `json:"totals" doc:"Of the whole store."`
}

// SchemaUsage is what the series of one schema take up.
type SchemaUsage struct {
	Name         string             `json:"name"`
	Pattern      string             `json:"pattern"`
	Retentions   string             `json:"retentions"`
	Aggregations []AggregationUsage `json:"aggregations"`
	Series       int64              `json:"series"`
	Active       int64              `json:"active" doc:"With points in memory, or in the newest stretch of the finest archive on disk."`
	Recent       int64              `json:"recent_points" doc:"In memory, not yet in blocks."`
	Archives     []ArchiveUsage     `json:"archives" doc:"From fine to coarse, then those of earlier schemas."`
	Oldest       time.Time          `json:"oldest,omitzero" doc:"Time of the oldest point, in memory or in a block."`
	Newest       time.Time          `json:"newest,omitzero"`
}

// AggregationUsage is how coarser values are made of finer ones, for some series.
type AggregationUsage struct {
	Name         string  `json:"name"`
	Method       string  `json:"method"`
	XFilesFactor float64 `json:"x_files_factor"`
	Series       int64   `json:"series"`
}

// ArchiveUsage is one archive on disk. Values that lie in several blocks, since
// they came again or late and are not merged yet, count in each.
type ArchiveUsage struct {
	Retention     string    `json:"retention" doc:"STEP:KEEP"`
	Former        bool      `json:"former,omitempty" doc:"Of an earlier schema; read until it expires."`
	Blocks        int       `json:"blocks" doc:"Files that hold some of these series."`
	Points        int64     `json:"points" doc:"Slots from the first value of a series in a block to the last, gaps among them."`
	Bytes         int64     `json:"bytes"`
	BytesPerPoint float64   `json:"bytes_per_point"`
	Oldest        time.Time `json:"oldest,omitzero"`
	Newest        time.Time `json:"newest,omitzero"`
}

// Usage counts the series that a glob matches (see Driver.Find; empty: all), and
// what they take up. It reads the indexes of all blocks, not the values, one
// caller after the other; nobody else waits for it.
func (s *Store) Usage(ctx context.Context, query string) (Usage, error) {
	select {
	case s.counting <- struct{}{}:
		defer func() { <-s.counting }()
	case <-ctx.Done():
		return Usage{}, ctx.Err()
	}
	c, files, err := s.census(ctx, query)
	if err != nil {
		return Usage{}, err
	}
	defer func() {
		for _, b := range files {
			b.release()
		}
	}()
	if err := c.count(ctx, s, files); err != nil {
		return Usage{}, err
	}
	return Usage{Query: query, Schemas: c.result(query != ""), Totals: s.Stats()}, nil
}

// census counts what memory has, and pins the blocks with the rest. Points that
// are flushed in between count in both, but none is missed.
func (s *Store) census(ctx context.Context, query string) (*census, []*blockFile, error) {
	if err := s.enterGate(); err != nil {
		return nil, nil, err
	}
	defer s.gate.RUnlock()
	c := newCensus(s.planner, s.lastID.Load())
	series, err := s.matched(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	for _, ser := range series {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		c.enter(s, ser)
	}
	return c, s.blocks.pin(), nil
}

// matched are the series that a glob matches.
func (s *Store) matched(ctx context.Context, query string) ([]*series, error) {
	if query == "" {
		return s.all(), nil
	}
	found, err := s.index.Find(ctx, query, 0)
	if err != nil {
		return nil, err
	}
	var series []*series
	for _, m := range found {
		if !m.Leaf {
			continue
		}
		if ser := s.lookup(m.Path); ser != nil {
			series = append(series, ser)
		}
	}
	return series, nil
}
