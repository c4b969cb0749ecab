package query

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/base/metric"
)

// span is a range of time, (from, until], in epoch seconds.
type span struct{ from, until int64 }

// pattern finds series: a path with globs, or expressions about tags.
type pattern struct {
	text string // as combining functions list it in their names
	tags string // the expressions of seriesByTag, joined by NUL; empty for a path
}

// leaf is a pattern over a span: the unit of the fetch plan.
type leaf struct {
	pattern pattern
	span    span
}

// plan adds the leaves below an op, as far as they are known before any data is.
// They are true if they are to be read at once; one that a single call takes as a
// stream is false.
func (v *evaluation) plan(o *op, s span, leaves map[leaf]bool) error {
	if o.fn == nil {
		leaves[leaf{o.path, s}] = true
		return nil
	}
	spans, err := v.spans(o, s)
	if err != nil {
		return err
	}
	for _, s := range spans {
		if o.streams() && o.alone(s, leaves) {
			continue
		}
		for _, a := range o.args {
			for _, child := range a.series {
				if err := v.plan(child, s, leaves); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// alone adds the leaves of a call that streams, if nobody wants one of them yet.
func (o *op) alone(s span, leaves map[leaf]bool) bool {
	for _, child := range o.args[0].series {
		if _, wanted := leaves[leaf{child.path, s}]; wanted {
			return false
		}
	}
	for _, child := range o.args[0].series {
		leaves[leaf{child.path, s}] = false
	}
	return true
}

// spans are the ranges that the arguments of a call are read over.
func (v *evaluation) spans(o *op, s span) ([]span, error) {
	if o.fn.reach == nil {
		return []span{s}, nil
	}
	spans, err := o.fn.reach(v, o, s)
	for _, s := range spans {
		if err == nil && (s.from < -maxEpoch || s.until > maxEpoch) {
			err = refused("%s would read data from before or after all time", o.fn.Name)
		}
	}
	return spans, placed(err, o.expr.Pos)
}

// prefetch reads the leaves of a plan that were not read yet: each pattern is
// resolved once, and the names of all patterns with the same span are fetched
// together.
func (v *evaluation) prefetch(leaves map[leaf]bool) error {
	patterns := map[span][]pattern{}
	for l, whole := range leaves {
		if _, ok := v.fetched[l]; whole && !ok {
			patterns[l.span] = append(patterns[l.span], l.pattern)
		}
	}
	for _, s := range sortedSpans(patterns) {
		if err := v.fetch(patterns[s], s); err != nil {
			return err
		}
	}
	return nil
}

func sortedSpans(m map[span][]pattern) []span {
	spans := make([]span, 0, len(m))
	for s := range m {
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b span) int {
		if a.from != b.from {
			return int(min(max(a.from-b.from, -1), 1))
		}
		return int(min(max(a.until-b.until, -1), 1))
	})
	return spans
}

// resolve finds the names of the series that a pattern matches, sorted.
func (v *evaluation) resolve(p pattern) ([]string, error) {
	if names, ok := v.found[p]; ok {
		return names, nil
	}
	find := v.find
	if p.tags != "" {
		find = v.selected
	}
	limit := v.engine.limits.Series
	names, all, err := find(p, limit)
	if err != nil {
		return nil, fmt.Errorf("find series %q: %w", brief(p.text), err)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > limit || !all {
		return nil, fault.New(fault.TooMuch, "find series %q: it matches more than %d series; narrow the pattern", brief(p.text), limit)
	}
	v.found[p] = names
	return names, nil
}

// find returns names by their path, and whether these are all.
func (v *evaluation) find(p pattern, limit int) (names []string, all bool, err error) {
	// Branches are matches too: a pattern over one level may have as many.
	matches, err := v.engine.source.Find(v.ctx, p.text, 2*limit+1)
	tagged := strings.Contains(p.text, ";")
	for _, m := range matches {
		// As in Graphite, globs over paths don't find series with tags.
		if m.Leaf && (tagged || !strings.Contains(m.Path, ";")) {
			names = append(names, m.Path)
		}
	}
	return names, len(matches) <= 2*limit, err
}

// selected returns names by their tags.
func (v *evaluation) selected(p pattern, limit int) (names []string, all bool, err error) {
	names, err = v.engine.source.Select(v.ctx, strings.Split(p.tags, "\x00"), limit+1)
	return slices.Clone(names), true, err
}

// fetch reads the series of some patterns over one span.
func (v *evaluation) fetch(patterns []pattern, s span) error {
	slices.SortFunc(patterns, func(a, b pattern) int {
		return cmp.Or(strings.Compare(a.text, b.text), strings.Compare(a.tags, b.tags))
	})
	var wanted []string
	for _, p := range patterns {
		names, err := v.resolve(p)
		if err != nil {
			return err
		}
		wanted = append(wanted, names...)
	}
	slices.Sort(wanted)
	wanted = slices.Compact(wanted)
	if err := v.open(len(wanted)); err != nil {
		return err
	}
	columns, err := v.columns(wanted, s, v.arena.column)
	if err != nil {
		return err
	}
	for _, p := range patterns {
		names, _ := v.resolve(p)
		list, room := make([]*Result, 0, len(names)), make([]Result, len(names))
		rest := columns // both are sorted
		for i, name := range names {
			for len(rest) > 0 && rest[0].Name < name {
				rest = rest[1:]
			}
			if len(rest) > 0 && rest[0].Name == name && rest[0].Step > 0 {
				room[i] = v.read(p.text, rest[0])
				list = append(list, &room[i])
			}
		}
		v.fetched[leaf{p, s}] = list
	}
	return nil
}

// columns reads names, which are sorted, as far as the limit on points goes.
func (v *evaluation) columns(names []string, s span, room func(n int) []float64) ([]metric.Series, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if err := v.pause(); err != nil {
		return nil, err
	}
	columns, err := v.engine.source.Fetch(v.ctx, names, s.from, s.until, v.engine.limits.Points-v.points, room)
	if fault.Of(err) == fault.TooMuch && v.ctx.Err() == nil {
		return nil, v.excess()
	}
	if err != nil {
		return nil, fmt.Errorf("fetch %d series: %w", len(names), err)
	}
	points := 0
	for _, c := range columns {
		points += len(c.Values)
	}
	return columns, v.spend(points)
}

// read is a fetched column as functions see it.
func (v *evaluation) read(pattern string, c metric.Series) Result {
	return Result{
		Series: c, End: c.Start + c.Step*int64(len(c.Values)),
		PathExpression: pattern, Tags: tagsOf(c.Name), Consolidate: "average", XFiles: v.xFiles,
	}
}
