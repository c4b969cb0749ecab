package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/git"
	"steer/base/id"
	"steer/base/journal"
	"steer/deliver/deploy"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/fleet"
	"steer/infra/infratest"
	"steer/infra/role"
)

// agentServer is a server that containers reach.
type agentServer struct {
	*App
	t      *testing.T
	data   string
	listen string
	binary string
	stop   func()
}

// startAgents starts a server at an address of this machine that containers can reach.
func startAgents(t *testing.T) *agentServer {
	t.Helper()
	infratest.NeedDocker(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &agentServer{t: t, data: t.TempDir(), binary: self}
	out, err := exec.Command("docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	s.listen = net.JoinHostPort(strings.TrimSpace(string(out)), "0")
	s.start()
	s.listen = s.listener.Addr().String()
	t.Cleanup(func() { s.stop() })
	return s
}

func (s *agentServer) start() {
	s.t.Helper()
	config, err := Load(Args{Data: s.data, Set: []string{"listen=" + s.listen, "receive.graphite.tcp=127.0.0.1:0", "receive.graphite.udp=127.0.0.1:0",
		"receive.statsd.udp=127.0.0.1:0", "agent.enabled=false"}})
	if err != nil {
		s.t.Fatal(err)
	}
	if s.App, err = New(s.t.Context(), Options{Config: config, Data: s.data, Version: "test", Program: s.binary, Hook: []string{"false"}}); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the server ended with %v", err)
		}
		s.stop = func() {}
	}
	s.until("the server is ready", 10*time.Second, func() error {
		if !s.ready.Load() {
			return fmt.Errorf("not yet")
		}
		return nil
	})
}

func (s *agentServer) until(what string, most time.Duration, ok func() error) time.Duration {
	s.t.Helper()
	start := time.Now()
	for {
		err := ok()
		if err == nil {
			return time.Since(start)
		}
		if time.Since(start) > most {
			s.t.Fatalf("waited until %s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// machine is a container.
type machine struct {
	s  *agentServer
	id string
}

func (s *agentServer) machine() *machine {
	s.t.Helper()
	out, err := exec.Command("docker", "run", "--rm", "--detach", "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--cap-add=SYS_ADMIN",
		"--security-opt=seccomp=unconfined", "-v", s.binary+":/usr/local/bin/steer:ro", infratest.Image, "/sbin/init").Output()
	if err != nil {
		s.t.Fatalf("start a host: %v", err)
	}
	m := &machine{s, strings.TrimSpace(string(out))}
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Log(m.try("journalctl -u steer-agent --no-pager | tail -40"))
		}
		exec.Command("docker", "kill", m.id).Run()
	})
	m.run("for i in $(seq 600); do [ -S /run/systemd/private ] && break; sleep 0.05; done; systemctl is-system-running --wait || true; systemd-machine-id-setup")
	return m
}

func (m *machine) try(script string) string {
	out, _ := exec.Command("docker", "exec", m.id, "sh", "-c", script).CombinedOutput()
	return string(out)
}

func (m *machine) run(script string) string {
	m.s.t.Helper()
	out, err := exec.Command("docker", "exec", m.id, "sh", "-c", script).CombinedOutput()
	if err != nil {
		m.s.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

func (s *agentServer) invite(name id.Host) string {
	s.t.Helper()
	i, err := s.agents.Invite(s.t.Context(), "ada", name, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return i.Token
}

// events waits until there is an event of a kind after seq that ok likes.
func (s *agentServer) event(kind string, after int64, most time.Duration, ok func(event.Event) bool) (found event.Event, took time.Duration) {
	s.t.Helper()
	took = s.until("there is an event "+kind, most, func() error {
		all, err := s.journal.Read(s.t.Context(), journal.Query{Types: []string{kind}, After: after, Limit: 100})
		if err != nil {
			return err
		}
		for _, e := range all {
			if ok(e) {
				found = e
				return nil
			}
		}
		return fmt.Errorf("%d others", len(all))
	})
	return found, took
}

// manifest is what a test wants of a host.
func manifest(t *testing.T, files map[string]string) infra.Manifest {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := role.Load(os.DirFS(dir), resourceKinds())
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.Compile([]role.Use{{Role: "web"}}, role.Input{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// converge visits the host and makes it so.
func (s *agentServer) converge(name string, m infra.Manifest) (converge.Report, error) {
	v, err := visitHost(s.t.Context(), "agent://"+name, s.keeper.self)
	if err != nil {
		return converge.Report{}, err
	}
	defer v.Close()
	return v.converge(m, toConverge{By: "test"}, func(e converge.Event) {
		if e.Status == converge.Failed || e.Status == converge.Skipped {
			s.t.Errorf("%s %s %s", e.Ref, e.Status, e.Why)
		}
	})
}

const webRole = `description: d
resources:
  - file: {path: /etc/motd, content: "hello\n"}
  - unit:
      name: shop.service
      content: |
        [Service]
        ExecStart=/bin/sleep infinity
        [Install]
        WantedBy=multi-user.target
    notify: ["service:shop"]
  - service: {name: shop}
`

func TestHostComesByItself(t *testing.T) {
	t.Parallel()
	s := startAgents(t)
	h := s.machine()
	url := s.URL()

	// Joining.
	if out := h.try("steer agent join " + url + " join_" + strings.Repeat("0", 64)); !strings.Contains(out, "the token is not valid: it is mistyped") {
		t.Errorf("wrong token: %s", out)
	}
	token := s.invite("web-1")
	start := time.Now()
	if out := h.run("steer agent join " + url + " " + token); !strings.Contains(out, "as web-1") || !strings.Contains(out, "steer-agent.service") {
		t.Errorf("join: %s", out)
	}
	if mode := h.run("stat -c %a /var/lib/steer-host/agent.yaml"); mode != "600\n" {
		t.Errorf("the identity has mode %s", mode)
	}
	other := s.machine()
	if out := other.try("steer agent join " + url + " " + token); !strings.Contains(out, "the token was used already") {
		t.Errorf("used token: %s", out)
	}
	facts := func() error {
		v, err := visitHost(t.Context(), "agent://web-1", s.keeper.self)
		if err != nil {
			return err
		}
		defer v.Close()
		f, err := v.facts()
		if err == nil && f.Init != "systemd" {
			err = fmt.Errorf("%+v", f)
		}
		return err
	}
	s.until("the host can be visited", 10*time.Second, facts)
	t.Logf("joined and visited within %s", time.Since(start).Round(time.Millisecond))

	// Converging, before and after the server starts anew.
	m := manifest(t, map[string]string{"roles/web.yaml": webRole})
	if r, err := s.converge("web-1", m); err != nil || r.Failed() || r.Counts[converge.Changed] != 3 {
		t.Fatalf("%+v %v", r, err)
	}
	s.stop()
	s.start()
	back := s.until("the host is back", 20*time.Second, facts)
	t.Logf("back %s after the server", back.Round(time.Millisecond))
	if r, err := s.converge("web-1", m); err != nil || r.Failed() || r.Counts[converge.Changed] != 0 {
		t.Fatalf("%+v %v", r, err)
	}

	// Drift.
	seen := func(what, script, ref string, field string) {
		t.Helper()
		last, _ := s.journal.Last(t.Context())
		script = "date +%s%N; " + script
		out := h.run(script)
		e, _ := s.event(event.HostDrifted, last, 5*time.Second, func(e event.Event) bool { return strings.Contains(e.Summary, ref) })
		var drifts []infra.Drift
		if err := json.Unmarshal(e.Data, &drifts); err != nil || len(drifts) == 0 || len(drifts[0].Fields) == 0 || drifts[0].Fields[0].Name != field || e.Subject != "host/web-1" {
			t.Errorf("%s: %s %s %v", what, e.Summary, e.Data, err)
		}
		var began int64
		fmt.Sscan(out, &began)
		took := e.Time.Sub(time.Unix(0, began))
		t.Logf("%s: in the server's journal after %s", what, took.Round(time.Millisecond))
		if took > 5*time.Second { // the goal is one, on a machine with nothing else to do
			t.Errorf("%s: seen after %s", what, took)
		}
	}
	seen("a file", "echo x >> /etc/motd", "file:/etc/motd", "content")
	seen("a file replaced", "echo y > /etc/motd.new; mv /etc/motd.new /etc/motd", "file:/etc/motd", "content")
	seen("a service", "systemctl stop shop", "service:shop", "state")
	if r, err := s.converge("web-1", m); err != nil || r.Counts[converge.Changed] != 2 {
		t.Fatalf("%+v %v", r, err)
	}
	seen("a process killed", "systemctl kill -s KILL shop", "service:shop", "state")
	if r, err := s.converge("web-1", m); err != nil || r.Counts[converge.Changed] != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	seen("a unit", "echo '#' >> /etc/systemd/system/shop.service", "unit:shop.service", "content")
	if _, err := s.converge("web-1", m); err != nil {
		t.Fatal(err)
	}

	s.until("its figures are stored", 30*time.Second, func() error {
		found, err := s.monitor.store.Find(t.Context(), "servers.web-1.*", 100)
		if err == nil && len(found) < 3 {
			err = fmt.Errorf("only %v", found)
		}
		return err
	})

	// The agent dies in the middle of a run: the run goes on.
	slow := manifest(t, map[string]string{"roles/web.yaml": webRole + `  - command: {run: "touch /tmp/begun; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo done > /tmp/done", creates: /tmp/done}
`})
	ended := make(chan error, 1)
	go func() {
		_, err := s.converge("web-1", slow)
		ended <- err
	}()
	s.until("the run has begun", 10*time.Second, func() error { return exec.Command("docker", "exec", h.id, "test", "-e", "/tmp/begun").Run() })
	h.run("kill -9 $(systemctl show -p MainPID --value steer-agent)")
	if err := <-ended; fault.Of(err) != fault.Unavailable {
		t.Errorf("the server hears %v", err)
	}
	h.run("touch /tmp/go")
	s.until("the run is finished", 10*time.Second, func() error { return exec.Command("docker", "exec", h.id, "test", "-e", "/tmp/done").Run() })
	s.until("the host is back", 10*time.Second, facts)
	s.until("the host is as declared", 10*time.Second, func() error {
		r, err := s.converge("web-1", slow)
		if err == nil && (r.Counts[converge.Changed] != 0 || r.CutOff != nil) {
			err = fmt.Errorf("%+v", r)
		}
		return err
	})

	// Another version of the server: the host speaks with that, and becomes it.
	b, err := os.ReadFile(s.binary)
	if err != nil {
		t.Fatal(err)
	}
	s.binary = filepath.Join(t.TempDir(), "steer")
	if err := os.WriteFile(s.binary, append(b, "two"...), 0o755); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.start()
	s.until("the host is back", 30*time.Second, facts)
	s.until("the agent is of the new version", 30*time.Second, func() error {
		all, err := s.agents.List(t.Context())
		if err == nil && (len(all) != 1 || all[0].Version != fmt.Sprint(len(b)+3)) {
			err = fmt.Errorf("%+v", all)
		}
		return err
	})

	// An identity that was revoked is good for nothing.
	if err := s.agents.Revoke(t.Context(), "ada", "web-1", ""); err != nil {
		t.Fatal(err)
	}
	if _, err := visitHost(t.Context(), "agent://web-1", s.keeper.self); fault.Of(err) != fault.Unavailable {
		t.Errorf("a revoked host can be visited: %v", err)
	}
	s.until("the host knows", 10*time.Second, func() error {
		if out := h.try("steer agent status"); !strings.Contains(out, "it was revoked") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
	h.run("steer agent leave")
	if out := h.run("ls /var/lib/steer-host /etc/systemd/system"); strings.Contains(out, "agent") || strings.Contains(out, "manifest") {
		t.Errorf("after leaving there is %s", out)
	}
	var text bytes.Buffer
	all, err := s.journal.Read(t.Context(), journal.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.Contains(e.Type, "steer-host.") && e.Type != event.HostDrifted {
			fmt.Fprintf(&text, "%s by %s: %s\n", strings.TrimPrefix(e.Type, "dev.cdeventsx.steer-host."), e.Actor, strings.Split(e.Summary, " until")[0])
		}
	}
	for _, want := range []string{"invited.0.1.0 by ada: web-1 may join", "joined.0.1.0 by ada: web-1 joined", "left.0.1.0 by ada: web-1 is no longer joined"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the journal lacks %q:\n%s", want, &text)
		}
	}
}

// TestFleetOfHostsThatCome: the fleet visits a host that joined as hosts.yaml says, and
// heals what the host sees drift.
// TestNodesOnAHostThatCame: the keeper of nodes is reached by the way of the agent.
func TestNodesOnAHostThatCame(t *testing.T) {
	t.Parallel()
	s := startAgents(t)
	h := s.machine()
	h.run("steer agent join " + s.URL() + " " + s.invite("web-1"))
	newest, _ := s.definitions.Current()
	if _, err := s.definitions.Change(t.Context(), git.Change{Author: "ada", Message: "a host", Base: newest, Files: map[string][]byte{
		"roles/web.yaml": []byte("description: d\n"), "hosts.yaml": []byte("web-1: {roles: [web], connect: \"agent://{}\", converge: {every: 0s}}\n"),
	}}); err != nil {
		t.Fatal(err)
	}
	node := deploy.Spec{ID: "n1", Environment: "test", Service: "shop", Digest: "sha256:" + strings.Repeat("1", 64), Command: "true", Hosts: []string{"web-1"}}
	s.until("the host is asked for a node", time.Minute, func() error {
		_, err := s.deliver.remote.Start(t.Context(), node)
		if err == nil || strings.Contains(err.Error(), "no host of web-1 is there") {
			node.ID += "x"
			return fmt.Errorf("not yet: %v", err)
		}
		if fault.Of(err) != fault.NotFound { // of the artifact, which the host lacks
			t.Fatal(err)
		}
		return nil
	})
	if out := h.run("systemctl is-active 'steer-nodes-*'; hostname -I"); !strings.HasPrefix(out, "active\n") {
		t.Error(out)
	}
	// It stays, and the agent has places for visits.
	v, err := visitHost(t.Context(), "agent://web-1", s.keeper.self)
	if err != nil {
		t.Fatal(err)
	}
	v.Close()
}

func TestFleetOfHostsThatCome(t *testing.T) {
	t.Parallel()
	s := startAgents(t)
	h := s.machine()
	h.run("steer agent join " + s.URL() + " " + s.invite("web-1"))
	within := time.Minute
	is := func(path, want string) func() error {
		return func() error {
			if got := h.try("cat " + path); got != want {
				return fmt.Errorf("%s is %q", path, got)
			}
			return nil
		}
	}
	newest, _ := s.definitions.Current()
	if _, err := s.definitions.Change(t.Context(), git.Change{Author: "ada", Message: "a host", Base: newest, Files: map[string][]byte{
		"roles/web.yaml": []byte(webRole + "  - file: {path: /etc/note, content: \"hello\\n\"}\n    heal: report\n"),
		"hosts.yaml":     []byte("web-1: {roles: [web], connect: \"agent://{}\"}\n"),
	}}); err != nil {
		t.Fatal(err)
	}
	s.until("the fleet has converged the host", within, is("/etc/note", "hello\n"))
	s.until("the host watches", within, func() error {
		return exec.Command("docker", "exec", h.id, "test", "-e", "/var/lib/steer-host/manifest.json").Run()
	})
	quiet := func() error { // while a visit is under way, what is seen waits for a later one
		d, err := s.keeper.fleet.Detail(t.Context(), "web-1")
		if err != nil {
			return err
		}
		o, err := s.keeper.fleet.Overview(t.Context())
		if err == nil && (d.Host.Running != 0 || len(o.Groups) != 1 || o.Groups[0].Phase != fleet.Done) {
			err = fmt.Errorf("%+v %+v", d.Host, o.Groups)
		}
		return err
	}
	s.until("no visit is under way", within, quiet)
	start := time.Now()
	h.run("echo no > /etc/motd")
	s.until("the file is healed", within, is("/etc/motd", "hello\n"))
	t.Logf("a file is healed %s after it was changed", time.Since(start).Round(time.Millisecond))
	s.until("no visit is under way", within, quiet)
	h.run("systemctl stop shop")
	s.until("the service is healed", within, func() error { return exec.Command("docker", "exec", h.id, "systemctl", "is-active", "shop").Run() })
	h.run("echo no > /etc/note")
	s.event(event.HostDrifted, 0, within, func(e event.Event) bool { return strings.Contains(e.Summary, "file:/etc/note") })
	if err := is("/etc/note", "no\n")(); err != nil {
		t.Error(err)
	}
	// A pause reaches the host.
	if err := s.keeper.fleet.Pause(t.Context(), fleet.Pause{Scope: "group", Name: "web-1", Person: "ada", Reason: "a look"}); err != nil {
		t.Fatal(err)
	}
	s.until("the host knows that it is paused", within, func() error {
		if out := h.try("steer agent status"); !strings.Contains(out, "does not converge by itself") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
