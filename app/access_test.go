package app_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// login is a browser's cookie for a token.
func (s *server) login(token string) string {
	s.t.Helper()
	r := s.as("").do("POST", "/api/v1/session", map[string]string{"token": token})
	if r.code != 200 {
		s.t.Fatal(r)
	}
	cookie, err := http.ParseSetCookie(r.header.Get("Set-Cookie"))
	if err != nil || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Value == token {
		s.t.Fatalf("cookie %v %v", cookie, err)
	}
	return cookie.Name + "=" + cookie.Value
}

// From none to all, in the order of the columns below.
const (
	none = iota
	viewer
	developer
	inCI // an operator of ci only
	operator
	admin
)

func TestWhoMayDoWhat(t *testing.T) {
	s := start(t, t.TempDir())
	s.define(places)
	s.push("shop", shop("exec sleep 600", ""))
	s.passed("shop", "b1")
	ci, err := s.api.Deploy(t.Context(), "shop", "ci", "b1", "", false)
	if err != nil {
		t.Fatal(err)
	}
	s.deployed(ci)
	now, err := s.api.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	node := now.Services[0].Placements[0].Nodes[0].ID

	people := [...]*someone{none: s.as(""), viewer: s.as(s.give("vera", "viewer")), developer: s.as(s.give("dora", "developer")),
		inCI: s.as(s.give("cilia", "operator", "ci")), operator: s.as(s.give("olga", "operator")), admin: s.as(s.token)}
	names := [...]string{"nobody", "viewer", "developer", "operator of ci", "operator", "admin"}
	all := func(least int) (may [6]bool) {
		for i := least; i < len(may); i++ {
			may[i] = i != inCI || least <= viewer
		}
		return may
	}
	except := func(may [6]bool, i int, can bool) [6]bool { may[i] = can; return may }
	deploy := func(env string) map[string]any {
		return map[string]any{"artifact": "shop", "environment": env, "version": "b1", "dry_run": true}
	}
	at := func(env string) map[string]any { return map[string]any{"service": "shop", "environment": env} }
	for _, c := range []struct {
		method, path string
		body         any
		may          [6]bool
	}{
		{"GET", "/api/v1/now", nil, all(viewer)},
		{"GET", "/api/v1/definitions", nil, all(viewer)},
		{"GET", "/api/v1/session", nil, all(viewer)},
		{"GET", "/api/v1/openapi.yaml", nil, all(viewer)},
		{"GET", "/api/v1/secrets/recipient", nil, all(viewer)},
		{"GET", "/api/v1/store/stats", nil, all(viewer)},
		{"GET", "/api/v1/backup", nil, all(admin)},
		{"GET", "/api/v1/runs/1/stages/commit/log", nil, all(viewer)},
		{"GET", "/api/v1/nodes/" + node + "/log", nil, all(viewer)},
		{"GET", "/git/shop.git/info/refs?service=git-upload-pack", nil, all(viewer)},
		{"GET", "/git/shop.git/info/refs?service=git-receive-pack", nil, all(developer)},
		{"GET", "/git/definitions.git/info/refs?service=git-upload-pack", nil, all(viewer)},
		{"GET", "/git/definitions.git/info/refs?service=git-receive-pack", nil, all(operator)},
		{"GET", "/git/definitions.git%2Finfo/refs?service=git-receive-pack", nil, [6]bool{}},
		{"POST", "/git/definitions.git%2Fgit-receive-pack", "0000", [6]bool{}},
		{"POST", "/api/v1/services/shop/local", "no archive", except(all(developer), inCI, true)},
		{"POST", "/api/v1/runs/1/retry", nil, all(developer)},
		{"POST", "/api/v1/runs/1/cancel", map[string]any{}, all(developer)},
		{"POST", "/api/v1/runs/1/stages/commit/approve", map[string]any{}, all(developer)},
		{"POST", "/api/v1/deploys", deploy("ci"), except(all(operator), inCI, true)},
		{"POST", "/api/v1/deploys", deploy("production"), all(operator)},
		{"POST", "/api/v1/rollbacks", at("ci"), except(all(operator), inCI, true)},
		{"POST", "/api/v1/rollbacks", at("production"), all(operator)},
		{"POST", "/api/v1/holds", at("ci"), except(all(operator), inCI, true)},
		{"POST", "/api/v1/holds", at("production"), all(operator)},
		{"POST", "/api/v1/releases", at("ci"), except(all(operator), inCI, true)},
		{"POST", "/api/v1/pins", map[string]any{"service": "shop", "version": "b1"}, all(operator)},
		{"POST", "/api/v1/unpins", map[string]any{"service": "shop", "version": "b1"}, all(operator)},
		{"POST", "/api/v1/definitions", map[string]any{"base": "", "message": "why", "files": map[string]string{"a/b.txt": "x"}}, all(operator)},
		{"POST", "/api/v1/dashboards/more/panels", map[string]any{"panel": map[string]any{"targets": []string{"a.b"}}}, except(all(developer), inCI, true)},
		{"GET", "/api/v1/dashboards", nil, all(viewer)},
		{"GET", "/api/v1/dashboards/more", nil, all(viewer)},
		{"POST", "/events/", map[string]any{"what": "sale", "tags": "shop"}, except(all(developer), inCI, true)},
		{"POST", "/events", map[string]any{"what": "sale", "tags": []string{"shop"}}, except(all(developer), inCI, true)},
		{"POST", "/tags/tagSeries?path=disk.used;host=a", nil, all(operator)},
		{"POST", "/tags/tagMultiSeries?path=disk.used;host=a", nil, all(operator)},
		{"POST", "/tags/delSeries?path=disk.used;host=a", nil, all(operator)},
		{"GET", "/api/v1/tokens", nil, all(admin)},
		{"POST", "/api/v1/tokens", map[string]any{"name": "x", "role": "admin"}, all(admin)},
		{"DELETE", "/api/v1/tokens/nobody", nil, all(admin)},
		{"GET", "/api/v1/hosts/agents", nil, all(viewer)},
		{"POST", "/api/v1/hosts/invitations", map[string]any{"host": "web-1"}, all(operator)},
		{"DELETE", "/api/v1/hosts/agents/web-9", nil, all(operator)},
		// What hosts do, people may not.
		{"POST", "/api/v1/hosts/join", map[string]any{}, [6]bool{}},
		{"GET", "/api/v1/hosts/agent", nil, [6]bool{}},
		{"DELETE", "/api/v1/hosts/agent", nil, [6]bool{}},
		{"GET", "/api/v1/hosts/program?digest=x", nil, [6]bool{}},
		{"POST", "/api/v1/hosts/drift", map[string]any{"reports": []any{}}, [6]bool{}},
		{"POST", "/api/v1/hosts/metrics", map[string]any{"figures": []any{}}, [6]bool{}},
		// Here the programs of this machine need no login.
		{"GET", "/render?target=steer.*&format=json", nil, all(none)},
		{"GET", "/metrics/find?query=*", nil, all(none)},
		{"GET", "/tags/autoComplete/tags", nil, all(none)},
		{"GET", "/events/get_data?tags=deploy", nil, all(none)},
		{"GET", "/metrics", nil, all(none)},
		{"GET", "/check?metric=steer.x&max=1", nil, all(none)},
		{"GET", "/healthz", nil, all(none)},
		{"GET", "/", nil, all(none)},
	} {
		for i, who := range people {
			r := who.do(c.method, c.path, c.body)
			refused := r.code == 401 || r.code == 403
			// Repositories that are none are refused in their own way.
			if strings.Contains(c.path, "%2F") && r.code >= 400 {
				refused = true
			}
			if refused == c.may[i] || r.code == 500 || r.code == 0 {
				t.Errorf("%s %s %v by %s: %v", c.method, c.path, c.body, names[i], r)
			}
			if i == none && refused && r.code != 401 && !strings.Contains(c.path, "%2F") {
				t.Errorf("%s %s by nobody: %v, want 401", c.method, c.path, r)
			}
		}
	}
	if out, err := s.git(t.TempDir(), "", "ls-remote", s.url+"/git/shop.git"); err == nil {
		t.Errorf("Git without a token: %s", out)
	}
}

func TestWaysToLogIn(t *testing.T) {
	s := start(t, t.TempDir(), "access.anonymous=false")
	token := s.give("ada", "viewer")
	cookie := s.login(token)
	basic := func(user, password string) *someone {
		p := s.as("")
		r := http.Request{Header: p.header}
		r.SetBasicAuth(user, password)
		return p
	}
	for name, who := range map[string]*someone{
		"bearer": s.as(token), "bearer in small letters": s.as("").with("Authorization", "bearer "+token),
		"password": basic("ada", token), "password of any name": basic("", token), "cookie": s.as("").with("Cookie", cookie),
	} {
		for _, path := range []string{"/api/v1/now", "/render?target=a&format=json", "/metrics", "/check?metric=a&max=1"} {
			if r := who.do("GET", path, nil); r.code == 401 || r.code == 403 || r.code >= 500 {
				t.Errorf("%s, %s: %v", name, path, r)
			}
		}
	}
	for name, who := range map[string]*someone{
		"nothing": s.as(""), "a wrong token": s.as("steer_" + strings.Repeat("0", 64)), "half a token": s.as(token[:40]),
		"another scheme": s.as("").with("Authorization", "Digest "+token), "an empty one": s.as("").with("Authorization", "Bearer "),
		"the token as cookie": s.as("").with("Cookie", "steer_session="+token), "a wrong cookie": s.as("").with("Cookie", "steer_session=x"),
	} {
		for _, path := range []string{"/api/v1/now", "/render?target=a&format=json", "/metrics", "/check?metric=a&max=1", "/git/definitions.git/info/refs?service=git-upload-pack"} {
			r := who.do("GET", path, nil)
			if r.code != 401 {
				t.Errorf("%s, %s: %v", name, path, r)
			}
			if strings.HasPrefix(path, "/git/") && r.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: Git is not asked for a password", name)
			}
		}
	}
	// An end is an end at once.
	if r := s.as("").with("Cookie", cookie).do("DELETE", "/api/v1/session", nil); r.code != 204 {
		t.Error(r)
	}
	if r := s.as("").with("Cookie", cookie).do("GET", "/api/v1/now", nil); r.code != 401 {
		t.Errorf("after logging out: %v", r)
	}
	cookie = s.login(token)
	if err := s.api.RevokeToken(t.Context(), "ada"); err != nil {
		t.Fatal(err)
	}
	for _, who := range []*someone{s.as(token), s.as("").with("Cookie", cookie)} {
		if r := who.do("GET", "/api/v1/now", nil); r.code != 401 && r.code != 429 {
			t.Errorf("revoked: %v", r)
		}
	}
	// Guessing is slowed down, those who know are not.
	limited := false
	for i := range 15 {
		limited = s.as(fmt.Sprintf("steer_%064d", i)).do("GET", "/api/v1/now", nil).code == 429 || limited
	}
	if !limited {
		t.Error("nothing slows down who guesses")
	}
	if r := s.as(s.token).do("GET", "/api/v1/now", nil); r.code != 200 {
		t.Errorf("the guesses of another lock out admin: %v", r)
	}
	// What the log of the server holds is for more eyes than a token.
	for _, secret := range []string{token, s.token, cookie[len("steer_session="):]} {
		if strings.Contains(s.log.String(), secret) {
			t.Error("the log holds a token or a session")
		}
	}
}

func TestOtherSites(t *testing.T) {
	s := start(t, t.TempDir())
	browser := s.as("").with("Cookie", s.login(s.token))
	token := map[string]any{"name": "mallory", "role": "admin"}
	for _, c := range []struct {
		name string
		who  *someone
		want int
	}{
		{"a form of another site", browser.with("Sec-Fetch-Site", "cross-site").with("Origin", "https://evil.example"), 403},
		{"an old browser", browser.with("Origin", "https://evil.example"), 403},
		{"a page of another port", browser.with("Sec-Fetch-Site", "same-site").with("Origin", "http://127.0.0.1:9"), 403},
		{"a file", browser.with("Origin", "null"), 403},
		{"our own page", browser.with("Sec-Fetch-Site", "same-origin").with("Origin", s.url), 200},
		{"our own page, again", browser.with("Origin", s.url), 409},
	} {
		if r := c.who.do("POST", "/api/v1/tokens", token); r.code != c.want {
			t.Errorf("%s: %v, want %d", c.name, r, c.want)
		}
	}
	if r := s.as("").with("Sec-Fetch-Site", "cross-site").with("Origin", "https://evil.example").do("POST", "/api/v1/session", map[string]string{"token": s.token}); r.code != 403 {
		t.Errorf("another site logs a browser in: %v", r)
	}
	// A host name that was pointed here, a proxy, a script tag: none is a program of this machine.
	for _, who := range []*someone{s.as("").with("Host", "evil.example"), s.as("").with("X-Forwarded-For", "192.0.2.1"), s.as("").with("Sec-Fetch-Site", "cross-site")} {
		for _, path := range []string{"/render?target=steer.*&format=json&jsonp=f", "/metrics", "/metrics/find?query=*", "/check?metric=a&max=1"} {
			if r := who.do("GET", path, nil); r.code != 401 {
				t.Errorf("%v %s: %v", who.header, path, r)
			}
		}
	}
	for _, path := range []string{"/", "/render?target=steer.*&format=svg", "/api/v1/now"} {
		r := browser.do("GET", path, nil)
		if r.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src '") {
			t.Errorf("%s: %v", path, r.header)
		}
		if r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s may be read by other sites", path)
		}
	}
}

// What developers may push, and what they may not.
func TestPushOfDefinitions(t *testing.T) {
	s := start(t, t.TempDir())
	dora, olga := s.give("dora", "developer"), s.give("olga", "operator")
	dir := filepath.Join(t.TempDir(), "d")
	if out, err := s.git("", dora, "clone", "-q", s.url+"/git/definitions.git", dir); err != nil {
		t.Fatal(out)
	}
	commit := func(name, text string) {
		t.Helper()
		write(t, filepath.Join(dir, name), text)
		for _, args := range [][]string{{"add", "."}, {"commit", "-q", "-m", "x"}} {
			if out, err := s.git(dir, "", args...); err != nil {
				t.Fatal(out)
			}
		}
	}
	back := func() {
		if out, err := s.git(dir, "", "reset", "-q", "--hard", "HEAD~1"); err != nil {
			t.Fatal(out)
		}
	}
	commit("notes.md", "hello")
	if out, err := s.git(dir, dora, "push", "-q"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("a developer pushes definitions: %v %s", err, out)
	}
	if out, err := s.git(dir, olga, "push", "-q"); err != nil {
		t.Error(out)
	}
	for name, bad := range map[string][3]string{
		"a mistake":            {"environments.yaml", "ci: {nodez: []}\n", "environments.yaml:1:6"},
		"a forgotten secret":   {"secrets/ci/db.age", "hunter2hunter2", "secrets/ci/db.age:1:1"},
		"a secret by its name": {"secrets/db", "hunter2hunter2", "secrets/db:1:1"},
	} {
		commit(bad[0], bad[1])
		out, err := s.git(dir, olga, "push", "-q")
		if err == nil || !strings.Contains(out, bad[2]) {
			t.Errorf("%s: %v %s", name, err, out)
		}
		if strings.Contains(out, "hunter2") {
			t.Errorf("%s: the refusal shows the secret: %s", name, out)
		}
		back()
	}
}
