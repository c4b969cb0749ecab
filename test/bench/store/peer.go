package main

import (
	"context"
	"math"
	"os/exec"

	"steer/test/bench/server"
)

// peer is a system that takes Graphite lines.
type peer interface {
	// Name is how -only calls it.
	Name() string
	// Find says which program it is and which version, or why it can't run here.
	Find() (version string, err error)
	// Command starts it on a data folder; points come every step seconds.
	Command(ctx context.Context, dir string, a server.Addresses, step int64) (*exec.Cmd, error)
	// Ready says whether it takes lines and answers.
	Ready(ctx context.Context, a server.Addresses) error
	// Fetch reads what it has of a host into t.
	Fetch(ctx context.Context, dir string, a server.Addresses, host string, t *table) error
	// Metrics are the parts of the data folder that hold the metrics.
	Metrics(dir string) []string
}

// table is what a system gives back for a host: a column of values per series,
// from start on, missing ones NaN.
type table struct {
	start, step int64
	points      int
	columns     map[string][]float64
	stray       int // points that were never sent, by their time
}

func newTable(start, step int64, points int) *table {
	return &table{start: start, step: step, points: points, columns: map[string][]float64{}}
}

func (t *table) end() int64 { return t.start + int64(t.points-1)*t.step }

func (t *table) column(name string) []float64 {
	c := t.columns[name]
	if c == nil {
		c = make([]float64, t.points)
		for i := range c {
			c[i] = math.NaN()
		}
		t.columns[name] = c
	}
	return c
}

// put enters a value at a time in seconds.
func (t *table) put(column []float64, at int64, v float64) {
	i := (at - t.start) / t.step
	if at < t.start || i >= int64(t.points) || (at-t.start)%t.step != 0 {
		t.stray++
		return
	}
	column[i] = v
}
