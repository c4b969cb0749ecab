package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// figure is a row of the report. NaN means that there is no such figure.
type figure struct {
	title  string
	format string
	ratio  bool // Steer / peer says something
	of     func(*result) float64
}

func figures() []figure {
	million := func(cpu float64, r *result) float64 { return cpu / (float64(r.total()) / 1e6) }
	perPoint := func(bytes int64, r *result) float64 {
		if bytes == 0 {
			return math.NaN()
		}
		return float64(bytes) / float64(r.total())
	}
	return []figure{
		{"series", "%.0f", false, func(r *result) float64 { return float64(r.series) }},
		{"points per series", "%.0f", false, func(r *result) float64 { return float64(r.points) }},
		{"points per second, first byte to all queryable", "%.0f", true, func(r *result) float64 { return float64(r.total()) / r.queryable }},
		{"CPU s per million points, durable and stopped", "%.3f", true, func(r *result) float64 { return million(r.cpuIngest+r.cpuStop, r) }},
		{"· of it until all is queryable", "%.3f", true, func(r *result) float64 { return million(r.cpuIngest, r) }},
		{"· of it for the clean stop", "%.3f", false, func(r *result) float64 { return million(r.cpuStop, r) }},
		{"CPU s per million points of the sender", "%.3f", false, func(r *result) float64 { return million(r.sender, r) }},
		{"peak memory, MB", "%.1f", true, func(r *result) float64 { return float64(r.peak) / 1e6 }},
		{"memory per active series, bytes", "%.0f", true, func(r *result) float64 { return float64(r.after-r.before) / float64(r.series) }},
		{"disk bytes per point, data folder", "%.3f", true, func(r *result) float64 { return perPoint(r.data.allocated, r) }},
		{"disk bytes per point, metrics only", "%.3f", true, func(r *result) float64 { return perPoint(r.metrics.allocated, r) }},
		{"· by length of files", "%.3f", true, func(r *result) float64 { return perPoint(r.metrics.apparent, r) }},
		{"· after a merge by hand", "%.3f", false, func(r *result) float64 { return perPoint(r.merged.allocated, r) }},
		{"start after a clean stop until ready, s", "%.2f", true, func(r *result) float64 { return r.ready }},
		{"start until a first host is read, s", "%.2f", true, func(r *result) float64 { return r.answers }},
		{"points compared", "%.0f", false, func(r *result) float64 { return float64(r.checked) }},
		{"missing points", "%.0f", false, func(r *result) float64 { return float64(r.missing) }},
		{"wrong points", "%.0f", false, func(r *result) float64 { return float64(r.wrong + r.more) }},
	}
}

func (r *result) total() int { return r.series * r.points }

// report writes a table: a row per figure, a column per system, and behind
// them Steer's figure over each peer's.
func report(out io.Writer, figures []figure, results []*result) {
	var mine *result
	head := []string{""}
	for _, r := range results {
		head = append(head, r.system)
		if r.system == "steer" {
			mine = r
		}
	}
	var peers []*result
	for _, r := range results {
		if mine != nil && !strings.HasPrefix(r.system, "steer") {
			peers = append(peers, r)
			head = append(head, "steer / "+r.system)
		}
	}
	row(out, head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	row(out, rule)
	for _, f := range figures {
		cells := []string{f.title}
		for _, r := range results {
			cells = append(cells, cell(f.format, f.of(r)))
		}
		for _, p := range peers {
			ratio := math.NaN()
			if f.ratio {
				ratio = f.of(mine) / f.of(p)
			}
			cells = append(cells, cell("%.2f", ratio))
		}
		row(out, cells)
	}
}

func cell(format string, v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return fmt.Sprintf(format, v)
}

func row(out io.Writer, cells []string) { fmt.Fprintln(out, "| "+strings.Join(cells, " | ")+" |") }
