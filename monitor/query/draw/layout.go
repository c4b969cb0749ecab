package draw

import (
	"math"
	"slices"

	"steer/monitor/query"
)

// canvas is what a chart is put down on. Places are pixels from the top left.
type canvas interface {
	rect(x, y, w, h float64, c color)
	stroke(p []point, width, dash float64, c color)
	area(p []point, c color)
	text(x, y float64, s string, t textStyle)
	clip(x, y, w, h float64) // holds for strokes and areas from now on
}

type textStyle struct {
	size   float64
	bold   bool
	anchor float64 // 0 the text starts at the place, 0.5 is centred on it, 1 ends there
	up     bool    // turned to read from below
	color  color
}

// chart puts everything down on the canvas.
func chart(c canvas, f *fonts, results []query.Result, o Options) {
	background, foreground := color{255, 255, 255, 255}, color{51, 60, 72, 255}
	if bg, ok := parseColor(o.Background); ok {
		background = bg
		if int(bg.r)*3+int(bg.g)*6+int(bg.b) < 1280 && bg.a > 127 {
			foreground = color{226, 230, 236, 255}
		}
	}
	if fg, ok := parseColor(o.Foreground); ok {
		foreground = fg
	}
	width, height := float64(o.Width), float64(o.Height)
	c.rect(0, 0, width, height, background)
	quiet, grid := foreground.mix(background, 0.25), foreground.mix(background, 0.85)
	if background.a < 128 {
		quiet, grid = foreground, foreground.faded(0.15)
	}

	from, until := bounds(results, o)
	lines := prepare(results, o)
	size := o.FontSize
	gap := math.Round(size * 0.7)
	left, right, top, bottom := gap, width-gap, gap, height-gap
	if o.GraphOnly {
		left, right, top, bottom = 0, width, 0, height
		o.HideAxes, o.HideGrid = true, true
	} else {
		if o.Title != "" {
			c.text(width/2, top+size*1.1, f.fit(o.Title, size*1.25, width-2*gap), textStyle{size * 1.25, true, 0.5, false, foreground})
			top += math.Round(size*1.25 + gap)
		}
		if o.VTitle != "" {
			left += math.Round(size * 1.4)
		}
		bottom = legend(c, f, lines, o, gap, bottom, quiet)
		if !o.HideAxes {
			bottom -= math.Round(size * 1.5)
			top += math.Round(size * 0.4)
		}
	}
	if bottom-top < 4 || right-left < 4 {
		return
	}

	scales := map[bool]scale{}
	labels := map[bool]float64{}
	for _, side := range [...]bool{false, true} {
		low, high, any := extent(lines, side, o)
		if !any && side {
			continue
		}
		ticks := int(math.Max((bottom-top)/(size*3), 2))
		fixedLow, fixedHigh := o.YMin, o.YMax
		s := newScale(low, high, fixedLow, fixedHigh, ticks, o.YUnits == "binary")
		s.top, s.base = top, bottom
		scales[side] = s
		for _, v := range s.ticks() {
			labels[side] = math.Max(labels[side], f.width(s.label(v, o.YUnits), size, false))
		}
	}
	if !o.HideAxes {
		left += math.Ceil(labels[false]) + math.Round(gap*0.7)
		if _, ok := scales[true]; ok {
			right -= math.Ceil(labels[true]) + math.Round(gap*0.7)
		}
	}
	if right-left < 4 {
		return
	}
	if o.VTitle != "" && !o.GraphOnly {
		c.text(gap+size*0.9, (top+bottom)/2, f.fit(o.VTitle, size, bottom-top), textStyle{size, false, 0.5, true, foreground})
	}
	x := func(t float64) float64 { return left + (t-float64(from))/float64(until-from)*(right-left) }

	for _, side := range [...]bool{false, true} {
		s, ok := scales[side]
		if !ok {
			continue
		}
		for _, v := range s.ticks() {
			y := math.Round(s.y(v)) + 0.5
			if !o.HideGrid && !side {
				c.stroke([]point{{left, y}, {right, y}}, 1, 0, grid)
			}
			if o.HideAxes {
				continue
			}
			if side {
				c.text(right+gap*0.6, y+size*0.35, s.label(v, o.YUnits), textStyle{size, false, 0, false, quiet})
			} else {
				c.text(left-gap*0.6, y+size*0.35, s.label(v, o.YUnits), textStyle{size, false, 1, false, quiet})
			}
		}
	}
	apart := math.Max(f.width("00:00:00", size, false), 40) * 1.6
	end := math.Inf(-1)
	for _, m := range timeMarks(from, until, apart/(right-left)*float64(until-from), o.TZ) {
		px := math.Round(x(float64(m.at))) + 0.5
		if !o.HideGrid {
			c.stroke([]point{{px, top}, {px, bottom}}, 1, 0, grid)
		}
		half := f.width(m.label, size, false) / 2
		if !o.HideAxes && px-half > end && px+half <= width {
			c.text(px, bottom+size*1.35, m.label, textStyle{size, false, 0.5, false, quiet})
			end = px + half + 4
		}
	}
	if !o.HideAxes {
		y := math.Round(bottom) + 0.5
		c.stroke([]point{{left, y}, {right, y}}, 1, 0, foreground.mix(background, 0.5))
	}
	c.clip(left, top-1, right-left, bottom-top+2)
	plot(c, lines, scales, x, frame{left, top, right, bottom}, o)
}

// plot draws the data: areas below all lines.
func plot(c canvas, lines []line, scales map[bool]scale, x func(t float64) float64, box frame, o Options) {
	place := func(run []point, s scale) []point {
		out := make([]point, len(run))
		for i, p := range run {
			out[i] = point{x(p.x), s.y(p.y)}
		}
		return visible(out, box)
	}
	on := func(l line) scale {
		if s, ok := scales[l.right]; ok {
			return s
		}
		return scales[false] // nothing at the right has values to measure
	}
	for i, l := range lines {
		none := o.AreaMode == "" || o.AreaMode == "none" || o.AreaMode == "first" && i > 0
		if l.style.Threshold || l.style.Infinite || l.style.Invisible || none && l.style.Stack == "" {
			continue
		}
		alpha := o.AreaAlpha
		if l.style.Stack != "" && l.style.Alpha > 0 {
			alpha = l.style.Alpha
		}
		s := on(l)
		floor := math.Min(math.Max(s.y(0), s.top), s.base)
		for j, run := range l.runs {
			border := place(run, s)
			if len(border) == 0 {
				continue
			}
			if l.base != nil {
				base := place(l.base[j], s)
				for k := len(base) - 1; k >= 0; k-- {
					border = append(border, base[k])
				}
			} else {
				border = append(border, point{border[len(border)-1].x, floor}, point{border[0].x, floor})
			}
			c.area(border, l.color.faded(alpha))
		}
	}
	for _, l := range lines {
		s, ink := on(l), l.color
		if l.style.Alpha > 0 {
			ink = ink.faded(l.style.Alpha)
		}
		if l.style.Invisible {
			continue
		}
		width := o.LineWidth
		if l.style.Width > 0 {
			width = l.style.Width
		}
		for _, run := range l.runs {
			if l.style.Infinite {
				for _, p := range run {
					if p.y > 0 && x(p.x) >= box.left && x(p.x) <= box.right {
						c.stroke([]point{{x(p.x), s.top}, {x(p.x), s.base}}, width, l.style.Dash, ink)
					}
				}
				continue
			}
			p := place(run, s)
			if len(p) == 1 { // a point between gaps is still seen
				p = []point{{p[0].x - width, p[0].y}, {p[0].x + width, p[0].y}}
			}
			c.stroke(p, width, l.style.Dash, ink)
		}
	}
}

// legend puts the names into columns above the bottom, and returns where it
// starts.
func legend(c canvas, f *fonts, lines []line, o Options, gap, bottom float64, ink color) float64 {
	lines = slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return l.name == "" })
	hide := len(lines) > 10
	if o.HideLegend != nil {
		hide = *o.HideLegend
	}
	if hide || len(lines) == 0 {
		return bottom
	}
	size := o.FontSize
	room := float64(o.Width) - 2*gap
	swatch := math.Round(size * 1.4)
	column := 0.0
	for _, l := range lines {
		column = math.Max(column, f.width(l.name, size, false)+swatch+gap*1.5)
	}
	column = math.Min(column, room)
	columns := int(math.Max(room/column, 1))
	height := math.Round(size * 1.5)
	rows := (len(lines) + columns - 1) / columns
	// A chart that is too small for its legend keeps the data.
	if most := int(float64(o.Height) * 0.45 / height); rows > most {
		rows = most
	}
	start := bottom - float64(rows)*height
	for i, l := range lines {
		if i >= rows*columns {
			break
		}
		x, y := gap+float64(i%columns)*column, start+float64(i/columns)*height+size*1.15
		c.stroke([]point{{x, y - size*0.35}, {x + swatch - gap*0.6, y - size*0.35}}, math.Max(3, size/4), 0, l.color)
		c.text(x+swatch, y, f.fit(l.name, size, column-swatch-gap*0.5), textStyle{size, false, 0, false, ink})
	}
	return start - math.Round(gap*0.3)
}
