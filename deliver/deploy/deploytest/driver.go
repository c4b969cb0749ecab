// Package deploytest has the tests that every driver passes.
package deploytest

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/id"
	"steer/deliver/deploy"
)

//go:embed node.go.txt
var source []byte

// Program is a static program that is a node: of its own environment, or with
// arguments a task.
var Program = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "steer-node-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "node.go"), source, 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "build", "-o", "node", "node.go")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GO111MODULE=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.New("go build: " + string(out))
	}
	return os.ReadFile(filepath.Join(dir, "node"))
})

// Archive is an artifact that holds the program as "node".
func Archive() ([]byte, error) {
	program, err := Program()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	out := tar.NewWriter(zip)
	err = out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "node", Mode: 0o755, Size: int64(len(program))})
	if err == nil {
		_, err = out.Write(program)
	}
	err = errors.Join(err, out.Close(), zip.Close())
	return b.Bytes(), err
}

// Password is the only secret there is: PASSWORD in every environment.
const Password = "secret of test"

// Secret is what drivers under test are given.
func Secret(_ id.Environment, name string) (string, error) {
	if name != "PASSWORD" {
		return "", errors.New("secret " + name + " is not there")
	}
	return Password, nil
}

// Spec is a node of the program.
func Spec(node string) deploy.Spec {
	return deploy.Spec{ID: node, Environment: "test", Service: "shop", Version: "b1", Digest: "sha256:" + strings.Repeat("1", 64), Index: 1,
		Command: "./node", Ports: []string{"http"}, Inside: map[string]int{"http": 8080}, Grace: 5 * time.Second, Created: time.Now(),
		Env: map[string]string{"STEER_VERSION": "b1", "VALUE": "secret:PASSWORD"}}
}

// Life is a driver while it runs.
type Life struct {
	deploy.Driver
	Run   func(context.Context) error // as that of the drivers
	Close func() error                // lets go of the nodes, as kill -9 of Steer does
	Far   bool                        // nodes are elsewhere: they have no PID here, and an orderly stop of Steer leaves them
}

// Until waits for a condition.
func Until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("not within 90 s: " + what)
}

// Ask returns what a node answers, "" if nothing.
func Ask(i deploy.Instance, path string) string {
	r, err := http.Get("http://" + i.Address["http"] + path)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

// Driver tests a driver. open opens it on a folder; it is called again for the
// next start of Steer on the same one.
func Driver(t *testing.T, open func(t *testing.T, dir string) Life) {
	begin := func(t *testing.T, dir string) (l Life, stop func()) {
		l = open(t, dir)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		stop = sync.OnceFunc(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		t.Cleanup(stop)
		return l, stop
	}
	start := func(t *testing.T, l Life, s deploy.Spec) {
		t.Helper()
		if _, err := l.Start(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	one := func(t *testing.T, l Life) deploy.Instance {
		t.Helper()
		all, err := l.List(t.Context())
		if err != nil || len(all) != 1 {
			t.Fatalf("%v %v, want one node", all, err)
		}
		return all[0]
	}
	answers := func(t *testing.T, l Life) {
		t.Helper()
		Until(t, "answer", func() bool { return Ask(one(t, l), "/") == Password })
	}
	logs := func(t *testing.T, l Life, node string, lines int) string {
		t.Helper()
		r, err := l.Logs(t.Context(), node, lines, false)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		b, _ := io.ReadAll(r)
		return string(b)
	}

	t.Run("a node runs, is started again, and stops", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		l, _ := begin(t, dir)
		start(t, l, Spec("n1"))
		start(t, l, Spec("n1"))
		answers(t, l)
		before := one(t, l)
		if !before.Running || before.PID == 0 && !l.Far || before.Started.IsZero() || before.Numbers["http"] == 0 {
			t.Fatalf("%+v", before)
		}
		r, err := l.Logs(t.Context(), "n1", 1, true)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		follow := bufio.NewReader(r)
		expect := func(want string) {
			t.Helper()
			if got, err := follow.ReadString('\n'); got != want {
				t.Fatalf("%q %v, want %q", got, err, want)
			}
		}
		expect("node starts, version b1\n")
		Ask(before, "/die")
		Until(t, "restart", func() bool { n := one(t, l); return n.Restarts == 1 && n.Running && Ask(n, "/") == Password })
		if n := one(t, l); n.LastExit != "exit status 7" || n.PID == before.PID && !l.Far {
			t.Fatalf("%+v", n)
		}
		expect("node starts, version b1\n")
		Ask(one(t, l), "/say?what=hello")
		expect("hello\n")
		if got := logs(t, l, "n1", 2); got != "node starts, version b1\nhello\n" {
			t.Fatalf("%q", got)
		}
		if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				if b, _ := os.ReadFile(path); bytes.Contains(b, []byte(Password)) {
					t.Errorf("the secret is in %s", path)
				}
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		at := one(t, l)
		if err := l.Stop(t.Context(), "n1"); err != nil {
			t.Fatal(err)
		}
		if all, _ := l.List(t.Context()); len(all) != 0 || Ask(at, "/") != "" {
			t.Fatal("still there")
		}
		if got := logs(t, l, "n1", 2); got != "hello\nnode ends\n" {
			t.Fatalf("%q", got)
		}
		if err := l.Stop(t.Context(), "n1"); err != nil {
			t.Fatal("a second stop: ", err)
		}
	})

	t.Run("a stubborn node is killed", func(t *testing.T) {
		t.Parallel()
		l, _ := begin(t, t.TempDir())
		s := Spec("n1")
		s.Grace, s.Env["STUBBORN"] = 50*time.Millisecond, "yes"
		start(t, l, s)
		answers(t, l)
		at := one(t, l)
		if err := l.Stop(t.Context(), "n1"); err != nil {
			t.Fatal(err)
		}
		if Ask(at, "/") != "" {
			t.Fatal("still there")
		}
	})

	t.Run("an orderly stop ends nodes, and the next start brings them back", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		l, stop := begin(t, dir)
		start(t, l, Spec("n1"))
		answers(t, l)
		at := one(t, l)
		if stop(); (Ask(at, "/") != "") != l.Far {
			t.Fatalf("the node runs on or not: %+v", at)
		}
		next, _ := begin(t, dir)
		answers(t, next)
		if l.Far {
			return
		}
		if n := one(t, next); n.LastExit != deploy.StoppedWithSteer || n.Restarts != 0 {
			t.Fatalf("%+v", n)
		}
		if got := logs(t, next, "n1", 2); got != "node ends\nnode starts, version b1\n" {
			t.Fatalf("%q", got)
		}
	})

	t.Run("nodes are adopted by the next Steer", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		first := open(t, dir)
		start(t, first, Spec("n1"))
		answers(t, first)
		before := one(t, first)
		first.Close()
		if Ask(before, "/") != Password {
			t.Fatal("the node ended with Steer")
		}
		next, _ := begin(t, dir)
		answers(t, next)
		Until(t, "it to be seen", func() bool { n := one(t, next); return n.Running && n.Unsure == "" })
		if n := one(t, next); n.PID != before.PID || n.Restarts != 0 || n.Address["http"] != before.Address["http"] {
			t.Fatalf("%+v, before %+v", n, before)
		}
	})

	t.Run("a missing secret is told, and nothing starts", func(t *testing.T) {
		t.Parallel()
		l, _ := begin(t, t.TempDir())
		s := Spec("n1")
		s.Env["VALUE"] = "secret:OTHER"
		start(t, l, s)
		Until(t, "reason", func() bool {
			n := one(t, l)
			return !n.Running && n.Started.IsZero() && strings.Contains(n.LastExit, "variable VALUE of shop in test: secret OTHER is not there")
		})
	})

	t.Run("tasks", func(t *testing.T) {
		t.Parallel()
		l, _ := begin(t, t.TempDir())
		s := Spec("task")
		s.Ports, s.Grace, s.Command = nil, time.Second, "./node 0 a"
		var out bytes.Buffer
		if err := l.Task(t.Context(), s, &out); err != nil || out.String() != "task [0 a] "+Password+"\n" {
			t.Fatalf("%v %q", err, out.String())
		}
		out.Reset()
		s.Command = "./node 3"
		if err := l.Task(t.Context(), s, &out); err == nil || err.Error() != "exit status 3" || out.String() != "task [3] "+Password+"\n" {
			t.Fatalf("%v %q", err, out.String())
		}
		s.Command = "./node wait"
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		err := l.Task(ctx, s, writer(func(b []byte) { cancel() }))
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if all, _ := l.List(t.Context()); len(all) != 0 {
			t.Fatalf("a task is no node: %+v", all)
		}
	})

	t.Run("ids that are no names are refused", func(t *testing.T) {
		t.Parallel()
		l, _ := begin(t, t.TempDir())
		for _, bad := range []string{"", "..", "a/b", ".x"} {
			s := Spec(bad)
			if _, err := l.Start(t.Context(), s); err == nil {
				t.Errorf("node %q was started", bad)
			}
		}
		for _, bad := range []string{"", "../x", "nobody"} {
			if _, err := l.Logs(t.Context(), bad, 1, false); err == nil {
				t.Errorf("logs of node %q", bad)
			}
		}
	})
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) {
	w(b)
	return len(b), nil
}
