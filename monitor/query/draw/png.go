package draw

import (
	"fmt"
	"image"
	stdcolor "image/color"
	"image/draw"
	"image/png"
	"io"
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/math/fixed"
	"golang.org/x/image/vector"

	"steer/monitor/query"
)

// PNG writes a chart as pixels.
func PNG(w io.Writer, results []query.Result, o Options) error {
	if err := o.Check(); err != nil {
		return err
	}
	o = o.filled()
	f, err := newFonts()
	if err != nil {
		return err
	}
	r := &raster{img: image.NewNRGBA(image.Rect(0, 0, o.Width, o.Height)), fonts: f}
	r.window = r.img.Bounds()
	chart(r, f, results, o)
	encoder := png.Encoder{CompressionLevel: png.DefaultCompression}
	if err := encoder.Encode(w, r.img); err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	return nil
}

type raster struct {
	img    *image.NRGBA
	window image.Rectangle
	fonts  *fonts
	shapes vector.Rasterizer
}

func (c color) uniform() *image.Uniform {
	return image.NewUniform(stdcolor.NRGBA{c.r, c.g, c.b, c.a})
}

func (r *raster) rect(x, y, w, h float64, c color) {
	box := image.Rect(int(x), int(y), int(x+w), int(y+h))
	draw.Draw(r.img, box, c.uniform(), image.Point{}, draw.Src)
}

func (r *raster) clip(x, y, w, h float64) {
	r.window = image.Rect(int(x), int(y), int(math.Ceil(x+w)), int(math.Ceil(y+h))).Intersect(r.img.Bounds())
}

// begin starts shapes; their places are relative to the window.
func (r *raster) begin() { r.shapes.Reset(r.window.Dx(), r.window.Dy()) }

func (r *raster) end(c color) {
	r.shapes.Draw(r.img, r.window, c.uniform(), image.Point{})
}

// farthest is how far outside of the picture a corner may be, in pixels: with the 9 bits
// behind the point it is exact in float32, and no product overflows 32 bits.
const farthest = 1 << 14

// polygon adds a shape. Its corners go to the grid on which the rasterizer
// counts: an edge that is level for the grid but not in floating point would
// shoot far across the picture, and even overflow.
func (r *raster) polygon(p ...point) {
	const grid = 512
	at := func(v float64, from int) float32 {
		return float32(round(max(-farthest, min(farthest, v-float64(from))), grid))
	}
	for i, q := range p {
		x, y := at(q.x, r.window.Min.X), at(q.y, r.window.Min.Y)
		if i == 0 {
			r.shapes.MoveTo(x, y)
		} else {
			r.shapes.LineTo(x, y)
		}
	}
	r.shapes.ClosePath()
}

func (r *raster) area(p []point, c color) {
	r.begin()
	r.polygon(p...)
	r.end(c)
}

// stroke puts a box along every segment and a disc at every joint. All turn the
// same way, so that where they overlap they add up instead of cancelling out.
func (r *raster) stroke(p []point, width, dash float64, c color) {
	parts := [][]point{p}
	if dash > 0 {
		parts = dashes(p, math.Max(dash, 1))
	}
	r.begin()
	for _, p := range parts {
		r.boxes(p, width)
	}
	r.end(c)
}

func (r *raster) boxes(p []point, width float64) {
	half := width / 2
	for i := 1; i < len(p); i++ {
		a, b := p[i-1], p[i]
		length := math.Hypot(b.x-a.x, b.y-a.y)
		if length == 0 {
			continue
		}
		nx, ny := (b.y-a.y)/length*half, -(b.x-a.x)/length*half
		r.polygon(point{a.x + nx, a.y + ny}, point{b.x + nx, b.y + ny}, point{b.x - nx, b.y - ny}, point{a.x - nx, a.y - ny})
		if i < len(p)-1 && width > 1 {
			r.disc(b, half)
		}
	}
}

func (r *raster) disc(p point, radius float64) {
	const corners = 8
	var q [corners]point
	for i := range q {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / corners)
		q[i] = point{p.x + radius*cos, p.y + radius*sin}
	}
	r.polygon(q[:]...)
}

// dashes cuts a line into the parts to draw, each as long as the gap behind it.
func dashes(p []point, length float64) [][]point {
	var out [][]point
	var part []point
	left, drawing := length, true
	for i := 1; i < len(p) && len(out) < 10_000; i++ {
		a, b := p[i-1], p[i]
		if drawing && len(part) == 0 {
			part = append(part, a)
		}
		for {
			d := math.Hypot(b.x-a.x, b.y-a.y)
			if d <= left || len(out) >= 10_000 {
				left -= d
				break
			}
			a = point{a.x + (b.x-a.x)*left/d, a.y + (b.y-a.y)*left/d}
			if drawing {
				out = append(out, append(part, a))
				part = nil
			} else {
				part = []point{a}
			}
			drawing, left = !drawing, length
		}
		if drawing {
			part = append(part, b)
		}
	}
	if len(part) > 1 {
		out = append(out, part)
	}
	return out
}

func (r *raster) text(x, y float64, s string, t textStyle) {
	face := r.fonts.face(t.size, t.bold)
	width := r.fonts.width(s, t.size, t.bold)
	if !t.up {
		d := font.Drawer{Dst: r.img, Src: t.color.uniform(), Face: face, Dot: fixed.Point26_6{
			X: fixed.Int26_6(64 * round(x-width*t.anchor, 64)), Y: fixed.Int26_6(64 * round(y, 64))}}
		d.DrawString(s)
		return
	}
	// Draw it lying, then turn it a quarter.
	height := int(t.size * 2)
	lying := image.NewAlpha(image.Rect(0, 0, int(width)+2, height))
	base := int(t.size * 1.4)
	d := font.Drawer{Dst: lying, Src: image.Opaque, Face: face, Dot: fixed.P(0, base)}
	d.DrawString(s)
	standing := image.NewAlpha(image.Rect(0, 0, height, lying.Rect.Dx()))
	for i := range lying.Rect.Dx() {
		for j := range height {
			standing.SetAlpha(j, lying.Rect.Dx()-1-i, lying.AlphaAt(i, j))
		}
	}
	at := image.Pt(int(x+1e-6)-base, int(y-float64(lying.Rect.Dx())*(1-t.anchor)+1e-6))
	draw.DrawMask(r.img, standing.Rect.Add(at), t.color.uniform(), image.Point{}, standing, image.Point{}, draw.Over)
}
