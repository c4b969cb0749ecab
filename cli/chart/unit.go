package chart

import (
	"math"
	"strconv"
	"strings"
)

// unit is what the name of a series tells about its values by custom: "ms", "s",
// "%", "B", or "" for nothing. Functions that keep the unit are looked through.
func unit(name string) string {
	name, _, _ = strings.Cut(name, ";") // tags
	for {
		call, inner, is := strings.Cut(name, "(")
		if !is || !keeps(call) {
			break
		}
		name = inner
		if end := strings.IndexAny(name, "(,)"); end >= 0 && name[end] != '(' {
			name = name[:end]
		}
	}
	node := strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
	last := node[strings.LastIndexByte(node, '_')+1:]
	switch {
	case strings.ContainsAny(node, "()*{}[]?"):
		return ""
	case last == "percent" || last == "pct":
		return "%"
	case last == "bytes":
		return "B"
	case last == "seconds":
		return "s"
	case last == "ms", strings.HasPrefix(name, "stats.timers.") && statistic(node):
		return "ms"
	}
	return ""
}

func keeps(function string) bool {
	if strings.HasPrefix(function, "moving") {
		return true
	}
	switch function {
	case "absolute", "averageSeries", "avg", "consolidateBy", "keepLastValue", "max", "maxSeries", "min", "minSeries",
		"secondYAxis", "smartSummarize", "sum", "sumSeries", "summarize", "timeShift":
		return true
	}
	return false
}

// statistic tells whether StatsD writes a value of this name in milliseconds.
func statistic(node string) bool {
	word, percent, _ := strings.Cut(node, "_")
	switch word {
	case "upper", "lower", "mean", "median", "std", "sum":
		return strings.Trim(percent, "0123456789_") == ""
	}
	return false
}

// commonUnit is that of all names, if they have the same.
func commonUnit(names []string) string {
	all := unit(names[0])
	for _, n := range names[1:] {
		if unit(n) != all {
			return ""
		}
	}
	return all
}

// prefix is what to divide a value of this size by, and what then stands behind it.
func prefix(v float64, unit string) (size float64, suffix string) {
	a := math.Abs(v)
	switch {
	case unit == "ms" && a >= 1000:
		return 1000, " s"
	case unit == "B":
		for i, name := range [...]string{" TiB", " GiB", " MiB", " KiB"} {
			if size := math.Exp2(float64(40 - 10*i)); a >= size {
				return size, name
			}
		}
		return 1, " B"
	case unit != "":
		return 1, " " + unit
	}
	for _, p := range [...]struct {
		from, size float64
		name       string
	}{{1e12, 1e12, " T"}, {1e9, 1e9, " G"}, {1e6, 1e6, " M"}, {1e4, 1e3, " k"}} {
		if a >= p.from {
			return p.size, p.name
		}
	}
	return 1, ""
}

// quantity is a value with four digits and its unit.
func quantity(v float64, unit string) string {
	if v-v != 0 {
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	size, suffix := prefix(v, unit)
	if math.Abs(v) >= 1e16 {
		size, suffix = 1, ""
	}
	text := strconv.FormatFloat(v/size, 'g', 4, 64)
	if a := math.Abs(v / size); a >= 1e-4 && a < 1e15 || a == 0 {
		n, err := strconv.ParseFloat(text, 64)
		if err == nil {
			text = strconv.FormatFloat(n, 'f', -1, 64)
		}
	}
	return text + suffix
}

// decimals writes a multiple of step with as many digits as step has.
func decimals(v, step float64) string {
	if math.Abs(v) < step/2 {
		return "0"
	}
	if a := max(math.Abs(v), step); a >= 1e15 || step < 1e-6 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	digits := 0
	for s := step; digits < 9 && math.Abs(s-math.Round(s)) > 1e-6*s; digits++ {
		s *= 10
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	return text
}
