package app_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/infra/fleet"
	"steer/infra/infratest"
)

// TestErosion: the kernel kills a process of a host for want of memory. Nobody declared
// that this matters, and yet there is an incident; the visit itself is well. A reason in
// hosts.yaml, or in a test of its role, ends that.
func TestErosion(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	s := start(t, t.TempDir())
	name := "steer-erosion-" + strings.ReplaceAll(time.Now().Format("150405.000"), ".", "")
	t.Cleanup(func() { exec.Command("docker", "rm", "-f", name).Run() })
	define := func(erosion, tests string) {
		t.Helper()
		s.define(map[string]string{
			"hosts.yaml": name + `:
  roles: [web]
  make: {docker: {image: ` + infratest.Image + `, run: [sleep, infinity], memory: 256m}}
  converge: {every: 0s, erosion: ` + erosion + `}
`,
			"roles/web.yaml": "description: A host of the test.\nresources:\n  - file: {path: /etc/motd, content: \"welcome\\n\"}\n" + tests,
		})
		s.within(90*time.Second, "the host follows", func() error {
			var o fleet.Overview
			s.as(s.token).do("GET", "/api/v1/fleet", nil).json(t, &o)
			if len(o.Hosts) != 1 || o.Hosts[0].State != fleet.AsDeclared || o.Hosts[0].Running != 0 || len(o.Groups) != 1 || o.Groups[0].Phase != fleet.Done {
				return fmt.Errorf("%+v", o)
			}
			return nil
		})
	}
	visit := func() map[string]fleet.Erosion {
		t.Helper()
		var v []fleet.Visit
		if r := s.as(s.token).do("POST", "/api/v1/fleet/visits", map[string]any{"hosts": []string{name}, "kind": "converge", "reason": "look"}); r.code != 200 {
			t.Fatal(r)
		} else {
			r.json(t, &v)
		}
		s.within(90*time.Second, "the visit ends", func() error {
			s.as(s.token).do("GET", fmt.Sprintf("/api/v1/fleet/visits/%d", v[0].ID), nil).json(t, &v[0])
			if v[0].State != fleet.Passed {
				return fmt.Errorf("%+v", v)
			}
			return nil
		})
		var d fleet.Detail
		s.as(s.token).do("GET", "/api/v1/fleet/hosts/"+name, nil).json(t, &d)
		if d.Host.State != fleet.AsDeclared {
			t.Errorf("%+v", d.Host)
		}
		all := map[string]fleet.Erosion{}
		for _, e := range d.Host.Erosion {
			all[e.Look] = e
		}
		return all
	}
	type incident struct{ Check, Severity, Title, Summary, Reason string }
	incidents := func(open bool) (all []incident) {
		t.Helper()
		var list []incident
		s.as(s.token).do("GET", fmt.Sprintf("/api/v1/incidents?open=%v", open), nil).json(t, &list)
		return slices.DeleteFunc(list, func(i incident) bool { return !strings.HasPrefix(i.Check, "erosion/"+name+"/") })
	}

	define("{oom: page, disks: {off: rented}}", "")
	all := visit()
	if len(all) != 7 || len(all["oom"].Findings) > 0 || !strings.Contains(all["oom"].Note, "looked at the counter of this container") || !strings.Contains(all["arrays"].Note, "a container has none of its own") ||
		all["disks"].Off != "rented" || !strings.Contains(all["stuck"].Note, "processes") {
		b, _ := json.Marshal(all)
		t.Errorf("%s", b)
	}
	if got := incidents(true); len(got) > 0 {
		t.Errorf("nothing happened yet: %+v", got)
	}
	if out, err := exec.Command("docker", "exec", name, "tail", "/dev/zero").CombinedOutput(); err == nil {
		t.Fatalf("a program got all the memory that it wanted: %s", out)
	}
	const killed = "this container: the kernel killed 1 process for want of memory between "
	if all = visit(); len(all["oom"].Findings) != 1 || !strings.HasPrefix(all["oom"].Findings[0].Text, killed) || all["oom"].Severity != "page" {
		t.Errorf("%+v", all["oom"])
	}
	if got := incidents(true); len(got) != 1 || got[0].Check != "erosion/"+name+"/oom" || got[0].Severity != "page" || !strings.HasPrefix(got[0].Title, name+": "+killed) {
		t.Errorf("%+v", got)
	}
	if r := s.as(s.token).do("GET", "/api/v1/events?subject=host/"+name, nil); strings.Count(r.body, "host.eroded") != 1 {
		t.Error(r)
	}
	visit()
	if got := incidents(true); len(got) != 1 {
		t.Errorf("it is the same: %+v", got)
	}

	// A reason ends it, of the group …
	define("{oom: {off: 'hungry by design'}}", "")
	if all = visit(); all["oom"].Off != "hungry by design" || len(all["oom"].Findings) > 0 || all["disks"].Off != "" {
		t.Errorf("%+v", all)
	}
	if got := incidents(true); len(got) > 0 {
		t.Errorf("%+v", got)
	}
	// … or of a role, as a test that is skipped. Without one it is there again.
	define("{}", "")
	if visit(); len(incidents(true)) != 1 || incidents(true)[0].Severity != "ticket" {
		t.Errorf("%+v", incidents(true))
	}
	define("{}", "tests:\n  - oom: all\n    skip: batch jobs come back\n")
	if all = visit(); all["oom"].Off != "batch jobs come back" || len(incidents(true)) > 0 {
		t.Errorf("%+v %+v", all["oom"], incidents(true))
	}
}
