// Package chart draws series over time with the characters of a terminal: pure
// functions from columns of values to lines of text.
//
// A character holds two by four dots of braille, or one letter where a terminal
// knows only ASCII. Of several series each has a letter, at the right end of its
// line and before its name, so that they can be told apart without colours.
package chart

import (
	"fmt"
	"strings"
	"time"

	"steer/base/metric"
)

// Options are the choices of one chart.
type Options struct {
	Width, Height int            // characters of the whole picture; small ones are raised to 50 by 12
	TZ            *time.Location // of the times; nil is UTC
	ASCII         bool           // no other characters in the picture; names stay as they are
	Colour        bool           // with the codes of a terminal
	Marks         []Mark         // in order of time
}

// Mark is a moment at which something happened.
type Mark struct {
	Time int64 // seconds since 1970
	Text string
	Bad  bool
}

// Bounds of what is drawn, so that a picture stays readable.
const (
	mostSeries = 26 // one letter each
	mostMarks  = 6
	leastWide  = 50
	leastRows  = 8 // of the plot
)

// Draw makes a chart, its legend and the list of its marks, line by line. Series
// without any value are in the legend only. The chart is higher than asked for
// where the legend leaves it no room.
func Draw(series []metric.Series, o Options) []string {
	if len(series) == 0 {
		return nil
	}
	if o.TZ == nil {
		o.TZ = time.UTC
	}
	shown := series[:min(len(series), mostSeries)]
	p := picture{Options: o, pen: pen{ascii: o.ASCII, colour: o.Colour}, series: shown}
	p.Width = max(p.Width, leastWide)
	p.from, p.until = ends(shown)
	inside := o.Marks[:0:0]
	for _, m := range o.Marks {
		if m.Time >= p.from && m.Time <= p.until {
			inside = append(inside, m)
		}
	}
	p.Marks = inside
	legend := p.legend()
	if hidden := len(series) - len(shown); hidden > 0 {
		legend = append(legend, p.paint(dim, fmt.Sprintf("%d more, not drawn: try highest(TARGET,10)", hidden)))
	}
	told := p.told()
	const below = 2 // the axis of time
	rows := max(leastRows, o.Height-len(legend)-len(told)-below)
	lines := p.plot(rows)
	return append(append(lines, legend...), told...)
}

// ends is the span of time of all series.
func ends(series []metric.Series) (from, until int64) {
	from, until = series[0].Start, series[0].Start
	for _, s := range series {
		from = min(from, s.Start)
		until = max(until, s.Start+int64(max(0, len(s.Values)-1))*s.Step)
	}
	return from, max(until, from+1)
}

// picture is a chart in the making.
type picture struct {
	Options
	pen
	series      []metric.Series
	from, until int64
}

// letter names a series; one alone needs no name.
func (p *picture) letter(i int) string {
	if len(p.series) == 1 {
		return ""
	}
	return string(rune('a' + i))
}

// plot draws the axes and the lines.
func (p *picture) plot(rows int) []string {
	y := vertical(p.series, rows)
	gutter := 6 // a date fits
	for _, t := range y.ticks {
		gutter = max(gutter, len([]rune(t.label)))
	}
	right := 0
	if len(p.series) > 1 {
		right = 2
	}
	columns := p.Width - gutter - 2 - right
	c := newCanvas(columns, rows, p.ascii)
	for i := len(p.series) - 1; i >= 0; i-- { // the first one lies on top
		p.draw(c, i, y)
	}
	labels := make([]string, rows)
	for _, t := range y.ticks {
		labels[t.row] = t.label
	}
	keys := p.keys(c, y, rows)
	lines := make([]string, 0, rows+2)
	for row := range rows {
		bar := p.glyph("│", "|")
		if labels[row] != "" {
			bar = p.glyph("┤", "+")
		}
		line := pad(labels[row], gutter) + " " + p.paint(dim, bar) + c.line(row, p.pen)
		lines = append(lines, strings.TrimRight(line+keys[row], " "))
	}
	x := horizontal(p.from, p.until, columns, p.TZ)
	lines = append(lines, pad("", gutter)+" "+p.axis(x, columns))
	return append(lines, strings.TrimRight(p.paint(dim, pad(x.day, gutter))+"  "+x.line(columns), " "))
}

// draw puts the unbroken parts of one series on the canvas.
func (p *picture) draw(c *canvas, i int, y scale) {
	s := p.series[i]
	before := false
	var x0, y0 int
	for k, v := range s.Values {
		if v-v != 0 { // missing or infinite
			before = false
			continue
		}
		x1 := p.dot(s.Start+int64(k)*s.Step, c.width())
		y1 := y.dot(v, c.height())
		if before {
			c.stroke(x0, y0, x1, y1, i)
		} else {
			c.set(x1, y1, i)
		}
		x0, y0, before = x1, y1, true
	}
}

// dot is the column of a time, of so many.
func (p *picture) dot(t int64, columns int) int {
	return int((t - p.from) * int64(columns-1) / (p.until - p.from))
}

// keys puts the letter of each series beside its last value, or in the nearest
// free row.
func (p *picture) keys(c *canvas, y scale, rows int) []string {
	keys := make([]string, rows)
	if len(p.series) == 1 {
		return keys
	}
	for i, s := range p.series {
		last, ok := newest(s)
		if !ok {
			continue
		}
		at := c.row(y.dot(last, c.height()))
		for d := range rows {
			if r := at - d; r >= 0 && keys[r] == "" {
				at = r
				break
			}
			if r := at + d; r < rows && keys[r] == "" {
				at = r
				break
			}
		}
		if keys[at] == "" {
			keys[at] = " " + p.paint(p.hue(i), p.letter(i))
		}
	}
	return keys
}

// newest is the last finite value.
func newest(s metric.Series) (float64, bool) {
	for i := len(s.Values) - 1; i >= 0; i-- {
		if v := s.Values[i]; v-v == 0 {
			return v, true
		}
	}
	return 0, false
}

// axis is the line below the plot, with its ticks and marks.
func (p *picture) axis(x times, columns int) string {
	line := make([]string, columns)
	for i := range line {
		line[i] = p.glyph("─", "-")
	}
	for _, t := range x.ticks {
		line[t.column] = p.glyph("┬", "+")
	}
	out := p.glyph("└", "+")
	for _, m := range p.Marks {
		line[p.dot(m.Time, columns)] = p.mark(m)
	}
	return p.paint(dim, out) + p.merge(line)
}
