package chart

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"steer/base/metric"
)

// legend lists the series with their last, lowest and highest value.
func (p *picture) legend() []string {
	rows := [][]string{{"last", "min", "max"}}
	for _, s := range p.series {
		rows = append(rows, figures(s))
	}
	widths := make([]int, 3)
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	room, longest := p.Width-2, 0
	for _, w := range widths {
		room -= w + 2
	}
	for _, s := range p.series {
		longest = max(longest, utf8.RuneCountInString(plain(s.Name)))
	}
	room = min(max(room, 3), longest)
	lines := make([]string, len(rows))
	for i, r := range rows {
		name, key := "", " "
		if i > 0 {
			name, key = p.shorten(plain(p.series[i-1].Name), room), p.glyph("━", "a")
			if letter := p.letter(i - 1); letter != "" {
				key = letter
			}
			key = p.paint(p.hue(i-1), key)
		}
		line := key + " " + name + strings.Repeat(" ", room-utf8.RuneCountInString(name))
		for k, cell := range r {
			cell = pad(cell, widths[k])
			if i == 0 {
				cell = p.paint(dim, cell)
			}
			line += "  " + cell
		}
		lines[i] = line
	}
	return lines
}

func figures(s metric.Series) []string {
	last, low, high, any := 0.0, 0.0, 0.0, false
	for _, v := range s.Values {
		if v != v {
			continue
		}
		if !any {
			low, high = v, v
		}
		last, low, high, any = v, min(low, v), max(high, v), true
	}
	if !any {
		return []string{"-", "-", "-"}
	}
	u := unit(s.Name)
	return []string{quantity(last, u), quantity(low, u), quantity(high, u)}
}

// told lists what the marks stand for, the newest ones.
func (p *picture) told() []string {
	var lines []string
	first := max(0, len(p.Marks)-mostMarks)
	if first > 0 {
		lines = append(lines, p.paint(dim, fmt.Sprintf("  %d earlier marks", first)))
	}
	for _, m := range p.Marks[first:] {
		form := "15:04:05"
		if p.until-p.from > 86400/2 {
			form = "Jan 2 15:04"
		}
		when := time.Unix(m.Time, 0).In(p.TZ).Format(form)
		lines = append(lines, p.mark(m)+" "+p.paint(dim, when)+"  "+p.shorten(plain(m.Text), p.Width-4-len(when)))
	}
	return lines
}
