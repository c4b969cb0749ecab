package query

import (
	"context"
	"errors"
	"strings"

	"steer/base/fault"
)

// small is how many points a request has for nothing: so many are never refused
// for what others hold.
const small = 1 << 20

// open counts series that are going to be read.
func (v *evaluation) open(series int) error {
	if v.reads += series; v.reads > v.engine.limits.Series {
		return fault.New(fault.TooMuch, "fetch series: the request reads more than %d series; narrow its patterns", v.engine.limits.Series)
	}
	return nil
}

// spend counts points that were read or made against the limits, and notices that
// the request was given up.
func (v *evaluation) spend(points int) error {
	if err := v.pause(); err != nil {
		return err
	}
	if v.points += points; v.points > v.engine.limits.Points || points < 0 {
		return v.excess()
	}
	if held := v.hold(points); held > int64(v.engine.limits.Together) {
		return fault.New(fault.Unavailable, "evaluate %s: requests under way hold %d points together, the limit is %d; try again, or ask for fewer series or a shorter range",
			brief(strings.Join(v.request.Targets, " & ")), held, v.engine.limits.Together)
	}
	return nil
}

func (v *evaluation) excess() error {
	return fault.New(fault.TooMuch, "evaluate %s: the request reads or makes more than %d points; ask for fewer series, a shorter range or larger intervals",
		brief(strings.Join(v.request.Targets, " & ")), v.engine.limits.Points)
}

// hold counts points that stay in memory, or less than none for such that are let
// go, and says how many all requests hold beyond those that each has for nothing.
// It is 0 for a request that has no more than these.
func (v *evaluation) hold(points int) int64 {
	before := max(v.held-small, 0)
	v.held += points
	after := max(v.held-small, 0)
	if all := v.engine.held.Add(int64(after - before)); after > 0 {
		return all
	}
	return 0
}

// reason replaces the bare end of the context by what ended it.
func (v *evaluation) reason(err error) error {
	if cause := context.Cause(v.ctx); cause != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		return cause
	}
	return err
}
