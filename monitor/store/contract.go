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

// Grids say how series lie in time under some rules.
type Grids struct {
	schemas           []schema.Schema
	shortest, longest int64
}

// NewGrids reads rules as the engine does: those that are given stand before the
// files that the configuration names.
func NewGrids(c Config, r Rules) (*Grids, error) {
	whole, err := c.rules(r)
	if err != nil {
		return nil, err
	}
	p, err := newPlanner(whole)
	if err != nil {
		return nil, err
	}
	g := &Grids{schemas: p.schemas}
	for i, s := range p.schemas {
		keep := grid(s.Archives).Keep
		if i == 0 {
			g.shortest = keep
		}
		g.shortest, g.longest = min(g.shortest, keep), max(g.longest, keep)
	}
	return g, nil
}

// Of is the grid of a series. It may be called concurrently.
func (g *Grids) Of(name string) Grid { return grid(g.schemas[firstSchema(g.schemas, name)].Archives) }

// Shortest is the time in seconds for which every series is kept.
func (g *Grids) Shortest() int64 { return g.shortest }

// Longest is the longest time in seconds for which any series is kept.
func (g *Grids) Longest() int64 { return g.longest }

func grid(archives []schema.Archive) Grid {
	return Grid{archives[0].Step, archives[len(archives)-1].Keep}
}

// Proper says whether the store keeps series of this name: every node has a
// letter, no byte is a control character or space, and it is not too long.
func Proper(name []byte) bool { return len(name) <= longestName && proper(name) }

// Interval is the time between syncs that Config.Sync asks for, 0 for always.
func (c Config) Interval() (time.Duration, error) { return c.interval() }
