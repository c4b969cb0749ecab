package draw

import (
	"cmp"
	"math"

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

// sheet is a chart on its way to the canvas. The frame is what is still free.
type sheet struct {
	canvas
	*fonts
	o           Options
	lines       []line
	from, until int64
	gap         float64 // pixels between things
	margin      float64 // pixels around all
	free        frame
	scales      map[bool]scale // by side; true is the right one

	background, foreground, quiet, grid color
}

// chart puts everything down on the canvas.
func chart(c canvas, f *fonts, results []query.Result, o Options) {
	s := &sheet{canvas: c, fonts: f, o: o, lines: prepare(results, o), scales: map[bool]scale{}}
	s.from, s.until = bounds(results, o)
	s.paint()
	width, height := float64(o.Width), float64(o.Height)
	// What is too small for everything shows the data.
	if size := o.FontSize; height < 6*size || width < 12*size {
		hide := true
		s.o.HideLegend = cmp.Or(o.HideLegend, &hide)
		s.o.HideAxes = o.HideAxes || height < 5*size || width < 10*size
	}
	c.rect(0, 0, width, height, s.background)
	s.gap = math.Round(o.FontSize * 0.7)
	s.margin = s.gap
	if o.Margin != nil {
		s.margin = float64(*o.Margin)
	}
	if o.GraphOnly {
		s.margin, s.o.HideAxes, s.o.HideGrid = 0, true, true
	}
	s.free = frame{s.margin, s.margin, width - s.margin, height - s.margin}
	if !o.GraphOnly {
		s.title()
		s.legend()
	}
	if o.Pie != "" {
		s.pie(results)
		return
	}
	if !s.frame() {
		return
	}
	s.levels()
	s.times()
	f1 := s.free
	c.clip(f1.left, f1.top-1, f1.right-f1.left, f1.bottom-f1.top+2)
	s.plot()
}

// paint chooses the colours of everything but the data, and makes those of the data
// readable on a dark background. What was written as digits stays as it is.
func (s *sheet) paint() {
	s.background, s.foreground = color{255, 255, 255, 255}, color{51, 60, 72, 255}
	if bg, ok := parseColor(s.o.Background); ok {
		s.background = bg
		if bg.a > 127 && bg.dark() {
			s.foreground = color{226, 230, 236, 255}
		}
	}
	if fg, ok := parseColor(s.o.Foreground); ok {
		s.foreground = fg
	}
	s.quiet, s.grid = s.foreground.mix(s.background, 0.25), s.foreground.mix(s.background, 0.85)
	if s.background.a < 128 {
		s.quiet, s.grid = s.foreground, s.foreground.faded(0.15)
		return
	}
	if s.quiet.contrast(s.background) < 4.5 {
		s.quiet = s.foreground
	}
	for i, l := range s.lines {
		for share := 0.1; s.background.dark() && !l.exact && share < 1 && s.lines[i].color.contrast(s.background) < 3.5; share += 0.1 {
			s.lines[i].color = l.color.mix(color{255, 255, 255, 255}, share)
		}
	}
}

func (s *sheet) title() {
	if s.o.Title == "" {
		return
	}
	size := s.o.FontSize * 1.25
	room := s.free.right - s.free.left
	s.text((s.free.left+s.free.right)/2, s.free.top+s.o.FontSize*1.1, s.fit(s.o.Title, size, room, true), textStyle{size, true, 0.5, false, s.foreground})
	s.free.top += math.Round(size + s.gap)
}

// frame takes the room for axes from what is free, and makes the scales. Without
// room for the data it is false.
func (s *sheet) frame() bool {
	size, f := s.o.FontSize, &s.free
	titled := s.o.VTitle != "" && !s.o.GraphOnly
	outside := f.left
	if titled {
		f.left += math.Round(size * 1.4)
	}
	if !s.o.HideAxes {
		f.bottom -= math.Round(size * 1.5)
		f.top += math.Round(size * 0.4)
	}
	if f.bottom-f.top < 4 || f.right-f.left < 4 {
		return false
	}
	labels := map[bool]float64{}
	for _, side := range [...]bool{false, true} {
		low, high, any := extent(s.lines, side, s.o)
		if !any && side {
			continue
		}
		ticks := int(math.Max((f.bottom-f.top)/(size*3), 2))
		fixedLow, fixedHigh := s.o.ends(side)
		var made scale
		if s.o.LogBase > 0 {
			made = newLogScale(low, high, fixedLow, fixedHigh, ticks, s.o.LogBase)
		} else {
			made = newScale(low, high, fixedLow, fixedHigh, ticks, s.o.YUnits == "binary")
		}
		made.top, made.base = f.top, f.bottom
		s.scales[side] = made
		for _, v := range made.ticks() {
			labels[side] = math.Max(labels[side], s.width(made.label(v, s.o.YUnits), size, false))
		}
	}
	if !s.o.HideAxes {
		f.left += math.Ceil(labels[false]) + math.Round(s.gap*0.7)
		if _, ok := s.scales[true]; ok {
			f.right -= math.Ceil(labels[true]) + math.Round(s.gap*0.7)
		}
	}
	if f.right-f.left < 4 {
		return false
	}
	if titled {
		s.text(outside+size*0.9, (f.top+f.bottom)/2, s.fit(s.o.VTitle, size, f.bottom-f.top, false), textStyle{size, false, 0.5, true, s.foreground})
	}
	return true
}

// ends are the ends that an axis was given.
func (o Options) ends(right bool) (low, high *float64) {
	low, high = o.YMin, o.YMax
	if right && o.RightMin != nil {
		low = o.RightMin
	}
	if right && o.RightMax != nil {
		high = o.RightMax
	}
	return low, high
}

// levels draws the grid's level lines and labels them at both sides.
func (s *sheet) levels() {
	size, f := s.o.FontSize, s.free
	for _, side := range [...]bool{false, true} {
		sc, ok := s.scales[side]
		if !ok {
			continue
		}
		last := math.Inf(1)
		for _, v := range sc.ticks() {
			y := math.Round(sc.y(v)) + 0.5
			if !s.o.HideGrid && !side {
				s.stroke([]point{{f.left, y}, {f.right, y}}, 1, 0, s.grid)
			}
			if s.o.HideAxes || last-y < size { // ticks of a logarithmic axis may be close
				continue
			}
			last = y
			x, anchor := f.left-s.gap*0.6, 1.0
			if side {
				x, anchor = f.right+s.gap*0.6, 0
			}
			s.text(x, y+size*0.35, sc.label(v, s.o.YUnits), textStyle{size, false, anchor, false, s.quiet})
		}
	}
}

// x is the place of a time.
func (s *sheet) x(t float64) float64 {
	return s.free.left + (t-float64(s.from))/float64(s.until-s.from)*(s.free.right-s.free.left)
}

// times draws the grid's upright lines and the axis with its labels.
func (s *sheet) times() {
	size, f := s.o.FontSize, s.free
	apart := math.Max(s.width("00:00:00", size, false), 40) * 1.6
	end := 0.0
	for _, m := range timeMarks(s.from, s.until, apart/(f.right-f.left)*float64(s.until-s.from), s.o.TZ) {
		px := math.Round(s.x(float64(m.at))) + 0.5
		if !s.o.HideGrid {
			s.stroke([]point{{px, f.top}, {px, f.bottom}}, 1, 0, s.grid)
		}
		half := s.width(m.label, size, false) / 2
		if !s.o.HideAxes && px-half > end && px+half <= float64(s.o.Width) {
			s.text(px, f.bottom+size*1.35, m.label, textStyle{size, false, 0.5, false, s.quiet})
			end = px + half + 4
		}
	}
	if !s.o.HideAxes {
		y := math.Round(f.bottom) + 0.5
		s.stroke([]point{{f.left, y}, {f.right, y}}, 1, 0, s.foreground.mix(s.background, 0.5))
	}
}
