package query

import (
	"math"
	"strconv"

	"steer/base/fault"
)

// sliceFunctions show other parts of a series than the range of the request.
func sliceFunctions() []*Function {
	return []*Function{
		{
			Name: "timeSlice", Group: "Transform", Doc: "Takes out the values from before and after a window of time.",
			Params: []Param{many(), {Name: "startSliceAt", Type: Date, Doc: `start of the window, such as "-2h"`},
				{Name: "endSliceAt", Type: Date, Default: "now", Doc: "its end"}},
			run: timeSlice,
		}, {
			Name: "timeStack", Group: "Transform", Doc: "Shows the same series again and again, each time further back.",
			Params: []Param{many(), {Name: "timeShiftUnit", Type: Interval, Default: "1d", Doc: "the distance from one time to the next; without a sign it means back", Suggest: shifts()},
				{Name: "timeShiftStart", Type: Integer, lenient: true, Default: "0", Doc: "how many distances the first is away"},
				{Name: "timeShiftEnd", Type: Integer, lenient: true, Default: "7", Doc: "how many the one behind the last is away"}},
			reach: func(v *evaluation, o *op, s span) ([]span, error) {
				first, times, seconds, err := stackOf(v, o)
				spans := []span{s}
				for k := range times {
					shift := (first + k) * seconds
					spans = append(spans, span{s.from + shift, s.until + shift})
				}
				return spans, err
			},
			run: timeStack,
		}, {
			Name: "delay", Group: "Transform", Doc: "Moves the values some points to the right; those that move out are gone.",
			Params: []Param{many(), {Name: "steps", Type: Integer, Doc: "how many points; below zero to the left"}},
			run: func(c *call) ([]*Result, error) {
				n := c.number("steps")
				return c.each(func(s *Result) *Result {
					out := make([]float64, len(s.Values))
					for i := range out {
						out[i] = null()
					}
					switch by := int(min(math.Abs(n), float64(len(out)))); {
					case n > 0:
						copy(out[by:], s.Values)
					case n < 0:
						copy(out, s.Values[by:])
					default:
						out = nil // as in Graphite
					}
					return s.named("delay("+s.Name+","+whole(n)+")").with(out).tagged("delay", whole(n))
				})
			},
		},
	}
}

// date reads a parameter of the type Date in epoch seconds, relative to the now
// and in the zone of the request.
func (v *evaluation) date(o *op, param string) (int64, error) {
	s, _ := o.scalar(param)
	t, err := ParseTime(s.text, v.clock(v.request.Now), v.request.TZ)
	if err != nil {
		return 0, refused("%s of %s: %w", param, o.fn.Name, err)
	}
	return t.Unix(), nil
}

func timeSlice(c *call) ([]*Result, error) {
	start, err := c.date(c.op, "startSliceAt")
	if err != nil {
		return nil, err
	}
	end, err := c.date(c.op, "endSliceAt")
	if err != nil {
		return nil, err
	}
	first, last := strconv.FormatInt(start, 10), strconv.FormatInt(end, 10)
	return c.each(func(s *Result) *Result {
		out := make([]float64, len(s.Values))
		for i := range out {
			// Graphite compares the start of the range and not the first point, so
			// that a point counts as old as the one before it.
			if t := c.span.from + int64(i)*s.Step; t >= start && t <= end {
				out[i] = s.Values[i]
			} else {
				out[i] = null()
			}
		}
		r := s.with(out).tagged("timeSliceStart", first).tagged("timeSliceEnd", last)
		r.Name = "timeSlice(" + s.Name + ", " + first + ", " + last + ")"
		return r
	})
}

// stackOf reads the shifts of a timeStack: times of them from the first on, each
// a number of seconds further.
func stackOf(v *evaluation, o *op) (first, times, seconds int64, err error) {
	start, _ := o.scalar("timeShiftStart")
	end, _ := o.scalar("timeShiftEnd")
	unit, _ := signed(o, "timeShiftUnit")
	from, until := math.Trunc(start.number), math.Trunc(end.number)
	if until-from > float64(v.engine.limits.Series) {
		return 0, 0, 0, fault.New(fault.TooMuch, "evaluate timeStack: it would show %.0f times, the limit is %d; move timeShiftStart and timeShiftEnd closer together",
			until-from, v.engine.limits.Series)
	}
	if max(math.Abs(from), math.Abs(until))*math.Abs(float64(unit)) > maxEpoch {
		return 0, 0, 0, refused("timeStack would read data from before or after all time")
	}
	return int64(from), int64(max(until-from, 0)), unit, nil
}

func timeStack(c *call) ([]*Result, error) {
	first, times, seconds, err := stackOf(c.evaluation, c.op)
	if err != nil {
		return nil, err
	}
	_, unit := signed(c.op, "timeShiftUnit")
	list := c.input()
	if len(list) == 0 {
		return nil, nil
	}
	var out []*Result
	for k := range times {
		shift, number := (first+k)*seconds, strconv.FormatInt(first+k, 10)
		shifted, err := c.again(span{c.span.from + shift, c.span.until + shift})
		if err != nil {
			return nil, err
		}
		for _, s := range shifted {
			r := s.named("timeShift("+s.Name+", "+unit+", "+number+")").tagged("timeShiftUnit", unit).tagged("timeShift", number)
			r.Start, r.End = list[0].Start, list[0].End
			out = append(out, r)
		}
	}
	return out, nil
}
