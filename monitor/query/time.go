package query

import (
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
)

// ParseTime reads a point in time in any form that Graphite knows, relative to
// now and in the zone tz (nil: UTC):
//
//	now, -1h, now-2d, midnight, noon+1day, 6pm+2days, yesterday, monday,
//	16:30_20260102, 20260102, 01/02/26, january 2, 1767312000
//
// Spaces, underscores and commas do not count. A day without a time of day is
// its midnight; a weekday is the latest one, today included. Offsets have the
// units s, min, h, d, w, mon (30 days) and y (365 days), each also spelled out,
// and can be joined: -1d12h.
func ParseTime(s string, now time.Time, tz *time.Location) (time.Time, error) {
	if tz == nil {
		tz = time.UTC
	}
	text := strings.ToLower(strings.Map(func(r rune) rune {
		if r == ' ' || r == '_' || r == ',' {
			return -1
		}
		return r
	}, s))
	wrong := func(why string) (time.Time, error) {
		return time.Time{}, fault.New(fault.Invalid, "parse time %q: %s", s, why)
	}
	if text == "" {
		return wrong("it is empty; write for example now, -1h, noon+1day, 16:30_20260102 or an epoch")
	}
	if digits(text) == len(text) {
		if t, isDate, ok := compactDate(text, tz); ok {
			return t, nil
		} else if isDate {
			return wrong("there is no such day")
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n > maxEpoch {
			return wrong("the number of seconds is too large")
		}
		return time.Unix(n, 0).In(tz), nil
	}
	reference, offset := text, ""
	if i := strings.IndexAny(text, "+-"); i >= 0 {
		reference, offset = text[:i], text[i:]
	}
	t, why := moment(reference, now.In(tz), tz)
	if why != "" {
		return wrong(why)
	}
	seconds, why := offsetSeconds(offset)
	if why != "" {
		return wrong(why)
	}
	if t = t.Add(time.Duration(seconds) * time.Second); t.Unix() < -maxEpoch || t.Unix() > maxEpoch {
		return wrong("it is too far away")
	}
	return t, nil
}

// The end of the year 9999; offsets are bounded by the same number of seconds.
// It fits time.Duration, which ends at 292 years, only after the check of offsetSeconds.
const (
	maxEpoch  = 253402300799
	maxOffset = 9_000_000_000 // 285 years
)

func digits(s string) int {
	return len(s) - len(strings.TrimLeft(s, "0123456789"))
}

// compactDate reads YYYYMMDD. Eight digits with a month or day that no year has
// are an epoch.
func compactDate(s string, tz *time.Location) (t time.Time, isDate, ok bool) {
	if len(s) != 8 || s[:4] <= "1900" || s[4:6] > "12" || s[6:] > "31" {
		return time.Time{}, false, false
	}
	t, err := time.ParseInLocation("20060102", s, tz)
	return t, true, err == nil
}

// moment reads the part of a time before its offset. The second result is what
// is wrong, or empty.
func moment(s string, now time.Time, tz *time.Location) (time.Time, string) {
	if s == "" || s == "now" {
		return now, ""
	}
	hour, minute, rest, why := clock(s)
	if why != "" {
		return now, why
	}
	year, month, day := now.Date()
	on := func(y int, m time.Month, d int) (time.Time, string) {
		t := time.Date(y, m, d, hour, minute, 0, 0, tz)
		if yy, mm, dd := t.Date(); hour < 24 && (mm != m || dd != d || yy != y) && t.Hour() == hour {
			return now, "there is no such day"
		}
		return t, ""
	}
	switch {
	case rest == "" || rest == "today":
		return on(year, month, day)
	case rest == "yesterday" || rest == "tomorrow":
		shift := 1
		if rest == "yesterday" {
			shift = -1
		}
		return time.Date(year, month, day+shift, hour, minute, 0, 0, tz), ""
	case strings.Count(rest, "/") == 2:
		part := strings.Split(rest, "/")
		var n [3]int
		for i, p := range part {
			if p == "" || digits(p) != len(p) || len(p) > 4 {
				return now, "a date with slashes is MM/DD/YY or MM/DD/YYYY"
			}
			n[i], _ = strconv.Atoi(p)
		}
		if n[2] < 1900 {
			n[2] += 1900
		}
		if n[2] < 1970 {
			n[2] += 100
		}
		if n[0] < 1 || n[0] > 12 {
			return now, "there is no such month"
		}
		return on(n[2], time.Month(n[0]), n[1])
	case len(rest) == 8 && digits(rest) == 8:
		t, _, ok := compactDate(rest, tz)
		if !ok {
			return now, "there is no such day"
		}
		return on(t.Year(), t.Month(), t.Day())
	case digits(rest) > 0:
		return now, "a relative time needs a sign (-1h), a time of day a colon or am/pm (16:30, 4pm)"
	}
	if m := named(rest, func(i int) string { return time.Month(i + 1).String() }, 12); m >= 0 {
		name := strings.TrimRight(rest, "0123456789")
		d, err := strconv.Atoi(rest[len(name):])
		if err != nil || len(rest)-len(name) > 2 {
			return now, "the month needs the number of the day behind it"
		}
		return on(year, time.Month(m+1), d)
	}
	if w := named(rest, func(i int) string { return time.Weekday(i).String() }, 7); w >= 0 {
		back := (int(now.Weekday()) - w + 7) % 7
		return time.Date(year, month, day-back, hour, minute, 0, 0, tz), ""
	}
	return now, "unknown reference " + strconv.Quote(rest) + " (known: now, today, yesterday, tomorrow, midnight, noon, teatime, weekdays, months, HH:MM, 4pm, YYYYMMDD, MM/DD/YY, epochs)"
}

// named finds which of n names begins with the first three letters of s.
func named(s string, name func(int) string, n int) int {
	if len(s) < 3 {
		return -1
	}
	for i := range n {
		if strings.EqualFold(name(i)[:3], s[:3]) {
			return i
		}
	}
	return -1
}

// clock reads the time of day in front of a day; none is midnight.
func clock(s string) (hour, minute int, rest, why string) {
	for _, word := range [...]struct {
		name string
		hour int
	}{{"noon", 12}, {"midnight", 0}, {"teatime", 16}} {
		if rest, ok := strings.CutPrefix(s, word.name); ok {
			return word.hour, 0, rest, ""
		}
	}
	n := digits(s)
	if n != 1 && n != 2 {
		return 0, 0, s, ""
	}
	hour, _ = strconv.Atoi(s[:n])
	rest = s[n:]
	colon := strings.HasPrefix(rest, ":")
	if colon {
		rest = rest[1:]
		if len(rest) < 2 || digits(rest[:2]) != 2 {
			return 0, 0, "", "the minutes behind the colon need two digits"
		}
		minute, _ = strconv.Atoi(rest[:2])
		rest = rest[2:]
	}
	half := ""
	if strings.HasPrefix(rest, "am") || strings.HasPrefix(rest, "pm") {
		half, rest = rest[:2], rest[2:]
	}
	switch {
	case !colon && half == "":
		return 0, 0, s, ""
	case half != "" && (hour < 1 || hour > 12), hour > 23, minute > 59:
		return 0, 0, "", "there is no such time of day"
	case half == "am" && hour == 12:
		hour = 0
	case half == "pm" && hour != 12:
		hour += 12
	}
	return hour, minute, rest, ""
}

// ParseInterval reads a length of time such as "5min", "1h30min" or "-1d" and
// returns seconds, negative behind a minus sign.
func ParseInterval(s string) (int64, error) {
	n, why := offsetSeconds(strings.ToLower(strings.TrimSpace(s)))
	if s == "" {
		why = "it is empty"
	}
	if why != "" {
		return 0, fault.New(fault.Invalid, "parse interval %q: %s", s, why)
	}
	return n, nil
}

// offsetSeconds reads signed counts of units in a row; a sign holds until the next one.
func offsetSeconds(s string) (seconds int64, why string) {
	sign := int64(1)
	for s != "" {
		if s[0] == '+' || s[0] == '-' {
			sign = 44 - int64(s[0])
			s = s[1:]
		}
		n := digits(s)
		if n == 0 {
			return 0, "an offset is a number and a unit, such as -1h or +2days"
		}
		if n > 12 {
			return 0, "it is too long"
		}
		count, _ := strconv.ParseInt(s[:n], 10, 64)
		s = s[n:]
		letters := len(s) - len(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz"))
		unit, ok := unitSeconds(s[:letters])
		if !ok {
			return 0, "unknown unit " + strconv.Quote(s[:letters]) + " (use s, min, h, d, w, mon or y)"
		}
		s = s[letters:]
		if count > maxOffset/unit {
			return 0, "it is too long"
		}
		if seconds += sign * count * unit; seconds > maxOffset || seconds < -maxOffset {
			return 0, "it is too long"
		}
	}
	return seconds, ""
}

// unitSeconds knows units by how they begin, as Graphite does.
func unitSeconds(unit string) (int64, bool) {
	for _, u := range [...]struct {
		name    string
		seconds int64
	}{{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}, {"w", 7 * 86400}, {"mon", 30 * 86400}, {"y", 365 * 86400}} {
		if strings.HasPrefix(unit, u.name) {
			return u.seconds, true
		}
	}
	return 0, false
}
