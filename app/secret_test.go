package app_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A secret is nowhere but in the environment of the node that asked for it.
func TestSecretsStaySecret(t *testing.T) {
	const plain = "correct-horse-battery-staple"
	data, out := t.TempDir(), filepath.Join(t.TempDir(), "seen")
	s := start(t, data)
	file, err := s.api.Encrypt(t.Context(), []byte(plain+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte(plain)) || !strings.HasPrefix(string(file), "-----BEGIN AGE ENCRYPTED FILE-----") {
		t.Fatalf("%s", file)
	}
	files := map[string]string{"secrets/ci/db.age": string(file)}
	for name, text := range places {
		files[name] = text
	}
	s.define(files)
	r := s.as(s.token).do("POST", "/api/v1/definitions", map[string]any{"base": "", "message": "oops", "files": map[string]string{"secrets/ci/other.age": plain}})
	if r.code != 400 || strings.Contains(r.body, plain) || !strings.Contains(r.body, "not encrypted") {
		t.Errorf("a secret that is not encrypted: %v", r)
	}

	s.push("shop", shop(`printf %s "$DB" > `+out+`; exec sleep 600`, `DB: "secret:db"`))
	s.passed("shop", "b1")
	dry, err := s.api.Deploy(t.Context(), "shop", "ci", "b1", "", true)
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.api.Deploy(t.Context(), "shop", "ci", "b1", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if d = s.deployed(d); d.State != "passed" {
		t.Fatalf("%s: %v (dry run: %v)", d.State, d.Failure, dry)
	}
	s.until("the node wrote what it got", func() error {
		b, err := os.ReadFile(out)
		if err == nil && string(b) != plain {
			t.Fatalf("the node got %q", b)
		}
		return err
	})
	// In production there is no such secret, and no other environment's.
	p, err := s.api.Deploy(t.Context(), "shop", "production", "b1", "", false)
	if err == nil {
		if p = s.deployed(p); p.State != "failed" || !strings.Contains(p.Failure.Message, "secrets/production/db.age") {
			t.Errorf("%s %v", p.State, p.Failure)
		}
	} else if !strings.Contains(err.Error(), "secrets/production/db.age") {
		t.Error(err)
	}
	// A node that tells its secret and dies: the reason of the failure must not hold it.
	s.push2(t, out+"2")
	s.passed("shop", "b2")
	f, err := s.api.Deploy(t.Context(), "shop", "ci", "latest", "", false)
	if err != nil {
		t.Fatal(err)
	}
	if f = s.deployed(f); f.State != "failed" {
		t.Fatalf("%+v", f)
	}
	if strings.Contains(strings.Join(f.Failure.Log, "\n"), plain) {
		t.Errorf("the failure tells it: %+v", f.Failure)
	}

	who := s.as(s.token)
	for _, path := range append([]string{"/api/v1/events?limit=1000"}, reads...) {
		if r := who.do("GET", path, nil); strings.Contains(r.body, plain) {
			t.Errorf("GET %s shows it", path)
		} else if path == "/api/v1/definitions" && (strings.Contains(r.body, "AGE ENCRYPTED") || !strings.Contains(r.body, "secrets/ci/db.age")) {
			t.Errorf("GET %s: %v", path, r)
		}
	}
	if strings.Contains(s.log.String()+s.out.String(), plain) {
		t.Error("the server's log holds it")
	}
	s.stop()
	filepath.WalkDir(data, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil
		}
		b, err := os.ReadFile(path)
		// What a node prints itself is its own business.
		if node := strings.HasPrefix(path, filepath.Join(data, "nodes")) && e.Name() == "log"; err == nil && bytes.Contains(b, []byte(plain)) && !node {
			t.Errorf("%s holds it", path)
		}
		return nil
	})
}

// push2 pushes a second version of the shop, which prints its secret and ends.
func (s *server) push2(t *testing.T, mark string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shop")
	if out, err := s.git("", s.token, "clone", "-q", s.url+"/git/shop.git", dir); err != nil {
		t.Fatal(out)
	}
	for name, text := range shop(`echo "my password is $DB"; sleep 0.1; exit 1`, `DB: "secret:db", MARK: "`+mark+`"`) {
		write(t, filepath.Join(dir, name), text)
	}
	for _, args := range [][]string{{"add", "."}, {"commit", "-q", "-m", "Second"}, {"push", "-q"}} {
		if out, err := s.git(dir, s.token, args...); err != nil {
			t.Fatalf("git %v: %s", args, out)
		}
	}
}
