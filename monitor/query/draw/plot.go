package draw

import (
	"math"
	"slices"
)

// place turns a run into pixels.
func (s *sheet) place(run []point, sc scale) []point {
	out := make([]point, len(run))
	for i, p := range run {
		out[i] = point{s.x(p.x), sc.y(p.y)}
	}
	return visible(out, s.free)
}

func (s *sheet) scale(l line) scale {
	if sc, ok := s.scales[l.right]; ok {
		return sc
	}
	return s.scales[false] // nothing at the right has values to measure
}

// plot draws the data: areas below all lines.
func (s *sheet) plot() {
	if !slices.ContainsFunc(s.lines, func(l line) bool { return len(l.runs) > 0 }) {
		s.noData(point{(s.free.left + s.free.right) / 2, (s.free.top + s.free.bottom) / 2})
		return
	}
	for i, l := range s.lines {
		none := s.o.AreaMode == "" || s.o.AreaMode == "none" || s.o.AreaMode == "first" && i > 0
		if l.style.Threshold || l.style.Infinite || l.style.Invisible || none && l.style.Stack == "" {
			continue
		}
		s.areas(l)
	}
	for _, l := range s.lines {
		if !l.style.Invisible {
			s.strokes(l)
		}
	}
}

func (s *sheet) areas(l line) {
	alpha := s.o.AreaAlpha
	if l.style.Stack != "" && l.style.Alpha > 0 {
		alpha = l.style.Alpha
	}
	sc := s.scale(l)
	floor := math.Min(math.Max(sc.y(0), sc.top), sc.base)
	for j, run := range l.runs {
		border := s.place(run, sc)
		if len(border) == 0 {
			continue
		}
		if l.base != nil {
			base := s.place(l.base[j], sc)
			for k := len(base) - 1; k >= 0; k-- {
				border = append(border, base[k])
			}
		} else {
			border = append(border, point{border[len(border)-1].x, floor}, point{border[0].x, floor})
		}
		s.area(border, l.color.faded(alpha))
	}
}

func (s *sheet) strokes(l line) {
	sc, ink, width := s.scale(l), l.color, s.o.LineWidth
	if l.style.Alpha > 0 {
		ink = ink.faded(l.style.Alpha)
	}
	if l.style.Width > 0 {
		width = l.style.Width
	}
	for _, run := range l.runs {
		if l.style.Infinite {
			for _, p := range run {
				if x := s.x(p.x); p.y > 0 && x >= s.free.left && x <= s.free.right {
					s.stroke([]point{{x, sc.top}, {x, sc.base}}, width, l.style.Dash, ink)
				}
			}
			continue
		}
		p := s.place(run, sc)
		if len(p) == 1 { // a point between gaps is still seen
			dot := math.Max(2*width, 3)
			s.stroke([]point{{p[0].x - dot/2, p[0].y}, {p[0].x + dot/2, p[0].y}}, dot, 0, ink)
			continue
		}
		s.stroke(p, width, l.style.Dash, ink)
	}
}
