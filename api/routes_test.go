package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"steer/base/fault"
)

// open are the addresses that need no login.
var open = map[string]bool{
	"/healthz": true, "/readyz": true, // for those who watch the server itself
	"/":                    true, // the web UI, which holds no data
	"POST /api/v1/session": true, // logging in
	// Logging out twice is no mistake.
	"DELETE /api/v1/session": true,
}

var wildcard = regexp.MustCompile(`\{[^}]+\}`)

// routes are all that the API answers: mounted patterns, and what huma describes.
func routes(t *testing.T, a *API) (all [][2]string) {
	t.Helper()
	for _, pattern := range a.mounted {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = http.MethodGet, pattern
		}
		all = append(all, [2]string{method, wildcard.ReplaceAllString(path, "1")})
	}
	for path, item := range a.huma.OpenAPI().Paths {
		n := 0
		for method, operation := range map[string]any{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "DELETE": item.Delete, "PATCH": item.Patch, "HEAD": item.Head, "OPTIONS": item.Options,
		} {
			if b, _ := json.Marshal(operation); string(b) != "null" {
				all = append(all, [2]string{method, wildcard.ReplaceAllString(path, "1")})
				n++
			}
		}
		if n == 0 {
			t.Errorf("%s has no method that this test knows", path)
		}
	}
	return append(all, [2]string{"GET", "/api/v1/openapi.json"}, [2]string{"GET", "/api/v1/openapi.yaml"}, [2]string{"GET", "/api/v1/schemas/Deploy.json"},
		[2]string{"GET", "/api/v1/nothing"}, [2]string{"GET", "/api/v2"}, [2]string{"GET", "/git/definitions.git/info/refs?service=git-upload-pack"},
		[2]string{"POST", "/v2/app/blobs/uploads/"}, [2]string{"GET", "/v2/app/manifests/latest"}, [2]string{"DELETE", "/v2/app/manifests/latest"},
		[2]string{"POST", "/render"}, [2]string{"POST", "/metrics/find"}, [2]string{"POST", "/tags/findSeries"}, [2]string{"POST", "/events/get_data"},
		[2]string{"POST", "/events"}, [2]string{"POST", "/events/"}, [2]string{"POST", "/tags/tagSeries"}, [2]string{"POST", "/tags/tagMultiSeries"},
		[2]string{"POST", "/tags/delSeries"}, [2]string{"POST", "/tags/del%53eries/"})
}

func reached(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("reached")) }

func TestEveryRouteNeedsALogin(t *testing.T) {
	h := http.HandlerFunc(reached)
	a := New(Options{Graphite: h, Umpire: h, Git: h, Packages: h, Web: h, Metrics: h, Anonymous: true, Ready: func() error { return nil }})
	all := routes(t, a)
	if len(all) < 45 {
		t.Fatalf("only %d routes found: %v", len(all), all)
	}
	for _, route := range all {
		method, path := route[0], route[1]
		r := httptest.NewRequest(method, path, nil)
		r.RemoteAddr = "203.0.113.9:4000"
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if open[path] || open[method+" "+path] {
			if w.Code == http.StatusUnauthorized && path != "/api/v1/session" {
				t.Errorf("%s %s asks for a login", method, path)
			}
			continue
		}
		if w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), "reached") {
			t.Errorf("%s %s without a login: %d %s", method, path, w.Code, w.Body)
		}
	}
}

func TestOnlySomeRoutesAreForProgramsHere(t *testing.T) {
	h := http.HandlerFunc(reached)
	for _, anonymous := range []bool{true, false} {
		a := New(Options{Graphite: h, Umpire: h, Git: h, Packages: h, Web: h, Metrics: h, Anonymous: anonymous, Ready: func() error { return nil }})
		for _, route := range routes(t, a) {
			method, path := route[0], route[1]
			r := httptest.NewRequest(method, "http://127.0.0.1:8080"+path, nil)
			r.RemoteAddr = "127.0.0.1:4000"
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			free := anonymous && regexp.MustCompile(`^/(render|metrics|tags|events|functions|version|check|debian|rpm)(/|$)`).MatchString(path)
			if method == http.MethodPost && regexp.MustCompile(`^/events/?$|Series/?$`).MatchString(r.URL.Path) && path != "/tags/findSeries" {
				free = false // these are changes
			}
			if open[path] || open[method+" "+path] {
				continue
			}
			if got := w.Code != http.StatusUnauthorized; got != free {
				t.Errorf("anonymous %v: %s %s from this machine: %d", anonymous, method, path, w.Code)
			}
		}
	}
}

func TestLocal(t *testing.T) {
	for _, c := range []struct {
		name, remote, host string
		header             [2]string
		want               bool
	}{
		{"a program here", "127.0.0.1:1", "127.0.0.1:8080", [2]string{}, true},
		{"by name", "127.0.0.1:1", "localhost:8080", [2]string{}, true},
		{"IPv6", "[::1]:1", "[::1]:8080", [2]string{}, true},
		{"IPv4 in IPv6", "[::ffff:127.0.0.1]:1", "127.0.0.1", [2]string{}, true},
		{"from elsewhere", "192.0.2.1:1", "127.0.0.1:8080", [2]string{}, false},
		{"DNS rebinding", "127.0.0.1:1", "evil.example:8080", [2]string{}, false},
		{"a name that only looks so", "127.0.0.1:1", "localhost.evil.example", [2]string{}, false},
		{"without a name", "127.0.0.1:1", "", [2]string{}, false},
		{"through a proxy", "127.0.0.1:1", "127.0.0.1:8080", [2]string{"X-Forwarded-For", "192.0.2.1"}, false},
		{"through another proxy", "127.0.0.1:1", "127.0.0.1:8080", [2]string{"Forwarded", "for=192.0.2.1"}, false},
		{"through a cache", "127.0.0.1:1", "127.0.0.1:8080", [2]string{"Via", "1.1 varnish"}, false},
		{"nginx", "127.0.0.1:1", "127.0.0.1:8080", [2]string{"X-Real-IP", "192.0.2.1"}, false},
		{"a page of another site", "127.0.0.1:1", "127.0.0.1:8080", [2]string{"Sec-Fetch-Site", "cross-site"}, false},
		{"a page of another port", "127.0.0.1:1", "127.0.0.1:8080", [2]string{"Sec-Fetch-Site", "same-site"}, false},
		{"our own page", "127.0.0.1:1", "127.0.0.1:8080", [2]string{"Sec-Fetch-Site", "same-origin"}, true},
		{"typed by hand", "127.0.0.1:1", "127.0.0.1:8080", [2]string{"Sec-Fetch-Site", "none"}, true},
	} {
		r := httptest.NewRequest("GET", "/render", nil)
		r.RemoteAddr, r.Host = c.remote, c.host
		if c.header[0] != "" {
			r.Header.Set(c.header[0], c.header[1])
		}
		if got := local(r); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Strangers learn nothing about what is broken.
func TestInternalErrorsAreForThoseWhoAreKnown(t *testing.T) {
	a := New(Options{Web: http.HandlerFunc(reached), Graphite: http.HandlerFunc(reached), Metrics: http.HandlerFunc(reached), Git: http.HandlerFunc(reached)})
	w := httptest.NewRecorder()
	a.refuse(w, httptest.NewRequest("GET", "/x", nil), http.ErrLineTooLong)
	if w.Code != 500 || strings.Contains(w.Body.String(), "too long") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Every kind of error has its status, in the form of RFC 9457.
func TestProblem(t *testing.T) {
	a := New(Options{Web: http.HandlerFunc(reached), Graphite: http.HandlerFunc(reached), Metrics: http.HandlerFunc(reached), Git: http.HandlerFunc(reached)})
	for kind, status := range map[fault.Kind]int{
		fault.Invalid: 400, fault.Anonymous: 401, fault.Denied: 403, fault.NotFound: 404, fault.Conflict: 409, fault.TooMuch: 429, fault.Internal: 500, fault.Unavailable: 503,
	} {
		w := httptest.NewRecorder()
		a.refuse(w, httptest.NewRequest("GET", "/x", nil), fault.New(kind, "what and why"))
		var p struct {
			Status        int
			Title, Detail string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if w.Code != status || p.Status != status || p.Title != http.StatusText(status) || p.Detail == "" || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%v: %d %+v %v", kind, w.Code, p, w.Header())
		}
		err := a.failure(t.Context(), "x", fault.New(kind, "what and why"))
		if s, ok := err.(interface{ GetStatus() int }); !ok || s.GetStatus() != status {
			t.Errorf("%v: huma gets %v", kind, err)
		}
	}
}

// A panic ends the connection and is in the log, not the program.
func TestPanicAborts(t *testing.T) {
	a := New(Options{Web: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") }),
		Graphite: http.HandlerFunc(reached), Metrics: http.HandlerFunc(reached), Git: http.HandlerFunc(reached)})
	server := httptest.NewServer(a)
	defer server.Close()
	if res, err := server.Client().Get(server.URL); err == nil {
		t.Errorf("a panic was answered with %s", res.Status)
	}
}
