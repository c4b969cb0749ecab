package chart

import (
	"strings"
	"time"
)

// times is the horizontal axis.
type times struct {
	day   string // of the begin, for the corner below the vertical axis
	ticks []moment
}

type moment struct {
	column int
	label  string
}

// horizontal finds round times, as many as have room.
func horizontal(from, until int64, columns int, tz *time.Location) times {
	begin, end := time.Unix(from, 0).In(tz), time.Unix(until, 0).In(tz)
	at := func(t time.Time) int { return int((t.Unix() - from) * int64(columns-1) / (until - from)) }
	collect := func(label string, next func(t time.Time) time.Time, first time.Time) []moment {
		var all []moment
		for t := first; !t.After(end); t = next(t) {
			if t.Before(begin) {
				continue
			}
			form := label
			if midnight(t) && !strings.HasPrefix(label, "Jan") {
				form = "Jan 2"
			}
			if len(all) > columns {
				return nil // never that many have room
			}
			all = append(all, moment{at(t), t.Format(form)})
		}
		return all
	}
	y, m, d := begin.Date()
	for _, step := range [...]time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600} {
		step *= time.Second
		form := "15:04"
		if step < time.Minute {
			form = "15:04:05"
		}
		if int64(step/time.Second)*int64(columns) < (until-from)*6 { // they would touch
			continue
		}
		// Steps are counted from midnight, in the time that clocks show.
		n := int(begin.Sub(time.Date(y, m, d, 0, 0, 0, 0, tz)) / step)
		ticks := collect(form, func(time.Time) time.Time {
			n++
			return time.Date(y, m, d, 0, 0, n*int(step/time.Second), 0, tz)
		}, time.Date(y, m, d, 0, 0, n*int(step/time.Second), 0, tz))
		if fits(ticks, columns) {
			return times{begin.Format("Jan 2"), ticks}
		}
	}
	for _, days := range [...]int{1, 2, 7, 14} {
		ticks := collect("Jan 2", func(t time.Time) time.Time { return t.AddDate(0, 0, days) }, time.Date(y, m, d, 0, 0, 0, 0, tz))
		if fits(ticks, columns) {
			return times{begin.Format("2006"), ticks}
		}
	}
	for _, months := range [...]int{1, 3, 6, 12, 24, 60, 120} {
		ticks := collect("Jan 2006", func(t time.Time) time.Time { return t.AddDate(0, months, 0) }, time.Date(y, 1, 1, 0, 0, 0, 0, tz))
		if fits(ticks, columns) {
			return times{"", ticks}
		}
	}
	return times{begin.Format("2006"), nil}
}

func midnight(t time.Time) bool {
	h, m, s := t.Clock()
	return h == 0 && m == 0 && s == 0
}

// fits tells whether there are labels, with a gap of two between each other. One
// at an edge may come nearer, since it is moved in.
func fits(ticks []moment, columns int) bool {
	for i := 1; i < len(ticks); i++ {
		a, b := ticks[i-1], ticks[i]
		gap, least := left(b, columns)-left(a, columns)-len(a.label), 2
		if i == 1 || i == len(ticks)-1 {
			least = 1
		}
		if gap < least {
			return false
		}
	}
	return len(ticks) > 0
}

// left is where the label of a tick begins: its middle is below the tick, but none
// sticks out.
func left(m moment, columns int) int {
	return min(max(m.column-len(m.label)/2, 0), columns-len(m.label))
}

// line is the labels below their ticks.
func (x times) line(columns int) string {
	var b strings.Builder
	for _, t := range x.ticks {
		b.WriteString(strings.Repeat(" ", left(t, columns)-b.Len()) + t.label)
	}
	return b.String()
}
