package graphite

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"steer/base/fault"
	"steer/monitor/query/draw"
)

// drawing reads Graphite's parameters of pictures; unknown ones do not matter.
func drawing(p parameters) (draw.Options, error) {
	o := draw.Options{
		Title: p.Get("title"), VTitle: p.Get("vtitle"),
		Width: 330, Height: 250,
		HideAxes: p.yes("hideAxes"), HideGrid: p.yes("hideGrid"), GraphOnly: p.yes("graphOnly"),
		AreaMode: p.Get("areaMode"), LineMode: p.Get("lineMode"), NullAsZero: p.yes("drawNullAsZero"), YUnits: p.Get("yUnitSystem"),
		Background: p.Get("bgcolor"), Foreground: p.Get("fgcolor"), Template: p.Get("template"),
		UniqueLegend: p.yes("uniqueLegend"),
	}
	for _, side := range [...]struct {
		name string
		into *int
	}{{"width", &o.Width}, {"height", &o.Height}} {
		if text := p.Get(side.name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return o, fault.New(fault.Invalid, "render: %s %q is no number of pixels", side.name, text)
			}
			*side.into = n
		}
	}
	for _, size := range [...]struct {
		name string
		into *float64
	}{{"fontSize", &o.FontSize}, {"lineWidth", &o.LineWidth}, {"areaAlpha", &o.AreaAlpha}} {
		if text := p.Get(size.name); text != "" {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || !(n >= 0) {
				return o, fault.New(fault.Invalid, "render: %s %q is no number", size.name, text)
			}
			*size.into = n
		}
	}
	for _, end := range [...]struct {
		name string
		into **float64
	}{{"yMin", &o.YMin}, {"yMax", &o.YMax}, {"yMinLeft", &o.YMin}, {"yMaxLeft", &o.YMax}, {"yMinRight", &o.RightMin}, {"yMaxRight", &o.RightMax}} {
		if text := p.Get(end.name); text != "" {
			n, err := strconv.ParseFloat(text, 64)
			if err != nil || n-n != 0 {
				return o, fault.New(fault.Invalid, "render: %s %q is no number", end.name, text)
			}
			*end.into = &n
		}
	}
	if text := p.Get("hideLegend"); text != "" {
		hide := p.yes("hideLegend")
		o.HideLegend = &hide
	}
	switch text := p.Get("logBase"); text {
	case "":
	case "e":
		o.LogBase = math.E
	default:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n > 1) {
			return o, fault.New(fault.Invalid, "render: logBase %q is neither e nor a number above 1", text)
		}
		o.LogBase = n
	}
	if n, ok := p.whole("margin"); ok {
		o.Margin = &n
	}
	switch kind := p.Get("graphType"); kind {
	case "", "line":
	case "pie":
		o.Pie, o.PieLabels = cmp.Or(p.Get("pieMode"), "average"), p.Get("valueLabels")
	default:
		return o, fault.New(fault.Invalid, "render: unknown graphType %q (known: line, pie)", kind)
	}
	for _, c := range strings.Split(p.Get("colorList"), ",") {
		if c = strings.TrimSpace(c); c != "" {
			o.Colors = append(o.Colors, c)
		}
	}
	return o, o.Check()
}

// points is how many of each series a picture has room for: one a pixel, or one
// for so many pixels as minXStep says; 0 is all of them.
func points(p parameters, o draw.Options) int {
	if o.Pie != "" {
		return 0
	}
	if text := p.Get("minXStep"); text != "" {
		if apart, err := strconv.ParseFloat(text, 64); err == nil && apart >= 0 {
			if apart == 0 {
				return 0
			}
			return max(int(math.Min(float64(o.Width)/apart, 1e6)), 1)
		}
	}
	return o.Width
}
