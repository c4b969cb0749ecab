package role_test

import (
	"slices"
	"strings"
	"testing"

	"steer/infra/infratest"
	"steer/infra/role"
)

func TestPipeline(t *testing.T) {
	l := load(t, "roles/shop.yaml", "description: The shop.\ninclude: [{role: web-base}]\n", "roles/web-base/role.yaml", `description: What web servers are.
include: [{role: motd, when: "{{ .port }}"}]
parameters: {port: {type: integer, default: 80}}
pipeline:
  - {stage: test, with: {port: 8080}, systemd: true}
  - {stage: ci, deploy: ci}
  - {stage: production, deploy: production, manual: true, approvers: [storefront]}
`, "roles/web-base/files/a", "a", "roles/motd.yaml", "description: The motd.\n")
	r, err := l.Role("web-base")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Pipeline) != 3 || r.Pipeline[0].Image != "debian:12" || r.Pipeline[0].Timeout.String() != "15m" || r.Pipeline[2].Approvers[0] != "storefront" {
		t.Errorf("%+v", r.Pipeline)
	}
	if a, b := r.Pipeline[0].Command("web-base"), r.Pipeline[1].Command("web-base"); a != "steer test role web-base --image debian:12 --systemd" || b != "" {
		t.Errorf("%q %q", a, b)
	}
	if got := l.Made([]string{"shop", "nowhere"}); !slices.Equal(got, []string{"motd", "shop", "web-base"}) {
		t.Error(got)
	}
	if got := l.Paths("web-base"); !slices.Equal(got, []string{"roles/motd.yaml", "roles/web-base"}) {
		t.Error(got)
	}
	if text := r.Describe(); !strings.Contains(text, "Changes go through: commit, test, ci, production (once somebody agrees).") {
		t.Error(text)
	}
	for stages, want := range map[string]string{
		"[{stage: commit}]":                             "commit is the stage that is always there",
		"[{deploy: ci}]":                                "the name of the stage is missing",
		"[{stage: a}, {stage: a}]":                      `two stages are called "a"`,
		"[{stage: a, approvers: [x]}]":                  "only manual stages are approved",
		"[{stage: a, with: {x: 1}}]":                    `role web has no parameter "x"`,
		"[{stage: a, deploy: ci, systemd: true}]":       "this stage deploys",
		"[{stage: a, timeout: 0s}]":                     "is no time that a test could take",
		"[{stage: a, run: make}]":                       "run",
		"[{stage: a, deploy: ci, with: {port: 1}}]":     "the parameters of hosts are in hosts.yaml",
		"[{stage: 'a b'}]":                              "a b",
		"[{stage: a, manual: true, approvers: storef}]": "approvers",
	} {
		_, err := role.Load(files("roles/web.yaml", "description: d\npipeline: "+stages+"\n"), infratest.Kinds())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "roles/web.yaml:2:") {
			t.Errorf("%s: %v", stages, err)
		}
	}
}
