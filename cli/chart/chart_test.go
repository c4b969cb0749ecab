package chart

import (
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"steer/base/metric"
)

// noon is 2026-01-02 12:00 UTC.
const noon = 1767355200

// wave has n values of one period, with a gap in its last quarter.
func wave(name string, n int, step int64, low, high float64) metric.Series {
	s := metric.Series{Name: name, Start: noon, Step: step}
	for i := range n {
		v := low + (high-low)*(0.5+0.5*math.Sin(2*math.Pi*float64(i)/float64(n)))
		if i > n*3/4 && i < n*7/8 {
			v = math.NaN()
		}
		s.Values = append(s.Values, v)
	}
	return s
}

// TestPictures compares with testdata/*.txt; STEER_TEST_UPDATE=1 writes them, to be
// looked at.
func TestPictures(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	ttfb := wave("stats.timers.shop.production.ttfb.upper_90", 360, 10, 80, 310)
	other := wave("movingAverage(stats.timers.shop.ci.ttfb.upper_90,5)", 360, 10, 20, 150)
	marks := []Mark{{noon - 5, "before the chart", false}, {noon + 600, "shop b2 serves production", false}, {noon + 900, "shop is slow in production: ttfb is above 300 ms", true}}
	deploys := []Mark{}
	for i := range 9 {
		deploys = append(deploys, Mark{noon + int64(i)*43200, "shop serves", false})
	}
	many := []metric.Series{}
	for i := range 30 {
		many = append(many, metric.Series{Name: "a.b" + string(rune('A'+i)), Start: noon, Step: 60, Values: []float64{float64(i), float64(i + 1)}})
	}
	spaced := metric.Series{Name: "sparse", Start: noon, Step: 60, Values: []float64{-2, math.NaN(), 4, math.NaN(), math.Inf(1), -3, math.NaN(), 1}}
	for name, c := range map[string]struct {
		series []metric.Series
		o      Options
	}{
		"one":     {[]metric.Series{ttfb}, Options{Width: 80, Height: 20, TZ: berlin, Marks: marks}},
		"two":     {[]metric.Series{ttfb, other}, Options{Width: 80, Height: 24}},
		"colour":  {[]metric.Series{ttfb, other}, Options{Width: 60, Height: 16, Colour: true, Marks: marks}},
		"ascii":   {[]metric.Series{ttfb, other}, Options{Width: 60, Height: 18, ASCII: true, Marks: marks}},
		"narrow":  {[]metric.Series{ttfb}, Options{Width: 10, Height: 1}},
		"days":    {[]metric.Series{wave("servers.vm.memory.used_bytes", 800, 600, 3.1e9, 3.4e9)}, Options{Width: 80, Height: 20, Marks: deploys}},
		"years":   {[]metric.Series{wave("shop.orders", 900, 86400, 0, 52000)}, Options{Width: 80, Height: 16}},
		"flat":    {[]metric.Series{{Name: "constant", Start: noon, Step: 1, Values: []float64{7, 7, 7, 7, 7, 7, 7, 7}}}, Options{Width: 60, Height: 12}},
		"sparse":  {[]metric.Series{spaced}, Options{Width: 60, Height: 14}},
		"nothing": {[]metric.Series{{Name: "empty", Start: noon, Step: 60, Values: []float64{math.NaN(), math.NaN()}}}, Options{Width: 60, Height: 12}},
		"many":    {many, Options{Width: 60, Height: 12}},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join(Draw(c.series, c.o), "\n") + "\n"
			file := filepath.Join("testdata", name+".txt")
			if os.Getenv("STEER_TEST_UPDATE") == "1" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
	if Draw(nil, Options{}) != nil {
		t.Error("a chart of nothing")
	}
}

// TestFits holds the picture to its size, whatever it shows.
func TestFits(t *testing.T) {
	codes := regexp.MustCompile("\x1b\\[[0-9;]*m")
	rapid.Check(t, func(t *rapid.T) {
		o := Options{
			Width: rapid.IntRange(leastWide, 250).Draw(t, "width"), Height: rapid.IntRange(0, 60).Draw(t, "height"),
			ASCII: rapid.Bool().Draw(t, "ascii"), Colour: rapid.Bool().Draw(t, "colour"),
		}
		series := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) metric.Series {
			return metric.Series{
				Name:   rapid.StringN(1, 200, -1).Draw(t, "name"),
				Start:  rapid.Int64Range(-1e9, 4e9).Draw(t, "start"),
				Step:   rapid.SampledFrom([]int64{1, 10, 60, 3600, 86400, 30 * 86400}).Draw(t, "step"),
				Values: rapid.SliceOfN(rapid.Float64(), 0, 50).Draw(t, "values"),
			}
		}), 1, 30).Draw(t, "series")
		for range rapid.IntRange(0, 10).Draw(t, "marks") {
			o.Marks = append(o.Marks, Mark{series[0].Start, rapid.StringN(0, 300, -1).Draw(t, "text"), rapid.Bool().Draw(t, "bad")})
		}
		lines := Draw(series, o)
		for _, line := range lines {
			if n := utf8.RuneCountInString(codes.ReplaceAllString(line, "")); n > o.Width {
				t.Errorf("%d characters of %d: %q", n, o.Width, line)
			}
			if !o.Colour && strings.Contains(line, "\x1b") {
				t.Errorf("colours in %q", line)
			}
			if strings.Contains(line, "NaN") {
				t.Errorf("no number: %q", line)
			}
		}
		if least := leastRows + 3 + min(len(series), mostSeries); len(lines) < max(least, o.Height) {
			t.Errorf("%d lines of %d", len(lines), o.Height)
		}
	})
}

func TestUnits(t *testing.T) {
	for name, want := range map[string]string{
		"stats.timers.catalog.ttfb.upper_90": "ms", "stats.timers.catalog.ttfb.count": "", "stats.timers.a.upper": "ms", "stats.timers.a.upper_x": "",
		"servers.vm.disk.root.used_percent": "%", "servers.vm.memory.used_bytes": "B", "disk.used_bytes;host=a": "B",
		"sumSeries(stats.timers.*.mean)": "ms", "movingAverage(sumSeries(a.took_ms),5)": "ms", "scale(a.took_ms,2)": "",
		"sumSeries(stats.timers.a.*)": "", "secondYAxis(a.age.seconds)": "s", "requests": "",
	} {
		if got := unit(name); got != want {
			t.Errorf("unit of %s: %q, want %q", name, got, want)
		}
	}
	for _, c := range []struct {
		v    float64
		unit string
		want string
	}{
		{401.02, "ms", "401 ms"}, {1500, "ms", "1.5 s"}, {0, "", "0"}, {1536, "B", "1.5 KiB"}, {70.21, "%", "70.21 %"}, {12345, "", "12.35 k"},
		{-2.5e9, "", "-2.5 G"}, {1e-7, "", "1e-07"}, {math.Inf(-1), "", "-Inf"}, {0.00012, "s", "0.00012 s"}, {512, "B", "512 B"},
	} {
		if got := quantity(c.v, c.unit); got != c.want {
			t.Errorf("%v %s: %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestTimesAreRound(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	spring := time.Date(2026, 3, 29, 0, 0, 0, 0, berlin).Unix() // clocks go forward at 2
	for _, c := range []struct {
		from, seconds int64
		tz            *time.Location
		want          string
	}{
		{noon, 60, time.UTC, "Jan 2: 12:00:00 12:00:10 12:00:20 12:00:30 12:00:40 12:00:50 12:01:00"},
		{noon + 7, 3600, time.UTC, "Jan 2: 12:10 12:20 12:30 12:40 12:50 13:00"},
		{noon, 86400, time.UTC, "Jan 2: 12:00 15:00 18:00 21:00 Jan 3 03:00 06:00 09:00 12:00"},
		{spring, 86400, berlin, "Mar 29: Mar 29 06:00 12:00 18:00 Mar 30"},
		{noon, 7 * 86400, time.UTC, "2026: Jan 3 Jan 4 Jan 5 Jan 6 Jan 7 Jan 8 Jan 9"},
		{noon, 200 * 86400, time.UTC, ": Feb 2026 Mar 2026 Apr 2026 May 2026 Jun 2026 Jul 2026"},
		{noon, 20 * 365 * 86400, time.UTC, ": Jan 2031 Jan 2036 Jan 2041"},
	} {
		x := horizontal(c.from, c.from+c.seconds, 80, c.tz)
		got := x.day + ":"
		for _, tick := range x.ticks {
			got += " " + tick.label
		}
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("%d s from %d: %s, want %s", c.seconds, c.from, got, c.want)
		}
	}
}
