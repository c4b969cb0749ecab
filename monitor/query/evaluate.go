package query

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// evaluation is one request under way.
type evaluation struct {
	ctx     context.Context
	engine  *Engine
	request Request
	arena   *arena
	xFiles  float64              // in force for the functions that run next; setXFilesFactor changes it
	found   map[pattern][]string // names
	fetched map[leaf][]*Result
	depth   int                  // functions around that write targets, see nested
	texts   int                  // bytes, see made
	stacks  map[string][]float64 // values of stacked() so far, by the name of the stack
	reads   int                  // series
	points  int
	held    int // points that are in memory
	began   time.Time
	slow    atomic.Bool // it has a turn in the lane
}

// series evaluates an op over a span. The list is the caller's own; the results
// in it are shared.
func (v *evaluation) series(o *op, s span) ([]*Result, error) {
	if o.fn == nil {
		l := leaf{o.path, s}
		if _, ok := v.fetched[l]; !ok {
			if err := v.fetch([]pattern{o.path}, s); err != nil {
				return nil, err
			}
		}
		list := slices.Clone(v.fetched[l])
		for i, r := range list {
			if r.XFiles != v.xFiles {
				c := *r
				c.XFiles = v.xFiles
				list[i] = &c
			}
		}
		return list, nil
	}
	c := &call{evaluation: v, op: o, span: s, lists: make([][][]*Result, len(o.args))}
	spans, err := v.spans(o, s)
	if err != nil {
		return nil, err
	}
	if o.streams() {
		if list, done, err := v.stream(o, spans[0]); done || err != nil {
			return list, placed(err, o.expr.Pos)
		}
	}
	for i, a := range o.args {
		for _, child := range a.series {
			list, err := v.series(child, spans[0])
			if err != nil {
				return nil, err
			}
			c.lists[i] = append(c.lists[i], list)
		}
	}
	if err := v.ctx.Err(); err != nil {
		return nil, err
	}
	list, err := o.fn.run(c)
	if err != nil {
		return nil, placed(err, o.expr.Pos)
	}
	return list, nil
}

// refused is a mistake in the running call; the evaluator adds the place.
func refused(format string, args ...any) error { return at(-1, format, args...) }

// placed gives a mistake without a place the one of its call.
func placed(err error, offset int) error {
	var m *mistake
	if errors.As(err, &m) && m.offset < 0 {
		return &mistake{offset, m.text, m.kind, m.cause}
	}
	return err
}

// call is a function at work: its arguments, and the range it answers for.
type call struct {
	*evaluation
	op    *op
	span  span
	lists [][][]*Result // by parameter and argument
}

func (c *call) slot(name string) int {
	for i, p := range c.op.fn.Params {
		if p.Name == name {
			return i
		}
	}
	panic("BUG: " + c.op.fn.Name + " has no parameter " + name)
}

// input is all series of the first parameter.
func (c *call) input() []*Result { return c.list(c.op.fn.Params[0].Name) }

// list is all series that were given for a parameter, in a slice of its own.
func (c *call) list(param string) []*Result { return slices.Concat(c.lists[c.slot(param)]...) }

func (o *op) scalar(param string) (scalar, bool) {
	for i, p := range o.fn.Params {
		if p.Name == param && len(o.args[i].scalars) > 0 {
			return o.args[i].scalars[0], true
		}
	}
	return scalar{}, false
}

func (c *call) given(param string) bool { return c.op.args[c.slot(param)].given }

func (c *call) number(param string) float64 { s, _ := c.op.scalar(param); return s.number }

func (c *call) text(param string) string { s, _ := c.op.scalar(param); return s.text }

func (c *call) yes(param string) bool { s, _ := c.op.scalar(param); return s.yes }

func (c *call) scalars(param string) []scalar { return c.op.args[c.slot(param)].scalars }

// share is an xFilesFactor argument, or else what the request or setXFilesFactor
// put in force.
func (c *call) share(param string) (float64, error) {
	s, ok := c.op.scalar(param)
	if !ok {
		return c.xFiles, nil
	}
	if !(s.number >= 0 && s.number <= 1) {
		return 0, refused("%s of %s is a share from 0 to 1, found %s", param, c.op.fn.Name, s.text)
	}
	return s.number, nil
}

// again evaluates the first argument over another span.
func (c *call) again(s span) ([]*Result, error) {
	if s.from < -maxEpoch || s.until > maxEpoch {
		return nil, refused("%s would read data from before or after all time", c.op.fn.Name)
	}
	if len(c.op.args[0].series) == 0 { // called by another function
		return nil, refused("%s reads data of another time, which %s has not", c.op.fn.Name, c.op.expr.Text)
	}
	child, leaves := c.op.args[0].series[0], map[leaf]bool{}
	if err := c.plan(child, s, leaves); err != nil {
		return nil, err
	}
	if err := c.prefetch(leaves); err != nil {
		return nil, err
	}
	return c.series(child, s)
}

// each makes a new list from the input, one result for each, and counts its
// points. f is called from several goroutines.
func (c *call) each(f func(s *Result) *Result) ([]*Result, error) {
	list, points := c.input(), 0
	for _, s := range list {
		points += len(s.Values)
	}
	if err := c.spend(points); err != nil {
		return nil, err
	}
	return list, c.parallel(len(list), points, func(from, to int) error {
		for i := from; i < to; i++ {
			list[i] = f(list[i])
		}
		return nil
	})
}

// values makes a new column from one value at a time. f never sees a null.
func values(s *Result, f func(v float64) float64) []float64 {
	out := make([]float64, len(s.Values))
	for i, v := range s.Values {
		if v == v {
			v = f(v)
		}
		out[i] = v
	}
	return out
}
