package draw

import (
	"fmt"
	"math"
)

// legend puts the names into columns at the bottom, and takes their room from what
// is free.
func (s *sheet) legend() {
	var lines []line
	seen := map[string]bool{}
	for _, l := range s.lines {
		if l.name != "" && !(s.o.UniqueLegend && seen[l.name]) {
			lines, seen[l.name] = append(lines, l), true
		}
	}
	hide := len(lines) > 10
	if s.o.HideLegend != nil {
		hide = *s.o.HideLegend
	}
	if hide || len(lines) == 0 {
		return
	}
	size, gap := s.o.FontSize, s.gap
	room := s.free.right - s.free.left
	swatch := math.Round(size * 1.4)
	column := 0.0
	for _, l := range lines {
		column = math.Max(column, s.width(l.name, size, false)+swatch+gap*1.5)
	}
	column = math.Min(column, room)
	columns := int(math.Max(room/column, 1))
	height := math.Round(size * 1.5)
	rows := (len(lines) + columns - 1) / columns
	// A chart that is too small for its legend keeps the data.
	if most := int(float64(s.o.Height) * 0.45 / height); rows > most {
		rows = most
	}
	if rows == 0 {
		return
	}
	start := s.free.bottom - float64(rows)*height
	for i, l := range lines {
		x, y := s.free.left+float64(i%columns)*column, start+float64(i/columns)*height+size*1.15
		if places := rows * columns; i == places-1 && len(lines) > places {
			s.text(x, y, fmt.Sprintf("and %d more", len(lines)-i), textStyle{size, false, 0, false, s.quiet})
			break
		}
		s.stroke([]point{{x, y - size*0.35}, {x + swatch - gap*0.6, y - size*0.35}}, math.Max(3, size/4), 0, l.color)
		s.text(x+swatch, y, s.fit(l.name, size, column-swatch-gap*0.5, false), textStyle{size, false, 0, false, s.quiet})
	}
	s.free.bottom = start - math.Round(gap*0.3)
}
