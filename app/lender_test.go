package app_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"steer/infra/fleet"
	"steer/infra/infratest"
)

// TestLender: a member of a team scales its hosts, stops and starts one, gets some for
// a time and gives them back, all without an operator and all in the journal; others
// are refused, and nothing goes that somebody paused.
func TestLender(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	s := start(t, t.TempDir())
	name := "steer-lend-" + strings.ReplaceAll(time.Now().Format("150405.000"), ".", "")
	t.Cleanup(func() {
		out, _ := exec.Command("docker", "ps", "--all", "--quiet", "--filter", "name="+name).Output()
		exec.Command("docker", append([]string{"rm", "-f"}, strings.Fields(string(out))...)...).Run()
	})
	there := func(host string) bool {
		out, err := exec.Command("docker", "container", "inspect", "--format", "{{.State.Running}}", host).Output()
		return err == nil && strings.TrimSpace(string(out)) == "true"
	}
	file := "# Hosts of the shop.\n" + name + `:
  number: 1   # comments stay
  roles: [base]
  environment: ci
  removed: destroy
  self_service: {by: [shop], least: 1, most: 3}
  make: {docker: {image: ` + infratest.Image + `, network: none}}
  converge: {every: 10s, dead: 1s, replace: true, approve: true}
`
	s.define(map[string]string{
		"teams.yaml":      "storefront: {}\nshop: {members: [ada]}\nother: {members: [bob]}\n",
		"hosts.yaml":      file,
		"roles/base.yaml": "description: A host.\nresources:\n  - file: {path: /etc/motd, content: \"welcome\\n\"}\ntests:\n  - file: {path: /etc/motd}\n",
	})
	ada, bob, vera := s.give("ada", "developer"), s.give("bob", "developer"), s.give("vera", "viewer")
	post := func(who, path string, body any, code int, into any) string {
		t.Helper()
		var r answer
		s.within(90*time.Second, "nothing else visits the host", func() error {
			if r = s.as(who).do("POST", "/api/v1/fleet/"+path, body); r.code == 409 && strings.Contains(r.body, "is under way there") {
				return r // a visit of the schedule came first
			}
			return nil
		})
		if r.code != code {
			t.Fatalf("%s %v: %v", path, body, r)
		}
		if into != nil {
			r.json(t, into)
		}
		return r.body
	}
	host := func(name string) (h fleet.Host, code int) {
		r := s.as(s.token).do("GET", "/api/v1/fleet/hosts/"+name, nil)
		var d fleet.Detail
		if r.code == 200 {
			r.json(t, &d)
		}
		return d.Host, r.code
	}
	state := func(name, want string) {
		t.Helper()
		s.within(90*time.Second, name+" is "+want, func() error {
			if h, _ := host(name); h.State != want || h.Running != 0 {
				return fmt.Errorf("%+v", h)
			}
			return nil
		})
	}
	gone := func(name string) {
		t.Helper()
		s.within(90*time.Second, name+" is gone", func() error {
			if h, code := host(name); code != 404 || there(name) {
				return fmt.Errorf("%+v", h)
			}
			return nil
		})
	}
	journal := func(subject, text string) {
		t.Helper()
		s.until("it is in the journal", func() error {
			if r := s.as(s.token).do("GET", "/api/v1/events?limit=100&subject="+subject, nil); !strings.Contains(r.body, text) {
				return r
			}
			return nil
		})
	}

	// The first time somebody has to agree; scaling asks nobody.
	var o fleet.Overview
	s.within(90*time.Second, "the change waits", func() error {
		s.as(s.token).do("GET", "/api/v1/fleet", nil).json(t, &o)
		if len(o.Groups) != 1 || o.Groups[0].Phase != fleet.Asking {
			return fmt.Errorf("%+v", o)
		}
		return nil
	})
	post(s.token, "decisions", map[string]any{"group": name, "commit": o.Groups[0].Candidate, "agree": true}, 200, nil)
	state(name+"-1", fleet.AsDeclared)
	var offer fleet.Offer
	post(ada, "scale", map[string]any{"entry": name, "number": 2, "reason": "Christmas"}, 200, &offer)
	if offer.Number != 2 || strings.Join(offer.Hosts, " ") != name+"-1 "+name+"-2" || !offer.May {
		t.Errorf("%+v", offer)
	}
	state(name+"-2", fleet.AsDeclared)
	var files struct{ Files map[string]string }
	s.as(s.token).do("GET", "/api/v1/definitions", nil).json(t, &files)
	if got := files.Files["hosts.yaml"]; got != strings.Replace(file, "number: 1 ", "number: 2 ", 1) {
		t.Errorf("%s", got)
	}
	journal("", "Scale "+name+" from 1 to 2")
	post(ada, "scale", map[string]any{"entry": name, "number": 2, "reason": "again"}, 200, nil)
	for _, wrong := range []struct {
		who, path string
		body      map[string]any
		code      int
		text      string
	}{
		{ada, "scale", map[string]any{"entry": name, "number": 4, "reason": "more"}, 400, "there may be 3 hosts at most"},
		{ada, "scale", map[string]any{"entry": name, "number": 0, "reason": "none"}, 400, "at least 1 stay"},
		{ada, "scale", map[string]any{"entry": "nothing", "number": 1, "reason": "x"}, 404, "no entry"},
		{bob, "scale", map[string]any{"entry": name, "number": 1, "reason": "mine"}, 403, "it takes a member of shop"},
		{vera, "scale", map[string]any{"entry": name, "number": 1, "reason": "mine"}, 403, "developer"},
		{bob, "visits", map[string]any{"hosts": []string{name}, "kind": "stop"}, 403, "it takes a member of shop"},
		{ada, "visits", map[string]any{"hosts": []string{name + "-1"}, "kind": "rollback"}, 403, "operator"},
		{ada, "visits", map[string]any{"hosts": []string{name + "-1"}, "kind": "cut"}, 400, "knows only stop, kill, freeze"},
		{ada, "visits", map[string]any{"hosts": []string{name + "-1"}, "kind": "destroy"}, 409, "hosts.yaml declares it"},
		{ada, "visits", map[string]any{"hosts": []string{"nowhere"}, "kind": "converge"}, 403, "operator"},
		{ada, "loans", map[string]any{"entry": name, "number": 2, "for": "1h", "reason": "tests"}, 400, "there may be 3 hosts at most"},
		{ada, "loans", map[string]any{"entry": name, "for": "8000h", "reason": "tests"}, 400, "from 1m to 720h"},
		{ada, "loans", map[string]any{"entry": name, "name": "No!", "for": "1h", "reason": "tests"}, 400, "is no name"},
		{ada, "returns", map[string]any{"name": name}, 404, "are there for a time"},
	} {
		if text := post(wrong.who, wrong.path, wrong.body, wrong.code, nil); !strings.Contains(text, wrong.text) {
			t.Errorf("%v: %s", wrong.body, text)
		}
	}

	// One is switched off: nobody replaces it, and there is no incident.
	visit := func(who, name, kind string) {
		t.Helper()
		s.within(90*time.Second, kind+" is taken", func() error {
			if r := s.as(who).do("POST", "/api/v1/fleet/visits", map[string]any{"hosts": []string{name}, "kind": kind, "reason": "a test"}); r.code != 200 {
				return r
			}
			return nil
		})
	}
	visit(ada, name+"-2", "kill")
	state(name+"-2", fleet.Stopped)
	if h, _ := host(name + "-2"); there(name+"-2") || h.Paused == nil || h.Paused.Person != "ada" || h.Error != "killed by ada: a test" {
		t.Errorf("%+v", h)
	}
	round := func() { // the server looks at all hosts when a visit ends
		t.Helper()
		visit(ada, name+"-1", "converge")
		state(name+"-1", fleet.AsDeclared)
	}
	round()
	if h, _ := host(name + "-2"); h.State != fleet.Stopped || there(name+"-2") {
		t.Errorf("%+v", h)
	}
	if r := s.as(s.token).do("GET", "/api/v1/incidents?open=true", nil); strings.Contains(r.body, "host/"+name) {
		t.Error(r)
	}
	visit(ada, name+"-2", "start")
	state(name+"-2", fleet.AsDeclared)
	if h, _ := host(name + "-2"); !there(name+"-2") || h.Paused != nil {
		t.Errorf("%+v", h)
	}
	journal("host/"+name+"-2", "was killed")
	journal("host/"+name+"-2", "was started")

	// A host for a time, for longer, and back.
	var loan fleet.Loan
	post(ada, "loans", map[string]any{"entry": name, "name": "t", "for": "1h", "reason": "tests: of #7"}, 200, &loan)
	if loan.Name != name+"-t" || strings.Join(loan.Hosts, " ") != name+"-t" || loan.Commit == "" || loan.By != "ada" {
		t.Errorf("%+v", loan)
	}
	state(name+"-t", fleet.AsDeclared)
	if h, _ := host(name + "-t"); h.Until.IsZero() || h.Why != "tests: of #7" || h.Group != name {
		t.Errorf("%+v", h)
	}
	post(ada, "loans", map[string]any{"entry": name, "name": name + "-t", "for": "2h", "reason": "longer"}, 200, &loan)
	if time.Until(loan.Until) < 110*time.Minute {
		t.Errorf("%+v", loan)
	}
	post(ada, "scale", map[string]any{"entry": name, "number": 3, "reason": "more"}, 400, nil)
	post(bob, "returns", map[string]any{"name": name + "-t"}, 403, nil)
	post(ada, "returns", map[string]any{"name": name + "-t", "reason": "done"}, 200, nil)
	gone(name + "-t")
	journal("host/"+name+"-t", "was destroyed")

	// Fewer: the last one goes, when nobody holds it any more.
	post(s.token, "pauses", map[string]any{"scope": "host", "name": name + "-2", "reason": "I look into it"}, 200, nil)
	post(ada, "scale", map[string]any{"entry": name, "number": 1, "reason": "January"}, 200, nil)
	round()
	if h, _ := host(name + "-2"); !h.Gone || !there(name+"-2") {
		t.Errorf("%+v", h)
	}
	post(s.token, "resumes", map[string]any{"scope": "host", "name": name + "-2"}, 200, nil)
	gone(name + "-2")
	s.as(s.token).do("GET", "/api/v1/fleet", nil).json(t, &o)
	if len(o.Hosts) != 1 || o.Hosts[0].Name != name+"-1" || o.Groups[0].Phase != fleet.Done {
		t.Errorf("%+v", o)
	}
	// An entry that is gone leaves its host, for a person to destroy.
	s.define(map[string]string{"hosts.yaml": "none: {roles: [base], number: 0, self_service: {by: [shop], least: 0, most: 1}, make: {docker: {image: x}}}\n"})
	s.until("it is not declared any more", func() error {
		if h, _ := host(name + "-1"); !h.Gone {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	visit(s.token, name+"-1", "destroy")
	gone(name + "-1")
	var offers []fleet.Offer
	s.as(bob).do("GET", "/api/v1/fleet/offers", nil).json(t, &offers)
	if len(offers) != 1 || offers[0].May || !strings.Contains(offers[0].Why, "member of shop") {
		t.Errorf("%+v", offers)
	}
}
