package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/api/client"
	"steer/app"
	"steer/cli"
	"steer/deliver/deploy/hosts"
	"steer/infra/host"
)

// The test program is Git's hook too, and what hosts run; its version is its size.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "hook" {
		if app.Hook(context.Background(), os.Stdin, os.Stderr) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	if len(os.Args) > 1 && (os.Args[1] == "agent" || os.Args[1] == host.Command || os.Args[1] == hosts.Command || os.Args[1] == cli.GuardCommand) {
		i, _ := os.Stat("/proc/self/exe")
		os.Exit(cli.Main(context.Background(), cli.Program{Version: fmt.Sprint(i.Size()), Infra: app.Infra(),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Env: os.Getenv}, os.Args[1:]))
	}
	os.Exit(m.Run())
}

// server is a whole Steer inside of the test.
type server struct {
	t     *testing.T
	data  string
	url   string
	token string // of admin
	log   *buffer
	out   *buffer
	end   context.CancelFunc
	ended chan error
	api   *client.Client
}

// buffer collects what several write.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// free are settings that are in nobody's way.
var free = []string{
	"listen=127.0.0.1:0", "receive.graphite.tcp=127.0.0.1:0", "receive.graphite.udp=127.0.0.1:0", "receive.statsd.udp=127.0.0.1:0", "agent.enabled=false",
}

func options(t *testing.T, data string, set ...string) app.Options {
	t.Helper()
	config, err := app.Load(app.Args{Data: data, Set: append(append([]string{}, free...), set...)})
	if err != nil {
		t.Fatal(err)
	}
	return app.Options{Config: config, Data: data, Version: "test", Hook: []string{os.Args[0], "hook"}}
}

// start starts a server and ends it with the test.
func start(t *testing.T, data string, set ...string) *server {
	t.Helper()
	o := options(t, data, set...)
	s := &server{t: t, data: data, log: &buffer{}, out: &buffer{}, ended: make(chan error, 1)}
	o.Log, o.Out = slog.New(slog.NewTextHandler(s.log, nil)), s.out
	a, err := app.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.end, s.url = cancel, a.URL()
	go func() { s.ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		s.stop()
		if t.Failed() {
			t.Logf("log of the server:\n%s", s.log)
		}
	})
	s.until("the server is ready", func() error {
		if r := s.as("").do("GET", "/readyz", nil); r.code != 200 {
			return r
		}
		return nil
	})
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	s.token = strings.TrimSpace(string(token))
	if s.api, err = client.New(s.url, s.token); err != nil {
		t.Fatal(err)
	}
	return s
}

// stop ends the server; it must end in good order and soon.
func (s *server) stop() {
	s.t.Helper()
	if s.end == nil {
		return
	}
	s.end()
	s.end = nil
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("the server ended with: %v", err)
		}
	case <-time.After(20 * time.Second):
		b := make([]byte, 1<<20)
		s.t.Fatalf("the server did not end:\n%s", b[:runtime.Stack(b, true)])
	}
}

func (s *server) until(what string, ok func() error) {
	s.t.Helper()
	s.within(30*time.Second, what, ok)
}

func (s *server) within(patience time.Duration, what string, ok func() error) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("waited until %s: %v", what, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// someone sends requests in one way.
type someone struct {
	s      *server
	header http.Header
	host   string
}

// as is who shows a token as bearer; "" shows none.
func (s *server) as(token string) *someone {
	p := &someone{s: s, header: http.Header{}}
	if token != "" {
		p.header.Set("Authorization", "Bearer "+token)
	}
	return p
}

func (p *someone) with(key, value string) *someone {
	q := &someone{p.s, p.header.Clone(), p.host}
	if q.header.Set(key, value); key == "Host" {
		q.host = value
	}
	return q
}

// answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (a answer) Error() string { return fmt.Sprintf("%d %s", a.code, a.body) }

// json reads the answer into out.
func (a answer) json(t *testing.T, out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), out); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
}

func (p *someone) request(ctx context.Context, method, path string, body any) *http.Request {
	p.s.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case io.Reader:
		in = b
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			p.s.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, p.s.url+path, in)
	if err != nil {
		p.s.t.Fatal(err)
	}
	r.Header = p.header.Clone()
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if p.host != "" {
		r.Host = p.host
	}
	return r
}

// plain sends requests as they are: no cookies, redirects or kept connections.
func plain() *http.Client {
	return &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func (p *someone) do(method, path string, body any) answer {
	p.s.t.Helper()
	res, err := plain().Do(p.request(p.s.t.Context(), method, path, body))
	if err != nil {
		return answer{body: err.Error()}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{body: err.Error()}
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// give makes a token.
func (s *server) give(name, role string, environments ...string) string {
	s.t.Helper()
	made, err := s.api.CreateToken(s.t.Context(), name, role, environments)
	if err != nil {
		s.t.Fatal(err)
	}
	return made.Token
}

// git runs Git with a token as password, as people do.
func (s *server) git(dir, token string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	if token != "" {
		cmd.Env = append(cmd.Env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http."+s.url+"/.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Bearer "+token)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// define changes the definitions as admin.
func (s *server) define(files map[string]string) {
	s.t.Helper()
	if r := s.as(s.token).do("POST", "/api/v1/definitions", map[string]any{"base": "", "message": "for a test", "files": files}); r.code != 200 {
		s.t.Fatal(r)
	}
}

// push makes a commit with these files and pushes it as admin.
func (s *server) push(service string, files map[string]string) {
	s.t.Helper()
	dir := s.t.TempDir()
	for name, text := range files {
		write(s.t, filepath.Join(dir, name), text)
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-q", "-m", "First"}, {"push", "-q", s.url + "/git/" + service + ".git", "main"},
	} {
		if out, err := s.git(dir, s.token, args...); err != nil {
			s.t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
}

// passed waits until a version of a service is built.
func (s *server) passed(service, version string) client.Run {
	s.t.Helper()
	var run client.Run
	s.until("the run of "+service+" is over", func() error {
		runs, err := s.api.Runs(s.t.Context(), service, 1)
		if err != nil || len(runs) == 0 {
			return fmt.Errorf("%v %v", runs, err)
		}
		if run = runs[0]; run.Finished == nil || string(run.Version) != version {
			return fmt.Errorf("it is %s", run.State)
		}
		return nil
	})
	if run.State != "passed" {
		s.t.Fatalf("run %d %s: %s", run.ID, run.State, run.Reason)
	}
	return run
}

// deployed waits for the end of a deploy.
func (s *server) deployed(d client.Deploy) client.Deploy {
	s.t.Helper()
	s.until("the deploy is over", func() (err error) {
		if d, err = s.api.DeployByID(s.t.Context(), d.ID); err == nil && d.Finished == nil {
			err = fmt.Errorf("it is %s at %s", d.State, d.Step)
		}
		return err
	})
	return d
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// two environments with one node of the shop each.
var places = map[string]string{
	"environments.yaml": "ci:\n  nodes:\n  - services: [shop]\n    number: 1\nproduction:\n  nodes:\n  - services: [shop]\n    number: 1\n",
	"services.yaml":     "shop: {}\n",
	"teams.yaml":        "{}\n",
}

// shop is a service without ports: its process is all there is to it.
func shop(command string, env string) map[string]string {
	return map[string]string{
		"steer.yaml": "service: shop\nartifact: {build: 'true', paths: [shop.sh]}\nrun:\n  command: sh shop.sh\n  env: {" + env + "}\n  grace: 1s\npipeline:\n- {stage: commit, run: 'echo tested; true'}\n",
		"shop.sh":    command + "\n",
	}
}
