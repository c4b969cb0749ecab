package query

import (
	"slices"
	"strings"

	"steer/base/fault"
)

// atOnce is how many values are read before they are added up: 8 MiB, which are
// still at hand in the processor then.
const atOnce = 1 << 20

// streams tells whether a call combines series in a way that needs one after the
// other only, and takes them as they are read.
func (o *op) streams() bool {
	return o.fn.total != "" && !slices.ContainsFunc(o.args[0].series, func(child *op) bool { return child.fn != nil })
}

// stream combines the series of such a call while they are read, some at a time,
// so that a sum of thousands needs the memory of some. It is false when it has to
// be done in the other way: because all series are there already, or lie on
// different grids.
func (v *evaluation) stream(o *op, s span) (_ []*Result, done bool, err error) {
	for _, child := range o.args[0].series {
		if _, ok := v.fetched[leaf{child.path, s}]; ok {
			return nil, false, nil
		}
	}
	reads, points := v.reads, v.points
	var all *totals
	var first Result
	var paths []string
	for _, child := range o.args[0].series {
		names, err := v.resolve(child.path)
		if err != nil {
			return nil, false, err
		}
		if err := v.open(len(names)); err != nil {
			return nil, false, err
		}
		for size := 64; len(names) > 0; size = max(size, atOnce/(1+len(first.Values))) {
			n := min(size, len(names))
			a := &arena{pool: &v.engine.slabs}
			columns, err := v.columns(names[:n], s, a.column)
			if err != nil {
				a.release()
				return nil, false, err
			}
			var values [][]float64
			for _, c := range columns {
				if c.Step <= 0 {
					continue
				}
				r := v.read(child.path.text, c)
				if all == nil {
					all, first = newTotals(o.fn.total, len(c.Values)), r
				}
				if c.Start != first.Start || c.Step != first.Step || len(c.Values) != len(first.Values) {
					a.release()
					v.reads, v.points = reads, points
					return nil, false, nil
				}
				keepCommon(first.Tags, r.Tags)
				values = append(values, c.Values)
			}
			if len(values) > 0 {
				all.more(values)
				if !slices.Contains(paths, child.path.text) {
					paths = append(paths, child.path.text)
				}
			}
			a.release()
			names = names[n:]
		}
	}
	if all == nil {
		return nil, true, nil
	}
	if err := v.spend(len(all.values)); err != nil {
		return nil, false, err
	}
	r := v.fresh("", first.Start, first.End, first.Step, all.end(v.xFiles))
	return v.total(r, strings.Join(paths, ","), o.fn.total, first.Tags, v.xFiles), true, nil
}

// open counts series that are going to be read.
func (v *evaluation) open(series int) error {
	if v.reads += series; v.reads > v.engine.limits.Series {
		return fault.New(fault.TooMuch, "fetch series: the request reads more than %d series; narrow its patterns", v.engine.limits.Series)
	}
	return nil
}
