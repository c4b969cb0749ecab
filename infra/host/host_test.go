package host

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/infratest"
)

// TestMain is also the program that conversations start on hosts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		if err := Serve(context.Background(), os.Stdin, os.Stdout, echo); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == infra.EnterCommand {
		code, err := infra.Enter(context.Background(), os.Args[2:])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func echo(_ context.Context, op string, body json.RawMessage, event func(any)) (any, error) {
	switch op {
	case "echo":
		event("one")
		event("two")
		return body, nil
	case "where":
		return os.Hostname()
	case "half":
		return "what was done", fault.New(fault.TooMuch, "it cannot be written down")
	case "die":
		os.Exit(3)
	case "stream":
		return Stream(func(in io.Reader, out io.Writer) error {
			_, err := io.Copy(out, in)
			return err
		}), nil
	}
	return nil, fault.New(fault.Conflict, "no %s here", op)
}

// converse checks a conversation over a way to a host.
func converse(t *testing.T, conn Conn, hostname string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time the program is there
		s, err := Open(t.Context(), conn, self)
		if err != nil {
			t.Fatal(err)
		}
		var events []string
		var back struct{ Text string }
		text := strings.Repeat("long ", 100_000)
		if err := s.Call("echo", map[string]string{"text": text}, func(e json.RawMessage) { events = append(events, string(e)) }, &back); err != nil || back.Text != text || len(events) != 2 {
			t.Errorf("%d bytes, events %v, %v", len(back.Text), events, err)
		}
		var name string
		if err := s.Call("where", nil, nil, &name); err != nil || name != hostname {
			t.Errorf("on %q, want %q, %v", name, hostname, err)
		}
		if err := s.Call("tea", nil, nil, nil); fault.Of(err) != fault.Conflict || err.Error() != "no tea here" {
			t.Errorf("got %v", err)
		}
		if err := s.Call("half", nil, nil, &name); fault.Of(err) != fault.TooMuch || name != "what was done" {
			t.Errorf("%q, %v", name, err)
		}
		if err := s.Call("die", nil, nil, nil); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "ended with code 3") {
			t.Errorf("got %v", err)
		}
		s.Close()
	}
	err = conn.Run(t.Context(), Call{Args: []string{"sh", "-c", "echo wrong >&2; exit 7"}})
	if exit := (*Exit)(nil); !errors.As(err, &exit) || exit.Code != 7 || exit.Stderr != "wrong" {
		t.Errorf("got %v", err)
	}
	var out strings.Builder
	if err := conn.Run(t.Context(), Call{Args: []string{"echo", `a 'b' "$c" *`}, Stdout: &out}); err != nil || out.String() != "a 'b' \"$c\" *\n" {
		t.Errorf("%q %v", out.String(), err)
	}
}

// flow checks a conversation that becomes a stream. Its end may end the connection.
func flow(t *testing.T, conn Conn) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), conn, self)
	if err == nil {
		err = s.Call("stream", nil, nil, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, text := s.Stream(), strings.Repeat("long ", 100_000)
	go io.WriteString(raw, text)
	got := make([]byte, len(text))
	if _, err := io.ReadFull(raw, got); err != nil || string(got) != text {
		t.Errorf("a stream gives %.20q %v", got, err)
	}
	if err := raw.Close(); err != nil {
		t.Error(err)
	}
}

func TestLocal(t *testing.T) {
	name, _ := os.Hostname()
	conn, err := Dial(t.Context(), "local")
	if err != nil {
		t.Fatal(err)
	}
	converse(t, conn, name)
	flow(t, conn)
}

// container runs a throw-away host.
func container(t *testing.T, args ...string) string {
	t.Helper()
	infratest.NeedDocker(t)
	name := fmt.Sprintf("steer-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	out, err := exec.Command("docker", append([]string{"run", "--rm", "--detach", "--init", "--name", name, "--hostname", "guest"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { exec.Command("docker", "rm", "--force", name).Run() })
	return name
}

func TestContainer(t *testing.T) {
	t.Parallel()
	name := container(t, "--network=none", infratest.Image, "sleep", "infinity")
	conn, err := Dial(t.Context(), "docker://"+name)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, conn, "guest")
	flow(t, conn)
	byCommand, err := Dial(t.Context(), "command:docker exec -i "+name)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, byCommand, "guest")
	exec.Command("docker", "rm", "--force", name).Run()
	if err := conn.Run(t.Context(), Call{Args: []string{"true"}}); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "there is none (steer host create "+name) {
		t.Errorf("got %v", err)
	}
}

// TestSSH: against the real server of OpenSSH.
func TestSSH(t *testing.T) {
	t.Parallel()
	name := container(t, "--publish=127.0.0.1::22", infratest.Image, "sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D")
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	run := func(words ...string) string {
		t.Helper()
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", words, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	// The keys are made by the guest's own tools, since the test's machine may have none.
	run("docker", "exec", name, "sh", "-c", "ssh-keygen -q -t ed25519 -N '' -f /tmp/key && ssh-keygen -q -t ed25519 -N '' -f /tmp/other && mkdir -p -m 700 /root/.ssh && cp /tmp/key.pub /root/.ssh/authorized_keys")
	write := func(file, text string) string {
		t.Helper()
		file = filepath.Join(dir, file)
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key = write("key", run("docker", "exec", name, "cat", "/tmp/key"))
	other := write("other", run("docker", "exec", name, "cat", "/tmp/other"))
	_, port, err := net.SplitHostPort(strings.Split(run("docker", "port", name, "22/tcp"), "\n")[0])
	if err != nil {
		t.Fatal(err)
	}
	hostKey := strings.Fields(run("docker", "exec", name, "cat", "/etc/ssh/ssh_host_ed25519_key.pub"))
	known := write("known", fmt.Sprintf("[127.0.0.1]:%s %s %s", port, hostKey[0], hostKey[1]))
	changed := write("changed", fmt.Sprintf("[127.0.0.1]:%s %s", port, strings.Join(strings.Fields(run("docker", "exec", name, "cat", "/tmp/other.pub"))[:2], " ")))
	address := func(key, known string) string {
		return fmt.Sprintf("ssh://root@127.0.0.1:%s?key=%s&known_hosts=%s", port, key, known)
	}
	var conn Conn
	for end := time.Now().Add(time.Minute); ; { // until the server listens
		if conn, err = Dial(t.Context(), address(key, known)); err == nil {
			break
		}
		if fault.Of(err) != fault.Unavailable || time.Now().After(end) {
			t.Fatal(err)
		}
	}
	defer conn.Close()
	converse(t, conn, "guest")
	for _, c := range []struct{ address, want string }{
		{address(key, write("empty", "")), "its host key is not in"},
		{address(key, changed), "its host key differs from the one in " + changed + ":1"},
		{address(other, known), "root may not log in with the keys at hand"},
	} {
		if _, err := Dial(t.Context(), c.address); fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	if _, err := Dial(t.Context(), address(filepath.Join(dir, "none"), known)); fault.Of(err) != fault.Invalid {
		t.Errorf("got %v", err)
	}
	streaming, err := Dial(t.Context(), address(key, known))
	if err != nil {
		t.Fatal(err)
	}
	flow(t, streaming)
	// A host that stands still is given up.
	self, _ := os.Executable()
	still, err := Dial(t.Context(), address(key, known))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), still, self)
	if err != nil {
		t.Fatal(err)
	}
	run("docker", "pause", name)
	go watch(still.(*sshConn).client, 50*time.Millisecond)
	if err := s.Call("where", nil, nil, nil); fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
	run("docker", "unpause", name)
	// One that vanishes ends the conversation, too.
	if s, err = Open(t.Context(), conn, self); err != nil {
		t.Fatal(err)
	}
	run("docker", "kill", name)
	if err := s.Call("where", nil, nil, nil); fault.Of(err) != fault.Unavailable {
		t.Errorf("got %v", err)
	}
}

// TestSlowReader: work goes on when nobody reads what it tells, and its answer comes
// when somebody does.
func TestSlowReader(t *testing.T) {
	in, requests := io.Pipe()
	answers, out := io.Pipe()
	worked, served := make(chan struct{}), make(chan error)
	go func() {
		served <- Serve(context.Background(), in, out, func(_ context.Context, op string, _ json.RawMessage, event func(any)) (any, error) {
			for range 300 {
				event(strings.Repeat("x", 512<<10)) // 150 MB in all, more than may wait
			}
			close(worked)
			return "done", nil
		})
	}()
	go requests.Write([]byte("{\"op\":\"work\"}\n")) //nolint:errcheck
	<-worked
	last := ""
	go requests.Close()
	for r := bufio.NewReader(answers); !strings.Contains(last, "answer"); {
		line, err := readLine(r, largestMessage)
		if err != nil {
			t.Fatal(err)
		}
		last = string(line)
	}
	if err := <-served; err != nil || last != `{"answer":"done"}` {
		t.Errorf("%s %v", last, err)
	}
}

func TestDialRefuses(t *testing.T) {
	for _, address := range []string{"", "web1", "ssh:", "docker://-x", "command:", "telnet://a"} {
		if _, err := Dial(t.Context(), address); fault.Of(err) != fault.Invalid {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestWaves(t *testing.T) {
	var hosts []Host
	for i := range 10 {
		hosts = append(hosts, Host{Name: fmt.Sprint(i)})
	}
	for _, c := range []struct {
		w    Waves
		bad  string // hosts that fail
		done int
	}{
		{Waves{}, "", 10},
		{Waves{Serial: "1"}, "0", 1},
		{Waves{Serial: "25%"}, "1", 2},
		{Waves{Serial: "2", MaxFail: 1}, "1", 10},
		{Waves{Serial: "2", MaxFail: 1}, "13", 4},
		{Waves{Serial: "2", MaxFail: -1}, "0123456789", 10},
		{Waves{Parallel: 3}, "0123456789", 10},
	} {
		var mu sync.Mutex
		done := 0
		left, err := Each(t.Context(), hosts, c.w, func(_ context.Context, h Host) bool {
			mu.Lock()
			defer mu.Unlock()
			done++
			return !strings.Contains(c.bad, h.Name)
		})
		if err != nil || done != c.done || len(left) != 10-c.done {
			t.Errorf("%+v: %d done, %d left, %v", c.w, done, len(left), err)
		}
	}
	for _, serial := range []string{"0", "x", "200%", "-1"} {
		if _, err := Each(t.Context(), hosts, Waves{Serial: serial}, nil); err == nil || !strings.Contains(err.Error(), "write a number of hosts") {
			t.Errorf("%q: %v", serial, err)
		}
	}
}
