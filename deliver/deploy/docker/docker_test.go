package docker

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
	"steer/deliver/deploy/deploytest"
)

// need skips a test where no engine answers.
func need(t *testing.T) {
	t.Helper()
	e, err := newEngine("")
	if err == nil {
		err = e.call(t.Context(), "GET", "/version", nil, nil, nil)
	}
	if err != nil && os.Getenv("STEER_REQUIRE_ALL") != "" {
		t.Fatalf("%v, and STEER_REQUIRE_ALL is set", err)
	}
	if err != nil {
		t.Skip(err)
	}
}

// open opens a driver, and at the end of the test removes all that it made.
func open(t *testing.T, dir, instance string) *Driver {
	t.Helper()
	archive, err := deploytest.Archive()
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{
		Dir: dir, Instance: instance, Secret: deploytest.Secret, Log: slog.New(slog.DiscardHandler),
		Archive: func(context.Context, string) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(archive)), nil
		},
		Image: func(context.Context, string) (string, []string, func(io.Writer, string, int) error, error) {
			return "", nil, nil, fault.New(fault.NotFound, "no image")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		d.mu.Lock()
		d.nodes = map[string]*node{}
		d.mu.Unlock()
		if err := d.orphans(context.Background()); err != nil {
			t.Error(err)
		}
		if err := d.forget(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestDriver(t *testing.T) {
	need(t)
	var instances sync.Map // by folder
	deploytest.Driver(t, func(t *testing.T, dir string) deploytest.Life {
		instance, _ := instances.LoadOrStore(dir, id.New())
		d := open(t, dir, instance.(string))
		return deploytest.Life{Driver: d, Run: d.Run, Close: d.Close}
	})
}

func run(t *testing.T, d *Driver) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func one(t *testing.T, d *Driver) deploy.Instance {
	t.Helper()
	l, err := d.List(t.Context())
	if err != nil || len(l) != 1 {
		t.Fatalf("%v %v, want one node", l, err)
	}
	return l[0]
}

func TestContainersThatOthersEndComeBack(t *testing.T) {
	need(t)
	t.Parallel()
	d := open(t, t.TempDir(), id.New())
	run(t, d)
	if _, err := d.Start(t.Context(), deploytest.Spec("n1")); err != nil {
		t.Fatal(err)
	}
	up := func() bool { n := one(t, d); return n.Running && deploytest.Ask(n, "/") == deploytest.Password }
	deploytest.Until(t, "answer", up)
	for _, c := range []struct {
		method, path string
		exit         []string // it depends on when the driver looks
	}{
		{"POST", "/kill", []string{"exit status 137 (killed)"}},
		{"DELETE", "?force=1", []string{"exit status 137 (killed)", "its container was removed"}},
		{"POST", "/restart?t=1", []string{"exit status 0", "restarted, and not by Steer"}},
	} {
		before := one(t, d)
		path, query, _ := strings.Cut(c.path, "?")
		q, _ := url.ParseQuery(query)
		if err := d.engine.call(t.Context(), c.method, "/containers/"+d.name("n1")+path, q, nil, nil); err != nil {
			t.Fatal(err)
		}
		deploytest.Until(t, "it came back after "+c.path, func() bool { return one(t, d).Restarts > before.Restarts && up() })
		n := one(t, d)
		if n.Restarts != before.Restarts+1 {
			t.Errorf("%s: %d restarts, want %d", c.path, n.Restarts, before.Restarts+1)
		}
		if !slices.Contains(c.exit, n.LastExit) {
			t.Errorf("%s: last exit %q, want one of %q", c.path, n.LastExit, c.exit)
		}
	}
}

func TestWhatNobodyNeedsIsRemoved(t *testing.T) {
	need(t)
	t.Parallel()
	d := open(t, t.TempDir(), id.New())
	s := deploytest.Spec("n1")
	i, release, err := d.image(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	// A Steer that died after it made these, and one of somebody else.
	if err := d.create(t.Context(), s, i); err != nil {
		t.Fatal(err)
	}
	other := open(t, t.TempDir(), id.New())
	j, keep, err := other.image(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer keep()
	if i.shell || i.user != "" {
		t.Errorf("%+v: an empty image has no shell", i)
	}
	if err := d.forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there, err := d.look(t.Context(), i.ref); there == nil || err != nil {
		t.Fatal("an image was removed that is about to be used", err)
	}
	release()
	if err := d.orphans(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := d.inspect(t.Context(), d.name("n1")); c != nil || err != nil {
		t.Fatal("the orphan is there", err)
	}
	if err := d.forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there, err := d.look(t.Context(), i.ref); there != nil || err != nil {
		t.Fatal("the image is there", err)
	}
	if there, err := d.look(t.Context(), j.ref); there == nil || err != nil {
		t.Fatal("the image of another Steer is gone", err)
	}
}

func TestLimitsAndRights(t *testing.T) {
	need(t)
	t.Parallel()
	d := open(t, t.TempDir(), id.New())
	s := deploytest.Spec("n1")
	s.Limits.Memory, s.Limits.CPUs, s.Limits.PIDs, s.User, s.ReadOnly = "64m", 0.5, 50, "1234:1234", true
	i, release, err := d.image(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if err := d.create(t.Context(), s, i); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Config struct {
			User   string
			Labels map[string]string
		}
		HostConfig struct {
			Memory, NanoCpus, PidsLimit int64
			ReadonlyRootfs              bool
			PortBindings                map[string][]struct{ HostIp string }
		}
	}
	if err := d.engine.call(t.Context(), "GET", "/containers/"+d.name("n1")+"/json", nil, nil, &got); err != nil {
		t.Fatal(err)
	}
	h := got.HostConfig
	if h.Memory != 64<<20 || h.NanoCpus != 5e8 || h.PidsLimit != 50 || !h.ReadonlyRootfs || got.Config.User != "1234:1234" || h.PortBindings["8080/tcp"][0].HostIp != "127.0.0.1" {
		t.Errorf("%+v", got)
	}
	for k, v := range got.Config.Labels {
		if strings.Contains(v, deploytest.Password) {
			t.Errorf("the secret is in label %s", k)
		}
	}
}

// A base is any image that the engine has; here one whose shell is the test's own
// program, which says what it was asked to run.
func TestArchiveInAnImageWithAShell(t *testing.T) {
	need(t)
	t.Parallel()
	d := open(t, t.TempDir(), id.New())
	program, err := deploytest.Program()
	if err != nil {
		t.Fatal(err)
	}
	base := "steer-test-base-" + strings.ToLower(id.New())
	if err := d.stream(t.Context(), "POST", "/images/create", values("fromSrc", "-", "repo", base, "tag", "1"), func(w io.Writer) error {
		out := tar.NewWriter(w)
		if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "bin/sh", Mode: 0o755, Size: int64(len(program))}); err != nil {
			return err
		}
		_, err := out.Write(program)
		return errors.Join(err, out.Close())
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.engine.call(context.Background(), "DELETE", "/images/"+base+":1", nil, nil, nil) })
	s := deploytest.Spec("task")
	s.Ports, s.Image, s.Command = nil, base+":1", "./node && echo"
	var out bytes.Buffer
	if err := d.Task(t.Context(), s, &out); err != nil || out.String() != "task [-c ./node && echo] "+deploytest.Password+"\n" {
		t.Fatalf("%v %q", err, out.String())
	}
	s.Image = "127.0.0.1:1/nobody/has:this"
	if err := d.Task(t.Context(), s, &out); err == nil || !strings.Contains(err.Error(), "fetch 127.0.0.1:1/nobody/has:this, which environments.yaml names: the Docker engine says:") {
		t.Fatal(err)
	}
	s.Image, s.Kind = "", "deb" // packages come with an archive
	if err := d.Task(t.Context(), s, &out); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "needs a shell, and the image has none") {
		t.Fatal(err)
	}
}

// door is an engine that can be away.
type door struct {
	t    *testing.T
	file string
	http *http.Server
}

func (o *door) open() {
	o.t.Helper()
	l, err := net.Listen("unix", o.file)
	if err != nil {
		o.t.Fatal(err)
	}
	e, err := newEngine("")
	if err != nil {
		o.t.Fatal(err)
	}
	o.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, err := e.open(r.Context(), r.Method, r.URL.EscapedPath(), r.URL.Query(), r.Body, r.Header.Get("Content-Type"))
		if err != nil {
			http.Error(w, `{"message":"`+strings.ReplaceAll(err.Error(), `"`, "'")+`"}`, fault.Of(err).Status())
			return
		}
		defer answer.Body.Close()
		io.Copy(w, answer.Body)
	})}
	go o.http.Serve(l)
}

func TestEngineAway(t *testing.T) {
	need(t)
	t.Parallel()
	o := &door{t: t, file: filepath.Join(t.TempDir(), "sock")}
	o.open()
	t.Cleanup(func() { o.http.Close() })
	d := open(t, t.TempDir(), id.New())
	var err error
	if d.engine, err = newEngine("unix://" + o.file); err != nil {
		t.Fatal(err)
	}
	run(t, d)
	if _, err := d.Start(t.Context(), deploytest.Spec("n1")); err != nil {
		t.Fatal(err)
	}
	deploytest.Until(t, "answer", func() bool { return deploytest.Ask(one(t, d), "/") != "" })
	before := one(t, d)
	o.http.Close()
	deploytest.Until(t, "it is noticed", func() bool { return one(t, d).Unsure != "" })
	n := one(t, d)
	if !n.Running || n.Restarts != 0 || n.LastExit != "" || !strings.Contains(n.Unsure, "unix://"+o.file+" does not answer") {
		t.Fatalf("%+v", n)
	}
	_, err = d.Start(t.Context(), deploytest.Spec("n2"))
	if fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "is it running?") {
		t.Fatal(err)
	}
	if err := d.Stop(t.Context(), "nobody"); err != nil {
		t.Fatal(err)
	}
	o.open()
	deploytest.Until(t, "it is well again", func() bool { return one(t, d).Unsure == "" })
	if n := one(t, d); n.PID != before.PID || n.Restarts != 0 {
		t.Fatalf("%+v", n)
	}
}

func TestArgv(t *testing.T) {
	env := []string{"PORT=8080", "NAME=a b"}
	for _, c := range []struct {
		shell         bool
		command, want string
	}{
		{false, "", ""},
		{false, "./shop", "./shop"},
		{false, "exec ./shop -p $PORT ${NAME}", "./shop|-p|8080|a b"},
		{false, "./shop && echo", "has none"},
		{false, "A=b ./shop", "has none"},
		{true, "./shop -p $PORT", "/bin/sh|-c|exec ./shop -p $PORT"},
		{true, "cd x && ./shop", "/bin/sh|-c|cd x && ./shop"},
	} {
		words, err := image{shell: c.shell}.argv(c.command, env)
		got := strings.Join(words, "|")
		if err != nil {
			got = err.Error()
		}
		if got != c.want && (err == nil || !strings.Contains(got, c.want)) {
			t.Errorf("%q with shell %v: %q, want %q", c.command, c.shell, got, c.want)
		}
	}
}

func TestEngineAddress(t *testing.T) {
	for at, want := range map[string]string{
		"unix:///x": "", "tcp://127.0.0.1:2375": "", "ssh://h": "write unix:///PATH", "unix:": "write unix:///PATH",
	} {
		if _, err := New(Options{Config: Config{Host: at}, Dir: t.TempDir(), Instance: "12345678", Archive: func(context.Context, string) (io.ReadCloser, error) { return nil, nil },
			Image: func(context.Context, string) (string, []string, func(io.Writer, string, int) error, error) {
				return "", nil, nil, nil
			}}); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", at, err)
		}
	}
}
