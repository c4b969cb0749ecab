package draw

import (
	"math"
	"strconv"

	"steer/monitor/query"
)

// slice is a piece of the pie.
type slice struct {
	value float64
	color color
}

// pie draws one slice for each series with a value above zero, from the top on,
// and writes into those that have room for it how large they are.
func (s *sheet) pie(results []query.Result) {
	var slices []slice
	sum := 0.0
	for i, r := range results {
		v := total(r.Values, s.o.Pie)
		if s.lines[i].name == "" || !(v > 0) || sum+v > math.MaxFloat64 {
			continue
		}
		slices, sum = append(slices, slice{v, s.lines[i].color}), sum+v
	}
	f := s.free
	middle := point{(f.left + f.right) / 2, (f.top + f.bottom) / 2}
	radius := math.Floor(math.Min(f.right-f.left, f.bottom-f.top) / 2)
	if radius < 2 {
		return
	}
	if len(slices) == 0 {
		s.noData(middle)
		return
	}
	rim := func(share, radius float64) point { // share of the way round
		sin, cos := math.Sincos(2 * math.Pi * share)
		return point{middle.x + radius*sin, middle.y - radius*cos}
	}
	corners := math.Ceil(math.Max(math.Pi*radius, 24))
	at := 0.0
	for _, p := range slices {
		end := at + p.value/sum
		border := []point{middle, rim(at, radius)}
		for k := math.Floor(at*corners) + 1; k/corners < end; k++ {
			border = append(border, rim(k/corners, radius))
		}
		s.area(append(border, rim(end, radius)), p.color)
		at = end
	}
	at = 0
	for _, p := range slices {
		share := p.value / sum
		if len(slices) > 1 { // a thin line keeps neighbours apart
			s.stroke([]point{middle, rim(at, radius)}, 1, 0, s.background)
		}
		s.pieLabel(rim(at+share/2, radius*0.66), share, p, radius)
		at += share
	}
}

func (s *sheet) pieLabel(at point, share float64, p slice, radius float64) {
	var label string
	switch s.o.PieLabels {
	case "percent":
		label = strconv.FormatFloat(share*100, 'f', 0, 64) + "%"
	case "number":
		label = scale{log: 10}.label(p.value, s.o.YUnits)
	}
	size := s.o.FontSize
	if across := 2 * math.Sin(math.Min(math.Pi*share, math.Pi/2)) * radius * 0.66; label == "" || s.width(label, size, false) > across*0.9 || size > across {
		return
	}
	ink := color{255, 255, 255, 255}
	if !p.color.dark() {
		ink = color{25, 30, 36, 255}
	}
	s.text(at.x, at.y+size*0.35, label, textStyle{size, false, 0.5, false, ink})
}

// roundTo rounds to so many leading digits.
func roundTo(v float64, digits int) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(v, 'e', digits-1, 64), 64)
	if err != nil {
		return v
	}
	return r
}

// total is the one number that a pie makes of a series; not a number where it has
// none.
func total(values []float64, mode string) float64 {
	n, sum, low, high := 0, 0.0, math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v-v == 0 {
			n, sum, low, high = n+1, sum+v, math.Min(low, v), math.Max(high, v)
		}
	}
	switch {
	case n == 0:
		return math.NaN()
	case mode == "maximum":
		return high
	case mode == "minimum":
		return low
	case mode == "total":
		return sum
	}
	return sum / float64(n)
}

// noData says why there is nothing to see.
func (s *sheet) noData(at point) {
	const text = "No data"
	size := s.o.FontSize
	if width := s.width(text, size, false) + s.gap; !s.o.GraphOnly && width < s.free.right-s.free.left {
		s.rect(math.Floor(at.x-width/2), math.Floor(at.y-size*0.7), math.Ceil(width), math.Ceil(size*1.4), s.background) // over the grid
		s.text(at.x, at.y+size*0.35, text, textStyle{size, false, 0.5, false, s.quiet})
	}
}
