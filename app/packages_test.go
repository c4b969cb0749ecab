package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// needs skips the test without these programs.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	missing := ""
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			missing = p
		}
	}
	switch {
	case missing != "" && os.Getenv("STEER_REQUIRE_ALL") != "":
		t.Fatalf("there is no %s, and STEER_REQUIRE_ALL is set", missing)
	case missing != "":
		t.Skipf("needs %s", missing)
	case os.Geteuid() != 0 && os.Getenv("STEER_REQUIRE_ALL") != "":
		t.Fatal("this is not root, and STEER_REQUIRE_ALL is set")
	case os.Geteuid() != 0:
		t.Skip("needs root, to install packages into a folder")
	}
}

const tool = `service: tool
team: web
description: Sells things
artifact:
  kind: packages
  build: echo "echo tool $STEER_VERSION" > tool.sh; chmod 755 tool.sh
  paths: [tool.sh]
  package: {architecture: all, install: {tool.sh: /usr/bin/tool, tool.conf: /etc/tool.conf}}
pipeline:
- {stage: commit, run: 'true'}
- {stage: release, publish: production, manual: true}
`

// toolchain pushes one version of tool after another.
type toolchain struct {
	s   *server
	dir string
	n   int
}

func newTool(s *server) *toolchain {
	c := &toolchain{s: s, dir: s.t.TempDir()}
	write(s.t, filepath.Join(c.dir, "steer.yaml"), tool)
	if out, err := s.git(c.dir, s.token, "init", "-q", "-b", "main"); err != nil {
		s.t.Fatal(out)
	}
	return c
}

// next makes a version, and returns when it waits for its release.
func (c *toolchain) next() (run int64) {
	t := c.s.t
	t.Helper()
	c.n++
	write(t, filepath.Join(c.dir, "tool.conf"), fmt.Sprintf("version = %d\n", c.n))
	for _, args := range [][]string{{"add", "."}, {"commit", "-q", "-m", "Next"}, {"push", "-q", c.s.url + "/git/tool.git", "main"}} {
		if out, err := c.s.git(c.dir, c.s.token, args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	c.s.within(90*time.Second, "the run waits", func() error {
		runs, err := c.s.api.Runs(t.Context(), "tool", 1)
		if err != nil || len(runs) == 0 || int(runs[0].ID) == 0 || string(runs[0].Version) != fmt.Sprintf("b%d", c.n) || runs[0].State != "waiting" {
			return fmt.Errorf("%+v %v", runs, err)
		}
		run = runs[0].ID
		return nil
	})
	return run
}

// release publishes what waits.
func (c *toolchain) release(run int64) {
	t := c.s.t
	t.Helper()
	if _, err := c.s.api.Decide(t.Context(), fmt.Sprint(run), "release", "approve", ""); err != nil {
		t.Fatal(err)
	}
	c.s.passed("tool", fmt.Sprintf("b%d", c.n))
}

// run runs a program and returns what it printed.
func run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// liar is a proxy that may change what passes.
type liar struct {
	*httptest.Server
	change atomic.Pointer[regexp.Regexp] // paths whose last byte but ten is another
}

func newLiar(t *testing.T, to string) *liar {
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{}
	p := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u) },
		ModifyResponse: func(r *http.Response) error {
			if change := l.change.Load(); change == nil || r.StatusCode != 200 || !change.MatchString(r.Request.URL.Path) {
				return nil
			}
			b, err := io.ReadAll(r.Body)
			if len(b) > 10 {
				b[len(b)/2] ^= 1
			}
			r.Body = io.NopCloser(bytes.NewReader(b))
			return err
		},
	}
	l.Server = httptest.NewServer(p)
	t.Cleanup(l.Close)
	return l
}

// aptRoot is a folder that apt-get takes for a system.
type aptRoot struct {
	t    *testing.T
	root string
}

func newAptRoot(t *testing.T, source, key, login string) *aptRoot {
	a := &aptRoot{t, t.TempDir()}
	for _, d := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "etc/apt/sources.list.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/log/apt", "var/lib/dpkg/info", "var/lib/dpkg/updates"} {
		if err := os.MkdirAll(filepath.Join(a.root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(a.root, "var/lib/dpkg/status"), "")
	write(t, filepath.Join(a.root, "etc/apt/steer.asc"), key)
	write(t, filepath.Join(a.root, "etc/apt/auth.conf"), login)
	write(t, filepath.Join(a.root, "etc/apt/sources.list"), "deb [arch=amd64 signed-by="+filepath.Join(a.root, "etc/apt/steer.asc")+"] "+source+"\n")
	return a
}

func (a *aptRoot) get(args ...string) (string, error) {
	return run("apt-get", append([]string{"-q", "-y", "-o", "Dir=" + a.root, "-o", "Dir::State::status=" + filepath.Join(a.root, "var/lib/dpkg/status"),
		"-o", "DPkg::Options::=--root=" + a.root, "-o", "DPkg::Options::=--force-not-root", "-o", "DPkg::Options::=--log=/dev/null", "-o", "APT::Sandbox::User=root",
		"-o", "APT::Architecture=amd64", "-o", "APT::Architectures::=amd64", "-o", "Acquire::Retries=0", "-o", "APT::Update::Error-Mode=any", "-o", "DPkg::Use-Pty=0", "-o", "DPkg::Install::Recursive=false"}, args...)...)
}

func (a *aptRoot) must(args ...string) {
	a.t.Helper()
	if out, err := a.get(args...); err != nil {
		a.t.Fatalf("apt-get %q: %v\n%s", args, err, out)
	}
}

func (a *aptRoot) refuses(text string, args ...string) {
	a.t.Helper()
	if out, err := a.get(args...); err == nil || !strings.Contains(out, text) {
		a.t.Errorf("apt-get %q: %v, without %q in\n%s", args, err, text, out)
	}
}

// has tells what the file of the tool says in a root.
func has(t *testing.T, root, version string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "usr/bin/tool"))
	if version == "" {
		if err == nil {
			t.Errorf("the tool is there: %s", b)
		}
	} else if string(b) != "echo tool "+version+"\n" {
		t.Errorf("the tool is %q (%v), want %s", b, err, version)
	}
}

// dnfRoot is a folder that dnf takes for a system.
type dnfRoot struct {
	t            *testing.T
	root, config string
}

func newDnfRoot(t *testing.T, source, key, token string) *dnfRoot {
	d := &dnfRoot{t: t, root: t.TempDir()}
	d.config = filepath.Join(d.root, "etc/dnf.conf")
	write(t, filepath.Join(d.root, "etc/steer.asc"), key)
	write(t, d.config, fmt.Sprintf("[main]\nreposdir=/none\ncachedir=%s\nlogdir=%[1]s\npersistdir=%[1]s\nkeepcache=0\nplugins=0\nretries=1\nmetadata_expire=0\ninstall_weak_deps=0\n"+
		"[steer]\nname=steer\nbaseurl=%s\nenabled=1\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://%s\nusername=host\npassword=%s\n",
		filepath.Join(d.root, "var/cache"), source, filepath.Join(d.root, "etc/steer.asc"), token))
	return d
}

func (d *dnfRoot) dnf(args ...string) (string, error) {
	return run("dnf", append([]string{"-y", "-c", d.config, "--installroot=" + d.root, "--releasever=1", "--forcearch=x86_64"}, args...)...)
}

func (d *dnfRoot) must(args ...string) {
	d.t.Helper()
	if out, err := d.dnf(args...); err != nil {
		d.t.Fatalf("dnf %q: %v\n%s", args, err, out)
	}
}

func TestHostsInstallPackages(t *testing.T) {
	t.Parallel()
	needs(t, "apt-get", "dpkg", "dnf", "rpm")
	data := t.TempDir()
	s := start(t, data, "access.anonymous=false")
	s.define(map[string]string{"environments.yaml": places["environments.yaml"], "services.yaml": "tool: {}\nshop: {}\n", "teams.yaml": "web: {}\n"})
	token := s.give("hosts", "viewer")
	host := s.as(token)
	get := func(path string) string {
		t.Helper()
		r := host.do("GET", path, nil)
		if r.code != 200 {
			t.Fatalf("%s: %v", path, r)
		}
		return r.body
	}
	if r := s.as("").do("GET", "/debian/dists/all/InRelease", nil); r.code != 401 || r.header.Get("WWW-Authenticate") == "" {
		t.Errorf("a stranger: %v", r)
	}
	if r := host.do("GET", "/rpm/nowhere/repodata/repomd.xml", nil); r.code != 404 || !strings.Contains(r.body, "all, ci, production") {
		t.Errorf("no such suite: %v", r)
	}
	if i, err := os.Stat(filepath.Join(data, "package.key")); err == nil && i.Mode().Perm() != 0o600 {
		t.Errorf("key: %v", i.Mode())
	}

	proxy := newLiar(t, s.url)
	key := get("/debian/steer.asc")
	apt := newAptRoot(t, proxy.URL+"/debian production main", key, "machine "+proxy.URL+" login host password "+token+"\n")
	dnf := newDnfRoot(t, proxy.URL+"/rpm/production", key, token)
	c := newTool(s)

	one := c.next()
	if p := get("/debian/dists/all/main/binary-amd64/Packages"); !strings.Contains(p, "Package: tool\nVersion: 0.1\n") {
		t.Errorf("all: %s", p)
	}
	apt.must("update")
	apt.refuses("Unable to locate package", "install", "tool")
	before := get("/rpm/production/repodata/repomd.xml")
	c.release(one)

	// A client that read the list of index files before finds them all.
	for _, m := range regexp.MustCompile(`href="(repodata/[^"]+)"`).FindAllStringSubmatch(before, -1) {
		get("/rpm/production/" + m[1])
	}

	proxy.change.Store(regexp.MustCompile(`InRelease$`))
	apt.refuses("invalid", "update")
	proxy.change.Store(regexp.MustCompile(`/Packages|by-hash`))
	apt.refuses("Hash Sum mismatch", "update")
	proxy.change.Store(nil)
	apt.must("update")
	proxy.change.Store(regexp.MustCompile(`\.(deb|rpm)$`))
	apt.refuses("Hash Sum mismatch", "install", "tool")
	if out, err := dnf.dnf("install", "tool"); err == nil {
		t.Errorf("dnf installs a changed package:\n%s", out)
	}
	has(t, apt.root, "")
	has(t, dnf.root, "")
	proxy.change.Store(regexp.MustCompile(`repomd\.xml$`))
	if out, err := dnf.dnf("--refresh", "makecache"); err == nil {
		t.Errorf("dnf reads a changed index:\n%s", out)
	}
	proxy.change.Store(nil)
	apt.must("install", "tool")
	dnf.must("install", "tool")
	has(t, apt.root, "b1")
	has(t, dnf.root, "b1")

	write(t, filepath.Join(apt.root, "etc/tool.conf"), "mine\n")
	write(t, filepath.Join(dnf.root, "etc/tool.conf"), "mine\n")
	c.release(c.next())
	apt.must("update")
	apt.must("-o", "DPkg::Options::=--force-confold", "upgrade")
	dnf.must("upgrade")
	for _, root := range []string{apt.root, dnf.root} {
		has(t, root, "b2")
		if b, err := os.ReadFile(filepath.Join(root, "etc/tool.conf")); string(b) != "mine\n" {
			t.Errorf("the configuration is %q %v", b, err)
		}
	}

	// What is pinned is offered no longer, and can be had by its file.
	if err := s.api.Do(t.Context(), "POST", "/api/v1/pins", map[string]string{"service": "tool", "version": "b2"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, suite := range []string{"all", "production"} {
		if p := get("/debian/dists/" + suite + "/main/binary-arm64/Packages"); strings.Contains(p, "0.2") || !strings.Contains(p, "Version: 0.1\n") {
			t.Errorf("after the pin, %s: %s", suite, p)
		}
	}
	deb, rpm := filepath.Join(t.TempDir(), "x.deb"), filepath.Join(t.TempDir(), "x.rpm")
	write(t, deb, get("/debian/pool/main/tool/b2/tool_0.2_all.deb"))
	if out, err := run("dpkg-deb", "-I", deb); err != nil || !strings.Contains(out, "Description: Sells things") {
		t.Errorf("dpkg-deb: %v\n%s", err, out)
	}
	// The root knows the key since dnf took it.
	write(t, rpm, get("/rpm/all/pool/tool/b2/tool-0.2-1.noarch.rpm"))
	if out, err := run("rpm", "--root", dnf.root, "-K", "-v", rpm); err != nil || !regexp.MustCompile(`RSA/SHA256 Signature, key ID \w+: OK`).MatchString(out) {
		t.Errorf("rpm -K: %v\n%s", err, out)
	}
}

// A version comes into an environment's suite by its deploy, and leaves it when somebody
// goes back to an earlier one; nodes run the same artifact.
func TestSuiteFollowsDeploys(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.define(places)
	dir := t.TempDir()
	if out, err := s.git(dir, s.token, "init", "-q", "-b", "main"); err != nil {
		t.Fatal(out)
	}
	in := func(suite string) string {
		t.Helper()
		r := s.as("").do("GET", "/debian/dists/"+suite+"/main/binary-amd64/Packages", nil)
		if r.code != 200 {
			t.Fatal(r)
		}
		return strings.Join(regexp.MustCompile(`Version: .*`).FindAllString(r.body, -1), ", ")
	}
	deploy := func(version string) {
		t.Helper()
		d, err := s.api.Deploy(t.Context(), "shop", "ci", version, "", false)
		if err != nil {
			t.Fatal(err)
		}
		if d = s.deployed(d); d.State != "passed" {
			t.Fatalf("%+v", d)
		}
	}
	for n := 1; n <= 2; n++ {
		files := shop(fmt.Sprintf("exec sleep 60%d", n), "")
		files["steer.yaml"] = strings.Replace(files["steer.yaml"], "artifact: {", "artifact: {kind: deb, ", 1)
		for name, text := range files {
			write(t, filepath.Join(dir, name), text)
		}
		for _, args := range [][]string{{"add", "."}, {"commit", "-q", "-m", "Next"}, {"push", "-q", s.url + "/git/shop.git", "main"}} {
			if out, err := s.git(dir, s.token, args...); err != nil {
				t.Fatalf("git %v: %v\n%s", args, err, out)
			}
		}
		version := fmt.Sprintf("b%d", n)
		s.passed("shop", version)
		if got := in("ci"); strings.Contains(got, fmt.Sprintf("0.%d", n)) {
			t.Errorf("before the deploy ci has %s", got)
		}
		deploy(version)
	}
	if ci, production := in("ci"), in("production"); ci != "Version: 0.1, Version: 0.2" || production != "" {
		t.Errorf("ci has %q, production %q", ci, production)
	}
	deploy("b1")
	if ci, all := in("ci"), in("all"); ci != "Version: 0.1" || all != "Version: 0.1, Version: 0.2" {
		t.Errorf("after going back, ci has %q, all %q", ci, all)
	}
}

func TestFetchArtifact(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	s.define(places)
	s.push("shop", shop("exec sleep 600", ""))
	s.passed("shop", "b1")
	who := s.as(s.give("vera", "viewer"))
	var a struct {
		Version string
		Files   []struct{ Name, Kind, Digest string }
	}
	who.do("GET", "/api/v1/artifacts/shop/latest", nil).json(t, &a)
	if a.Version != "b1" || len(a.Files) != 2 || a.Files[0].Name != "shop.sh" || a.Files[1].Name != "shop-b1.tar.gz" {
		t.Fatalf("%+v", a)
	}
	r := who.do("GET", "/api/v1/artifacts/shop/b1/shop.sh", nil)
	if r.body != "exec sleep 600\n" || r.header.Get("ETag") != `"`+a.Files[0].Digest+`"` || !strings.HasPrefix(r.header.Get("Repr-Digest"), "sha-256=:") {
		t.Errorf("%v %v", r, r.header)
	}
	if r := who.with("Range", "bytes=5-9").do("GET", "/api/v1/artifacts/shop/b1/shop.sh", nil); r.code != 206 || r.body != "sleep" {
		t.Errorf("a part: %v", r)
	}
	for path, code := range map[string]int{"shop/b9": 404, "shop/b1/none": 404, "nothing/b1": 404, "shop/..%2f": 422} {
		if r := who.do("GET", "/api/v1/artifacts/"+path, nil); r.code != code && r.code != 400 {
			t.Errorf("%s: %v, want %d", path, r, code)
		}
	}
	if r := s.as("").do("GET", "/api/v1/artifacts/shop/b1/shop.sh", nil); r.code != 401 {
		t.Errorf("a stranger: %v", r)
	}
}
