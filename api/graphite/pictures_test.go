package graphite

import (
	"bytes"
	"fmt"
	"html"
	"image/png"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/monitor/query"
	"steer/monitor/query/querytest"
)

// pictured is a request whose picture the guide shows.
type pictured struct{ name, says, address string }

const day = "width=450&height=220&target=shop.*.latency"

// gallery is what the page shows, by section.
func gallery() []struct {
	title    string
	pictures []pictured
} {
	return []struct {
		title    string
		pictures []pictured
	}{
		{"Lines and areas", []pictured{
			{"line", "What comes without a parameter but the size.", day},
			{"staircase", "`lineMode=staircase`: a value holds until the next.", "width=450&height=220&from=-4h&target=shop.web1.latency&lineMode=staircase"},
			{"gaps", "`lineMode=slope`, the default: missing values part the line, and a value between two of them is a dot.", "width=450&height=220&from=-6h&target=shop.visits&lineMode=slope"},
			{"connected", "`lineMode=connected` draws across missing values.", "width=450&height=220&from=-6h&target=shop.visits&lineMode=connected"},
			{"null-as-zero", "`drawNullAsZero=true`", "width=450&height=220&from=-6h&target=shop.visits&drawNullAsZero=true"},
			{"area-first", "`areaMode=first`", day + "&areaMode=first"},
			{"area-all", "`areaMode=all`, here with `areaAlpha=0.15`", day + "&areaMode=all&areaAlpha=0.15"},
			{"area-stacked", "`areaMode=stacked`", day + "&areaMode=stacked"},
			{"stacked-function", "`stacked()`, and their sum as a wide line.", "width=450&height=220&target=stacked(shop.web*.orders)&target=alias(lineWidth(sumSeries(shop.web*.orders),3),'all')"},
			{"bands", "`areaBetween()`: what is usual, and what was.", "width=450&height=220&target=alias(areaBetween(group(offset(movingMedian(shop.web1.latency,'2h'),-25),offset(movingMedian(shop.web1.latency,'2h'),25))),'usual')&target=alias(shop.web1.latency,'was')"},
			{"line-width", "`lineWidth=3`, `dashed()`, `color()` and `alpha()`.", "width=450&height=220&lineWidth=3&target=dashed(shop.web1.latency,6)&target=alpha(color(shop.web2.latency,'red'),0.5)"},
			{"min-x-step", "`minXStep=15`: one point for 15 pixels; more are merged.", "width=450&height=220&target=shop.web1.latency&minXStep=15"},
		}},
		{"Axes", []pictured{
			{"y-range", "`yMin=0&yMax=200`: what is beyond is cut off.", day + "&yMin=0&yMax=200"},
			{"log", "`logBase=10`; values up to zero are left out.", "width=450&height=220&target=shop.failures&logBase=10"},
			{"log-linear", "The same without it.", "width=450&height=220&target=shop.failures"},
			{"second-axis", "`secondYAxis()` measures at the right.", "width=450&height=220&target=shop.web1.latency&target=secondYAxis(db.bytes)&vtitle=milliseconds"},
			{"si", "`yUnitSystem=si`, the default.", "width=450&height=220&target=db.bytes"},
			{"binary", "`yUnitSystem=binary`", "width=450&height=220&target=db.bytes&yUnitSystem=binary"},
			{"threshold", "`threshold()` and `constantLine()` to compare with.", day + "&target=threshold(260,'too slow','red')&target=dashed(constantLine(120))"},
			{"deploys", "`verticalLine()` marks a time.", "width=450&height=220&target=shop.web1.latency&target=verticalLine('06:00_20260102','deploy','purple')"},
			{"time-zone", "`tz=Asia/Tokyo`, and a week.", "width=450&height=220&target=shop.week&from=-7d&tz=Asia/Tokyo"},
			{"minutes", "Ten minutes.", "width=450&height=220&from=-10min&target=shop.seconds"},
			{"years", "Three years.", "width=450&height=220&from=-3y&target=shop.years"},
			{"negative", "Values below zero.", "width=450&height=220&target=offset(shop.web1.latency,-200)&areaMode=all&hideLegend=true"},
		}},
		{"What stands around the data", []pictured{
			{"titles", "`title`, `vtitle` and `fontSize=14`.", day + "&title=Time to the first byte&vtitle=milliseconds&fontSize=14"},
			{"hide-legend", "`hideLegend=true`; above ten series it is hidden unless `hideLegend=false`.", day + "&hideLegend=true"},
			{"hide-axes", "`hideAxes=true`", day + "&hideAxes=true"},
			{"hide-grid", "`hideGrid=true`", day + "&hideGrid=true"},
			{"graph-only", "`graphOnly=true`: nothing but the data.", "width=450&height=80&graphOnly=true&target=shop.web1.latency&areaMode=first"},
			{"margin", "`margin=40`", day + "&margin=40&title=Room around"},
			{"many", "Twelve series with `hideLegend=false`.", "width=450&height=260&target=hosts.*.load&hideLegend=false"},
			{"long-names", "Long names lose their middle.", "width=450&height=220&target=alias(shop.web1.latency,'stats.timers.production.catalogue.frontend.eu-central-1.web-0001.time_to_first_byte.upper_90')&target=shop.web2.latency&title=A title that is far too long for the width of this small picture, so it loses its middle as well"},
			{"legend-twice", "Two series with one name.", "width=450&height=220&target=alias(shop.web1.latency,'latency')&target=alias(shop.web2.latency,'latency')"},
			{"unique-legend", "`uniqueLegend=true` names them once.", "width=450&height=220&target=alias(shop.web1.latency,'latency')&target=alias(shop.web2.latency,'latency')&uniqueLegend=true"},
			{"no-data", "Nothing matches.", "width=450&height=160&target=no.such.series&title=Nothing"},
		}},
		{"Pies", []pictured{
			{"pie", "`graphType=pie`: the mean of each series.", "width=450&height=260&graphType=pie&target=shop.web*.orders&title=Orders"},
			{"pie-numbers", "`pieMode=maximum&valueLabels=number`; also `minimum` and `total`, and `valueLabels=none`.", "width=450&height=260&graphType=pie&target=hosts.*.load&pieMode=maximum&valueLabels=number&hideLegend=false"},
		}},
		{"Colours", []pictured{
			{"dark", "`template=dark`; so are Graphite's templates noc and alphas.", day + "&template=dark&title=Latency&areaMode=first&target=threshold(260,'too slow','red')"},
			{"dark-many", "All colours on dark.", "width=450&height=260&target=hosts.*.load&hideLegend=false&template=dark"},
			{"light-many", "All colours on light.", "width=450&height=260&target=limit(hosts.*.load,10)"},
			{"dark-stacked", "`template=dark&areaMode=stacked`", day + "&template=dark&areaMode=stacked"},
			{"dark-pie", "`template=dark&graphType=pie`", "width=450&height=260&graphType=pie&target=shop.web*.orders&template=dark"},
			{"solarized-dark", "`template=solarized-dark`", day + "&template=solarized-dark"},
			{"solarized-light", "`template=solarized-light`", day + "&template=solarized-light"},
			{"own-colours", "`bgcolor`, `fgcolor` and `colorList`, names or hex digits.", day + "&bgcolor=203040&fgcolor=ffd479&colorList=orange,7fdbca,ff6f91"},
		}},
		{"Sizes and formats", []pictured{
			{"default-size", "Without `width` and `height`: 330 by 250.", "target=shop.*.latency"},
			{"small", "`width=160&height=90`", "width=160&height=90&target=shop.web1.latency"},
			{"tiny", "`width=80&height=30`", "width=80&height=30&target=shop.web1.latency"},
			{"large", "`width=900&height=360`", "width=900&height=360&target=shop.*.latency&title=Time to the first byte&vtitle=milliseconds&template=dark&areaMode=all&areaAlpha=0.1"},
			{"png", "`format=png`, which is the default.", day + "&title=Time to the first byte&vtitle=milliseconds&format=png"},
			{"png-dark", "`format=png&template=dark`", day + "&template=dark&areaMode=stacked&format=png"},
			{"png-pie", "`format=png&graphType=pie`", "width=330&height=250&graphType=pie&target=shop.web*.orders&format=png"},
		}},
	}
}

// pictureData are columns of whole numbers, and so the same on every machine.
func pictureData() *querytest.Memory {
	m := &querytest.Memory{}
	noise := uint64(7)
	add := func(name string, step int64, n int, value func(i int, noise int) float64) {
		values := make([]float64, n)
		for i := range values {
			noise = noise*6364136223846793005 + 1442695040888963407
			values[i] = value(i, int(noise>>40%100))
		}
		m.Add(name, now-int64(n-1)*step, step, values...)
	}
	tent := func(i, length int) int { return min(i%length, length-i%length) } // up and down again
	for k := range 3 {
		add(fmt.Sprintf("shop.web%d.latency", k+1), 900, 96, func(i, noise int) float64 {
			return float64(80 + 50*k + 4*tent(i+14*k, 64+7*k) + noise/4)
		})
		add(fmt.Sprintf("shop.web%d.orders", k+1), 900, 96, func(i, noise int) float64 { return float64(60/(k+1) + tent(i+7*k, 96) + noise/8) })
	}
	add("shop.visits", 600, 37, func(i, noise int) float64 {
		if i >= 8 && i < 12 || i == 20 || i == 22 || i > 28 && i < 31 {
			return math.NaN()
		}
		return float64(100 + 4*tent(i, 20) + noise/2)
	})
	add("shop.failures", 900, 96, func(i, noise int) float64 {
		if i > 60 && i < 74 {
			return float64((noise + 1) * 200)
		}
		if i%17 == 0 {
			return 0
		}
		return float64(1 + noise/8*(1+i%4))
	})
	add("shop.week", 7200, 84, func(i, noise int) float64 { return float64(40*tent(i, 12) + noise) })
	add("shop.seconds", 10, 61, func(i, noise int) float64 { return float64(tent(i, 20)*10+noise) / 1000 })
	add("shop.years", 86400*7, 157, func(i, noise int) float64 { return float64(i*20000 + tent(i, 52)*30000 + noise*500) })
	add("db.bytes", 900, 96, func(i, noise int) float64 { return float64(2_000_000_000 + i*14_000_000 + noise*2_000_000) })
	for k := range 12 {
		add(fmt.Sprintf("hosts.h%02d.load", k+1), 1800, 48, func(i, noise int) float64 { return float64(100+120*k+4*tent(i+k, 24)+noise/3) / 100 })
	}
	return m
}

// TestPictures compares with docs/guide/pictures.md and the pictures beside it;
// STEER_TEST_UPDATE=1 writes them, to be looked at.
func TestPictures(t *testing.T) {
	const guide = "../../docs/guide"
	engine, err := query.New(query.Options{Source: pictureData()})
	if err != nil {
		t.Fatal(err)
	}
	h := New(Options{Engine: engine, Now: func() time.Time { return time.Unix(now, 0) }})
	update := os.Getenv("STEER_TEST_UPDATE") == "1"
	page := &strings.Builder{}
	page.WriteString(`# Pictures

What ` + "`/render`" + ` draws with ` + "`format=svg` and `format=png`" + `, to be put into pages, mails and chats. The page and its
pictures are made by a test from fixed data; below each stands what was asked for, without
` + "`format=svg`" + `. Functions are in [functions.md](../generated/functions.md), differences from Graphite in
[Graphite compatibility](graphite.md).
`)
	var size int
	kept := map[string]bool{}
	for _, section := range gallery() {
		fmt.Fprintf(page, "\n## %s\n", section.title)
		for _, p := range section.pictures {
			values, err := url.ParseQuery(p.address)
			if err != nil {
				t.Fatal(err)
			}
			ending := "svg"
			if values.Get("format") == "png" {
				ending = "png"
			}
			values.Set("format", ending)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/render?"+values.Encode(), nil))
			if w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", p.name, w.Code, w.Body)
			}
			file := "pictures/" + p.name + "." + ending
			kept[filepath.Base(file)] = true
			size += w.Body.Len()
			keep(t, filepath.Join(guide, file), w.Body.Bytes(), update)
			fmt.Fprintf(page, "\n%s\n\n![%s](%s)\n\n```\n/render?%s\n```\n", p.says, html.EscapeString(p.name), file, strings.ReplaceAll(p.address, " ", "%20"))
		}
	}
	keep(t, filepath.Join(guide, "pictures.md"), []byte(page.String()), update)
	if size > 400<<10 {
		t.Errorf("the pictures have %d bytes together, 400 KB are enough", size)
	}
	entries, err := os.ReadDir(filepath.Join(guide, "pictures"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !kept[e.Name()] {
			t.Errorf("%s/pictures/%s is not on the page any more; delete it", guide, e.Name())
		}
	}
}

// keep compares a file. A PNG is compared by its pixels: how they are packed depends
// on the version of Go, and the edges of letters on the processor by a shade.
func keep(t *testing.T, path string, want []byte, update bool) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err == nil && (bytes.Equal(got, want) || filepath.Ext(path) == ".png" && samePixels(got, want)) {
		return
	}
	if !update {
		t.Errorf("%s is not what would be drawn now (%v); look at what changed with STEER_TEST_UPDATE=1", path, err)
		return
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

func samePixels(a, b []byte) bool {
	x, err := png.Decode(bytes.NewReader(a))
	y, err2 := png.Decode(bytes.NewReader(b))
	if err != nil || err2 != nil || x.Bounds() != y.Bounds() {
		return false
	}
	for i := x.Bounds().Min.X; i < x.Bounds().Max.X; i++ {
		for j := x.Bounds().Min.Y; j < x.Bounds().Max.Y; j++ {
			r, g, b, a := x.At(i, j).RGBA()
			r2, g2, b2, a2 := y.At(i, j).RGBA()
			for _, part := range [...][2]uint32{{r, r2}, {g, g2}, {b, b2}, {a, a2}} {
				if max(part[0], part[1])-min(part[0], part[1]) > 2*0x101 { // of 255
					return false
				}
			}
		}
	}
	return true
}
