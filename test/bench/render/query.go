package main

import (
	"net/url"
	"slices"
	"strconv"
)

// query is one of the questions, and what its answer must be.
type query struct {
	name, title string
	target      string
	points      int // of the answer
	// want is the value of a result at a point; names are those of results, one
	// without a name is the only one.
	want func(d *data, result string, p int) float64
	all  bool // it makes a result for every group
	// early is what older versions answer: before graphite-web 1.2 the window of
	// a moving average ended one point before the one that it belongs to, and
	// there may be one point more at the end.
	early func(d *data, result string, p int) float64
}

const every = "servers.dc*.web-*.cpu.usage"

// queries are the four, with ranges as long as there are points.
func (b *bench) all(d *data) []*query {
	length := func(hours int) int { return min(hours*3600/step, b.points) }
	moving := func(d *data, result string, p int) float64 {
		total := 0.0
		for i := slices.Index(centres(), result); i < len(d.names); i += groups {
			sum := 0.0
			for k := p - window + 1; k <= p; k++ {
				sum += d.value(i, k)
			}
			total += sum / window
		}
		return total
	}
	sum := func(d *data, _ string, p int) float64 { return d.sum(p) }
	return []*query{
		{
			name: "one", title: "one series over 24 h", target: d.names[len(d.names)/2], points: length(24),
			want: func(d *data, _ string, p int) float64 { return d.value(len(d.names)/2, p) },
		}, {
			name: "sum", title: "sumSeries of all over 1 h", target: "sumSeries(" + every + ")", points: length(1), want: sum,
		}, {
			name: "average", title: "averageSeries of all over 24 h", target: "averageSeries(" + every + ")", points: length(24),
			want: func(d *data, _ string, p int) float64 { return d.sum(p) / float64(len(d.names)) },
		}, {
			name: "moving", title: "groupByNode of movingAverage of all over 6 h", all: true,
			target: "groupByNode(movingAverage(" + every + ",'5min'),1,'sum')", points: min(6*3600/step, b.points-window),
			want: moving, early: func(d *data, r string, p int) float64 { return moving(d, r, p-1) },
		},
	}
}

// results are the names of an answer's series, "" for one whatever it is called.
func (q *query) results() []string {
	if !q.all {
		return []string{""}
	}
	return centres()
}

// last is the number of the last point of the range, moved back by some steps.
func (d *data) last(moved int) int { return d.points - 1 - moved%moves }

// address is where to ask, the range moved back by some steps. Its ends lie
// between points: systems differ in which end of a range belongs to it.
func (q *query) address(base string, d *data, moved int) string {
	last := d.last(moved)
	return base + "/render?" + url.Values{
		"target": {q.target}, "format": {"json"},
		"from": {strconv.FormatInt(d.at(last-q.points)+1, 10)}, "until": {strconv.FormatInt(d.at(last)+1, 10)},
		"noCache": {"1"}, "nocache": {"1"}, // as graphite-web and as VictoriaMetrics calls it
	}.Encode()
}
