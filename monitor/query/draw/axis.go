package draw

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// scale maps values to pixels.
type scale struct {
	low, high float64 // values
	top, base float64 // pixels; base is below
	step      float64 // between ticks
	log       float64 // base of a logarithmic scale, whose low is above 0; else 0
}

// y is the place of a value.
func (s scale) y(v float64) float64 {
	share := (v - s.low) / (s.high - s.low)
	if s.log > 0 {
		low := math.Log(s.low) // no quotients: the largest number by one below 1 is none
		share = (math.Log(math.Max(v, 0)) - low) / (math.Log(s.high) - low)
	}
	return s.base - share*(s.base-s.top)
}

// newScale chooses round ends and steps for values from low to high, with about
// the given number of ticks. fixed ends stay as they are.
func newScale(low, high float64, fixedLow, fixedHigh *float64, ticks int, binary bool) scale {
	if low > high || math.IsInf(low, 0) || math.IsInf(high, 0) {
		low, high = 0, 1
	}
	// Beyond this, rounding up to a tick would leave the numbers.
	const most = math.MaxFloat64 / 16
	low, high = bounded(low, most), bounded(high, most)
	if low >= 0 && low < 0.4*high { // near to zero: show it, so that heights compare
		low = 0
	}
	if fixedLow != nil {
		low = bounded(*fixedLow, most)
	}
	if fixedHigh != nil {
		high = bounded(*fixedHigh, most)
	}
	if !(low < high) {
		room := math.Max(math.Abs(low)*0.1, 1)
		if fixedLow == nil && low != 0 {
			low -= room
		}
		high = low + 2*room
		if low == 0 {
			high = 1
		}
	}
	n := float64(max(ticks, 1))
	step := roundStep((high-low)/n, binary)
	s := scale{low: low, high: high, step: step}
	if fixedLow == nil {
		s.low = math.Floor(low/step+1e-9) * step
	}
	if fixedHigh == nil {
		s.high = math.Ceil(high/step-1e-9) * step
	}
	if !(s.high > s.low) { // beyond what the precision can part
		s.high = math.Nextafter(s.low, math.Inf(1)) + math.Abs(s.low)*1e-9 + 1e-300
		s.step = s.high - s.low
	}
	return s
}

func roundStep(raw float64, binary bool) float64 {
	if raw <= 0 || math.IsInf(raw, 0) || raw != raw {
		return 1
	}
	if binary && raw >= 1 {
		return math.Exp2(math.Ceil(math.Log2(raw)))
	}
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range [...]float64{1, 2, 2.5, 5} {
		if unit*m >= raw*0.999 {
			return unit * m
		}
	}
	return unit * 10
}

// newLogScale chooses powers of the base as ends, and how many of them are between
// two ticks.
func newLogScale(low, high float64, fixedLow, fixedHigh *float64, ticks int, base float64) scale {
	const least, most = 1e-300, math.MaxFloat64 / 16
	if !(low > 0 && low <= high) {
		low, high = 1, base
	}
	power := func(v float64, round func(float64) float64, nudge float64) float64 {
		return math.Pow(base, round(math.Log(v)/math.Log(base)+nudge))
	}
	s := scale{low: power(low, math.Floor, 1e-9), high: power(high, math.Ceil, -1e-9), log: base}
	if fixedLow != nil && *fixedLow > 0 {
		s.low = *fixedLow
	}
	if fixedHigh != nil && *fixedHigh > 0 {
		s.high = *fixedHigh
	}
	s.low, s.high = math.Max(bounded(s.low, most), least), math.Max(bounded(s.high, most), least)
	if !(s.high > s.low*(1+1e-9)) {
		s.high = s.low * base
	}
	s.step = math.Max(math.Ceil(math.Log(s.high/s.low)/math.Log(base)/float64(max(ticks, 1))), 1)
	return s
}

func (s scale) powers() []float64 {
	var out []float64
	for i := math.Ceil(math.Log(s.low)/math.Log(s.log) - 1e-9); len(out) < 50; i += s.step {
		v := math.Pow(s.log, i)
		if v > s.high*(1+1e-9) {
			break
		}
		for _, m := range [...]float64{1, 2, 5} { // 2 and 5 where decades are few
			if v*m >= s.low*(1-1e-9) && v*m <= s.high*(1+1e-9) && (m == 1 || s.log == 10 && s.step == 1 && s.high/s.low <= 1001) {
				out = append(out, v*m)
			}
		}
	}
	return out
}

// ticks are the values to mark.
func (s scale) ticks() []float64 {
	if s.log > 0 {
		return s.powers()
	}
	var out []float64
	for i := math.Ceil(s.low/s.step - 1e-9); len(out) < 50; i++ {
		v := i * s.step
		if v > s.high+s.step*1e-9 {
			break
		}
		out = append(out, v)
	}
	return out
}

// label prints a tick with a prefix and only as many decimals as its step needs.
func (s scale) label(v float64, units string) string {
	if s.log > 0 { // each by itself
		v = roundTo(v, 3)
		s = scale{high: v, step: v}
	}
	if math.Abs(v) < s.step*1e-9 {
		return "0"
	}
	base, prefixes := 1000.0, []string{"", " k", " M", " G", " T", " P", " E"}
	switch units {
	case "binary":
		base, prefixes = 1024, []string{"", " Ki", " Mi", " Gi", " Ti", " Pi", " Ei"}
	case "none":
		prefixes = prefixes[:1]
	}
	largest := math.Max(math.Abs(s.low), math.Abs(s.high))
	unit, p := 1.0, 0
	// 250, 500, 750 and 1000 are easier to read than 0.25 k and 1.00 k.
	for p < len(prefixes)-1 && largest >= unit*base*0.9999 && tenths(s.step/(unit*base)) {
		unit *= base
		p++
	}
	if math.Abs(v)/unit >= 1e9 || s.step/unit < 1e-6 {
		return strconv.FormatFloat(v/unit, 'g', 6, 64) + prefixes[p]
	}
	decimals := 0
	for step := s.step / unit; decimals < 6 && math.Abs(step-math.Round(step)) > 1e-6*step; step *= 10 {
		decimals++
	}
	return strconv.FormatFloat(v/unit, 'f', decimals, 64) + prefixes[p]
}

// tenths tells whether a number needs one decimal at most.
func tenths(v float64) bool { return v > 0.09 && math.Abs(v*10-math.Round(v*10)) < 1e-6*v }

// mark is a labelled place on the time axis.
type mark struct {
	at    int64
	label string
}

// timeMarks chooses round times in the zone, at most one for every so many
// seconds.
func timeMarks(from, until int64, apart float64, tz *time.Location) []mark {
	var out []mark
	add := func(t time.Time, layout string) {
		if u := t.Unix(); u >= from && u <= until && len(out) < 200 {
			out = append(out, mark{u, strings.ToValidUTF8(t.Format(layout), "")})
		}
	}
	first := time.Unix(from, 0).In(tz)
	year, month, day := first.Date()
	const hour, dayLength = 3600, 86400
	for _, step := range [...]int64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour} {
		if float64(step) < apart {
			continue
		}
		// Steps divide a day, so they count from the local midnight; by the clock
		// on the wall, which a change of the clocks leaves round.
		back := int64(first.Hour()*hour+first.Minute()*60+first.Second()) / step * step
		for i := int64(0); len(out) < 200; i++ {
			s := back + i*step
			t := time.Date(year, month, day, int(s/hour), int(s%hour/60), int(s%60), 0, tz)
			if t.Unix() > until {
				return out
			}
			switch {
			case t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0:
				add(t, "Jan 2")
			case step < 60:
				add(t, "15:04:05")
			default:
				add(t, "15:04")
			}
		}
		return out
	}
	for _, days := range [...]int{1, 2, 7, 14} {
		if float64(days*dayLength) < apart {
			continue
		}
		t := time.Date(year, month, day, 0, 0, 0, 0, tz)
		if days >= 7 { // on Mondays
			t = t.AddDate(0, 0, -int(t.Weekday()+6)%7)
		}
		for ; t.Unix() <= until && len(out) < 200; t = t.AddDate(0, 0, days) {
			add(t, "Jan 2")
		}
		return out
	}
	for _, months := range [...]int{1, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 12000} {
		if float64(months)*30*dayLength < apart && months < 12000 {
			continue
		}
		start := (year*12 + int(month) - 1) / months * months
		for t := time.Date(start/12, time.Month(start%12+1), 1, 0, 0, 0, 0, tz); t.Unix() <= until && len(out) < 200; t = t.AddDate(0, months, 0) {
			if t.Month() == time.January {
				add(t, "2006")
			} else {
				add(t, "Jan")
			}
		}
		return out
	}
	return out
}
