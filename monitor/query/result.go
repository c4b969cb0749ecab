package query

import (
	"maps"
	"math"

	"steer/base/metric"
)

// Result is one series of an answer, and what functions pass on. Values are
// shared between results and never changed in place; whoever changes them makes
// new ones.
type Result struct {
	metric.Series
	End            int64             // epoch seconds behind the last point; some functions put it elsewhere, as Graphite does
	Target         string            // the target of the request that it answers
	PathExpression string            // what a combining function lists in its name
	Tags           map[string]string // read only; "name" and what functions add
	Consolidate    string            // how points are merged: average, sum, min, max, first, last, avg_zero
	XFiles         float64           // share of known values that merging asks for
	unnamed        bool              // it was given no name
	Style          Style
}

// Style is how a chart draws the series; zero values leave it to the chart.
type Style struct {
	Color     string  // name or hex digits
	Alpha     float64 // opacity in (0, 1]
	Width     float64 // pixels
	Dash      float64 // length of a dash in pixels
	Right     bool    // it has the axis at the right
	Infinite  bool    // vertical lines where the value is above zero
	Threshold bool    // it is a line to compare with, not data
	Stack     string  // not empty: the area is filled down to the series before it that has the same stack, or to zero
	Invisible bool    // it is only the lower border of an area
}

// What stands for a name that is none, as in scale(None,2).
const noName = "None"

// Nameless tells that the name is none, and nothing to show.
func (r *Result) Nameless() bool { return r.unnamed && r.Name == noName }

// named is a copy with another name, which is also its path expression.
func (r *Result) named(name string) *Result {
	c := *r
	c.Name, c.PathExpression = name, name
	return &c
}

// with is a copy that has other values on the same grid.
func (r *Result) with(values []float64) *Result {
	c := *r
	c.Values = values
	return &c
}

// tagged is a copy with one more tag.
func (r *Result) tagged(key, value string) *Result {
	c := *r
	c.Tags = maps.Clone(r.Tags)
	if c.Tags == nil {
		c.Tags = map[string]string{}
	}
	c.Tags[key] = value
	return &c
}

// fresh is a result that a function made from others.
func (v *evaluation) fresh(name string, start, end, step int64, values []float64) *Result {
	return &Result{
		Series: metric.Series{Name: name, Start: start, Step: step, Values: values},
		End:    end, PathExpression: name, Tags: map[string]string{"name": name},
		Consolidate: "average", XFiles: v.xFiles,
	}
}

func null() float64 { return math.NaN() }

func isNull(v float64) bool { return v != v }

func known(values []float64) int {
	n := 0
	for _, v := range values {
		if v == v {
			n++
		}
	}
	return n
}

// enough tells whether a share of known values satisfies an xFilesFactor. Nothing
// known is never enough.
func enough(known, total int, xFiles float64) bool {
	return known > 0 && total > 0 && float64(known)/float64(total) >= xFiles
}
