package draw

import (
	"math"
	"slices"

	"steer/monitor/query"
)

// bounds are the ends of the time axis.
func bounds(results []query.Result, o Options) (from, until int64) {
	from, until = o.From, o.Until
	if from == 0 && until == 0 && len(results) > 0 {
		from, until = math.MaxInt64, math.MinInt64
		for _, r := range results {
			from = min(from, r.Start)
			until = max(until, r.Start+r.Step*int64(max(len(r.Values)-1, 0)))
		}
	}
	if until <= from {
		until = from + 1
	}
	return from, until
}

// prepare breaks every series into its unbroken runs.
func prepare(results []query.Result, o Options) []line {
	lines := make([]line, 0, len(results))
	borders := map[string]map[int64]float64{} // upper ends of the areas so far, by stack
	colored := 0
	for _, r := range results {
		l := line{name: r.Name, style: r.Style, right: r.Style.Right}
		if r.Nameless() || r.Style.Invisible {
			l.name = ""
		}
		c, ok := parseColor(r.Style.Color)
		l.exact = ok && !named(r.Style.Color)
		if !ok {
			next := o.Colors[colored%len(o.Colors)]
			c, _ = parseColor(next)
			l.exact = o.picked && !named(next)
			colored++
		}
		l.color = c
		// Series with a stack of their own are sums already.
		adds := r.Style.Stack == "" && o.AreaMode == "stacked" && !r.Style.Threshold && !r.Style.Infinite && !r.Style.Right
		stacked := adds || r.Style.Stack != ""
		border := borders[r.Style.Stack]
		if border == nil {
			border = map[int64]float64{}
			borders[r.Style.Stack] = border
		}
		var run, base []point
		flush := func() {
			if n := len(run); n > 0 {
				if o.LineMode == "staircase" { // a value holds for a whole step
					run = append(run, point{run[n-1].x + float64(r.Step), run[n-1].y})
					base = append(base, point{run[n].x, base[n-1].y})
				}
				l.runs = append(l.runs, run)
				if stacked {
					l.base = append(l.base, base)
				}
			}
			run, base = nil, nil
		}
		for i, v := range r.Values {
			at := r.Start + int64(i)*r.Step
			if o.NullAsZero && math.IsNaN(v) {
				v = 0
			}
			if math.IsNaN(v) || math.IsInf(v, 0) || o.LogBase > 0 && v <= 0 {
				if o.LineMode != "connected" {
					flush()
				}
				continue
			}
			t := float64(at)
			below := 0.0
			if stacked {
				if below = border[at]; adds {
					v += below
				}
				border[at] = v
			}
			if o.LineMode == "staircase" && len(run) > 0 {
				run = append(run, point{t, run[len(run)-1].y})
				base = append(base, point{t, base[len(base)-1].y})
			}
			run, base = append(run, point{t, v}), append(base, point{t, below})
		}
		flush()
		lines = append(lines, l)
	}
	return lines
}

// extent is the smallest and largest value at one side of the chart.
func extent(lines []line, right bool, o Options) (low, high float64, any bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, l := range lines {
		if l.right != right || l.style.Infinite {
			continue
		}
		any = true
		runs := l.runs
		if l.style.Stack != "" && !l.style.Invisible && o.LogBase == 0 {
			runs = slices.Concat(runs, l.base)
		}
		for _, run := range runs {
			for _, p := range run {
				low, high = math.Min(low, p.y), math.Max(high, p.y)
			}
		}
	}
	if o.AreaMode != "" && o.AreaMode != "none" && low <= high && o.LogBase == 0 {
		low, high = math.Min(low, 0), math.Max(high, 0)
	}
	return low, high, any
}
