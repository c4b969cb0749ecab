package query

import (
	"math"
	"strings"
	"time"

	"steer/base/metric"
)

// intervalFunctions count over lengths of time.
func intervalFunctions() []*Function {
	return []*Function{
		{
			Name: "smartSummarize", Group: "Transform", Doc: "Puts the values into larger intervals that begin with the first point, or with a full unit of time, and aggregates each.",
			Params: []Param{many(), bucket(),
				{Name: "func", Type: AggFunc, Default: "sum", Doc: "the aggregation"},
				{Name: "alignTo", Type: String, Optional: true, lenient: true,
					Options: []string{"false", "null", "true", "days", "hours", "minutes", "months", "seconds", "weeks", "years"},
					Doc:     `the unit whose start the first interval has; "weeks3" is a week from Wednesday`}},
			reach: func(v *evaluation, o *op, s span) ([]span, error) {
				unit, ok := o.scalar("alignTo")
				if !ok || unit.text == "true" || unit.text == "false" { // what it took in old releases
					return []span{s}, nil
				}
				from, err := startOf(v.clock(s.from), unit.text)
				s.from = from.Unix()
				return []span{s}, err
			},
			run: smartSummarize,
		}, {
			Name: "hitcount", Group: "Transform", Doc: "Takes values for rates per second and counts what they make in larger intervals; a point that lies in two is split.",
			Params: []Param{many(), bucket(),
				{Name: "alignToInterval", Type: Bool, Default: "false", Doc: "begin with a full day, hour or minute, whichever fits the interval"}},
			reach: func(v *evaluation, o *op, s span) ([]span, error) {
				if align, _ := o.scalar("alignToInterval"); !align.yes {
					return []span{s}, nil
				}
				interval, _ := o.scalar("intervalString")
				unit := "s"
				switch {
				case interval.number >= 86400:
					unit = "d"
				case interval.number >= 3600:
					unit = "h"
				case interval.number >= 60:
					unit = "min"
				}
				from, err := startOf(v.clock(s.from), unit)
				s.from = from.Unix()
				return []span{s}, err
			},
			run: hitcount,
		}, {
			Name: "integralByInterval", Group: "Transform", Doc: "Adds the values up, beginning anew in every interval, counted from the start of the range.",
			Params: []Param{many(), {Name: "intervalUnit", Type: String, Doc: `the length of an interval, such as "1d"`}},
			run: func(c *call) ([]*Result, error) {
				interval, err := ParseInterval(c.text("intervalUnit"))
				if interval = max(interval, -interval); err != nil || interval == 0 {
					return nil, refused("intervalUnit of integralByInterval is an interval such as \"1d\", found %q", c.text("intervalUnit"))
				}
				return c.each(func(s *Result) *Result {
					out, total, before := make([]float64, len(s.Values)), 0.0, int64(math.MinInt64)
					for i, v := range s.Values {
						since := s.Start + int64(i)*s.Step - c.span.from
						if number := (since - modulo(since, interval)) / interval; number != before {
							total, before = 0, number
						}
						if v == v {
							total += v
						}
						out[i] = total
					}
					return s.named("integralByInterval("+s.Name+",'"+c.text("intervalUnit")+"')").
						with(out).tagged("integralByInterval", c.text("intervalUnit"))
				})
			},
		}, {
			Name: "compressPeriodicGaps", Group: "Transform", Doc: "Finds the step that a series with regular gaps really has, and leaves the gaps out.",
			Params: []Param{many()},
			run: func(c *call) ([]*Result, error) {
				list := c.input()
				for i, s := range list {
					r := s.named("compressPeriodicGaps(" + s.Name + ")")
					list[i] = r
					first, apart := period(s.Values)
					if apart == 0 {
						continue
					}
					start, interval := s.Start+int64(first)*s.Step, int64(apart)*s.Step
					n := (max(s.End-start, 0) + interval - 1) / interval
					out, err := c.buckets(s, last, start, start+n*interval, interval)
					if err != nil {
						return nil, err
					}
					r.Values, r.Start, r.Step, r.End = out, start, interval, start+(n-1)*interval
				}
				return list, nil
			},
		},
	}
}

// clock is a moment in the zone of the request.
func (v *evaluation) clock(epoch int64) time.Time { return time.Unix(epoch, 0).In(v.request.TZ) }

// startOf is the start of the minute, hour, day, week, month or year around a
// moment, in its zone. A digit behind weeks is the day that they begin with,
// 1 is Monday.
func startOf(t time.Time, unit string) (time.Time, error) {
	day := 1
	if n := len(unit); n > 0 && unit[n-1] >= '0' && unit[n-1] <= '7' && unit[0] == 'w' {
		day, unit = int(unit[n-1]-'0'), unit[:n-1]
	}
	seconds, ok := unitSeconds(unit)
	if !ok || strings.ContainsAny(unit, "0123456789") {
		return t, refused("alignTo is a unit of time (seconds, minutes, hours, days, weeks, weeks3, months, years), found %q", unit)
	}
	y, m, d := t.Date()
	midnight := func(m time.Month, d int) (time.Time, error) { return time.Date(y, m, d, 0, 0, 0, 0, t.Location()), nil }
	switch second := time.Duration(t.Second()) * time.Second; seconds {
	case 60:
		return t.Add(-second), nil
	case 3600: // not by its number, which comes twice when clocks go back
		return t.Add(-second - time.Duration(t.Minute())*time.Minute), nil
	case 86400:
		return midnight(m, d)
	case 7 * 86400:
		weekday := (int(t.Weekday())+6)%7 + 1
		back := weekday - day
		if back < 0 {
			back += 7
		}
		return midnight(m, d-back)
	case 30 * 86400:
		return midnight(m, 1)
	case 365 * 86400:
		return midnight(1, 1)
	}
	return t, nil
}

func smartSummarize(c *call) ([]*Result, error) {
	interval := int64(c.number("intervalString"))
	if interval <= 0 {
		return nil, refused("intervalString of smartSummarize is longer than nothing, found %q", c.text("intervalString"))
	}
	f, err := c.aggregation("func")
	if err != nil {
		return nil, err
	}
	list := c.input()
	for i, s := range list {
		end := s.Start + (max(s.End-s.Start, 0)+interval-1)/interval*interval
		out, err := c.buckets(s, f, s.Start, end, interval)
		if err != nil {
			return nil, err
		}
		r := s.named(`smartSummarize(`+s.Name+`, "`+c.text("intervalString")+`", "`+c.text("func")+`")`).with(out).
			tagged("smartSummarize", c.text("intervalString")).tagged("smartSummarizeFunction", c.text("func"))
		r.End, r.Step = end, interval
		list[i] = r
	}
	return list, nil
}

// aggregation is the one that a parameter names, where the old form with Series
// at its end is none.
func (c *call) aggregation(param string) (aggregation, error) {
	if f := aggregationOf(c.text(param)); f != nil {
		return f, nil
	}
	return nil, refused("%s of %s is an aggregation without Series behind it, found %q", param, c.op.fn.Name, c.text(param))
}

func hitcount(c *call) ([]*Result, error) {
	interval := int64(c.number("intervalString"))
	if interval <= 0 {
		return nil, refused("intervalString of hitcount is longer than nothing, found %q", c.text("intervalString"))
	}
	list, end := c.input(), ")"
	if c.yes("alignToInterval") {
		end = ", true)"
	}
	for i, s := range list {
		r := s.named(`hitcount(`+s.Name+`, "`+c.text("intervalString")+`"`+end).tagged("hitcount", c.text("intervalString"))
		if c.yes("alignToInterval") {
			r.End = s.Start + (s.End-s.Start)/interval*interval + interval
		}
		n := (max(r.End-s.Start, 0) + interval - 1) / interval
		if err := c.spend(int(min(n, math.MaxInt32)) + len(s.Values)); err != nil {
			return nil, err
		}
		hits := spreadHits(s, r.End, interval, n)
		r.Start, r.Step, r.Values = hits.Start, interval, hits.Values
		list[i] = r
	}
	return list, nil
}

// spreadHits counts a rate per second in n intervals that end with end.
func spreadHits(s *Result, end, interval, n int64) metric.Series {
	out := metric.Series{Start: end - n*interval, Step: interval, Values: make([]float64, n)}
	for b := range out.Values {
		out.Values[b] = null()
	}
	for i, v := range s.Values {
		if isNull(v) {
			continue
		}
		// The seconds of the point, interval by interval.
		from := s.Start + int64(i)*s.Step - out.Start
		for until := min(from+s.Step, n*interval); from < until; {
			b := from / interval
			part := min((b+1)*interval, until) - from
			if isNull(out.Values[b]) {
				out.Values[b] = 0
			}
			out.Values[b] += v * float64(part)
			from += part
		}
	}
	return out
}

// period finds the first value and the distance of values in a column that has
// gaps in between: judging by the first three, where zeros count as gaps. No
// distance means that there is no such pattern.
func period(values []float64) (first, apart int) {
	first = -1
	for i, v := range values {
		switch {
		case isNull(v) || v == 0:
		case first < 0:
			first = i
		default:
			third := 2*i - first
			if i-first > 1 && third <= len(values)-2 && known(values[third:third+1]) == 1 && values[third] != 0 &&
				known(values[third-1:third])+known(values[third+1:third+2]) == 0 {
				return first, i - first
			}
			return first, 0
		}
	}
	return first, 0
}
