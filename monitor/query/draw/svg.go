package draw

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"steer/monitor/query"
)

// SVG writes a chart as a picture of its own: no scripts, no outside fonts, and
// all texts escaped.
func SVG(w io.Writer, results []query.Result, o Options) error {
	if err := o.Check(); err != nil {
		return err
	}
	o = o.filled()
	f, err := newFonts()
	if err != nil {
		return err
	}
	v := &document{}
	fmt.Fprintf(&v.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" font-family="Go, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif">`+"\n", o.Width, o.Height, o.Width, o.Height)
	if o.Title != "" {
		v.b.WriteString("<title>")
		v.escape(o.Title)
		v.b.WriteString("</title>\n")
	}
	chart(v, f, results, o)
	if v.clipped {
		v.b.WriteString("</g>\n")
	}
	v.b.WriteString("</svg>\n")
	if _, err = w.Write(v.b.Bytes()); err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	return nil
}

type document struct {
	b       bytes.Buffer
	clipped bool
}

func (v *document) number(n float64) {
	var a [24]byte
	b := strconv.AppendFloat(a[:0], round(n, 10), 'f', -1, 64)
	v.b.Write(b)
}

// round rounds to parts of a pixel. Processors differ in the last bits where they
// multiply and add at once; halves, which are common, are rounded up by all.
func round(n, parts float64) float64 { return math.Floor(n*parts+0.500001) / parts }

func (v *document) attribute(name string, n float64) {
	v.b.WriteString(" " + name + `="`)
	v.number(n)
	v.b.WriteByte('"')
}

func (v *document) paint(name string, c color) {
	fmt.Fprintf(&v.b, ` %s="%s"`, name, c.hex())
	if c.a != 255 {
		fmt.Fprintf(&v.b, ` %s-opacity="%.3g"`, name, float64(c.a)/255)
	}
}

func (v *document) rect(x, y, w, h float64, c color) {
	v.b.WriteString("<rect")
	v.attribute("x", x)
	v.attribute("y", y)
	v.attribute("width", w)
	v.attribute("height", h)
	v.paint("fill", c)
	v.b.WriteString("/>\n")
}

func (v *document) path(p []point) {
	v.b.WriteString(`<path d="M`)
	for i, q := range p {
		if i == 1 {
			v.b.WriteByte('L')
		} else if i > 1 {
			v.b.WriteByte(' ')
		}
		v.number(q.x)
		v.b.WriteByte(' ')
		v.number(q.y)
	}
}

func (v *document) stroke(p []point, width, dash float64, c color) {
	if len(p) == 0 {
		return
	}
	v.path(p)
	v.b.WriteString(`" fill="none"`)
	v.paint("stroke", c)
	v.attribute("stroke-width", width)
	if dash > 0 {
		v.attribute("stroke-dasharray", dash)
	}
	v.b.WriteString(" stroke-linejoin=\"round\"/>\n")
}

func (v *document) area(p []point, c color) {
	v.path(p)
	v.b.WriteString(`Z"`)
	v.paint("fill", c)
	v.b.WriteString("/>\n")
}

func (v *document) text(x, y float64, s string, t textStyle) {
	v.b.WriteString("<text")
	v.attribute("x", x)
	v.attribute("y", y)
	v.attribute("font-size", t.size)
	v.paint("fill", t.color)
	switch t.anchor {
	case 0.5:
		v.b.WriteString(` text-anchor="middle"`)
	case 1:
		v.b.WriteString(` text-anchor="end"`)
	}
	if t.bold {
		v.b.WriteString(` font-weight="bold"`)
	}
	if t.up {
		v.b.WriteString(` transform="rotate(-90 `)
		v.number(x)
		v.b.WriteByte(' ')
		v.number(y)
		v.b.WriteString(`)"`)
	}
	v.b.WriteByte('>')
	v.escape(s)
	v.b.WriteString("</text>\n")
}

func (v *document) clip(x, y, w, h float64) {
	v.b.WriteString("<clipPath id=\"data\"><rect")
	v.attribute("x", x)
	v.attribute("y", y)
	v.attribute("width", w)
	v.attribute("height", h)
	v.b.WriteString("/></clipPath>\n<g clip-path=\"url(#data)\">\n")
	v.clipped = true
}

// escape writes a text that XML can hold, whatever the name of a series was.
func (v *document) escape(s string) {
	for _, r := range s {
		switch {
		case r == '<':
			v.b.WriteString("&lt;")
		case r == '>':
			v.b.WriteString("&gt;")
		case r == '&':
			v.b.WriteString("&amp;")
		case r == '"':
			v.b.WriteString("&quot;")
		case r == '\'':
			v.b.WriteString("&#39;")
		case r < ' ' || r == 0x7f || r == utf8.RuneError || r == 0xfffe || r == 0xffff:
			v.b.WriteRune('\ufffd')
		default:
			v.b.WriteRune(r)
		}
	}
}
