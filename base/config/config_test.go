package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"steer/base/fault"
	"steer/base/id"
)

type graphite struct {
	TCP string `yaml:"tcp" default:"127.0.0.1:2003" doc:"Address for Graphite lines over TCP."`
	UDP string `yaml:"udp" default:"127.0.0.1:2003" doc:"Address for Graphite lines over UDP."`
}

type bounds struct {
	Series int     `yaml:"max_series" default:"1000" doc:"Most series."`
	Factor float64 `yaml:"factor" default:"0.5"`
}

func (l bounds) Check() error {
	if l.Series < 1 {
		return fault.New(fault.Invalid, "max_series: must be at least 1")
	}
	return nil
}

type rule struct {
	Match string   `yaml:"match" doc:"What to look for."`
	Times int      `yaml:"times" default:"3" doc:"How often."`
	Wait  Duration `yaml:"wait" default:"5s"`
}

func (r rule) Check() error {
	if r.Match == "" {
		return errors.Join(errors.New("match: is missing"), errors.New("a rule needs something to match"))
	}
	return nil
}

type sample struct {
	Listen  string `yaml:"listen" default:"127.0.0.1:8080" doc:"Address of the HTTP server: the API, the web UI and everything that others speak to it, for as long as this text goes on."`
	Receive struct {
		Graphite graphite `yaml:"graphite"`
	} `yaml:"receive" doc:"What comes in."`
	bounds   `yaml:",inline"`
	Inline   limitsPart        `yaml:",inline"`
	On       bool              `yaml:"on" default:"true"`
	Small    uint8             `yaml:"small"`
	Pointer  *float64          `yaml:"pointer" doc:"Unset by default."`
	Part     *graphite         `yaml:"part"`
	Numbers  []float64         `yaml:"numbers" default:"[90, 99.5]"`
	Rules    []rule            `yaml:"rules" doc:"Applied in order."`
	Named    map[string]rule   `yaml:"named"`
	Env      map[string]string `yaml:"env" default:"{A: b}"`
	Team     id.Team           `yaml:"team"`
	Teams    map[id.Team]int   `yaml:"teams"`
	Untagged int
	Hidden   string `yaml:"-"`
}

type limitsPart struct {
	Wait Duration `yaml:"wait" default:"1m"`
}

func (l *limitsPart) Check() error {
	if l.Wait.Std() < 0 {
		return errors.New("wait: is negative")
	}
	return nil
}

func TestDecodeReads(t *testing.T) {
	var got sample
	err := Decode("server.yaml", []byte(`
listen: off
receive: {graphite: {tcp: "[::1]:2003"}}
max_series: 7
on: no
small: 255
pointer: -1.5
part: {}
numbers: []
rules:
- &first {match: a}
- match: b
  times: 0
- <<: *first
  wait: 2d
named:
  x: *first
env: {PORT: 8080, DEBUG: true, EMPTY: , TEXT: "true"}
team: storefront
teams: {a: 1}
`), &got)
	if err != nil {
		t.Fatal(err)
	}
	var want sample
	want.Listen = "off"
	want.Receive.Graphite = graphite{"[::1]:2003", "127.0.0.1:2003"}
	want.bounds = bounds{7, 0.5}
	want.Inline.Wait, _ = ParseDuration("1m")
	want.Small = 255
	minus := -1.5
	want.Pointer, want.Part = &minus, &graphite{"127.0.0.1:2003", "127.0.0.1:2003"}
	want.Numbers = []float64{}
	day, _ := ParseDuration("2d")
	five, _ := ParseDuration("5s")
	want.Rules = []rule{{"a", 3, five}, {"b", 0, five}, {"a", 3, day}}
	want.Named = map[string]rule{"x": {"a", 3, five}}
	want.Env = map[string]string{"PORT": "8080", "DEBUG": "true", "EMPTY": "", "TEXT": "true"}
	want.Team, want.Teams = "storefront", map[id.Team]int{"a": 1}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(sample{})); d != "" {
		t.Error(d)
	}
}

func TestDecodeSetsDefaults(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "---\n", "{}", "listen:\nreceive:\n", "receive: {graphite: }"} {
		var got sample
		if err := Decode("x", []byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if got.Listen != "127.0.0.1:8080" || got.Receive.Graphite.UDP != "127.0.0.1:2003" || !got.On || got.Series != 1000 ||
			got.Inline.Wait.String() != "1m" || got.Pointer != nil || got.Part != nil || len(got.Numbers) != 2 || got.Env["A"] != "b" {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestDecodeExplains(t *testing.T) {
	for text, want := range map[string]string{
		"receive:\n  graphite:\n    tpc: x\n": `server.yaml:3:5: receive.graphite.tpc: unknown key (did you mean "tcp"?)`,
		"receive: {graphite: {zzzzzz: x}}":    `server.yaml:1:22: receive.graphite.zzzzzz: unknown key (known: tcp, udp)`,
		"listen: [a]":                         `server.yaml:1:1: listen: a list, expected one text`,
		"receive: 7":                          `server.yaml:1:10: receive: "7", expected keys with values, each on a line like "key: value"`,
		"- a":                                 `server.yaml:1:1: a list, expected keys with values, each on a line like "key: value"`,
		"small: 256":                          `server.yaml:1:8: small: "256" is not a whole number from 0 to 255`,
		"max_series: many":                    `server.yaml:1:13: max_series: "many" is not a whole number`,
		"max_series: '7'":                     `server.yaml:1:13: max_series: "7" is a text because of its quotes, expected a whole number`,
		"factor: .inf":                        `server.yaml:1:9: factor: ".inf" is not a number`,
		"on: maybe":                           `server.yaml:1:5: on: "maybe" is not true or false`,
		"wait: soon":                          `server.yaml:1:7: wait: "soon" is no duration (write a number with ms, s, m, h, d or w, like 90s or 10m)`,
		"wait: [1s]":                          `server.yaml:1:1: wait: a list, expected a duration like 90s or 10m`,
		"rules: {match: a}":                   `server.yaml:1:1: rules: keys with values, expected a list, like [a, b] or lines that start with "- "`,
		"rules:\n- {match: a, tims: 3}":       `server.yaml:2:14: rules[0].tims: unknown key (did you mean "times"?)`,
		"team: a b":                           `server.yaml:1:7: team: team name "a b": character ' ' at position 2 (use letters, digits, "-", "_", ".", and start with a letter or digit)`,
		"teams: {'a b': 1}":                   `server.yaml:1:9: teams.a b: team name "a b": character`,
		"on: true\nsmall: 1\non: true":        `server.yaml:3:1: on: stands twice, first at line 1`,
		"max_series: 0":                       `server.yaml:1:13: max_series: must be at least 1`,
		"wait: -1s":                           `server.yaml:1:7: wait: is negative`,
		"rules:\n- times: 3":                  "server.yaml:2:3: rules[0].match: is missing\nserver.yaml:2:3: rules[0]: a rule needs something to match",
		"? [a]\n: b":                          `server.yaml:1:3: a list as a key, expected a text`,
		"a: 1\n---\nb: 2":                     `server.yaml:2:1: a second YAML document starts here`,
		"on:\n\t- b":                          `server.yaml:2:1: not YAML: this character cannot start a value (indent with spaces, not tabs`,
		"on: a: b":                            `server.yaml:1:6: not YAML: a second ": " on one line`,
		"rules:\n- match: a\n   times: b":     `server.yaml:3:9: not YAML: `,
		"numbers: [1\non: true":               `server.yaml:2:3: not YAML: did not find expected ',' or ']', while parsing a flow sequence that starts at line 1`,
		"on: *nope":                           `server.yaml:1:5: not YAML: unknown anchor 'nope' referenced`,
		"on: true\nteam: \xff":                `server.yaml:2:7: this is not UTF-8 text`,
		strings.Repeat("#", 1<<20+1):          `server.yaml:1:1: the file has 1048577 bytes, at most 1048576 are read`,
		"<<: 3":                               `server.yaml:1:5: <<: "3", expected an alias of keys with values`,
	} {
		err := Decode("server.yaml", []byte(text), new(sample))
		if err == nil || !strings.HasPrefix(err.Error(), want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%.60q:\n got  %v\n want %s", text, err, want)
		}
	}
}

func TestDecodeTellsEverythingInOrder(t *testing.T) {
	err := Decode("s.yaml", []byte("small: -1\nlisen: x\non: maybe\nrules:\n- {}\n- {match: a, x: 1}\n"), new(sample))
	var lines []int
	for _, p := range Problems(err) {
		lines = append(lines, p.Line)
		if p.File != "s.yaml" || p.Column == 0 || p.Key == "" || p.Text == "" {
			t.Errorf("%+v", p)
		}
	}
	if want := []int{1, 2, 3, 5, 5, 6}; !reflect.DeepEqual(lines, want) {
		t.Errorf("lines %v, want %v:\n%v", lines, want, err)
	}
	many := Decode("s.yaml", []byte("rules: ["+strings.Repeat("{x: 1}, ", 60)+"]"), new(sample))
	if !strings.HasSuffix(many.Error(), "\n… and 10 more") {
		t.Error(many)
	}
}

func TestDecodeIsBounded(t *testing.T) {
	type tree struct {
		Under []tree `yaml:"under"`
	}
	for text, want := range map[string]string{
		"under: &x [{under: *x}]": "nested more than 50 deep",
		strings.Repeat("under: [{", 1) + strings.Repeat("under: [{", 80) + strings.Repeat("}]", 81): "nested more than 50 deep",
		"under:\n- &a {under: [{}, {}, {}]}\n- &b {under: [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]}\n- &c {under: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]}\n- &d {under: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]}\n- &e {under: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]}\n- {under: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]}": "more than 100000 values",
	} {
		err := Decode("x", []byte(text), new(tree))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// The bound is generous; what it catches is work that grows with the square of
// the size.
func TestDecodeOfTheWorstMegabyteEnds(t *testing.T) {
	var keys strings.Builder
	for i := 0; keys.Len() < maxBytes-20; i++ {
		fmt.Fprintf(&keys, "k%d: \n", i)
	}
	for name, text := range map[string]string{
		"unknown keys":  keys.String(),
		"same keys":     strings.Repeat("a: \n", maxBytes/4),
		"deep":          strings.Repeat("[", maxBytes),
		"deep mappings": strings.Repeat("{a: ", maxBytes/4),
		"deep list":     strings.Repeat("- ", maxBytes/2),
		"flat list":     "numbers: [" + strings.Repeat("x,", maxBytes/2-20) + "]",
		"anchors":       "rules: &a [" + strings.Repeat("*a,", maxBytes/3-20) + "]",
		"quotes":        strings.Repeat("'", maxBytes),
		"questions":     strings.Repeat("? ", maxBytes/2),
		"long key":      strings.Repeat("a", maxBytes-2) + ": ",
	} {
		start := time.Now()
		if err := Decode("x", []byte(text), new(sample)); err == nil {
			t.Errorf("%s: no error", name)
		} else if len(err.Error()) > 40000 {
			t.Errorf("%s: the error has %d bytes", name, len(err.Error()))
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("%s took %s", name, took)
		} else {
			t.Log(name, took)
		}
	}
}

func TestReadPlacesLaterProblems(t *testing.T) {
	var got map[string]rule
	doc, err := Read("services.yaml", []byte("# top\ncatalog:\n  match: x\nother:\n  match: y\n  times: 4\n"), &got)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"other.times":     "services.yaml:6:10: other.times: no",
		"catalog":         "services.yaml:2:1: catalog: no",
		"catalog.wait":    "services.yaml:2:1: catalog.wait: no",
		"catalog.a[3].b":  "services.yaml:2:1: catalog.a[3].b: no",
		"missing.service": "services.yaml:1:1: missing.service: no",
		"":                "services.yaml:1:1: no",
	} {
		if got := doc.Problem(key, "no").Error(); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	if Join(nil, nil) != nil {
		t.Error("nothing joins to an error")
	}
	err = Join(doc.Problem("other.times", "b"), nil, errors.Join(doc.Problem("catalog", "a")))
	if want := "services.yaml:2:1: catalog: a\nservices.yaml:6:10: other.times: b"; err.Error() != want || fault.Of(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"", "listen: x", "rules: [{match: a}]", "a: &a [*a]", "<<: {on: 1}", "named: {x: {wait: 3d}}\nteams: {a: 1}",
		"? [a]\n: b", "env: {a: b, a: c}", "part: &p {tcp: x}\nreceive: {graphite: *p}", "<<: *x", "numbers: [1, 2", "\xff", "on: !!binary x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		err := Decode("f.yaml", data, new(sample))
		if err != nil && len(Problems(err)) == 0 {
			t.Errorf("an error without a place: %v", err)
		}
	})
}
