package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"steer/improve/signs"
)

// reads are all addresses of /api/v1 that only look, once the shop is in production.
var reads = []string{
	"/api/v1/now", "/api/v1/services", "/api/v1/services/shop", "/api/v1/checks", "/api/v1/flow", "/api/v1/flow?service=shop&environment=ci&days=1", "/api/v1/signs", "/api/v1/signs?environment=ci&days=7",
	"/api/v1/why?ref=shop/b1", "/api/v1/why?ref=run/1", "/api/v1/why?ref=deploy/1", "/api/v1/runs", "/api/v1/runs?service=shop&limit=1", "/api/v1/runs/1",
	"/api/v1/runs/1/stages/commit/log", "/api/v1/deploys", "/api/v1/deploys?environment=ci", "/api/v1/deploys/1", "/api/v1/incidents", "/api/v1/incidents?open=true", "/api/v1/followups", "/api/v1/followups?state=without&limit=1", "/api/v1/followups/shares",
	"/api/v1/events", "/api/v1/events?type=dev.cdevents.service.deployed.0.3.0&limit=1", "/api/v1/events?oldest=true&after=1", "/api/v1/definitions", "/api/v1/tokens", "/api/v1/session",
	"/api/v1/secrets/recipient", "/api/v1/openapi.json", "/api/v1/openapi.yaml", "/render?target=steer.*&format=json", "/metrics/find?query=*", "/metrics/index.json", "/functions", "/version",
	"/api/v1/dashboards", "/api/v1/dashboards/steer",
	"/api/v1/store/stats", "/api/v1/store/stats?query=steer.*", "/metrics", "/healthz", "/readyz",
}

// problem is RFC 9457.
type problem struct {
	Status        int
	Title, Detail string
}

func TestEveryOperation(t *testing.T) {
	s := start(t, t.TempDir())
	s.define(places)
	s.push("shop", shop("exec sleep 600", ""))
	s.passed("shop", "b1")
	d, err := s.api.Deploy(t.Context(), "shop", "ci", "latest", "to see", false)
	if err != nil {
		t.Fatal(err)
	}
	if d = s.deployed(d); d.State != "passed" || d.Actor != "admin" {
		t.Fatalf("%+v", d)
	}
	who := s.as(s.token)
	for _, path := range reads {
		r := who.do("GET", path, nil)
		if r.code != 200 {
			t.Errorf("GET %s: %v", path, r)
		}
		if strings.HasPrefix(r.header.Get("Content-Type"), "application/json") && !json.Valid([]byte(r.body)) {
			t.Errorf("GET %s: no JSON: %s", path, r.body)
		}
	}
	if r := who.do("GET", "/metrics", nil); !strings.Contains(r.body, "steer_hosts_total 0\n") {
		t.Error(r)
	}
	var figures signs.Signs
	who.do("GET", "/api/v1/signs?environment=ci", nil).json(t, &figures)
	if k := figures.Requests.Kinds[0]; k.Kind != "deploys" || k.Times.Count != 1 || k.Times.Samples[0].Ref != fmt.Sprintf("deploy/%d", d.ID) || *k.Times.Median <= 0 || figures.Changes.People.Of != 1 || len(figures.Rebuild.Deploys) != 1 {
		t.Errorf("%+v", figures)
	}
	long := strings.Repeat("x", 3000)
	type m = map[string]any
	for _, c := range []struct {
		method, path string
		body         any
		want         int
		detail       string
	}{
		// What is not there.
		{"GET", "/api/v1/nothing", nil, 404, "/api/v1/nothing"},
		{"GET", "/api/nothing", nil, 404, "/api/nothing"},
		{"PUT", "/api/v1/deploys", m{}, 404, "PUT /api/v1/deploys"},
		{"GET", "/api/v1/services/nothing", nil, 404, "shop"},
		{"GET", "/api/v1/signs?environment=nowhere", nil, 404, "nowhere"},
		{"GET", "/api/v1/signs?team=nobody", nil, 404, "nobody"},
		{"GET", "/api/v1/signs?days=401", nil, 422, "validation"},
		{"GET", "/api/v1/runs/99", nil, 404, "99"},
		{"GET", "/api/v1/deploys/99", nil, 404, "99"},
		{"GET", "/api/v1/incidents/99", nil, 404, "99"},
		{"POST", "/api/v1/incidents/99/ack", m{}, 404, "99"},
		{"POST", "/api/v1/incidents/99/resolve", m{}, 404, "99"},
		{"GET", "/api/v1/incidents/99/followup", nil, 404, "99"},
		{"POST", "/api/v1/incidents/99/waive", m{"reason": "why"}, 404, "99"},
		{"POST", "/api/v1/incidents/99/steps/test/learn", m{}, 404, "99"},
		{"POST", "/api/v1/incidents/99/steps/test/doubt", m{"reason": "why"}, 404, "99"},
		{"GET", "/api/v1/followups?state=x", nil, 422, "validation"},
		{"POST", "/api/v1/runs/99/retry", nil, 404, "99"},
		{"POST", "/api/v1/runs/99/cancel", m{}, 404, "99"},
		{"POST", "/api/v1/runs/1/stages/nothing/approve", m{}, 404, "nothing"},
		{"POST", "/api/v1/runs/1/stages/nothing/reject", m{"reason": "why"}, 404, "nothing"},
		{"GET", "/api/v1/runs/1/stages/nothing/log", nil, 404, "commit"},
		{"GET", "/api/v1/runs/1/stages/..%2f..%2fsecret.key/log", nil, 404, "stage"},
		{"GET", "/api/v1/nodes/nothing/log", nil, 404, "nothing"},
		{"GET", "/api/v1/nodes/..%2f..%2fsecret.key/log", nil, 404, "no such node"},
		{"GET", "/api/v1/nodes/../log", nil, 0, ""},
		{"GET", "/api/v1/nodes/%2e%2e/log", nil, 404, "node"},
		{"GET", "/api/v1/nodes/versions/log", nil, 404, "node"},
		{"GET", "/api/v1/why?ref=shop/b99", nil, 404, "b99"},
		{"GET", "/api/v1/why?ref=what+is+this", nil, 404, "what is this"},
		{"DELETE", "/api/v1/tokens/nobody", nil, 404, "nobody"},
		{"POST", "/api/v1/deploys", m{"artifact": "nothing", "environment": "ci", "version": "b1"}, 404, "nothing"},
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "nowhere", "version": "b1"}, 404, "nowhere"},
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "ci", "version": "b99"}, 404, "b99"},
		{"POST", "/api/v1/services/nothing/local", "x", 404, "nothing"},
		// What is wrong.
		{"GET", "/api/v1/runs/x", nil, 422, "validation"},
		{"GET", "/api/v1/runs/x/stages/commit/log", nil, 400, "x"},
		{"GET", "/api/v1/runs?limit=100000", nil, 422, "validation"},
		{"GET", "/api/v1/events?limit=0", nil, 422, "validation"},
		{"GET", "/api/v1/events?since=yesterday", nil, 422, "validation"},
		{"GET", "/api/v1/why", nil, 422, "validation"},
		{"GET", "/api/v1/events/stream?after=x", nil, 400, "after"},
		{"POST", "/api/v1/deploys", "{", 400, ""},
		{"POST", "/api/v1/deploys", nil, 400, "body"},
		{"POST", "/api/v1/deploys", m{"artifact": "shop"}, 422, "validation"},
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "ci", "version": "b1", "sudo": true}, 422, "validation"},
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "ci", "version": "b1", "reason": long}, 422, "validation"},
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "ci", "version": "local"}, 400, "local"},
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "../ci", "version": "b1"}, 400, "../ci"},
		{"POST", "/api/v1/deploys", m{"artifact": "../shop", "environment": "ci", "version": "b1"}, 400, "../shop"},
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "ci", "version": "../b1"}, 400, "../b1"},
		{"POST", "/api/v1/deploys", `{"artifact":"` + strings.Repeat("x", 1<<20+100) + `"}`, 413, ""},
		{"POST", "/api/v1/rollbacks", m{"service": "shop", "environment": "ci", "to": "../b1"}, 404, "../b1"},
		{"POST", "/api/v1/pins", m{"service": "shop", "version": "../b1"}, 400, "../b1"},
		{"POST", "/api/v1/tokens", m{"name": "a b", "role": "viewer"}, 400, "character"},
		{"POST", "/api/v1/tokens", m{"name": "steer", "role": "viewer"}, 400, "steer"},
		{"POST", "/api/v1/tokens", m{"name": "ada", "role": "king"}, 422, "validation"},
		{"POST", "/api/v1/tokens", m{"name": "ada", "role": "viewer", "environments": []string{"a/b"}}, 400, "environment"},
		{"POST", "/api/v1/session", "{", 400, "token"},
		{"POST", "/api/v1/session", `{"token":"` + strings.Repeat("x", 8<<10) + `"}`, 400, "too large"},
		{"POST", "/api/v1/session", m{"token": "steer_x"}, 401, "not valid"},
		{"POST", "/api/v1/services/shop/local", "no archive", 400, "tar.gz"},
		{"POST", "/api/v1/definitions", m{"base": "", "message": "why", "files": m{}}, 400, "no file"},
		{"POST", "/api/v1/definitions", m{"base": "", "message": "", "files": m{"a": "b"}}, 422, "validation"},
		{"POST", "/api/v1/definitions", m{"base": "", "message": "why", "files": m{"../a": "b"}}, 400, "../a"},
		{"POST", "/api/v1/definitions", m{"base": "", "message": "why", "files": m{".git/config": "b"}}, 400, ".git/config"},
		{"POST", "/api/v1/definitions", m{"base": "", "message": "why", "files": m{"environments.yaml": "x: 1\n"}}, 400, "environments.yaml:1:"},
		// What cannot be now.
		{"POST", "/api/v1/rollbacks", m{"service": "shop", "environment": "ci"}, 409, "shop"},
		{"POST", "/api/v1/runs/1/retry", nil, 409, "run 1"},
		{"POST", "/api/v1/runs/1/stages/commit/approve", m{}, 409, "commit"},
		{"DELETE", "/api/v1/tokens/admin", nil, 409, "last"},
		// What works.
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "production", "version": "latest", "dry_run": true}, 200, ""},
		{"POST", "/api/v1/holds", m{"service": "shop", "environment": "ci", "reason": "look first"}, 200, ""},
		{"POST", "/api/v1/releases", m{"service": "shop", "environment": "ci"}, 200, ""},
		{"POST", "/api/v1/pins", m{"service": "shop", "version": "b1", "reason": "slow"}, 200, ""},
		{"POST", "/api/v1/deploys", m{"artifact": "shop", "environment": "production", "version": "latest"}, 404, "latest"},
		{"POST", "/api/v1/unpins", m{"service": "shop", "version": "b1"}, 200, ""},
		{"POST", "/api/v1/tokens", m{"name": "ada", "role": "viewer"}, 200, ""},
		{"POST", "/api/v1/tokens", m{"name": "ada", "role": "viewer"}, 409, "ada"},
		{"DELETE", "/api/v1/tokens/ada", nil, 200, ""},
	} {
		r := who.do(c.method, c.path, c.body)
		if c.want == 0 {
			if r.code >= 300 && r.code < 500 {
				continue
			}
			t.Errorf("%s %s: %v", c.method, c.path, r)
			continue
		}
		if r.code != c.want {
			t.Errorf("%s %s %.200v: %v, want %d", c.method, c.path, c.body, r, c.want)
			continue
		}
		if c.want < 300 {
			continue
		}
		var p problem
		if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: no problem+json: %s %s", c.method, c.path, r.header.Get("Content-Type"), r.body)
			continue
		}
		if p.Status != c.want || p.Title != http.StatusText(c.want) || p.Detail == "" || !strings.Contains(p.Detail, c.detail) {
			t.Errorf("%s %s %.200v: %+v, want %q in it", c.method, c.path, c.body, p, c.detail)
		}
		if strings.Contains(p.Detail, s.data) {
			t.Errorf("%s %s tells the server's folders: %s", c.method, c.path, p.Detail)
		}
	}
	if n, err := s.api.Deploys(t.Context(), "", "", 10); err != nil || len(n) != 1 {
		t.Errorf("refused and dry deploys were made: %v %v", n, err)
	}
	if strings.Contains(s.log.String(), "level=ERROR") || strings.Contains(s.log.String(), "panic") {
		t.Errorf("errors in the log")
	}
}

// A change through the API is a commit by who asked for it, and no change is lost.
func TestChangeOfDefinitions(t *testing.T) {
	s := start(t, t.TempDir())
	olga := s.as(s.give("olga", "operator"))
	type definitions struct {
		Revision string
		Files    map[string]string
	}
	var before, after definitions
	olga.do("GET", "/api/v1/definitions", nil).json(t, &before)
	change := func(base, text string) answer {
		return olga.do("POST", "/api/v1/definitions", map[string]any{"base": base, "message": "Because " + text, "files": map[string]any{"notes.md": text}})
	}
	if r := change(before.Revision, "one"); r.code != 200 {
		t.Fatal(r)
	}
	if r := change(before.Revision, "two"); r.code != 409 {
		t.Errorf("a change of an old state: %v", r)
	}
	olga.do("GET", "/api/v1/definitions", nil).json(t, &after)
	if after.Files["notes.md"] != "one" || after.Revision == before.Revision {
		t.Errorf("%+v", after)
	}
	dir := t.TempDir()
	if out, err := s.git("", s.token, "clone", "-q", s.url+"/git/definitions.git", dir+"/d"); err != nil {
		t.Fatal(out)
	}
	if out, err := s.git(dir+"/d", "", "log", "-1", "--format=%H %an %s"); err != nil || strings.TrimSpace(out) != after.Revision+" olga Because one" {
		t.Errorf("the commit is %q", out)
	}
	s.until("the journal tells it", func() error {
		r := olga.do("GET", "/api/v1/events?subject=definitions/"+after.Revision, nil)
		if !strings.Contains(r.body, `"olga"`) {
			return r
		}
		return nil
	})
	for _, base := range []string{"HEAD", strings.Repeat("0", 40), "--help", strings.Repeat("x", 40)} {
		if r := change(base, "three"); r.code < 400 || r.code >= 500 {
			t.Errorf("base %q: %v", base, r)
		}
	}
}
