package app_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"steer/api/client"
	"steer/infra/fleet"
	"steer/infra/infratest"
)

// TestRolePipeline: a role goes from its commit over lint, plans and a throw-away host
// to the host of one environment and, once somebody agreed, to those of the next; a
// wrong one gets as far as the place that finds it, and nobody else does; people go
// back by hand.
func TestRolePipeline(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	s := start(t, t.TempDir())
	prefix := "steer-pipe-" + strings.ToLower(strings.ReplaceAll(time.Now().Format("150405.000"), ".", ""))
	ci, one, two := prefix+"-ci", prefix+"-1", prefix+"-2"
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", ci, one, two).Run() })
	role := func(motd, more string) map[string]string {
		return map[string]string{"roles/web-base.yaml": `description: What every web server is.
pipeline:
  - {stage: test, image: ` + infratest.Image + `}
  - {stage: ci, deploy: ci}
  - {stage: production, deploy: production, manual: true, approvers: [storefront]}
resources:
  - file: {path: /etc/motd, content: "` + motd + `\n"}
` + more + `tests:
  - file: {path: /etc/motd, contains: [` + motd + `]}
  - command: {run: "! grep -q one /etc/motd || test ! -e /unwell"}
    severity: page
checks:
  - {name: motd, query: 'constantLine(1)', above: 3}
`}
	}
	made := "  make: {docker: {image: " + infratest.Image + ", run: [sleep, infinity]}}\n"
	definitions := role("one", "")
	definitions["roles/web.yaml"] = "description: A web server.\ninclude: [{role: web-base}]\nresources: []\n"
	definitions["teams.yaml"] = "storefront: {members: [admin], notify: []}\n"
	definitions["hosts.yaml"] = ci + ":\n  roles: [web]\n  environment: ci\n  group: web-ci\n" + made +
		prefix + ":\n  roles: [web]\n  number: 2\n  environment: production\n  group: web\n" + made
	run := func(version, state string) (r client.Run) {
		t.Helper()
		s.within(3*time.Minute, version+" is "+state, func() error { // hosts are made on the way
			runs, err := s.api.Runs(t.Context(), "web-base", 10)
			for _, r = range runs {
				if string(r.Version) == version && r.State == state {
					return nil
				}
			}
			return fmt.Errorf("%+v %v", runs, err)
		})
		return r
	}
	log := func(r client.Run, stage string) string {
		t.Helper()
		a := s.as(s.token).do("GET", fmt.Sprintf("/api/v1/runs/%d/stages/%s/log", r.ID, stage), nil)
		if a.code != 200 {
			t.Fatal(a)
		}
		return a.body
	}
	motd := func(host string) string {
		out, err := exec.Command("docker", "exec", host, "cat", "/etc/motd").Output()
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(string(out))
	}
	overview := func() (o fleet.Overview) {
		s.as(s.token).do("GET", "/api/v1/fleet", nil).json(t, &o)
		return o
	}
	deploy := func(version, environment string) client.Deploy {
		t.Helper()
		d, err := s.api.Deploy(t.Context(), "web-base", environment, version, "", false)
		if err != nil {
			t.Fatal(err)
		}
		return s.deployed(d)
	}

	// To ci by itself, then it waits; production has nothing yet, and says so.
	s.define(definitions)
	b1 := run("b1", "waiting")
	if got := motd(ci); got != "one" {
		t.Errorf("ci: %s", got)
	}
	if got := log(b1, "commit"); !strings.Contains(got, "the definitions are fine") || !strings.Contains(got, "plan of ci\n") || !strings.Contains(got, "plan of production\n  "+one+": does not answer") {
		t.Errorf("commit: %s", got)
	}
	if got := log(b1, "test"); !strings.Contains(got, "3 tests, 4 properties: 4 passed") {
		t.Errorf("test: %s", got)
	}
	for _, g := range overview().Groups {
		if g.Name == "web" && (g.Phase != "" || !strings.Contains(g.Reason, "waits for the first deploy of web-base (steer deploy artifact=web-base environment=production")) {
			t.Errorf("%+v", g)
		}
	}
	if out, err := exec.Command("docker", "ps", "-aq", "--filter", "name="+one).Output(); err != nil || len(out) > 0 {
		t.Errorf("production was touched: %s %v", out, err)
	}
	if _, err := s.api.Decide(t.Context(), fmt.Sprint(b1.ID), "production", "approve", ""); err != nil {
		t.Fatal(err)
	}
	run("b1", "passed")
	if motd(one) != "one" || motd(two) != "one" {
		t.Errorf("production: %s, %s", motd(one), motd(two))
	}

	// One that breaks its throw-away host gets to no environment.
	s.define(role("two", "  - command: {run: /nowhere/program}\n"))
	b2 := run("b2", "failed")
	if !strings.Contains(b2.Reason, "test: the role cannot be applied to a new host: command:/nowhere/program failed") {
		t.Error(b2.Reason)
	}
	if got := log(b2, "commit"); !strings.Contains(got, one+": 2 to change") || !strings.Contains(got, "+two") {
		t.Errorf("plan: %s", got)
	}
	if _, err := s.api.Deploy(t.Context(), "web-base", "ci", "b2", "", false); err == nil || !strings.Contains(err.Error(), "b2 did not pass stage test: the role cannot be applied") {
		t.Error(err)
	}
	if motd(ci) != "one" {
		t.Error("it reached ci")
	}

	// One that works there, but breaks the first host of an environment, goes no further,
	// and all hosts go back.
	if out, err := exec.Command("docker", "exec", one, "touch", "/production").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	s.define(role("three", "  - command: {name: not-there, run: test ! -e /production, unless: test ! -e /production}\n"))
	b3 := run("b3", "waiting")
	if motd(ci) != "three" {
		t.Errorf("ci: %s", motd(ci))
	}
	if _, err := s.api.Decide(t.Context(), fmt.Sprint(b3.ID), "production", "approve", ""); err != nil {
		t.Fatal(err)
	}
	if b3 = run("b3", "failed"); !strings.Contains(b3.Reason, "web: "+one+" failed: command:not-there") {
		t.Error(b3.Reason)
	}
	s.within(time.Minute, "production is back", func() error {
		for _, g := range overview().Groups {
			if g.Name == "web" && (g.Phase != fleet.Done || g.Good != b1.Commit || motd(one) != "one") {
				return fmt.Errorf("%+v", g)
			}
		}
		return nil
	})
	if got := motd(two); got != "one" {
		t.Errorf("it reached the second host: %s", got)
	}
	seen := s.as(s.token).do("GET", "/api/v1/services/web-base", nil)
	if !strings.Contains(seen.body, `"version":"b1"`) || !strings.Contains(seen.body, one+" failed") {
		t.Error(seen)
	}

	// By hand: back in ci, forth to the newest green one, and back to the one before.
	if d := deploy("b1", "ci"); d.State != "passed" || motd(ci) != "one" {
		t.Errorf("%+v: %s", d, motd(ci))
	}
	if d, err := s.api.Rollback(t.Context(), "web-base", "ci", "", "as it was"); err != nil || s.deployed(d).State != "passed" || motd(ci) != "three" {
		t.Errorf("%+v %v: %s", d, err, motd(ci))
	}
	if _, err := s.api.Deploy(t.Context(), "web-base", "ci", "b9", "", false); err == nil || !strings.Contains(err.Error(), `no version "b9" of web-base`) {
		t.Error(err)
	}
	if _, err := s.api.Deploy(t.Context(), "web-base", "qa", "b1", "", false); err == nil || !strings.Contains(err.Error(), `no host of environment "qa" has the role web-base`) {
		t.Error(err)
	}

	// One that is found bad after its deploy is taken back and kept out, as services are.
	if d := deploy("b1", "ci"); d.State != "passed" || motd(ci) != "one" {
		t.Errorf("%+v: %s", d, motd(ci))
	}
	if out, err := exec.Command("docker", "exec", ci, "touch", "/unwell").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	s.until("nobody is there", func() error {
		if r := s.as(s.token).do("POST", "/api/v1/fleet/visits", map[string]any{"hosts": []string{ci}, "kind": "converge"}); r.code != 200 {
			return r
		}
		return nil
	})
	s.within(90*time.Second, "b1 is taken back", func() error {
		all, err := s.api.Deploys(t.Context(), "web-base", "ci", 10)
		if err != nil || len(all) == 0 || all[0].Kind != "auto-rollback" || all[0].State != "passed" || all[0].Version != "b3" || motd(ci) != "three" {
			return fmt.Errorf("%+v %v: %s", all, err, motd(ci))
		}
		return nil
	})
	incidents := s.as(s.token).do("GET", "/api/v1/incidents?service=web-base", nil)
	if !strings.Contains(incidents.body, `"check":"host/`+ci+`"`) || !strings.Contains(incidents.body, `"severity":"page"`) || !strings.Contains(incidents.body, `"version":"b1"`) {
		t.Error(incidents)
	}
	if r := s.as(s.token).do("GET", "/api/v1/checks", nil); !strings.Contains(r.body, `web-base/`+ci+`-motd`) {
		t.Error(r)
	}

	// What happened is told as it is of services.
	why := s.as(s.token).do("GET", fmt.Sprintf("/api/v1/why?ref=run/%d", b3.ID), nil)
	for _, want := range []string{"changed roles/web-base.yaml", "web-base b3 packaged", "web-base b3 serves in ci", "of web-base b3 to production failed"} {
		if !strings.Contains(why.body, want) {
			t.Errorf("%q is missing in %s", want, why.body)
		}
	}
	figures := s.as(s.token).do("GET", "/api/v1/flow?service=web-base&environment=ci", nil)
	if !strings.Contains(figures.body, `"deployments":{"count":4`) {
		t.Error(figures)
	}
	// Of other changes of the definitions nothing is run.
	s.define(map[string]string{"teams.yaml": "storefront: {members: [admin, ada], notify: []}\n"})
	for _, c := range []struct{ file, text, want string }{
		{"roles/web-base.yaml", strings.Replace(role("x", "")["roles/web-base.yaml"], "[storefront]", "[nobody]", 1), `no team \"nobody\"`},
		{"roles/web-base.yaml", strings.Replace(role("x", "")["roles/web-base.yaml"], "stage: test", "stage: commit", 1), "always there"},
		{"hosts.yaml", ci + ":\n  roles: [web]\n" + made, "say environment:"},
		{"services.yaml", "catalog: {}\nweb-base: {}\n", "also the artifact of the service"},
	} {
		if r := s.as(s.token).do("POST", "/api/v1/definitions", map[string]any{"base": "", "message": "wrong", "files": map[string]string{c.file: c.text}}); r.code != 400 && r.code != 422 || !strings.Contains(r.body, c.want) {
			t.Errorf("%s: %v", c.want, r)
		}
	}
	if runs, err := s.api.Runs(t.Context(), "web-base", 10); err != nil || len(runs) != 3 {
		t.Errorf("%d runs, %v", len(runs), err)
	}
}
