package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/api/client"
	"steer/infra/fleet"
	"steer/infra/infratest"
)

// TestDrill: when its time comes, one of two hosts is destroyed and made anew without
// anybody asking. It took longer than it may, so the team is paged; the next
// rebuild is faster than a new bound, and that is over.
func TestDrill(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	var mu sync.Mutex
	var told []string
	pager := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Transition, Severity, Title string }
		json.NewDecoder(r.Body).Decode(&m) //nolint:errcheck // what is no message is not found in the list
		mu.Lock()
		defer mu.Unlock()
		told = append(told, m.Transition+" "+m.Severity+" "+m.Title)
	}))
	t.Cleanup(pager.Close)
	s := start(t, t.TempDir())
	prefix := "steer-drill-" + strings.ToLower(strings.ReplaceAll(time.Now().Format("150405.000"), ".", ""))
	one, two := prefix+"-1", prefix+"-2"
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", one, two).Run() })
	hosts := func(within string) string {
		return prefix + `:
  roles: [web]
  number: 2
  group: web
  owner: ops
  make: {docker: {image: ` + infratest.Image + `, run: [sleep, infinity]}}
  converge: {every: 0s, severity: page, drill: {every: 10s, within: ` + within + `}}
`
	}
	s.define(map[string]string{
		"teams.yaml": "storefront: {members: [admin], notify: []}\nops: {members: [admin], notify: [{webhook: '" + pager.URL + "'}]}\n",
		"hosts.yaml": hosts("1ms"),
		"roles/web.yaml": `description: A host of the test.
resources:
  - file: {path: /etc/motd, content: "welcome\n"}
tests:
  - file: {path: /etc/motd, contains: [welcome]}
`})
	container := func(host string) string {
		out, _ := exec.Command("docker", "inspect", "--format", "{{.Id}}", host).Output()
		return strings.TrimSpace(string(out))
	}
	incident := func(active bool) (i client.Incident) {
		t.Helper()
		s.within(90*time.Second, fmt.Sprintf("the incident is there: %v", active), func() error {
			var all []client.Incident
			s.as(s.token).do("GET", "/api/v1/incidents?open=true", nil).json(t, &all)
			there := false
			for _, one := range all {
				if one.Check == "rebuild/web" {
					i, there = one, true
				}
			}
			if there != active {
				return fmt.Errorf("%+v", all)
			}
			return nil
		})
		return i
	}
	s.within(90*time.Second, "both hosts are there", func() error {
		var o fleet.Overview
		s.as(s.token).do("GET", "/api/v1/fleet", nil).json(t, &o)
		if len(o.Groups) == 1 && o.Groups[0].Phase == fleet.Done {
			return nil
		}
		return fmt.Errorf("%+v", o)
	})
	before := container(one)

	var v fleet.Visit
	s.within(90*time.Second, "a drill is over", func() error {
		var all []fleet.Visit
		s.as(s.token).do("GET", "/api/v1/fleet/visits?kind=rebuild", nil).json(t, &all)
		if len(all) == 0 || all[len(all)-1].Finished.IsZero() {
			return fmt.Errorf("%+v", all)
		}
		v = all[len(all)-1]
		return nil
	})
	if v.Host != one || v.Cause != "drill" || v.State != fleet.Passed || v.Actor != "steer" {
		t.Errorf("%+v", v)
	}
	if now := container(one); now == "" || now == before {
		t.Errorf("%s is still the container %s", one, before)
	}
	var d fleet.Detail
	s.as(s.token).do("GET", "/api/v1/fleet/hosts/"+one, nil).json(t, &d)
	if d.Host.State != fleet.AsDeclared || d.Host.Rebuild <= 0 || d.Host.Rebuilt.IsZero() || len(d.Tests) != 1 || d.Tests[0].Status != "passed" || !d.Siblings[0].Equal {
		t.Errorf("%+v", d)
	}
	if i := incident(true); i.Severity != "page" || !strings.Contains(i.Title, "Making "+one+" anew took") || i.Team != "ops" {
		t.Errorf("%+v", i)
	}
	s.within(90*time.Second, "the team is paged", func() error {
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(strings.Join(told, "\n"), "opened page Making "+one) {
			return fmt.Errorf("%q", told)
		}
		return nil
	})

	s.define(map[string]string{"hosts.yaml": hosts("10m")})
	s.within(90*time.Second, "nobody is there", func() error {
		if r := s.as(s.token).do("POST", "/api/v1/fleet/visits", map[string]any{"hosts": []string{two}, "kind": "rebuild"}); r.code != 200 {
			return r
		}
		return nil
	})
	incident(false)
}
