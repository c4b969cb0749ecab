package draw

import "math"

// frame is the part of the picture that holds the data, in pixels.
type frame struct{ left, top, right, bottom float64 }

// visible cuts a line to what is near the frame. Canvases take only so large
// numbers, and the time for a shape grows with its size. Inside of the frame the
// line keeps its shape: it is cut at the sides, and bent flat only beyond the top
// and the bottom.
func visible(p []point, f frame) []point {
	const margin = 100
	f = frame{f.left - margin, f.top - margin, f.right + margin, f.bottom + margin}
	for i := range p {
		p[i].y = bounded(p[i].y, 1e7)
		p[i].x = bounded(p[i].x, 1e12)
	}
	var sides []point
	for i, q := range p {
		if i > 0 {
			sides = crossings(sides, p[i-1], q, f.left, f.right, func(p point) float64 { return p.x })
		}
		if q.x >= f.left && q.x <= f.right {
			sides = append(sides, q)
		}
	}
	out := make([]point, 0, len(sides))
	for i, q := range sides {
		if i > 0 {
			out = crossings(out, sides[i-1], q, f.top, f.bottom, func(p point) float64 { return p.y })
		}
		q.y = math.Min(math.Max(q.y, f.top), f.bottom)
		out = append(out, q)
	}
	return out
}

func bounded(v, most float64) float64 {
	if v != v {
		return most
	}
	return math.Min(math.Max(v, -most), most)
}

// crossings appends where the way from a to b passes two borders, in its order.
func crossings(out []point, a, b point, low, high float64, along func(p point) float64) []point {
	from, to := along(a), along(b)
	borders := [2]float64{low, high}
	if from > to {
		borders = [2]float64{high, low}
	}
	for _, border := range borders {
		if (from < border) != (to < border) && from != border && to != border {
			share := (border - from) / (to - from)
			out = append(out, point{a.x + (b.x-a.x)*share, a.y + (b.y-a.y)*share})
		}
	}
	return out
}
