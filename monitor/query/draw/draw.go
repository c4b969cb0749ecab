// Package draw makes charts of query results, lines over time and pies, as SVG and
// as PNG, without a browser.
//
// A chart is laid out once into strokes, areas and texts; two canvases put them
// down. Options carry the names of Graphite's graph parameters.
package draw

import (
	"cmp"
	"time"

	"steer/base/fault"
	"steer/monitor/query"
)

// Options are the choices of one chart. Zero values are the defaults.
type Options struct {
	Title         string
	VTitle        string // along the y axis
	Width, Height int    // pixels, 330 by 250 by default
	From, Until   int64  // ends of the time axis, epoch seconds; both 0: those of the data
	TZ            *time.Location
	Margin        *int    // pixels around everything; nil: by the size of the font
	HideLegend    *bool   // nil: hide it above 10 series
	UniqueLegend  bool    // a name stands in the legend once
	HideAxes      bool    // no numbers and times
	HideGrid      bool    // no lines behind the data
	GraphOnly     bool    // nothing but the lines
	AreaMode      string  // none, first, all, stacked
	AreaAlpha     float64 // opacity of areas in (0, 1]
	LineMode      string  // slope, staircase, connected (draws across missing values)
	NullAsZero    bool    // missing values are drawn as 0
	LineWidth     float64 // pixels, 1.5 by default
	YMin, YMax    *float64
	RightMin      *float64 // of the axis at the right; nil: YMin
	RightMax      *float64 // nil: YMax
	YUnits        string   // si (k, M, G), binary (Ki, Mi, Gi) or none
	LogBase       float64  // above 1: the values are on a logarithmic axis, without those up to 0
	Pie           string   // average, maximum, minimum, total: a pie of one number for each series
	PieLabels     string   // percent, number, none
	Template      string   // light or dark, or what Graphite has; below what the colours say
	Colors        []string // of the series, in order; names or hex digits
	Background    string
	Foreground    string // titles, numbers and axes
	FontSize      float64

	picked bool // Colors are the caller's
}

// The largest side of a chart, in pixels.
const maxSide = 4096

// Check tells what is wrong with the options.
func (o Options) Check() error {
	if o.Width < 0 || o.Width > maxSide || o.Height < 0 || o.Height > maxSide {
		return fault.New(fault.Invalid, "draw a chart of %d by %d pixels: each side is from 1 to %d", o.Width, o.Height, maxSide)
	}
	if o.FontSize < 0 || o.FontSize > 100 {
		return fault.New(fault.Invalid, "draw a chart: fontSize %v is not from 1 to 100", o.FontSize)
	}
	if o.LogBase != 0 && !(o.LogBase > 1 && o.LogBase <= 1e6) {
		return fault.New(fault.Invalid, "draw a chart: logBase %v is not above 1", o.LogBase)
	}
	if o.Margin != nil && (*o.Margin < 0 || *o.Margin > maxSide) {
		return fault.New(fault.Invalid, "draw a chart: margin %d is not from 0 to %d", *o.Margin, maxSide)
	}
	for _, choice := range [...]struct {
		name, value string
		known       []string
	}{
		{"areaMode", o.AreaMode, []string{"", "none", "first", "all", "stacked"}},
		{"lineMode", o.LineMode, []string{"", "slope", "staircase", "connected"}},
		{"yUnitSystem", o.YUnits, []string{"", "si", "binary", "none"}},
		{"pieMode", o.Pie, []string{"", "average", "maximum", "minimum", "total"}},
		{"valueLabels", o.PieLabels, []string{"", "percent", "number", "none"}},
	} {
		ok := false
		for _, k := range choice.known {
			ok = ok || k == choice.value
		}
		if !ok {
			return fault.New(fault.Invalid, "draw a chart: %s %q is unknown (known: %v)", choice.name, choice.value, choice.known[1:])
		}
	}
	for _, c := range append([]string{o.Background, o.Foreground}, o.Colors...) {
		if _, ok := parseColor(c); !ok && c != "" {
			return fault.New(fault.Invalid, "draw a chart: %q is no colour (write a name such as red, or hex digits such as #4477aa)", c)
		}
	}
	return nil
}

func (o Options) filled() Options {
	o.Width, o.Height = cmp.Or(o.Width, 330), cmp.Or(o.Height, 250)
	o.TZ = cmp.Or(o.TZ, time.UTC)
	o.LineWidth = cmp.Or(o.LineWidth, 1.5)
	if !(o.LineWidth > 0 && o.LineWidth <= 100) {
		o.LineWidth = 1.5
	}
	if !(o.AreaAlpha > 0 && o.AreaAlpha <= 1) {
		o.AreaAlpha = 0.25
		if o.AreaMode == "stacked" {
			o.AreaAlpha = 0.75
		}
	}
	o.FontSize = cmp.Or(o.FontSize, 11)
	o.PieLabels = cmp.Or(o.PieLabels, "percent")
	background, foreground := template(o.Template)
	o.Background, o.Foreground = cmp.Or(o.Background, background), cmp.Or(o.Foreground, foreground)
	if o.picked = len(o.Colors) > 0; !o.picked {
		o.Colors = palette()
	}
	return o
}

// line is one series on its way into the chart.
type line struct {
	name  string
	color color
	exact bool // the colour was written as digits
	style query.Style
	runs  [][]point // unbroken parts, in seconds and values
	base  [][]point // lower border of each part, for areas in a stack
	right bool
}

// point is a place: seconds and value before the layout, pixels behind it.
type point struct{ x, y float64 }
