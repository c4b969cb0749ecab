package test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"steer/api/client"
)

// bin is a folder with the programs that the tests run, built when first asked for.
var bin = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "steer-test-bin-")
	if err != nil {
		return "", err
	}
	for name, pkg := range map[string]string{"steer": "steer", "testserver": "steer/test/testserver"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return dir, fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
		}
	}
	return dir, nil
})

var built bool

func TestMain(m *testing.M) {
	code := m.Run()
	if built {
		if dir, err := bin(); err == nil {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// program is the path of steer or testserver.
func program(t *testing.T, name string) string {
	t.Helper()
	built = true
	dir, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// need fails or skips a test for want of a program, as STEER_REQUIRE_ALL says.
func need(t *testing.T, name string, elsewhere ...string) string {
	t.Helper()
	for _, n := range append([]string{name}, elsewhere...) {
		if path, err := exec.LookPath(n); err == nil {
			return path
		}
	}
	if os.Getenv("STEER_REQUIRE_ALL") != "" {
		t.Fatalf("%s is not installed, and STEER_REQUIRE_ALL is set", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// process is a steer serve as users start it.
type process struct {
	t    *testing.T
	data string
	cmd  *exec.Cmd
	log  string
	gone chan struct{}
	how  error

	url, token string
	api        *client.Client
}

// freePorts are the settings of a server that is in nobody's way.
var freePorts = []string{"listen=127.0.0.1:0", "receive.graphite.tcp=127.0.0.1:0", "receive.graphite.udp=127.0.0.1:0", "receive.statsd.udp=127.0.0.1:0"}

// serve starts a server on a data folder, waits until it is ready, and ends it
// with everything that it started when the test is over.
func serve(t *testing.T, data string, set ...string) *process {
	t.Helper()
	p := launch(t, data, set...)
	until(t, "the server is ready", func() error {
		select {
		case <-p.gone:
			t.Fatalf("the server ended: %v\n%s", p.how, p.output())
		default:
		}
		return p.ready()
	})
	return p
}

// launch starts a server and does not wait.
func launch(t *testing.T, data string, set ...string) *process {
	t.Helper()
	args := []string{"serve", "--data", data}
	for _, s := range append(append([]string(nil), freePorts...), set...) {
		args = append(args, "--set", s)
	}
	p := &process{t: t, data: data, gone: make(chan struct{})}
	file, err := os.CreateTemp(t.TempDir(), "server-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p.log = file.Name()
	os.Remove(filepath.Join(data, "server.url")) // of the start before
	p.cmd = exec.Command(program(t, "steer"), args...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	p.cmd.Env = cleanEnv()
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.how = p.cmd.Wait()
		close(p.gone)
	}()
	t.Cleanup(func() {
		p.kill()
		sweep(data)
		if t.Failed() {
			t.Logf("the server's log:\n%s", p.output())
		}
	})
	return p
}

// cleanEnv is the tests' environment without what would lead steer or Git elsewhere.
func cleanEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "STEER_") && !strings.HasPrefix(v, "GIT_") {
			env = append(env, v)
		}
	}
	return env
}

func (p *process) ready() error {
	url, err := os.ReadFile(filepath.Join(p.data, "server.url"))
	if err != nil {
		return err
	}
	token, err := os.ReadFile(filepath.Join(p.data, "admin.token"))
	if err != nil {
		return err
	}
	p.url, p.token = strings.TrimSpace(string(url)), strings.TrimSpace(string(token))
	if _, err := get(p.url + "/readyz"); err != nil {
		return err
	}
	p.api, err = client.New(p.url, p.token)
	return err
}

// kill is kill -9.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.gone
}

// stop is SIGTERM; it returns how the server ended.
func (p *process) stop() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.gone:
		return p.how
	case <-time.After(30 * time.Second):
		p.t.Fatal("the server did not end within 30 s of SIGTERM")
		return nil
	}
}

func (p *process) output() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// address is where a receiver listens, from what the server prints at its start.
func (p *process) address(name string) string {
	p.t.Helper()
	m := regexp.MustCompile(regexp.QuoteMeta(name) + `\s+(127\.0\.0\.1:\d+)`).FindStringSubmatch(p.output())
	if m == nil {
		p.t.Fatalf("the server does not say where it takes %s:\n%s", name, p.output())
	}
	return m[1]
}

// sweep ends the processes that run out of a folder: nodes outlive a server that
// is killed.
func sweep(folder string) {
	for _, pid := range running(folder) {
		if n, err := strconv.Atoi(pid); err == nil {
			syscall.Kill(n, syscall.SIGKILL)
		}
	}
}

const patience = 40 * time.Second

// waits yields until a time is over, with a short pause each time: between two
// looks, not for something to happen.
func waits(most time.Duration) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		for start := time.Now(); time.Since(start) < most; time.Sleep(20 * time.Millisecond) {
			if !yield(time.Since(start)) {
				return
			}
		}
	}
}

// until waits for a condition, or fails the test with the last reason.
func until(t *testing.T, what string, ok func() error) {
	t.Helper()
	var err error
	for range waits(patience) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("waited %s until %s: %v", patience, what, err)
}

// get is the body of a good answer.
func get(url string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status + ": " + strings.TrimSpace(string(b)))
	}
	return string(b), err
}

// running lists the processes that run out of a folder.
func running(folder string) (pids []string) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		for _, link := range []string{"exe", "cwd"} {
			if to, err := os.Readlink(filepath.Join("/proc", e.Name(), link)); err == nil && strings.HasPrefix(to, folder+"/") {
				pids = append(pids, e.Name())
				break
			}
		}
	}
	return pids
}
