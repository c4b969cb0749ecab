package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"steer/base/fault"
)

func TestLoadOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.yaml")
	if err := os.WriteFile(file, []byte("listen: file\nreceive: {graphite: {tcp: file, udp: file}}\nenv: {A: file, B: file}\nsmall: 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got sample
	err := Load(&got, Sources{
		File: file,
		Env: []string{"HOME=/root", "STEER_RECEIVE_GRAPHITE_TCP=env", "STEER_RECEIVE_GRAPHITE_UDP=env", "STEER_MAX_SERIES=12", "STEER_LISTEN=",
			"STEER_TOKEN=x", "STEER_TEST_POSTGRES=x", "STEER_URL=x", "STEER_PART_TCP=env", "STEER_NUMBERS=[1]", "STEER_WAIT=3s", "STEER_POINTER=4"},
		Set:    []string{"receive.graphite.udp=set", "env.B=set", "env.C=a=b", "rules=[{match: set}]", "named.x.match=set", "on=false"},
		Ignore: []string{"STEER_UR*"},
	})
	if err != nil {
		t.Fatal(err)
	}
	type picked struct {
		Listen, TCP, UDP, Part, Wait, Rule, Named string
		Series                                    int
		Env                                       map[string]string
		Numbers                                   []float64
		On                                        bool
		Pointer                                   float64
	}
	want := picked{"file", "env", "set", "env", "3s", "set", "set", 12, map[string]string{"A": "file", "B": "set", "C": "a=b"}, []float64{1}, false, 4}
	have := picked{got.Listen, got.Receive.Graphite.TCP, got.Receive.Graphite.UDP, got.Part.TCP, got.Inline.Wait.String(), got.Rules[0].Match,
		got.Named["x"].Match, got.Series, got.Env, got.Numbers, got.On, *got.Pointer}
	if d := cmp.Diff(want, have); d != "" {
		t.Error(d)
	}
}

func TestLoadWholeFlagBeatsPartOfEnvironment(t *testing.T) {
	var got sample
	if err := Load(&got, Sources{Env: []string{"STEER_RECEIVE_GRAPHITE_TCP=env"}, Set: []string{"receive={graphite: {tcp: set}}"}}); err != nil || got.Receive.Graphite.TCP != "set" {
		t.Errorf("%q, %v", got.Receive.Graphite.TCP, err)
	}
}

func TestLoadExplains(t *testing.T) {
	for in, want := range map[string]string{
		"--set receive.graphite.tpc=x":   `--set receive.graphite.tpc=…: unknown key (did you mean "tcp"?)`,
		"--set recieve.graphite.tcp=x":   `--set recieve.graphite.tcp=…: unknown key (did you mean "receive.graphite.tcp"?)`,
		"--set listen":                   `--set listen: the value is missing, write KEY=VALUE`,
		"--set small=x":                  `--set small=…: "x" is not a whole number from 0 to 255`,
		"--set max_series=0":             `--set max_series=…: must be at least 1`,
		"--set numbers=7":                `--set numbers=…: "7", expected a list`,
		"--set rules=[{mach: a}]":        `--set rules=…: unknown key (did you mean "match"?)`,
		"--set rules=[":                  `--set rules=…: not YAML: `,
		"--set qqqqqqqqqqq.x=1":          `--set qqqqqqqqqqq.x=…: unknown key (see them all with "steer config default")`,
		"STEER_RECEIVE_GRAPHITE_TPC=x":   `environment STEER_RECEIVE_GRAPHITE_TPC: no configuration key has this name (did you mean "STEER_RECEIVE_GRAPHITE_TCP"?)`,
		"STEER_SMALL=300":                `environment STEER_SMALL: small: "300" is not a whole number from 0 to 255`,
		"STEER_NAMED={x: {times: many}}": `environment STEER_NAMED: named.x.times: "many" is not a whole number`,
	} {
		var s Sources
		if set, ok := strings.CutPrefix(in, "--set "); ok {
			s.Set = []string{set}
		} else {
			s.Env = []string{in}
		}
		err := Load(new(sample), s)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") || fault.Of(err) != fault.Invalid {
			t.Errorf("%s:\n got  %v\n want %s", in, err, want)
		}
	}
	if err := Load(new(sample), Sources{File: "/nowhere/server.yaml"}); fault.Of(err) != fault.NotFound {
		t.Error(err)
	}
}

func TestDefaultReadsBackAsTheDefaults(t *testing.T) {
	text := Default(sample{})
	var got, want sample
	if err := Decode("default.yaml", text, &got); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := Decode("", nil, &want); err != nil {
		t.Fatal(err)
	}
	want.Rules, want.Named, want.Teams = []rule{}, map[string]rule{}, nil
	got.Teams = nil
	if d := cmp.Diff(want, got, cmp.AllowUnexported(sample{})); d != "" {
		t.Errorf("%s\n%s", d, text)
	}
	for _, want := range []string{
		"# What comes in.\nreceive:\n  graphite:\n    # Address for Graphite lines over TCP.\n    tcp: 127.0.0.1:2003\n",
		"# Unset by default.\n# pointer:\n",
		"# Applied in order.\nrules: []\n#  - match:  # What to look for.\n#    times: 3  # How often.\n",
		"numbers: [90, 99.5]\n", "env: {A: b}\n", "team: \"\"\n", "wait: 1m\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}
