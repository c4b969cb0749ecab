package main

import (
	"io"
	"math"
	"slices"

	"steer/test/bench/report"
)

// figure is a row of the report. NaN means that there is no such figure.
type figure struct {
	title  string
	format string
	ratio  bool // Steer / peer says something
	of     func(*result) float64
}

// figures of the workloads that are sent at once.
func figures() []figure {
	return slices.Concat(sizes(), bulk(), []figure{
		{"memory per active series, bytes", "%.0f", true, perSeries},
		{"peak memory, MB", "%.1f", true, func(r *result) float64 { return float64(r.peak) / 1e6 }},
	}, disk(), []figure{
		{"· after a merge by hand", "%.3f", false, func(r *result) float64 { return r.perPoint(r.merged.allocated) }},
		{"start after a clean stop until ready, s", "%.2f", true, func(r *result) float64 { return r.clean.ready }},
		{"· until a first host is read, s", "%.2f", true, func(r *result) float64 { return r.clean.answers }},
	}, correct())
}

// millionFigures are those of a million series at their own pace.
func millionFigures() []figure {
	return slices.Concat(sizes(), bulk(), []figure{
		{"share of a core at its own pace", "%.3f", true, func(r *result) float64 { return r.steady.share() }},
		{"· with these points' part of the clean stop", "%.3f", true, func(r *result) float64 { return r.steady.whole(r) }},
		{"memory per active series, bytes", "%.0f", true, perSeries},
		{"resident memory, MB", "%.1f", true, func(r *result) float64 { return float64(r.after) / 1e6 }},
		{"peak memory, MB", "%.1f", true, func(r *result) float64 { return float64(r.peak) / 1e6 }},
	}, disk(), []figure{
		{"start after kill -9 until ready, s", "%.2f", true, func(r *result) float64 { return r.killed.ready }},
		{"· until a first host is read, s", "%.2f", true, func(r *result) float64 { return r.killed.answers }},
		{"· peak memory, MB", "%.1f", true, func(r *result) float64 { return float64(r.killed.peak) / 1e6 }},
		{"start after a clean stop until ready, s", "%.2f", true, func(r *result) float64 { return r.clean.ready }},
		{"· until a first host is read, s", "%.2f", true, func(r *result) float64 { return r.clean.answers }},
		{"· peak memory, MB", "%.1f", true, func(r *result) float64 { return float64(r.clean.peak) / 1e6 }},
	}, correct(), []figure{
		{"points lost by kill -9 as soon as the last can be queried", "%.0f", false, func(r *result) float64 { return float64(r.lost) }},
	})
}

func sizes() []figure {
	return []figure{
		{"series", "%.0f", false, func(r *result) float64 { return float64(r.series) }},
		{"points per series", "%.0f", false, func(r *result) float64 { return float64(r.points) }},
		{"load of the machine before", "%.2f", false, func(r *result) float64 { return r.load }},
	}
}

func bulk() []figure {
	return []figure{
		{"points per second, first byte to all queryable", "%.0f", true, func(r *result) float64 { return float64(r.sent) / r.queryable }},
		{"CPU s per million points, durable and stopped", "%.3f", true, func(r *result) float64 { return million(r.cpuIngest, r.sent) + million(r.cpuStop, r.total()) }},
		{"· of it until all is queryable", "%.3f", true, func(r *result) float64 { return million(r.cpuIngest, r.sent) }},
		{"· of it for the clean stop", "%.3f", false, func(r *result) float64 { return million(r.cpuStop, r.total()) }},
		{"CPU s per million points of the sender", "%.3f", false, func(r *result) float64 { return million(r.sender, r.sent) }},
	}
}

func disk() []figure {
	return []figure{
		{"disk bytes per point, data folder", "%.3f", true, func(r *result) float64 { return r.perPoint(r.data.allocated) }},
		{"disk bytes per point, metrics only", "%.3f", true, func(r *result) float64 { return r.perPoint(r.metrics.allocated) }},
		{"· by length of files", "%.3f", true, func(r *result) float64 { return r.perPoint(r.metrics.apparent) }},
	}
}

func correct() []figure {
	return []figure{
		{"points compared", "%.0f", false, func(r *result) float64 { return float64(r.checked) }},
		{"missing points", "%.0f", false, func(r *result) float64 { return float64(r.missing) }},
		{"wrong points", "%.0f", false, func(r *result) float64 { return float64(r.wrong + r.more) }},
	}
}

func perSeries(r *result) float64 { return float64(r.after-r.before) / float64(r.series) }

func million(cpu float64, points int) float64 { return cpu / float64(points) * 1e6 }

func (r *result) perPoint(bytes int64) float64 {
	if bytes == 0 {
		return math.NaN()
	}
	return float64(bytes) / float64(r.total())
}

// total is all points, those of paced rounds too.
func (r *result) total() int { return r.series * r.points }

// write writes a table of the figures.
func write(out io.Writer, figures []figure, results []*result) {
	var systems []string
	rows := make([]report.Row, len(figures))
	for i, f := range figures {
		rows[i] = report.Row{Title: f.title, Format: f.format, Ratio: f.ratio}
	}
	for _, r := range results {
		systems = append(systems, r.system)
		for i, f := range figures {
			rows[i].Values = append(rows[i].Values, f.of(r))
		}
	}
	report.Table(out, systems, rows)
}
