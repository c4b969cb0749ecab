package graphite

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python gives files to a script of Python 3, whose modules read what graphite-web
// writes, and returns what it prints.
func python(t *testing.T, module, script string, files ...string) string {
	t.Helper()
	program := ""
	for _, p := range [...]string{"/usr/bin/python3", "python3"} { // Debian's own has Debian's packages
		if program == "" && exec.Command(p, "-c", "import "+module).Run() == nil {
			program = p
		}
	}
	if program == "" {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatalf("Python's %s is not installed, and STEER_REQUIRE_ALL is set", module)
		}
		t.Skipf("Python's %s is not installed", module)
	}
	args := []string{"-c", script}
	for i, text := range files {
		name := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	out, err := exec.Command(program, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return string(out)
}

// packedSeries is what render answers in pickle and msgpack, as Python sees it.
const packedSeries = `[
	{"name": "web.one", "pathExpression": "web.one", "consolidationFunc": "average", "start": 1767355020, "end": 1767355260, "step": 60,
		"valuesPerPoint": 1, "xFilesFactor": 0.0, "values": [2.5, null, "inf", 1e16]},
	{"name": "scale(web.two,-1)", "pathExpression": "scale(web.two,-1)", "consolidationFunc": "average", "start": 1767355020, "end": 1767355260, "step": 60,
		"valuesPerPoint": 1, "xFilesFactor": 0.0, "values": [-5.0, -6.0, -7.0, -8.0]},
	{"name": "ünïcode", "pathExpression": "web.two", "consolidationFunc": "average", "start": 1767355020, "end": 1767355260, "step": 60,
		"valuesPerPoint": 1, "xFilesFactor": 0.0, "values": [5.0, 6.0, 7.0, 8.0]}]`

const packedNodes = `[{"path": "web.deep", "is_leaf": false}, {"path": "web.one", "is_leaf": true, "intervals": [[0, 1767355200]]}]`

func TestPackedFormats(t *testing.T) {
	h := handler(t)
	for module, load := range map[string]string{"pickle": "pickle.load(f)", "msgpack": "msgpack.load(f, raw=False)"} {
		t.Run(module, func(t *testing.T) {
			series := get(t, h, "/render?target=web.one&target=scale(web.two,-1)&target=alias(web.two,%22%C3%BCn%C3%AFcode%22)&from=-4min&format="+module)
			nodes := get(t, h, "/metrics/find?query=web.[do]*&format="+module)
			many := get(t, h, "/render?target=constantLine(5)&target=alias(web.one,%22"+strings.Repeat("x", 300)+"%22)&from=-70000s&format="+module)
			want := map[string]string{"pickle": "application/pickle", "msgpack": "application/x-msgpack"}[module]
			for _, w := range []string{series.Header().Get("Content-Type"), nodes.Header().Get("Content-Type")} {
				if w != want {
					t.Errorf("type %s", w)
				}
			}
			script := "import " + module + ", json, sys, math\n" + `
def plain(v):
    if isinstance(v, float) and math.isinf(v):
        return "inf"
    if isinstance(v, (list, tuple)):
        return [plain(x) for x in v]
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    return v
for name in sys.argv[1:]:
    with open(name, "rb") as f:
        print(json.dumps(plain(` + load + `)))
        assert not f.read(1)
`
			lines := strings.Split(python(t, module, script, series.Body.String(), nodes.Body.String(), many.Body.String()), "\n")
			for i, want := range []string{packedSeries, packedNodes} {
				var a, b any
				if err := json.Unmarshal([]byte(want), &a); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal([]byte(lines[i]), &b); err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(a, b); d != "" {
					t.Error(d)
				}
			}
			// Sizes beyond one byte.
			var long []struct {
				Name   string
				Values []any
			}
			if err := json.Unmarshal([]byte(lines[2]), &long); err != nil || len(long) != 2 || len(long[1].Name) != 300 || len(long[1].Values) < 1000 {
				t.Errorf("%v: %.300s", err, lines[2])
			}
		})
	}
	if w := get(t, h, "/render?target=web.one&from=-4min&pickle=1"); w.Header().Get("Content-Type") != "application/pickle" {
		t.Error("pickle=1 is another way to ask for pickle")
	}
}

func TestFormatsOfCharts(t *testing.T) {
	h := handler(t)
	for address, want := range map[string]string{
		"/render?target=web.one&target=web.two&from=-4min&format=dygraph":                       `{"labels" : ["Time", "web.one", "web.two"], "data" : [[1767355020000, 2.5, 5.0], [1767355080000, null, 6.0], [1767355140000, 1e9999, 7.0], [1767355200000, 1e+16, 8.0]]}`,
		"/render?target=web.two&target=summarize(web.two,%222min%22)&from=-2min&format=dygraph": `{"labels" : ["Time", "web.two", "summarize(web.two, \"2min\", \"sum\")"], "data" : [[1767355140000, 7.0, 7.0], [1767355200000, 8.0, 8.0]]}`,
		"/render?target=nope&format=dygraph&jsonp=f":                                            `f({})`,
		"/render?target=scale(web.one,-1)&from=-4min&format=rickshaw":                           `[{"target": "scale(web.one,-1)", "datapoints": [{"x": 1767355020, "y": -2.5}, {"x": 1767355080, "y": null}, {"x": 1767355140, "y": -1e9999}, {"x": 1767355200, "y": -1e+16}]}]`,
		"/render?target=nope&format=rickshaw":                                                   `[]`,
	} {
		if w := get(t, h, address); w.Body.String() != want || w.Code != 200 {
			t.Errorf("%s: %d %s\nwant %s", address, w.Code, w.Body, want)
		}
	}
	w := get(t, h, "/render?target=web.one&from=-4min&format=svg&jsonp=f")
	if !strings.HasPrefix(w.Body.String(), `f("\u003csvg `) || !strings.HasSuffix(w.Body.String(), `/svg\u003e\n")`) || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("%s %.60s", w.Header().Get("Content-Type"), w.Body)
	}
}

// TestPretty compares with the line breaks of Python's json, which graphite-web
// uses.
func TestPretty(t *testing.T) {
	h := handler(t)
	addresses := []string{
		"/render?target=web.*&from=-2min&format=json", "/render?target=nope&format=json", "/metrics/find?query=web.*", "/metrics/find?query=nope",
		"/metrics/expand?query=*", "/metrics/index.json?", "/functions/scale?",
		`/render?target=alias(web.two,%22a,%20{b}%20[c]%20%5C%22:%20%5C%5C%22)&from=-1min&format=json`,
	}
	var short []string
	for _, address := range addresses {
		short = append(short, get(t, h, address).Body.String())
	}
	const script = `
import json, sys
for name in sys.argv[1:]:
    data = json.load(open(name), parse_float=lambda s: s)
    print(json.dumps(data, indent=2, ensure_ascii=False), end="\0")
`
	want := strings.Split(python(t, "json", script, short...), "\x00")
	for i, address := range addresses {
		pretty := get(t, h, address+"&pretty=1").Body.String()
		// Numbers with a fraction went through as texts, to stay as they are.
		if got := strings.NewReplacer("7.0", `"7.0"`, "8.0", `"8.0"`, "1e9999", `"1e9999"`, "1e+16", `"1e+16"`).Replace(pretty); got != want[i] {
			t.Errorf("%s: %s\nwant %s", address, got, want[i])
		}
	}
	if w := get(t, h, "/metrics/expand?query=w*&pretty=1&jsonp=f[0]"); w.Body.String() != "f[0]({\n  \"results\": [\n    \"web\"\n  ]\n})" {
		t.Errorf("%s", w.Body)
	}
}
