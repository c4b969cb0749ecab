package app_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/improve/signs"
	"steer/infra/fleet"
	"steer/infra/infratest"
)

// signsOfFleet looks at what the story comes to, as figures.
func signsOfFleet(t *testing.T, s *server) {
	var got signs.Signs
	s.as(s.token).do("GET", "/api/v1/signs?days=1", nil).json(t, &got)
	kind := func(name string) signs.RequestKind {
		return got.Requests.Kinds[slices.IndexFunc(got.Requests.Kinds, func(k signs.RequestKind) bool { return k.Kind == name })]
	}
	for _, c := range []struct {
		what string
		ok   bool
	}{
		{"the group failed, and was repaired", len(got.Failures.Groups) == 1 && got.Failures.Groups[0].Failures > 0 && got.Failures.Groups[0].Repair.Median != nil},
		{"two rebuilds took time", len(got.Rebuild.Hosts) == 1 && got.Rebuild.Hosts[0].Name == "web" && got.Rebuild.Hosts[0].Times.Count >= 2 && *got.Rebuild.Hosts[0].Times.Median > 0},
		{"one host was never rebuilt", len(got.Rebuild.Oldest) == 3 && got.Rebuild.Oldest[0].Never && got.Rebuild.Oldest[0].Made},
		{"all hosts are counted", got.Patches.Hosts == 3},
		{"commits reached the hosts", kind("hosts").Times.Count >= 3},
		{"a person had a host rebuilt", kind("rebuilds").Times.Count == 1},
		{"people made the commits", got.Changes.People.Of >= 4},
		{"hosts changed by themselves", got.Changes.Automatic.Of > 0},
	} {
		if !c.ok {
			b, _ := json.MarshalIndent(got, "", " ")
			t.Errorf("%s: no\n%s", c.what, b)
		}
	}
}

// TestFleet: three hosts come into being and become what the definitions say, one
// first; a wrong definition stops at that one; drift is seen, put right, or taken over
// into the definitions; people pause and roll back; a dead host is replaced; a rebuilt
// one is equal to its siblings.
func TestFleet(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	s := start(t, t.TempDir())
	prefix := "steer-fleet-" + strings.ToLower(strings.ReplaceAll(time.Now().Format("150405.000"), ".", ""))
	names := []string{prefix + "-1", prefix + "-2", prefix + "-3"}
	t.Cleanup(func() { exec.Command("docker", append([]string{"rm", "-f"}, names...)...).Run() })
	role := func(extra string) string {
		return `description: A host of the test.
resources:
  - file: {path: /etc/motd, content: "welcome\n"}
  - file: {path: /etc/issue.test, content: "issue\n"}
    heal: report
  - command: {name: make-room, run: rm -f /tmp/full, on_notify: true}
` + extra + `tests:
  - file: {path: /tmp/full, exists: false}
    repair: [command:make-room]
checks:
  - {name: motd, query: 'constantLine(5)', above: 3, severity: info}
`
	}
	hosts := prefix + `:
  roles: [web]
  number: 3
  group: web
  make: {docker: {image: ` + infratest.Image + `, run: [sleep, infinity]}}
  converge: {every: 10s, dead: 1s, replace: true}
`
	overview := func() (o fleet.Overview) {
		r := s.as(s.token).do("GET", "/api/v1/fleet", nil)
		if r.code != 200 {
			t.Fatal(r)
		}
		r.json(t, &o)
		return o
	}
	detail := func(name string) (d fleet.Detail) {
		s.as(s.token).do("GET", "/api/v1/fleet/hosts/"+name, nil).json(t, &d)
		return d
	}
	visits := func(query string) (all []fleet.Visit) {
		s.as(s.token).do("GET", "/api/v1/fleet/visits?"+query, nil).json(t, &all)
		return all
	}
	post := func(path string, body any, into any) {
		t.Helper()
		r := s.as(s.token).do("POST", "/api/v1/fleet/"+path, body)
		if r.code != 200 {
			t.Fatal(r)
		}
		if into != nil {
			r.json(t, into)
		}
	}
	phase := func(want string) {
		t.Helper()
		s.until("the group is "+want, func() error {
			o := overview()
			if len(o.Groups) == 1 && o.Groups[0].Phase == want {
				return nil
			}
			return fmt.Errorf("%+v %+v", o.Groups, o.Hosts)
		})
	}
	inside := func(host, script string) string {
		t.Helper()
		out, err := exec.Command("docker", "exec", host, "sh", "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	ended := func(id int64) (v fleet.Visit) {
		t.Helper()
		s.until("the visit ends", func() error {
			s.as(s.token).do("GET", fmt.Sprintf("/api/v1/fleet/visits/%d", id), nil).json(t, &v)
			if v.State == fleet.Passed || v.State == fleet.Broken {
				return nil
			}
			return fmt.Errorf("%+v", v)
		})
		return v
	}
	ask := func(r map[string]any) fleet.Visit {
		t.Helper()
		var v []fleet.Visit
		s.until("nobody is there", func() error {
			a := s.as(s.token).do("POST", "/api/v1/fleet/visits", r)
			if a.code == 409 {
				return a
			}
			if a.code != 200 {
				t.Fatal(a)
			}
			a.json(t, &v)
			return nil
		})
		return ended(v[0].ID)
	}

	// They come into being, one first.
	s.define(map[string]string{"hosts.yaml": hosts, "roles/web.yaml": role("")})
	phase(fleet.Done)
	first := visits("kind=converge&limit=500")
	if n := len(first); n < 3 || first[n-1].Host != names[0] || !first[n-2].Started.After(first[n-1].Finished) {
		t.Errorf("the first host was not first: %+v", first)
	}
	o := overview()
	for _, h := range o.Hosts {
		if h.State != fleet.AsDeclared || len(h.Unequal) > 0 || h.Tests != 1 || h.Hash != o.Hosts[0].Hash {
			t.Errorf("%+v", h)
		}
	}

	// Their roles' checks are watched, each by the name of its host.
	s.until("the checks are watched", func() error {
		r := s.as(s.token).do("GET", "/api/v1/incidents?open=true", nil)
		for _, n := range names {
			if !strings.Contains(r.body, n+"-motd") {
				return r
			}
		}
		return nil
	})

	// A definition that is wrong stops at the first host.
	s.define(map[string]string{"roles/web.yaml": role("  - command: {run: /nowhere/program}\n")})
	phase(fleet.Failed)
	commit := overview().Groups[0].Candidate
	for _, v := range visits("limit=500") {
		if v.Commit == commit && v.Host != names[0] {
			t.Errorf("it reached %s", v.Host)
		}
	}
	incident := func(active bool) {
		t.Helper()
		s.until(fmt.Sprintf("an incident is there: %v", active), func() error {
			if r := s.as(s.token).do("GET", "/api/v1/incidents?open=true", nil); strings.Contains(r.body, `"check":"group/web"`) != active {
				return r
			}
			return nil
		})
	}
	incident(true)
	s.define(map[string]string{"roles/web.yaml": role("")})
	phase(fleet.Done)
	incident(false)
	// It ended well, and to go back is no fix.
	all, err := s.api.Incidents(t.Context(), false, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Check != "group/web" {
			continue
		}
		f, err := s.api.Followup(t.Context(), fmt.Sprint(i.ID))
		if open := strings.Join(f.Open(), " "); err != nil || open != "test fix test-passes check-passes" {
			t.Errorf("%q is open: %+v %v", open, f, err)
		}
	}

	// Drift is put right, or only told, as the resource says. Nobody else looks meanwhile.
	quiet := func() {
		t.Helper()
		post("pauses", map[string]any{"scope": "all", "reason": "the test looks itself"}, nil)
		s.until("nobody is on the way", func() error {
			for _, h := range overview().Hosts {
				if h.Running != 0 {
					return fmt.Errorf("%+v", h)
				}
			}
			return nil
		})
	}
	quiet()
	inside(names[1], "echo hacked > /etc/motd; echo other > /etc/issue.test; touch /tmp/full")
	v := ask(map[string]any{"hosts": []string{names[1]}, "kind": "converge", "reason": "look"})
	if v.State != fleet.Passed || v.Drift != 2 || inside(names[1], "cat /etc/motd /etc/issue.test; test ! -e /tmp/full") != "welcome\nother" {
		t.Errorf("%+v", v)
	}
	d := detail(names[1])
	if d.Host.State != fleet.HasDrifted || len(d.Drifts) != 2 || d.Drifts[0].Ref != "file:/etc/issue.test" || d.Drifts[0].State != fleet.DriftOpen || d.Drifts[1].State != fleet.DriftHealed {
		t.Errorf("%+v", d)
	}
	if len(d.Siblings) != 2 || d.Siblings[0].Equal || strings.Join(d.Siblings[0].Differ, " ") != "file:/etc/issue.test" {
		t.Errorf("%+v", d.Siblings)
	}
	// It becomes the declaration; the others follow.
	var p fleet.Proposal
	post(fmt.Sprintf("drifts/%d/accept", d.Drifts[0].ID), map[string]any{"dry_run": true}, &p)
	if p.Commit != "" || !strings.Contains(p.Diff, `+  - file: {path: /etc/issue.test, content: "other\n"}`) || len(p.Affects) != 2 {
		t.Errorf("%+v", p)
	}
	post(fmt.Sprintf("drifts/%d/accept", d.Drifts[0].ID), map[string]any{"reason": "it is better so"}, &p)
	post("resumes", map[string]any{"scope": "all"}, nil)
	s.until("all hosts are so", func() error {
		for _, n := range names {
			if got := inside(n, "cat /etc/issue.test"); got != "other" {
				return fmt.Errorf("%s: %s", n, got)
			}
		}
		return nil
	})
	phase(fleet.Done)
	if r := s.as(s.token).do("GET", "/git/definitions.git/info/refs?service=git-upload-pack", nil); r.code != 200 {
		t.Error(r)
	}
	if r := s.as(s.token).do("POST", fmt.Sprintf("/api/v1/fleet/drifts/%d/accept", d.Drifts[0].ID), map[string]any{}); r.code != 409 {
		t.Error(r)
	}

	// Nobody goes where somebody said stop.
	post("pauses", map[string]any{"scope": "group", "name": "web", "reason": "we look into it"}, nil)
	s.until("nobody is on the way", func() error {
		for _, h := range overview().Hosts {
			if h.Running != 0 {
				return fmt.Errorf("%+v", h)
			}
		}
		return nil
	})
	inside(names[2], "echo hacked > /etc/motd")
	before := len(visits("limit=500"))
	s.define(map[string]string{"roles/web.yaml": strings.ReplaceAll(role(""), "issue\\n", "new\\n")})
	s.until("the group waits", func() error {
		if g := overview().Groups[0]; g.Phase != fleet.Canary {
			return fmt.Errorf("%+v", g)
		}
		return nil
	})
	if n := len(visits("limit=500")); n != before {
		t.Errorf("%d visits while it is paused", n-before)
	}
	post("resumes", map[string]any{"scope": "group", "name": "web"}, nil)
	phase(fleet.Done)
	if got := inside(names[2], "cat /etc/motd /etc/issue.test"); got != "welcome\nnew" {
		t.Error(got)
	}

	// Who goes back stays there until somebody lets automation on.
	s.define(map[string]string{"roles/web.yaml": strings.ReplaceAll(role(""), "issue\\n", "newer\\n")})
	s.until("all hosts are so", func() error {
		if o := overview(); o.Groups[0].Phase != fleet.Done || inside(names[0], "cat /etc/issue.test") != "newer" {
			return fmt.Errorf("%+v", o)
		}
		return nil
	})
	if v := ask(map[string]any{"hosts": []string{names[0]}, "kind": "rollback", "reason": "slow"}); v.State != fleet.Passed || inside(names[0], "cat /etc/issue.test") != "new" {
		t.Errorf("%+v", v)
	}
	if h := detail(names[0]).Host; h.Paused == nil || h.Paused.Reason != "rolled back: slow" || h.Paused.Person != "admin" {
		t.Errorf("%+v", h)
	}
	post("resumes", map[string]any{"scope": "host", "name": names[0]}, nil)
	s.until("it follows again", func() error {
		if h := detail(names[0]).Host; h.State != fleet.AsDeclared || h.Hash == "" || inside(names[0], "cat /etc/issue.test") != "newer" {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})

	// A rebuilt host is what it was.
	hash := detail(names[0]).Host.Hash
	if v := ask(map[string]any{"hosts": []string{names[0]}, "kind": "rebuild", "reason": "practice"}); v.State != fleet.Passed || v.Hash != hash {
		t.Errorf("%+v, want hash %s", v, hash)
	}
	if h := detail(names[0]).Host; h.Rebuild <= 0 || h.Rebuilt.IsZero() {
		t.Errorf("%+v", h)
	}
	// A dead one is replaced.
	if out, err := exec.Command("docker", "rm", "-f", names[2]).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	s.within(90*time.Second, "it is replaced", func() error {
		all := visits("kind=rebuild&host=" + names[2])
		if len(all) == 1 && all[0].Cause == "dead" && all[0].State == fleet.Passed {
			return nil
		}
		return fmt.Errorf("%+v", all)
	})
	if got := inside(names[2], "cat /etc/motd /etc/issue.test"); got != "welcome\nnewer" {
		t.Error(got)
	}
	// A plan tells how what it would change went before.
	quiet()
	inside(names[1], "echo hacked > /etc/motd")
	plan := ask(map[string]any{"hosts": []string{names[1]}, "kind": "plan"})
	if len(plan.Changes) != 1 || plan.Changes[0].History == nil || plan.Changes[0].History.Changes < 5 || plan.Changes[0].History.Hosts != 3 || plan.Changes[0].History.Took <= 0 {
		t.Errorf("%+v", plan)
	}
	post("resumes", map[string]any{"scope": "all"}, nil)
	var night fleet.Tonight
	s.as(s.token).do("GET", "/api/v1/fleet/tonight", nil).json(t, &night)
	if len(night.Rebuilt) < 2 || len(night.Failed) == 0 || len(night.Drifted) == 0 || len(night.Changed) == 0 {
		t.Errorf("%+v", night)
	}
	signsOfFleet(t, s)
	for _, bad := range []struct {
		path, body string
		code       int
	}{
		{"visits", `{"hosts":["nowhere"],"kind":"converge"}`, 404},
		{"visits", `{"hosts":["web"],"kind":"rebuild"}`, 400},
		{"pauses", `{"scope":"host","name":"x","reason":"y"}`, 404},
		{"pauses", `{"scope":"group","name":"web","reason":"y","for":"long"}`, 400},
		{"resumes", `{"scope":"all"}`, 404},
		{"decisions", `{"group":"web","commit":"0000000","agree":true}`, 409},
	} {
		if r := s.as(s.token).do("POST", "/api/v1/fleet/"+bad.path, bad.body); r.code != bad.code {
			t.Errorf("%s %s: %v", bad.path, bad.body, r)
		}
	}
	viewer := s.give("vera", "viewer")
	if r := s.as(viewer).do("POST", "/api/v1/fleet/visits", `{"hosts":["web"],"kind":"converge"}`); r.code != 403 {
		t.Error(r)
	}
}
