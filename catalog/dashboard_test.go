package catalog

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/base/config"
	"steer/base/fault"
)

const board = `title: Shop
team: storefront
panels:
  # What customers wait for.
  - title: First byte
    targets: [stats.timers.shop.ttfb.upper_90]
    thresholds: [{above: 300}, {above: 200, level: warn}]
  - {kind: value, width: 3, targets: [a.b, 'sum(c.*)']}
description: How it sells
`

func TestLoadDashboards(t *testing.T) {
	c, err := Load(tree("dashboards/shop.yaml", board, "teams.yaml", "storefront: {}\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Dashboard("shop")
	if err != nil || d.Title != "Shop" || d.From != "-1h" || d.Until != "now" || len(d.Panels) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	if p := d.Panels[0]; p.Kind != "line" || p.Width != 6 || *p.Thresholds[1].Above != 200 || p.Thresholds[0].Level != "critical" || p.Thresholds[1].Level != "warn" {
		t.Errorf("%+v", p)
	}
	if _, err := c.Dashboard("shp"); fault.Of(err) != fault.NotFound || err.Error() != `no dashboard "shp" (did you mean "shop"?)` {
		t.Error(err)
	}
}

func TestWrongDashboards(t *testing.T) {
	refuse := func(text string) error {
		if strings.Contains(text, "wrong") {
			return errors.New("it is wrong")
		}
		return nil
	}
	reader := Reader{Query: refuse, Time: refuse}
	for text, want := range map[string]string{
		"title: x\n":                                                   "dashboards/a.yaml:1:1: panels: the dashboard has none",
		"panels: [{targets: []}]":                                      "panels[0].targets: the panel has none",
		"panels: [{targets: [wrong(]}]":                                "panels[0].targets[0]: it is wrong",
		"panels: [{targets: [a], from: wrong}]":                        "panels[0].from: it is wrong",
		"{from: wrong, panels: [{targets: [a]}]}":                      "from: it is wrong",
		"panels: [{targets: [a], until: now}]":                         "panels[0].until: the panel has no from",
		"panels: [{targets: [a], width: 13}]":                          "panels[0].width: 13 is not between 1 and 12 columns",
		"panels: [{targets: [a], kind: lines}]":                        `panels[0].kind: unknown kind "lines" (did you mean "line"?`,
		"panels: [{targets: [a], thresholds: [{above: 1, level: x}]}]": `level: unknown level "x"`,
		"panels: [{targets: [a], thresholds: [{}]}]":                   "the threshold needs one of above and below",
		"panels: [{targets: [a], y_min: 2, y_max: 1}]":                 "panels[0].y_min: 2 is not less than y_max (1)",
		"{team: nobody, panels: [{targets: [a]}]}":                     `team: no team "nobody"`,
		"{rows: [], panels: [{targets: [a]}]}":                         "rows: unknown key",
	} {
		_, err := reader.Load(tree("dashboards/a.yaml", text, "teams.yaml", "storefront: {}\n"))
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := Load(tree("dashboards/a b.yaml", board, "dashboards/c.yml", board)); err == nil || len(config.Problems(err)) != 2 {
		t.Error(err)
	}
}

func TestAddPanel(t *testing.T) {
	bound := 0.5
	p := Panel{Title: `"Slow": it's`, Kind: "stacked", Targets: []string{`alias(a.b,"x")`, "c.d"}, Width: 12, Unit: "%", Thresholds: []Threshold{{Below: &bound, Level: "warn"}}}
	got, err := AddPanel("dashboards/shop.yaml", []byte(board), "", p)
	if err != nil {
		t.Fatal(err)
	}
	const added = `  - title: "\"Slow\": it's"
    kind: stacked
    width: 12
    unit: "%"
    targets:
      - "alias(a.b,\"x\")"
      - c.d
    thresholds:
      - {below: 0.5, level: warn}
`
	if want := strings.Replace(board, "description:", added+"description:", 1); string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	made, err := AddPanel("dashboards/new.yaml", nil, "A new one", Panel{Targets: []string{"a.b"}})
	if want := "title: \"A new one\"\npanels:\n  - targets:\n      - a.b\n"; err != nil || string(made) != want {
		t.Errorf("%s, %v", made, err)
	}
	for text, kind := range map[string]fault.Kind{
		"panels: [{targets: [a]}]\n":      fault.Conflict, // not one a line
		"# only a comment\n":              fault.Invalid,
		"panels:\n- targets: [a]\nx: 1\n": fault.Invalid,
	} {
		if _, err := AddPanel("dashboards/a.yaml", []byte(text), "", p); fault.Of(err) != kind {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := AddPanel("dashboards/a.yaml", []byte(board), "", Panel{}); fault.Of(err) != fault.Invalid {
		t.Errorf("a panel without targets: %v", err)
	}
}

// Whatever a panel says, it is read from the file as it was, behind those that were
// there.
func TestAddedPanelsAreRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.StringMatching(`[ -~]{1,30}`), rapid.SampledFrom([]string{"no", "~", "5", "a: b", "#x", "- y", "ä\"'", " ", "1e3", "{}", "*"}))
		var p Panel
		p.Title = rapid.OneOf(text, rapid.Just("")).Draw(t, "title")
		p.Kind = rapid.SampledFrom([]string{"line", "area", "stacked", "value", "table"}).Draw(t, "kind")
		p.Targets = rapid.SliceOfN(rapid.StringMatching(`[!-~][ -~]{0,30}`), 1, 3).Draw(t, "targets")
		p.Width = rapid.IntRange(1, 12).Draw(t, "width")
		p.Unit = rapid.SampledFrom([]string{"", "%", "ms", "req/s", "on"}).Draw(t, "unit")
		if rapid.Bool().Draw(t, "bounded") {
			v := rapid.Float64Range(-1e12, 1e12).Draw(t, "bound")
			p.YMin, p.Thresholds = &v, []Threshold{{Above: &v, Level: "warn"}}
		}
		file := rapid.SampledFrom([]string{"", board, "panels:\n- targets:\n  - a\n\n# end\n", "panels:\n    - targets: [a]\n"}).Draw(t, "file")
		got, err := AddPanel("dashboards/a.yaml", []byte(file), "Title", p)
		if err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		var d Dashboard
		if _, err := config.Read("a.yaml", got, &d); err != nil {
			t.Fatalf("%v\n%s", err, got)
		}
		if !reflect.DeepEqual(d.Panels[len(d.Panels)-1], p) {
			t.Fatalf("%+v became %+v\n%s", p, d.Panels, got)
		}
	})
}
