package store

import (
	"time"

	"steer/monitor/store/internal/schema"
)

// What every driver needs to keep the same names on the same grid.

// Grid is how a series lies in time.
type Grid struct {
	Step int64 // seconds, of the finest archive
	Keep int64 // seconds, of the archive that reaches back furthest
}

// Grids returns what Config.Schemas says of a name. It may be called
// concurrently.
func Grids(c Config) (func(name string) Grid, error) {
	p, err := newPlanner(c)
	if err != nil {
		return nil, err
	}
	return func(name string) Grid { return grid(p.schemas[firstSchema(p.schemas, name)].Archives) }, nil
}

func grid(archives []schema.Archive) Grid {
	return Grid{archives[0].Step, archives[len(archives)-1].Keep}
}

// Reach is the shortest and the longest time in seconds for which any series is
// kept.
func Reach(c Config) (shortest, longest int64, err error) {
	p, err := newPlanner(c)
	if err != nil {
		return 0, 0, err
	}
	for i, s := range p.schemas {
		keep := grid(s.Archives).Keep
		if i == 0 {
			shortest = keep
		}
		shortest, longest = min(shortest, keep), max(longest, keep)
	}
	return shortest, longest, nil
}

// Proper says whether the store keeps series of this name: every node has a
// letter, no byte is a control character or space, and it is not too long.
func Proper(name []byte) bool { return len(name) <= longestName && proper(name) }

// Interval is the time between syncs that Config.Sync asks for, 0 for always.
func (c Config) Interval() (time.Duration, error) { return c.interval() }
