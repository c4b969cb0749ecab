package draw

import (
	"bytes"
	"encoding/xml"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"steer/base/metric"
	"steer/monitor/query"
)

func series(name string, step int64, values ...float64) query.Result {
	return query.Result{Series: metric.Series{Name: name, Start: 1767312000, Step: step, Values: values}}
}

func waves(n int) []query.Result {
	var out []query.Result
	for i := range n {
		values := make([]float64, 288)
		for j := range values {
			values[j] = 40 + 20*float64(i) + 15*math.Sin(float64(j)/30+float64(i)) + 4*math.Sin(float64(j*(i+7))/5)
			if i == 1 && j > 120 && j < 150 {
				values[j] = math.NaN()
			}
		}
		out = append(out, series("stats.timers.catalog.web"+string(rune('1'+i))+".request.upper_90", 300, values...))
	}
	return out
}

// Missing values part a line, unless they are drawn across, or as zero.
func TestMissingValues(t *testing.T) {
	gap := []query.Result{series("a", 60, 1, math.NaN(), math.Inf(1), 2)}
	at := func(i int64, y float64) point { return point{float64(1767312000 + 60*i), y} }
	for _, c := range []struct {
		o    Options
		want [][]point
	}{
		{Options{}, [][]point{{at(0, 1)}, {at(3, 2)}}},
		{Options{LineMode: "connected"}, [][]point{{at(0, 1), at(3, 2)}}},
		{Options{NullAsZero: true}, [][]point{{at(0, 1), at(1, 0)}, {at(3, 2)}}},
	} {
		if got := prepare(gap, c.o.filled())[0].runs; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.o, got, c.want)
		}
	}
	if !math.IsNaN(gap[0].Values[1]) {
		t.Error("the values of the series were changed")
	}
}

// Variants are drawn in both formats; with STEER_DRAW set to a folder they are
// kept there, to be looked at.
func TestVariants(t *testing.T) {
	zero, no := 0.0, false
	limit := series("limit", 43200, 100, 100, 100)
	limit.Style = query.Style{Color: "red", Dash: 4, Threshold: true}
	scaled := waves(2)
	for i := range scaled[1].Values {
		scaled[1].Values[i] *= 1e6
	}
	scaled[1].Style.Right = true
	band, stacks := waves(3), waves(3)
	for i := range 2 {
		band[i].Style = query.Style{Stack: "band", Invisible: i == 0, Alpha: 0.3}
	}
	for i := range stacks {
		stacks[i].Style.Stack = []string{"in", "in", "out"}[i]
	}
	for name, v := range map[string]struct {
		results []query.Result
		options Options
	}{
		"plain":     {waves(3), Options{Width: 700, Height: 320, Title: "Response time of <catalog> & friends", VTitle: "milliseconds", TZ: time.FixedZone("CET", 3600)}},
		"small":     {waves(2), Options{}},
		"dark":      {append(waves(2), limit), Options{Width: 700, Height: 300, Background: "1b1f27", Title: "Dark"}},
		"area":      {waves(1), Options{Width: 500, Height: 250, AreaMode: "all", HideLegend: &no}},
		"stacked":   {waves(4), Options{Width: 700, Height: 320, AreaMode: "stacked", YMin: &zero}},
		"staircase": {[]query.Result{series("deploys", 3600, 1, 3, 2, math.NaN(), 5, 4)}, Options{Width: 400, Height: 200, LineMode: "staircase"}},
		"right":     {scaled, Options{Width: 700, Height: 300, Title: "Two axes"}},
		"empty":     {nil, Options{Width: 400, Height: 200, Title: "No data", From: 1767312000, Until: 1767315600}},
		"band":      {band, Options{Width: 500, Height: 250, AreaMode: "stacked"}},
		"stacks":    {stacks, Options{Width: 500, Height: 250}},
		"many":      {waves(14), Options{Width: 500, Height: 250}},
		"graphOnly": {waves(2), Options{Width: 200, Height: 50, GraphOnly: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var s, p bytes.Buffer
			if err := SVG(&s, v.results, v.options); err != nil {
				t.Fatal(err)
			}
			if err := PNG(&p, v.results, v.options); err != nil {
				t.Fatal(err)
			}
			wellFormed(t, s.Bytes())
			img, err := png.Decode(bytes.NewReader(p.Bytes()))
			o := v.options.filled()
			if err != nil || img.Bounds().Dx() != o.Width || img.Bounds().Dy() != o.Height {
				t.Fatalf("%v", err)
			}
			if dir := os.Getenv("STEER_DRAW"); dir != "" {
				_ = os.WriteFile(filepath.Join(dir, name+".png"), p.Bytes(), 0o644)
				_ = os.WriteFile(filepath.Join(dir, name+".svg"), s.Bytes(), 0o644)
			}
		})
	}
}

// A stack fills the area from one of its lines down to the line before, and the
// lower border of a band is not seen.
func TestStacks(t *testing.T) {
	results := []query.Result{series("low", 60, 1, 2), series("other", 60, 7, 7), series("high", 60, 5, math.NaN(), 6)}
	results[0].Style = query.Style{Stack: "band", Invisible: true}
	results[2].Style = query.Style{Stack: "band"}
	lines := prepare(results, Options{Colors: []string{"red"}}.filled())
	if lines[0].name != "" || lines[1].base != nil {
		t.Errorf("%+v", lines)
	}
	at := float64(results[0].Start)
	// Where the lower line has no value the area goes down to zero.
	if got, want := lines[2].base, [][]point{{{at, 1}}, {{at + 120, 0}}}; !reflect.DeepEqual(got, want) {
		t.Errorf("lower border %v, want %v", got, want)
	}
	if low, high, _ := extent(lines, false, Options{}); low != 0 || high != 7 {
		t.Errorf("from %v to %v", low, high)
	}
	var b bytes.Buffer
	if err := SVG(&b, results, Options{Width: 300}); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.Contains(s, ">low<") || !strings.Contains(s, ">high<") {
		t.Error(s)
	}
}

func wellFormed(t interface{ Fatalf(string, ...any) }, b []byte) {
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("%v in %s", err, b)
		}
	}
}

func TestTextIsEscaped(t *testing.T) {
	var b bytes.Buffer
	r := series("<script>alert('x')</script>&\x00\xff", 60, 1, 2)
	if err := SVG(&b, []query.Result{r}, Options{Title: `"<b>"`, VTitle: "]]>", Width: 800}); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, b.Bytes())
	if strings.Contains(b.String(), "<script") || strings.Contains(b.String(), "<b>") {
		t.Fatal(b.String())
	}
}

func TestWrongOptions(t *testing.T) {
	for _, o := range []Options{{Width: 5000}, {Height: -1}, {AreaMode: "x"}, {Background: "nope"}, {Colors: []string{"12"}}, {FontSize: 1e9}, {LogBase: 1}, {LogBase: math.NaN()}, {LogBase: -10}, {Pie: "x"}, {PieLabels: "x"}} {
		if err := PNG(io.Discard, nil, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}

// The ticks of a logarithmic axis are powers, in a few decades with 2 and 5 between.
func TestLogScale(t *testing.T) {
	for _, c := range []struct {
		low, high, base float64
		ticks           int
		want            []float64
	}{
		{3, 60, 10, 5, []float64{1, 2, 5, 10, 20, 50, 100}},
		{1, 5000, 10, 4, []float64{1, 10, 100, 1000, 10000}},
		{1, 9e7, 10, 4, []float64{1, 100, 1e4, 1e6, 1e8}},
		{3, 30, 2, 5, []float64{2, 4, 8, 16, 32}},
		{0.002, 0.5, 10, 2, []float64{0.001, 0.1}},
		{7, 7, 10, 4, []float64{1, 2, 5, 10}},
	} {
		s := newLogScale(c.low, c.high, nil, nil, c.ticks, c.base)
		got := s.ticks()
		for i, v := range got {
			got[i] = roundTo(v, 6)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v to %v: %v, want %v", c.low, c.high, got, c.want)
		}
		s.top, s.base = 0, 100
		if low, high, none := s.y(s.low), s.y(s.high), s.y(0); low != 100 || high != 0 || none < 100 {
			t.Errorf("%v to %v: at %v, %v, %v", c.low, c.high, low, high, none)
		}
	}
	lines := prepare([]query.Result{series("a", 60, 1, 0, -1, 10)}, Options{LogBase: 10}.filled())
	if len(lines[0].runs) != 2 {
		t.Errorf("values up to zero are drawn: %v", lines[0].runs)
	}
}

// On dark ground, lines have contrast whatever their name, but not where they were
// written as digits.
func TestReadableColours(t *testing.T) {
	results := waves(12)
	results[10].Style.Color, results[11].Style.Color = "darkblue", "#000080"
	for _, name := range []string{"dark", "solarized-dark", "noc"} {
		o := Options{Template: name}.filled()
		s := &sheet{o: o, lines: prepare(results, o)}
		s.paint()
		for _, l := range s.lines[:11] {
			if got := l.color.contrast(s.background); got < 3.5 {
				t.Errorf("%s: %s has a contrast of %.1f", name, l.color.hex(), got)
			}
		}
		if got := s.lines[11].color.hex(); got != "#000080" {
			t.Errorf("%s: #000080 became %s", name, got)
		}
		if got := s.quiet.contrast(s.background); got < 4.5 {
			t.Errorf("%s: labels have a contrast of %.1f", name, got)
		}
	}
}

// Labels are short: 250 rather than 0.25 k.
func TestLabels(t *testing.T) {
	for _, c := range []struct {
		s     scale
		units string
		value float64
		want  string
	}{
		{scale{high: 1000, step: 250}, "", 750, "750"}, {scale{high: 20000, step: 5000}, "", 5000, "5 k"}, {scale{high: 3e9, step: 5e8}, "", 2.5e9, "2.5 G"},
		{scale{high: 3 << 30, step: 1 << 30}, "binary", 2 << 30, "2 Gi"}, {scale{high: 0.2, step: 0.05}, "", 0.15, "0.15"}, {scale{high: 20000, step: 5000}, "none", 5000, "5000"},
		{scale{log: 10}, "", 10000, "10 k"}, {scale{log: 10}, "", 0.5, "0.5"}, {scale{log: math.E}, "", math.E, "2.72"},
	} {
		if got := c.s.label(c.value, c.units); got != c.want {
			t.Errorf("%+v of %v: %q, want %q", c.s, c.value, got, c.want)
		}
	}
}

// A pie has a slice for each series that has something, as large as its share.
func TestPie(t *testing.T) {
	results := []query.Result{series("one", 60, 1, 3), series("three", 60, 6, 6, math.NaN()), series("none", 60, math.NaN()), series("less", 60, -5)}
	for mode, want := range map[string]string{"average": "75%", "maximum": "67%", "total": "75%", "minimum": "86%"} {
		var b bytes.Buffer
		if err := SVG(&b, results, Options{Pie: mode}); err != nil {
			t.Fatal(err)
		}
		if s := b.String(); !strings.Contains(s, ">"+want+"<") || strings.Count(s, "Z\"") != 2 {
			t.Errorf("%s has no %s: %s", mode, want, s)
		}
	}
	var b bytes.Buffer
	if err := SVG(&b, results[2:], Options{Pie: "average"}); err != nil || !strings.Contains(b.String(), ">No data<") {
		t.Errorf("%v %s", err, b.String())
	}
}

// Whatever the data is, both pictures come out whole.
func TestAnyData(t *testing.T) {
	value := rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.MaxFloat64, -math.MaxFloat64, 5e-324}))
	rapid.Check(t, func(t *rapid.T) {
		var results []query.Result
		for range rapid.IntRange(0, 4).Draw(t, "series") {
			r := series(rapid.String().Draw(t, "name"), rapid.Int64Range(1, 1<<33).Draw(t, "step"), rapid.SliceOfN(value, 0, 20).Draw(t, "values")...)
			r.Style = query.Style{Dash: rapid.Float64Range(0, 100).Draw(t, "dash"), Right: rapid.Bool().Draw(t, "right"), Infinite: rapid.Bool().Draw(t, "infinite"),
				Stack: rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "stack"), Invisible: rapid.Bool().Draw(t, "invisible"), Alpha: rapid.Float64Range(0, 1).Draw(t, "alpha")}
			results = append(results, r)
		}
		o := Options{
			Width: rapid.IntRange(1, 300).Draw(t, "width"), Height: rapid.IntRange(1, 300).Draw(t, "height"),
			Title: rapid.String().Draw(t, "title"), VTitle: rapid.String().Draw(t, "vtitle"),
			AreaMode: rapid.SampledFrom([]string{"", "first", "all", "stacked"}).Draw(t, "area"),
			LineMode: rapid.SampledFrom([]string{"", "slope", "staircase", "connected"}).Draw(t, "line"),
			YUnits:   rapid.SampledFrom([]string{"", "si", "binary", "none"}).Draw(t, "units"),
			LogBase:  rapid.SampledFrom([]float64{0, 0, 2, math.E, 10, 1.0001, 1e6}).Draw(t, "log"),
			Pie:      rapid.SampledFrom([]string{"", "", "", "average", "maximum", "minimum", "total"}).Draw(t, "pie"), PieLabels: rapid.SampledFrom([]string{"", "number", "none"}).Draw(t, "labels"),
			Template: rapid.SampledFrom([]string{"", "dark", "solarized-dark", "nope"}).Draw(t, "template"), UniqueLegend: rapid.Bool().Draw(t, "unique"),
		}
		if rapid.Bool().Draw(t, "yMin?") {
			low := rapid.Float64().Draw(t, "yMin")
			o.YMin, o.RightMax = &low, &low
		}
		if rapid.Bool().Draw(t, "margin?") {
			margin := rapid.IntRange(0, 400).Draw(t, "margin")
			o.Margin = &margin
		}
		var b bytes.Buffer
		if err := SVG(&b, results, o); err != nil {
			t.Fatal(err)
		}
		wellFormed(t, b.Bytes())
		if err := PNG(io.Discard, results, o); err != nil {
			t.Fatal(err)
		}
	})
}

// TestLargestOnALogarithmicAxis: the largest number and a small one, of which no
// quotient is a number.
func TestLargestOnALogarithmicAxis(t *testing.T) {
	results := []query.Result{series("small", 1, 0.03125), series("large", 1, math.MaxFloat64)}
	for i := range results {
		results[i].Style.Right = true
	}
	for _, mode := range []string{"", "all", "stacked"} {
		var b bytes.Buffer
		o := Options{Width: 287, Height: 207, AreaMode: mode, LineMode: "staircase", LogBase: 10}
		if err := SVG(&b, results, o); err != nil || strings.Contains(b.String(), "NaN") {
			t.Errorf("%q: %v %s", mode, err, b.String())
		}
		if err := PNG(io.Discard, results, o); err != nil {
			t.Error(err)
		}
	}
}
