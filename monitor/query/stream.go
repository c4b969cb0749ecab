package query

import (
	"slices"
	"strings"
)

// atOnce is how many values are read before they are added up: 8 MiB, which are
// still at hand in the processor then.
const atOnce = 1 << 20

// unknown are read before it is known how long they are.
const unknown = 16

// streams tells whether a call combines series in a way that needs one after the
// other only, and takes them as they are read: each pattern once.
func (o *op) streams() bool {
	if o.fn.total == "" {
		return false
	}
	patterns := map[pattern]bool{}
	for _, child := range o.args[0].series {
		if child.fn != nil || patterns[child.path] {
			return false
		}
		patterns[child.path] = true
	}
	return true
}

// stream combines the series of such a call while they are read, some at a time,
// so that a sum of thousands needs the memory of some. It is false when it has to
// be done in the other way: because some series are there already, lie on
// different grids, or are too many points by the look of the first ones.
func (v *evaluation) stream(o *op, s span) (_ []*Result, done bool, err error) {
	left := 0 // series
	for _, child := range o.args[0].series {
		names, err := v.resolve(child.path)
		if err != nil {
			return nil, false, err
		}
		if _, ok := v.fetched[leaf{child.path, s}]; ok {
			return nil, false, nil
		}
		left += len(names)
	}
	reads, points := v.reads, v.points
	if err := v.open(left); err != nil {
		return nil, false, err
	}
	t := &stream{evaluation: v, op: o}
	for _, child := range o.args[0].series {
		names, _ := v.resolve(child.path)
		for size := unknown; len(names) > 0; size = max(size, atOnce/(1+t.rows)) {
			n := min(size, len(names))
			if ok, err := t.add(child.path.text, names[:n], s); err != nil || !ok {
				v.reads, v.points = reads, points
				return nil, false, err
			}
			names, left = names[n:], left-n
			if t.rows > 0 && left > (v.engine.limits.Points-v.points)/t.rows {
				v.reads, v.points = reads, points
				return nil, false, nil
			}
		}
	}
	if t.totals == nil {
		return nil, true, nil
	}
	if err := v.spend(t.rows); err != nil {
		return nil, false, err
	}
	r := v.fresh("", t.first.Start, t.first.End, t.first.Step, t.totals.end(v.xFiles))
	return v.total(r, strings.Join(t.paths, ","), o.fn.total, t.first.Tags, v.xFiles), true, nil
}

// stream is what has come of one so far.
type stream struct {
	*evaluation
	op     *op
	first  Result // of all; its tags are those that all have
	rows   int    // of each series
	paths  []string
	totals *totals
}

// add adds some series. It is false when one lies on another grid.
func (t *stream) add(path string, names []string, s span) (bool, error) {
	a, held := &arena{pool: &t.engine.slabs}, t.held
	defer func() {
		a.release()
		t.hold(held - t.held)
	}()
	columns, err := t.columns(names, s, a.column)
	if err != nil {
		return false, err
	}
	values := make([][]float64, 0, len(columns))
	for _, c := range columns {
		if c.Step <= 0 {
			continue
		}
		r := t.read(path, c)
		if t.totals == nil {
			t.first, t.rows = r, len(c.Values)
			t.totals = t.newTotals(t.op.fn.total, t.rows)
		}
		if c.Start != t.first.Start || c.Step != t.first.Step || len(c.Values) != t.rows {
			return false, nil
		}
		keepCommon(t.first.Tags, r.Tags)
		values = append(values, c.Values)
	}
	if len(values) > 0 && !slices.Contains(t.paths, path) {
		t.paths = append(t.paths, path)
	}
	if t.totals == nil {
		return true, nil
	}
	return true, t.totals.more(values)
}
