package schema

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"steer/base/fault"
)

func TestParseRetentions(t *testing.T) {
	const y = 365 * 86400
	for in, want := range map[string][]Archive{
		"10s:6h,1m:7d,10m:5y":    {{10, 21600}, {60, 7 * 86400}, {600, 5 * y}},
		"60:90d":                 {{60, 90 * 86400}},
		"60:1440":                {{60, 86400}},
		"1s:1000":                {{1, 1000}},
		" 10s:6hours , 1min:1w ": {{10, 21600}, {60, 7 * 86400}},
		"1m:7d,10s:6h":           {{10, 21600}, {60, 7 * 86400}},
		"7s:1m":                  {{7, 56}},
		"1d:100years":            {{86400, 100 * y}},
	} {
		got, err := ParseRetentions(in)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", in, err, diff)
		}
	}
	for in, want := range map[string]string{
		"10s:6x":        `retention "10s:6x": unknown unit "x" (use s m h d w y)`,
		"10s:6H":        `retention "10s:6H": unknown unit "H" (use s m h d w y)`,
		"10s":           `retention "10s": no ":" (write STEP:KEEP, like 10s:6h)`,
		"":              `retention "": no ":" (write STEP:KEEP, like 10s:6h)`,
		"10s:":          `retention "10s:": "" is no length of time (write a whole number and a unit of s m h d w y, like 10s)`,
		"1.5m:1d":       `retention "1.5m:1d": "1.5m" is no length of time (write a whole number and a unit of s m h d w y, like 10s)`,
		"0s:1d":         `retention "0s:1d": "0s" is zero`,
		"1d:1h":         `retention "1d:1h": keeps 1h, less than its step of 1d`,
		"1s:900y":       `retention "1s:900y": "900y" is more than 200 years`,
		"1d:99999999":   `retention "1d:99999999": 99999999 points of 1d are more than 200 years`,
		"150y:200y":     `retention "150y:200y": a step of 150y is more than 100 years`,
		"10s:6h,10s:1d": `retentions "10s:6h,10s:1d": two archives have a step of 10s (keep the longer one)`,
		"7s:6h,1m:1d":   `retentions "7s:6h,1m:1d": a step of 1m is no multiple of the finer step of 7s`,
		"10s:1d,1m:6h":  `retentions "10s:1d,1m:6h": 1m:6h keeps no longer than the finer 10s:1d (a coarser archive must reach further back)`,
		"10s:30s,1m:6h": `retentions "10s:30s,1m:6h": 10s:30s holds 3 points, but one point of 1m:6h is made of 6`,
	} {
		if _, err := ParseRetentions(in); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", in, err, want)
		}
	}
}

func TestArchiveString(t *testing.T) {
	for _, s := range []string{"10s:6h", "1m:1w", "10m:5y", "90s:3d"} {
		a, err := ParseArchive(s)
		if err != nil || a.String() != s {
			t.Errorf("%s: %v %v", s, a, err)
		}
	}
}

const carbonSchemas = `# a comment
; another
[carbon]
pattern = ^carbon\.
retentions = 60:90d

[default_1min_for_1day]
PRIORITY: 10
PATTERN: .*
RETENTIONS: 60s:1d ; as delivered
`

const carbonAggregation = `
[min]
pattern = \.min$
xFilesFactor = 0.1
aggregationMethod = min

[default_average]
pattern = .*
`

func TestParseCarbon(t *testing.T) {
	schemas, err := Parse("storage-schemas.conf", []byte(carbonSchemas))
	if err != nil || len(schemas) != 2 || schemas[0].Name != "carbon" || schemas[0].Pattern.String() != `^carbon\.` ||
		schemas[0].Archives[0] != (Archive{60, 90 * 86400}) || schemas[1].Archives[0] != (Archive{60, 86400}) {
		t.Errorf("%v %v", schemas, err)
	}
	rolls, err := ParseAggregation("storage-aggregation.conf", []byte(carbonAggregation))
	if err != nil || len(rolls) != 2 || rolls[0].Method != Min || rolls[0].XFilesFactor != 0.1 ||
		rolls[1].Method != Average || rolls[1].XFilesFactor != 0.5 {
		t.Errorf("%v %v", rolls, err)
	}
}

func TestParseYAML(t *testing.T) {
	schemas, err := Parse("storage.yaml", []byte("- {name: all, pattern: '', retentions: '10s:6h,1m:7d'}\n"))
	if err != nil || len(schemas) != 1 || schemas[0].Name != "all" || len(schemas[0].Archives) != 2 {
		t.Errorf("%v %v", schemas, err)
	}
	rolls, err := ParseAggregation("aggregation.yaml", []byte("- name: sum\n  pattern: count$\n  x_files_factor: 0\n  method: sum\n"))
	if err != nil || len(rolls) != 1 || rolls[0].Method != Sum || rolls[0].XFilesFactor != 0 {
		t.Errorf("%v %v", rolls, err)
	}
	if schemas, err := Parse("storage.yaml", nil); err != nil || len(schemas) != 0 {
		t.Errorf("empty file: %v %v", schemas, err)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct{ file, data, want string }{
		{"storage.yaml", "\n\n\n\n\n\n\n\n\n\n- name: x\n  retentions: 10s:6x\n  pattern: a\n", `read schema "storage.yaml" line 12: retention "10s:6x": unknown unit "x" (use s m h d w y)`},
		{"storage.conf", "[a]\npattern = a\nretentions = 10s:6x\n", `read schema "storage.conf" line 3: retention "10s:6x": unknown unit "x" (use s m h d w y)`},
		{"storage.conf", "[a]\npattern = (\nretentions = 1s:1h\n", `read schema "storage.conf" line 2: pattern "(": error parsing regexp: missing closing ): ` + "`(`"},
		{"storage.conf", "[a]\npattern = ^(?!x)\nretentions = 1s:1h\n", `read schema "storage.conf" line 2: pattern "^(?!x)": "(?!" is not supported (no look-ahead, look-behind or back references; order the entries instead, the first match counts)`},
		{"storage.conf", "[a]\npattern = x\n", `read schema "storage.conf" line 1: entry "a" has no retentions`},
		{"storage.conf", "[a]\npattern = x\nretentions = 1s:1h\nretention = 1s:2h\n", `read schema "storage.conf" line 4: unknown key "retention" (use pattern retentions)`},
		{"storage.conf", "pattern = x\n", `read schema "storage.conf" line 1: "pattern = x" stands before the first [section]`},
		{"storage.conf", "[a]\nhello\n", `read schema "storage.conf" line 2: "hello" is neither [section] nor key = value`},
		{"storage.yaml", "name: x\n", `read schema "storage.yaml" line 1: not a list (write one "- {name: …, pattern: …, retentions: …}" per entry)`},
		{"storage.yaml", "- x\n", `read schema "storage.yaml" line 1: not a mapping (write {name: …, pattern: …, retentions: …})`},
		{"storage.yaml", "- {name: x, pattern: a, retention: 1s:1h, retentions: 1s:1h}\n", `read schema "storage.yaml" line 1: unknown key "retention" (use name pattern retentions)`},
		{"storage.yaml", "- {pattern: [a], retentions: 1s:1h}\n", `read schema "storage.yaml" line 1: pattern is not a text`},
	} {
		_, err := Parse(c.file, []byte(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%q:\ngot  %v\nwant %s", c.data, err, c.want)
		}
	}
	for data, want := range map[string]string{
		"[a]\npattern = a\nxFilesFactor = 2\n":         `read aggregation "a.conf" line 3: xFilesFactor "2" is no number from 0 to 1`,
		"[a]\npattern = a\naggregationMethod = mean\n": `read aggregation "a.conf" line 3: unknown method "mean" (use average sum last max min avg_zero absmax absmin)`,
	} {
		if _, err := ParseAggregation("a.conf", []byte(data)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\ngot  %v\nwant %s", data, err, want)
		}
	}
	// Every mistake is told, not only the first.
	_, err := Parse("s.conf", []byte("[a]\npattern = (\nretentions = 1\n[b]\nx = 1\n"))
	if err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("got %v", err)
	}
}

// TestRollAddsDecimals: sums have no errors of float64.
func TestRollAddsDecimals(t *testing.T) {
	nan := math.NaN()
	fine := []float64{0.1, 0.2, nan, 0.7, 0.1, 0.2}
	for method, want := range map[Method]float64{Sum: 1.3, Average: 0.26, AvgZero: 1.3 / 6} {
		a := Aggregation{Method: method}
		if got, ok := a.Roll(fine); !ok || got != want {
			t.Errorf("%v: %v, want %v", method, got, want)
		}
	}
}

func TestRoll(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	fine := []float64{nan, -4, 1, nan, 3, nan}
	for method, want := range map[Method]float64{
		Average: 0, Sum: 0, Last: 3, Max: 3, Min: -4, AvgZero: 0, AbsMax: -4, AbsMin: 1,
	} {
		if got, ok := (&Aggregation{Method: method, XFilesFactor: 0.5}).Roll(fine); !ok || got != want {
			t.Errorf("%v: %v %v, want %v", method, got, ok, want)
		}
	}
	if got, _ := (&Aggregation{Method: AvgZero}).Roll([]float64{6, nan, nan}); got != 2 {
		t.Errorf("avg_zero: %v", got)
	}
	if _, ok := (&Aggregation{XFilesFactor: 0.51}).Roll(fine); ok {
		t.Error("half of the values are less than 0.51")
	}
	if _, ok := (&Aggregation{}).Roll([]float64{nan, nan}); ok {
		t.Error("no value known")
	}
	if got, ok := (&Aggregation{Method: Sum}).Roll([]float64{inf, -inf}); !ok || got != -inf {
		t.Errorf("infinities of both signs: %v %v", got, ok)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("storage.conf", carbonSchemas)
	f.Add("storage.conf", carbonAggregation)
	f.Add("storage.yaml", "- {name: all, pattern: '', retentions: '10s:6h,1m:7d'}\n")
	f.Add("storage.yaml", "- [\n- &a *a")
	f.Fuzz(func(t *testing.T, file, data string) {
		schemas, err := Parse(file, []byte(data))
		if err != nil {
			schemas = nil
		}
		for _, s := range schemas {
			// retentions.json keeps them as texts.
			var parts []string
			for _, a := range s.Archives {
				parts = append(parts, a.String())
			}
			again, err := ParseRetentions(strings.Join(parts, ","))
			if err != nil || !slices.Equal(again, s.Archives) {
				t.Fatalf("%v: %v %v", s.Archives, again, err)
			}
			if p, err := CompilePattern(s.Pattern.String()); err != nil || p.Match(data) != s.Pattern.Match(data) {
				t.Fatalf("%q: %v", s.Pattern, err)
			}
		}
		ParseAggregation(file, []byte(data)) //nolint:errcheck // must not panic
	})
}
