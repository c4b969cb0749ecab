package query

// forecastGroup is what Graphite does not have.
const forecastGroup = "Forecast"

// forecastFunctions tell when a bound will be reached.
func forecastFunctions() []*Function {
	bound := Param{Name: "bound", Type: Float, Doc: "the bound, in the unit of the series"}
	source := Param{Name: "source", Type: Interval, Default: "7d", Doc: "how much before the end of the range the trend is made of", Suggest: []string{"1d", "7d", "30d"}}
	direction := Param{Name: "direction", Type: String, Default: "up", Options: []string{"down", "up"}, Doc: "up: the bound is reached from below; down: from above"}
	reach := func(_ *evaluation, o *op, s span) ([]span, error) {
		back, _ := o.scalar("source")
		if back.number <= 0 {
			return nil, refused("source of %s is longer than nothing, found %q", o.fn.Name, back.text)
		}
		return []span{s, {s.until - int64(back.number), s.until}}, nil
	}
	return []*Function{
		{
			Name: "timeUntil", Group: forecastGroup,
			Doc: "Tells in how many seconds every series reaches a bound, if its trend goes on: 0 where it has, no value where the trend does not lead there. " +
				"The trend is robust (Theil-Sen): a restart or a spike does not move it.",
			Params: []Param{many(), bound, source, direction},
			reach:  reach,
			run: func(c *call) ([]*Result, error) {
				return c.untilBound(0.5, func(t trend) []sloped { return []sloped{{"timeUntil", t.slope}} })
			},
		}, {
			Name: "timeUntilBands", Group: forecastGroup,
			Doc:    "Tells in how many seconds every series reaches a bound at the earliest and at the latest, as surely as confidence says; see timeUntil.",
			Params: []Param{many(), bound, source, {Name: "confidence", Type: Float, Default: "0.95", Doc: "how probably the bound is reached in between, above 0 and below 1"}, direction},
			reach:  reach,
			run: func(c *call) ([]*Result, error) {
				confidence := c.number("confidence")
				if !(confidence > 0 && confidence < 1) {
					return nil, refused("confidence of timeUntilBands is above 0 and below 1, found %s", c.text("confidence"))
				}
				up := c.text("direction") == "up"
				return c.untilBound(confidence, func(t trend) []sloped {
					if up {
						return []sloped{{"timeUntilEarliest", t.high}, {"timeUntilLatest", t.low}}
					}
					return []sloped{{"timeUntilEarliest", t.low}, {"timeUntilLatest", t.high}}
				})
			},
		},
	}
}

// sloped is a slope, and the name of what is computed with it.
type sloped struct {
	name  string
	slope float64
}

// untilBound makes a series for each slope that is wanted of a trend.
func (c *call) untilBound(confidence float64, wanted func(trend) []sloped) ([]*Result, error) {
	bound, up := c.number("bound"), c.text("direction") == "up"
	list := c.input()
	sources, err := c.again(span{c.span.until - int64(c.number("source")), c.span.until})
	if err != nil {
		return nil, err
	}
	end := ", " + general(bound) + ")"
	if !up {
		end = ", " + general(bound) + `, "down")`
	}
	var out []*Result
	for i, source := range counterparts(list, sources) {
		var t trend
		known := false
		if source != nil {
			if err := c.spend(trendPoints * trendPoints / 2); err != nil {
				return nil, err
			}
			t, known = trendOf(source, confidence)
		}
		for _, w := range wanted(t) {
			s := list[i]
			if err := c.spend(len(s.Values)); err != nil {
				return nil, err
			}
			column := make([]float64, len(s.Values))
			level, start := null(), int64(0)
			if known {
				level, start = t.level(w.slope), source.Start
			}
			for k, v := range s.Values {
				column[k] = remaining(v, bound, level+w.slope*float64(s.Start+int64(k)*s.Step-start), w.slope, up)
			}
			r := s.named(w.name+"("+s.Name+end).with(column).tagged(w.name, general(bound))
			r.Consolidate = "average"
			out = append(out, r)
		}
	}
	return out, nil
}

// remaining is the time from a point to a bound, along a line that stands at line
// there. It is not known where the value is not, so that the end of the data
// shows.
func remaining(v, bound, line, slope float64, up bool) float64 {
	if !up {
		v, bound, line, slope = -v, -bound, -line, -slope
	}
	switch {
	case isNull(v):
		return null()
	case v >= bound:
		return 0
	case slope > 0:
		if seconds := max((bound-line)/slope, 0); seconds <= maxOffset {
			return seconds
		}
	}
	return null()
}

// counterparts finds the series of a list as they are over another time: in the
// same place, or by name where some are missing. One that is not there is nil.
func counterparts(list, others []*Result) []*Result {
	if len(list) == len(others) {
		return others
	}
	names := make(map[string][]*Result, len(others))
	for _, o := range others {
		names[o.Name] = append(names[o.Name], o)
	}
	out := make([]*Result, len(list))
	for i, s := range list {
		if same := names[s.Name]; len(same) > 0 {
			out[i], names[s.Name] = same[0], same[1:]
		}
	}
	return out
}
