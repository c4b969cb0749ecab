package git

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"steer/base/fault"
	"steer/base/id"
)

// The test binary is also the hook.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "as hook" {
		os.Exit(hook(os.Args[2]))
	}
	os.Exit(m.Run())
}

// hook refuses trees that hold a file with this name.
func hook(name string) int {
	ctx := context.Background()
	lines, _ := io.ReadAll(os.Stdin)
	r, err := FromHook()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	f := strings.Fields(string(lines))
	if _, err := r.ReadFile(ctx, f[1], name); fault.Of(err) != fault.NotFound {
		fmt.Fprintf(os.Stderr, "%s:1:1: %s may not have this (%s, %s, %v)\n", name, os.Getenv("REMOTE_USER"), os.Getenv("STEER_REPO"), os.Getenv("EXTRA"), os.Getenv("HTTP_AUTHORIZATION") == "")
		return 1
	}
	return 0
}

type served struct {
	*httptest.Server
	dir    string
	open   bool // asks for no name
	pushes atomic.Int32
}

func serve(t *testing.T, o Options) *served {
	s := &served{dir: t.TempDir()}
	o.Repo = func(name string, create bool) (string, error) {
		dir := filepath.Join(s.dir, name+".git")
		if create {
			_, err := Init(context.Background(), dir)
			return dir, err
		}
		return dir, nil
	}
	o.Pushed = func(string) { s.pushes.Add(1) }
	o.Person = func(r *http.Request) id.Person { n, _, _ := r.BasicAuth(); return id.Person(n) }
	h := Handler(o)
	s.Server = httptest.NewServer(http.StripPrefix("/git", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); !ok && !s.open { // git gives no name before it is asked
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})))
	t.Cleanup(s.Close)
	return s
}

func (s *served) url(name string) string {
	return strings.Replace(s.URL, "http://", "http://grace:secret@", 1) + "/git/" + name + ".git"
}

func TestPushAndClone(t *testing.T) {
	s := serve(t, Options{})
	work := t.TempDir()
	user(t, work, "init", "-q", "-b", "main")
	// More than git sends in one piece (1 MiB), so that it comes in chunks.
	big := make([]byte, 3<<20)
	rand.Read(big)
	os.WriteFile(filepath.Join(work, "big"), big, 0o644)
	user(t, work, "add", ".")
	user(t, work, "commit", "-q", "-m", "first")
	user(t, work, "push", "-q", s.url("catalog"), "main")
	if s.pushes.Load() == 0 {
		t.Errorf("%d pushes told", s.pushes.Load())
	}
	clone := filepath.Join(t.TempDir(), "clone")
	user(t, "", "clone", "-q", s.url("catalog"), clone)
	if got, err := os.ReadFile(filepath.Join(clone, "big")); err != nil || !bytes.Equal(got, big) {
		t.Errorf("cloned %d bytes, %v", len(got), err)
	}
	r, err := Open(filepath.Join(s.dir, "catalog.git"))
	if err != nil {
		t.Fatal(err)
	}
	head, _ := r.Head(t.Context(), "main")
	if who, err := r.Movers(t.Context(), "main", 10); err != nil || who[head] != "grace" {
		t.Errorf("pushed by %q, %v", who, err)
	}

	user(t, work, "commit", "-q", "--amend", "-m", "rewritten")
	out, err := tryUser(t, work, "push", "-q", "--force", s.url("catalog"), "main")
	if err == nil || !strings.Contains(out, "non-fast-forward") {
		t.Errorf("a rewrite of history: %v\n%s", err, out)
	}
	out, err = tryUser(t, work, "push", "-q", s.url("catalog"), ":main")
	if err == nil || !strings.Contains(out, "delet") {
		t.Errorf("deleting mainline: %v\n%s", err, out)
	}
	if err := r.Mark(t.Context(), "good", head); err != nil {
		t.Fatal(err)
	}
	if refs := user(t, "", "ls-remote", s.url("catalog")); strings.Contains(refs, "steer") {
		t.Errorf("marks are shown: %s", refs)
	}
	out, err = tryUser(t, work, "push", "-q", s.url("catalog"), "main:refs/steer/good")
	if err == nil {
		t.Errorf("marks can be pushed\n%s", out)
	}
	out, err = tryUser(t, "", "clone", "-q", s.url("nope"), filepath.Join(t.TempDir(), "x"))
	if err == nil || !strings.Contains(out, "not found") {
		t.Errorf("clone of an unknown repository: %v\n%s", err, out)
	}
}

func TestPushOverTheLimit(t *testing.T) {
	s := serve(t, Options{Limit: 2 << 20})
	work := t.TempDir()
	user(t, work, "init", "-q", "-b", "main")
	big := make([]byte, 3<<20)
	rand.Read(big)
	os.WriteFile(filepath.Join(work, "big"), big, 0o644)
	user(t, work, "add", ".")
	user(t, work, "commit", "-q", "-m", "first")
	if out, err := tryUser(t, work, "push", "-q", s.url("catalog"), "main"); err == nil {
		t.Errorf("pushed\n%s", out)
	}
	r, err := Open(filepath.Join(s.dir, "catalog.git"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Head(t.Context(), "main"); fault.Of(err) != fault.NotFound {
		t.Errorf("head: %v", err)
	}
}

func TestHookRefuses(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, Options{Hook: []string{exe, "as hook", "it's bad.yaml"}, Env: []string{"EXTRA=more"}})
	work := t.TempDir()
	user(t, work, "init", "-q", "-b", "main")
	user(t, work, "commit", "-q", "--allow-empty", "-m", "first")
	user(t, work, "push", "-q", s.url("catalog"), "main")
	os.WriteFile(filepath.Join(work, "it's bad.yaml"), nil, 0o644)
	user(t, work, "add", ".")
	user(t, work, "commit", "-q", "-m", "second")
	want := "remote: it's bad.yaml:1:1: grace may not have this (" + filepath.Join(s.dir, "catalog.git") + ", more, true)"
	out, err := tryUser(t, work, "push", "-q", s.url("catalog"), "main")
	if err == nil || !strings.Contains(out, want) {
		t.Errorf("push: %v\n%s\nwant %s", err, out, want)
	}
	// The hook also stands in the way of those who come by the disk.
	out, err = tryUser(t, work, "push", "-q", filepath.Join(s.dir, "catalog.git"), "main")
	if err == nil || !strings.Contains(out, "it's bad.yaml:1:1:") {
		t.Errorf("push by path: %v\n%s", err, out)
	}
}

func TestRequests(t *testing.T) {
	s := serve(t, Options{Limit: 1 << 20})
	s.open = true
	r, err := Init(t.Context(), filepath.Join(s.dir, "catalog.git"))
	if err != nil {
		t.Fatal(err)
	}
	commit(t, r, "", "first", map[string][]byte{"a": []byte("a")})
	for _, c := range []struct {
		method, path string
		status       int
		text         string
	}{
		{"GET", "/git/catalog.git/info/refs?service=git-upload-pack", 200, "refs/heads/main"},
		{"GET", "/git/catalog.git/info/refs", 403, "too old"},
		{"GET", "/git/catalog.git/info/refs?service=git-evil", 403, ""},
		{"GET", "/git/catalog.git/HEAD", 404, ""},
		{"GET", "/git/catalog.git/config", 404, ""},
		{"GET", "/git/catalog.git/objects/info/packs", 404, ""},
		{"GET", "/git/../catalog.git/info/refs?service=git-upload-pack", 404, ""},
		{"GET", "/git/%2e%2e%2fx.git/info/refs?service=git-upload-pack", 404, ""},
		{"GET", "/git/nope.git/info/refs?service=git-upload-pack", 404, "no bare Git repository"},
		{"GET", "/git/catalog.git/git-upload-pack", 404, ""},
		{"PUT", "/git/catalog.git/git-upload-pack", 404, ""},
		{"POST", "/git/catalog.git/git-upload-pack", 415, ""},
	} {
		req, _ := http.NewRequest(c.method, s.URL+c.path, nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.status || !bytes.Contains(body, []byte(c.text)) {
			t.Errorf("%s %s: %s\n%s", c.method, c.path, res.Status, body)
		}
	}
	post := func(service, encoding string, body []byte) *http.Response {
		req, _ := http.NewRequest("POST", s.URL+"/git/catalog.git/"+service, bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/x-"+service+"-request")
		req.Header.Set("Content-Encoding", encoding)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	if res := post("git-receive-pack", "", make([]byte, 2<<20)); res.StatusCode != 413 {
		t.Errorf("too big a push: %s", res.Status)
	}
	head, _ := r.Head(t.Context(), "main")
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	fmt.Fprintf(w, "0032want %s\n00000009done\n", head)
	w.Close()
	res := post("git-upload-pack", "gzip", zipped.Bytes())
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/x-git-upload-pack-result" || !bytes.Contains(body, []byte("PACK")) {
		t.Errorf("zipped request: %s %v %q", res.Status, res.Header, body)
	}
}
