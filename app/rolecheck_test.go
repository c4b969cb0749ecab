package app_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"steer/infra/infratest"
)

// TestRolesOnOneHost: two roles with pipelines of their own are on the same hosts. Each
// deploy changes one and leaves the other as its own deploy left it; a check of a role
// that turns critical on one host after its deploy takes that role back on all of them.
func TestRolesOnOneHost(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	s := start(t, t.TempDir())
	prefix := "steer-mix-" + strings.ToLower(strings.ReplaceAll(time.Now().Format("150405.000"), ".", ""))
	hosts := []string{prefix + "-1", prefix + "-2"}
	t.Cleanup(func() { exec.Command("docker", append([]string{"rm", "-f"}, hosts...)...).Run() })
	role := func(name, content string) map[string]string {
		return map[string]string{"roles/" + name + ".yaml": `description: Half of a host.
pipeline: [{stage: ci, deploy: ci}]
resources:
  - file: {path: /etc/` + name + `, content: "` + content + `"}
tests:
  - file: {path: /etc/` + name + `, contains: [` + content + `]}
checks:
  - {name: errors, query: 'servers.{{ .host.name }}.` + name + `.errors', above: 3, window: 5s, no_data: ok, severity: page}
`}
	}
	definitions := role("front", "front-one")
	for file, text := range role("back", "back-one") {
		definitions[file] = text
	}
	definitions["hosts.yaml"] = prefix + ":\n  roles: [front, back]\n  number: 2\n  environment: ci\n  make: {docker: {image: " + infratest.Image + ", run: [sleep, infinity]}}\n  converge: {every: 1h}\n"
	are := func(what, front, back string) {
		t.Helper()
		s.within(90*time.Second, what, func() error {
			for _, h := range hosts {
				out, err := exec.Command("docker", "exec", h, "cat", "/etc/front", "/etc/back").Output()
				if got := string(out); err != nil || got != front+back {
					return fmt.Errorf("%s: %q %v", h, got, err)
				}
			}
			return nil
		})
	}
	serves := func(role, version, kind string) {
		t.Helper()
		s.within(90*time.Second, role+" is "+version, func() error {
			all, err := s.api.Deploys(t.Context(), role, "ci", 10)
			if err != nil || len(all) == 0 || string(all[0].Version) != version || all[0].State != "passed" || all[0].Kind != kind {
				return fmt.Errorf("%+v %v", all, err)
			}
			return nil
		})
	}

	s.define(definitions)
	serves("front", "b1", "deploy")
	serves("back", "b1", "deploy")
	are("both are there", "front-one", "back-one")

	s.define(role("back", "back-two"))
	serves("back", "b2", "deploy")
	are("back went on", "front-one", "back-two")

	s.define(role("front", "front-two"))
	serves("front", "b2", "deploy")
	are("front went on", "front-two", "back-two")

	// The new front makes errors on the second host.
	s.within(90*time.Second, "front is taken back", func() error {
		s.lines(fmt.Sprintf("servers.%s.front.errors 9 %d\n", hosts[1], time.Now().Unix()))
		all, err := s.api.Deploys(t.Context(), "front", "ci", 10)
		if err != nil || len(all) == 0 || all[0].Kind != "auto-rollback" || all[0].State != "passed" {
			return fmt.Errorf("%+v %v", all, err)
		}
		return nil
	})
	serves("front", "b1", "auto-rollback")
	are("front went back on both", "front-one", "back-two")
	serves("back", "b2", "deploy") // nobody touched it
	if r := s.as(s.token).do("GET", "/api/v1/incidents?service=front", nil); !strings.Contains(r.body, hosts[1]+"-errors") || !strings.Contains(r.body, `"version":"b2"`) || strings.Contains(r.body, hosts[0]+"-errors") {
		t.Error(r)
	}
	if r := s.as(s.token).do("GET", "/api/v1/services/front", nil); !strings.Contains(r.body, `"version":"b1"`) {
		t.Error(r)
	}
	why := s.as(s.token).do("GET", "/api/v1/why?ref=incident/1", nil)
	for _, want := range []string{"changed roles/front.yaml", "front b2 serves in ci (before: b1)", "front is back at b1 in ci (from b2)", "front b2 is kept out of latest"} {
		if !strings.Contains(why.body, want) {
			t.Errorf("%q is missing in %s", want, why.body)
		}
	}

	if d, err := s.api.Rollback(t.Context(), "back", "ci", "", "as it was"); err != nil || s.deployed(d).State != "passed" {
		t.Errorf("%+v %v", d, err)
	}
	are("back went back", "front-one", "back-one")
}
