package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"steer/base/id"
	"steer/deliver/deploy"
	"steer/deliver/deploy/deploytest"
)

// The test binary plays three parts: the tests, a node, and a Steer that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv("PART") {
	case "node":
		serve()
	case "steer":
		supervise()
	default:
		os.Exit(m.Run())
	}
}

// serve is a node: it answers with its pid and a variable, and dies on request.
func serve() {
	fmt.Println("node starts, version", os.Getenv("STEER_VERSION"))
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		if os.Getenv("STUBBORN") == "" {
			fmt.Println("node ends")
			os.Exit(0)
		}
	}()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%d %s", os.Getpid(), os.Getenv("VALUE"))
	})
	http.HandleFunc("/die", func(w http.ResponseWriter, r *http.Request) { os.Exit(7) })
	err := http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)
	fmt.Println(err)
	os.Exit(1)
}

// supervise runs a driver with one node until it is killed.
func supervise() {
	d, err := New(options(os.Getenv("DIR"), "23300-23399"))
	if err == nil {
		go d.Run(context.Background())
		_, err = d.Start(context.Background(), spec("n1"))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

func options(dir, ports string) Options {
	return Options{Dir: dir, Config: Config{Ports: ports}, Log: slog.New(slog.DiscardHandler),
		Unpack: func(ctx context.Context, digest, dir string) error {
			return os.WriteFile(filepath.Join(dir, "digest"), []byte(digest), 0o644)
		},
		Secret: func(e id.Environment, name string) (string, error) {
			if name != "PASSWORD" {
				return "", errors.New("secret " + name + " is not there")
			}
			return "secret of " + string(e), nil
		}}
}

func spec(node string) deploy.Spec {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return deploy.Spec{ID: node, Environment: "test", Service: "shop", Version: "b1", Digest: "sha256:1", Index: 1,
		Command: self, Ports: []string{"http"}, Grace: 5 * time.Second, Created: time.Now(),
		Env: map[string]string{"PART": "node", "STEER_VERSION": "b1", "VALUE": "secret:PASSWORD"}}
}

func open(t *testing.T, dir, ports string) *Driver {
	t.Helper()
	d, err := New(options(dir, ports))
	if err != nil {
		t.Fatal(err)
	}
	run(t, d)
	return d
}

// run runs d, and at the end of the test stops it with all nodes.
func run(t *testing.T, d *Driver) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("not within 20 s: " + what)
}

func start(t *testing.T, d *Driver, s deploy.Spec) deploy.Instance {
	t.Helper()
	i, err := d.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func one(t *testing.T, d *Driver) deploy.Instance {
	t.Helper()
	l, err := d.List(t.Context())
	if err != nil || len(l) != 1 {
		t.Fatalf("%v %v, want one node", l, err)
	}
	return l[0]
}

// ask returns what the node answers, "" if nothing.
func ask(i deploy.Instance, path string) string {
	r, err := http.Get("http://" + i.Address["http"] + path)
	if err != nil {
		return ""
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

func logs(t *testing.T, d *Driver, node string, lines int) string {
	t.Helper()
	r, err := d.Logs(t.Context(), node, lines, false)
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(r)
	return string(b)
}

func TestDriver(t *testing.T) {
	program, err := deploytest.Program()
	if err != nil {
		t.Fatal(err)
	}
	// Each folder has ports of its own, since tests run side by side.
	var mu sync.Mutex
	ranges := map[string]string{}
	deploytest.Driver(t, func(t *testing.T, dir string) deploytest.Life {
		mu.Lock()
		if ranges[dir] == "" {
			from := 23400 + 10*len(ranges)
			ranges[dir] = fmt.Sprintf("%d-%d", from, from+9)
		}
		o := options(dir, ranges[dir])
		mu.Unlock()
		o.Secret = deploytest.Secret
		o.Unpack = func(_ context.Context, _, dir string) error {
			return os.WriteFile(filepath.Join(dir, "node"), program, 0o755)
		}
		d, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		return deploytest.Life{Driver: d, Run: d.Run, Close: d.Close}
	})
}

func TestStubbornNodeIsKilledWithItsChildren(t *testing.T) {
	d := open(t, t.TempDir(), "23200-23299")
	s := spec("n1")
	s.Grace = 50 * time.Millisecond
	s.Env["STUBBORN"] = "yes"
	s.Command = "sleep 1000 & " + s.Command + "; echo over"
	i := start(t, d, s)
	until(t, "answer", func() bool { return ask(i, "/") != "" })
	pid := one(t, d).PID
	group := &process{pid: pid}
	if len(group.members()) < 3 {
		t.Fatalf("members %v, want shell, sleep and node", group.members())
	}
	if err := d.Stop(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	if m := group.members(); len(m) > 0 {
		t.Fatalf("%v are left", m)
	}
}

func TestNodesSurviveKillOfSteer(t *testing.T) {
	dir := t.TempDir()
	self, _ := os.Executable()
	steer := exec.Command(self)
	steer.Env = append(os.Environ(), "PART=steer", "DIR="+dir)
	out, err := steer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := steer.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	rec := func() record {
		l, err := (&Driver{o: Options{Dir: dir}, log: slog.Default()}).records()
		if err != nil || len(l) != 1 {
			return record{}
		}
		return l[0]
	}
	at := func() deploy.Instance {
		return deploy.Instance{Address: map[string]string{"http": fmt.Sprintf("127.0.0.1:%d", rec().Numbers["http"])}}
	}
	until(t, "answer", func() bool { return ask(at(), "/") != "" })
	before := ask(at(), "/")
	steer.Process.Kill()
	steer.Wait()
	if got := ask(at(), "/"); got != before {
		t.Fatalf("after kill -9: %q, before %q", got, before)
	}

	// The next Steer finds it, and leaves it under keep.
	o := options(dir, "23300-23399")
	o.Keep = true
	second, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, second)
	if n := one(t, second); !n.Running || fmt.Sprint(n.PID) != strings.Fields(before)[0] || n.Restarts != 0 {
		t.Fatalf("%+v, want the process of %q", n, before)
	}
	stop()
	if got := ask(at(), "/"); got != before {
		t.Fatalf("after an orderly stop with keep: %q", got)
	}

	// It dies while nobody looks: the third starts it again.
	ask(at(), "/die")
	until(t, "death", func() bool { return ask(at(), "/") == "" })
	third := open(t, dir, "23300-23399")
	until(t, "new process", func() bool { got := ask(at(), "/"); return got != "" && got != before })
	if n := one(t, third); n.Restarts != 1 || n.LastExit != "ended while Steer was not running" {
		t.Fatalf("%+v", n)
	}
	// It dies while adopted: same.
	before = ask(at(), "/")
	fourth := func() *Driver { third.Close(); return open(t, dir, "23300-23399") }()
	ask(at(), "/die")
	until(t, "new process", func() bool { got := ask(at(), "/"); return got != "" && got != before })
	if n := one(t, fourth); n.Restarts != 2 || !strings.Contains(n.LastExit, "cannot know how") {
		t.Fatalf("%+v", n)
	}
}

func TestRefusesBadIDs(t *testing.T) {
	d := open(t, t.TempDir(), "23200-23299")
	for _, bad := range []string{"", "..", "a/b", "versions", ".x"} {
		if _, err := d.Start(t.Context(), deploy.Spec{ID: bad, Digest: "sha256:1"}); err == nil {
			t.Errorf("node %q was started", bad)
		}
	}
	for _, bad := range []string{"", "../x", "versions", "nobody"} {
		if _, err := d.Logs(t.Context(), bad, 1, false); err == nil {
			t.Errorf("logs of node %q", bad)
		}
	}
}

func TestLogsFollowAndRotate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "n1", "log")
	os.MkdirAll(filepath.Dir(file), 0o755)
	write := func(s string) {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, s)
		f.Close()
	}
	for i := range 100 {
		write(fmt.Sprintf("line %d\n", i))
	}
	d := &Driver{o: Options{Dir: dir}}
	if got := logs(t, d, "n1", 2); got != "line 98\nline 99\n" {
		t.Fatalf("%q", got)
	}
	if got := logs(t, d, "n1", 1000); strings.Count(got, "\n") != 100 {
		t.Fatalf("%q", got)
	}
	if err := rotate(file, 100, 3); err != nil {
		t.Fatal(err)
	}
	write("line 100\n")
	if got := logs(t, d, "n1", 2); got != "line 99\nline 100\n" {
		t.Fatalf("over the file's end: %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := d.Logs(ctx, "n1", 1, true)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	in := bufio.NewReader(r)
	expect := func(want string) {
		t.Helper()
		if got, err := in.ReadString('\n'); got != want {
			t.Fatalf("%q %v, want %q", got, err, want)
		}
	}
	expect("line 100\n")
	write("line 101\n")
	expect("line 101\n")
	for i := range 4 {
		line := strings.Repeat("x", 200) + fmt.Sprint(i) + "\n" // all of the same length
		write(line)
		expect(line)
		if err := rotate(file, 100, 3); err != nil {
			t.Fatal(err)
		}
	}
	if m, _ := filepath.Glob(file + ".*"); len(m) != 3 {
		t.Fatalf("%v, want three", m)
	}
	write("short\n")
	expect("short\n")
	cancel()
	if rest, err := io.ReadAll(in); len(rest) > 0 || err != nil {
		t.Fatalf("%q %v", rest, err)
	}
}

func TestNodesAreOfAUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("this is not root, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("only root can run nodes as others")
	}
	dir := t.TempDir()
	for at := dir; at != "/" && at != os.TempDir(); at = filepath.Dir(at) { // others may enter it
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	o := options(dir, "23200-23299")
	o.User = "65534:65534"
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	run(t, d)
	s := deploy.Spec{Environment: "test", Service: "shop", Digest: "sha256:1", Command: "id -u; id -g; id -G; echo $HOME $USER; touch x"}
	for user, want := range map[string]string{
		"": "65534\n65534\n65534\n/nonexistent nobody\n", "daemon": "1\n1\n1\n/usr/sbin daemon\n", "0": "0\n0\n0\n/root root\n", "4711:daemon": "4711\n1\n1\n/ 4711\n",
	} {
		s.ID, s.User = "task", user
		var out strings.Builder
		err := d.Task(t.Context(), s, &out)
		if got, _, _ := strings.Cut(out.String(), "touch"); got != want || (user == "0") != (err == nil) {
			t.Errorf("user %q: %q %v, want %q", user, out.String(), err, want)
		}
	}
	s.User = "nobody-at-all"
	if err := d.Task(t.Context(), s, io.Discard); err == nil || !strings.Contains(err.Error(), "run as user nobody-at-all: there is none on this host") {
		t.Error(err)
	}
}

func TestTidyForgetsOldNodesAndArtifacts(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, "23200-23299")
	start(t, d, spec("n1"))
	other := spec("n2")
	other.Digest = "sha256:2"
	start(t, d, other)
	if err := d.Stop(t.Context(), "n1"); err != nil {
		t.Fatal(err)
	}
	d.tidy()
	if m, _ := filepath.Glob(filepath.Join(dir, "versions", "*")); len(m) != 1 || filepath.Base(m[0]) != "sha256-2" {
		t.Fatalf("artifacts %v", m)
	}
	if _, err := os.Stat(filepath.Join(dir, "n1", "log")); err != nil {
		t.Fatal(err)
	}
	d.o.Retain = 1
	d.tidy()
	if _, err := os.Stat(filepath.Join(dir, "n1")); err == nil {
		t.Fatal("still there")
	}
}

func TestPortInUseIsAvoided(t *testing.T) {
	// The system says which port is free; the one behind it must be so too.
	var taken int
	for taken == 0 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if port := l.Addr().(*net.TCPAddr).Port; unused(port + 1) {
			taken = port
		}
	}
	p := newPorts(taken, taken+1)
	n, err := p.choose([]string{"http"})
	if err != nil || n["http"] != taken+1 {
		t.Fatal(n, err)
	}
	if _, err := p.choose([]string{"http"}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("no free port in %d-%d", taken, taken+1)) {
		t.Fatal(err)
	}
	p.give(n)
	if n, err = p.choose([]string{"http"}); err != nil || n["http"] != taken+1 {
		t.Fatal(n, err)
	}
}

func TestDirect(t *testing.T) {
	for command, want := range map[string]string{
		"./catalog":          "exec ./catalog",
		"sh -c 'x' > out":    "exec sh -c 'x' > out",
		"A=b ./catalog":      "A=b ./catalog",
		"exec ./catalog":     "exec ./catalog",
		"cd x && ./catalog":  "cd x && ./catalog",
		"./catalog | tee x":  "./catalog | tee x",
		"$SERVER -p 1":       "$SERVER -p 1",
		"./catalog -p $PORT": "exec ./catalog -p $PORT",
		"":                   "",
	} {
		if got := direct(command); got != want {
			t.Errorf("%q: %q, want %q", command, got, want)
		}
	}
}
