package query

import "time"

// shiftFunctions show data of another time.
func shiftFunctions() []*Function {
	return append(deriveFunctions(), &Function{
		Name: "timeShift", Group: "Transform", Doc: "Shows the same series from another time, drawn over the range of the request.",
		Params: []Param{many(),
			{Name: "timeShift", Type: Interval, Doc: `how far, such as "1d"; without a sign it means back`, Suggest: shifts()},
			{Name: "resetEnd", Type: Bool, Default: "true", Doc: "end with the range; false keeps the length"},
			{Name: "alignDst", Type: Bool, Default: "false", Doc: "keep the time of day when daylight saving starts or ends between"}},
		reach: func(_ *evaluation, o *op, s span) ([]span, error) {
			seconds, _ := shiftOf(o)
			return []span{s, {s.from + seconds, s.until + seconds}}, nil
		},
		run: func(c *call) ([]*Result, error) {
			seconds, name := shiftOf(c.op)
			list := c.input()
			if len(list) == 0 {
				return nil, nil
			}
			shifted := span{c.span.from + seconds, c.span.until + seconds}
			if c.yes("alignDst") {
				dst := daylight(c.request.TZ, c.span, shifted)
				shifted.from, shifted.until = shifted.from+dst, shifted.until+dst
			}
			start, end := list[0].Start, list[0].End
			list, err := c.again(shifted)
			if err != nil {
				return nil, err
			}
			for i, s := range list {
				r := *s.tagged("timeShift", name)
				r.Name = `timeShift(` + s.Name + `, "` + name + `")`
				r.Start, r.End = start, end
				if !c.yes("resetEnd") {
					r.End = s.End - s.Start + start
				}
				list[i] = &r
			}
			return list, nil
		},
	})
}

func shifts() []string { return []string{"1h", "6h", "12h", "1d", "2d", "7d", "14d", "30d"} }

// shiftOf reads the distance, and prints it with its sign.
func shiftOf(o *op) (seconds int64, name string) { return signed(o, "timeShift") }

// signed reads an interval that means back when it has no sign.
func signed(o *op, param string) (seconds int64, name string) {
	s, _ := o.scalar(param)
	if name = s.text; name[0] >= '0' && name[0] <= '9' {
		return -int64(s.number), "-" + name
	}
	return int64(s.number), name
}

// daylight is the correction for a shift across one change of the clocks.
func daylight(tz *time.Location, here, there span) int64 {
	saving := func(t int64) bool { return time.Unix(t, 0).In(tz).IsDST() }
	a, b, x, y := saving(here.from), saving(here.until), saving(there.from), saving(there.until)
	switch {
	case a && b && !x && !y:
		return 3600
	case !a && !b && x && y:
		return -3600
	}
	return 0
}
