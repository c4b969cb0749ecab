package app

import (
	"strings"
	"testing"

	"steer/base/config"
	"steer/infra/host"
	"steer/infra/verify"
)

// TestGlances: every look is a test that is right, also of a group that is seldom
// visited, and gives way to a test of the host's roles.
func TestGlances(t *testing.T) {
	for _, c := range []struct{ converge, within string }{{"{}", "24h0m0s"}, {"{every: 20h}", "40h0m0s"}, {"{every: 60d}", "720h0m0s"}, {"{every: 0s}", "24h0m0s"}} {
		var how host.Converge
		if err := config.Decode("hosts.yaml", []byte(c.converge), &how); err != nil {
			t.Fatal(err)
		}
		for _, l := range looks(how) {
			tests, err := verify.Load("looks", []byte("tests:\n"+l.test))
			if err != nil || len(tests) != 1 || tests[0].Kind != l.kind || tests[0].Subject.ID() != l.id || l.Severity != "ticket" || l.Off != "" {
				t.Errorf("%s %+v: %+v %v", c.converge, l, tests, err)
			}
			if l.kind != "stuck" && !strings.Contains(l.test, "within: "+c.within) {
				t.Errorf("%s: %s", c.converge, l.test)
			}
		}
	}
	tests, err := verify.Load("roles/web.yaml", []byte("tests:\n  - hardware: disks\n    severity: page\n  - {oom: mysqld}\n  - {stuck: all, skip: known}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range looks(host.Converge{Erosion: host.Erosion{Off: ""}}) {
		want := map[string]string{"disks": "the test hardware disks of its roles does (roles/web.yaml:2)", "stuck": "known"}[l.name]
		if got := declaredLook(tests, l); got != want {
			t.Errorf("%s: %q, want %q", l.name, got, want)
		}
	}
	for text, want := range map[string]string{
		"{erosion: {disks: pgae}}":        `converge.erosion.disks: severity: "pgae" is none (did you mean "page"?)`,
		"{erosion: {disks: off}}":         "off needs a reason (write {off: WHY})",
		"{erosion: {disk: page}}":         `unknown key (did you mean "disks"?)`,
		"{erosion: {oom: {severity: x}}}": `converge.erosion.oom: severity: "x" is none`,
	} {
		var e struct {
			Converge host.Converge `yaml:"converge"`
		}
		if err := config.Decode("hosts.yaml", []byte("converge: "+text), &e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	var off host.Converge
	if err := config.Decode("hosts.yaml", []byte("{erosion: {off: rented, oom: {off: why}}}"), &off); err != nil {
		t.Fatal(err)
	}
	for _, l := range looks(off) {
		if want := map[bool]string{true: "why", false: "rented"}[l.name == "oom"]; l.Off != want {
			t.Errorf("%s: %q", l.name, l.Off)
		}
	}
}
