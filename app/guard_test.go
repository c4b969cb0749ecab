package app_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/app"
	"steer/base/fault"
	"steer/cli"
	"steer/infra/host"
	"steer/infra/infratest"
)

// sshHost is a container with OpenSSH's server, which is started again whenever it ends.
type sshHost struct {
	t             *testing.T
	name, address string
	definitions   string
}

const guardedRoles = `
description: A host that is cut off.
parameters: {what: {}}
resources:
  - file: {path: /etc/marker, content: "{{ .what }}\n"}
  - file: {path: /etc/ssh/sshd_config.d/x.conf, content: "ListenAddress 192.0.2.77\n"}
    when: '{{ eq .what "sshd" }}'
    notify: ["command:restart"]
  - firewall: {policy: drop}
    when: '{{ eq .what "firewall" }}'
  - command: {name: long, run: "touch /tmp/middle; exec tail -f /dev/null"}
    when: '{{ eq .what "long" }}'
  - command: {name: kick, run: "pkill -9 -f 'sshd: root@[n]otty'"}
    when: '{{ eq .what "kick" }}'
  - file: {path: /etc/after, content: kicked}
    when: '{{ eq .what "kick" }}'
  - command: {name: restart, run: "pkill -o -x sshd || true", on_notify: true}
`

func newSSHHost(t *testing.T) *sshHost {
	infratest.NeedDocker(t)
	h := &sshHost{t: t, name: fmt.Sprintf("steer-test-%d-%d", os.Getpid(), time.Now().UnixNano()), definitions: t.TempDir()}
	run := func(words ...string) string {
		t.Helper()
		out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", words, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("docker", "run", "--rm", "--detach", "--init", "--name", h.name, "--hostname", "guest", "--publish=127.0.0.1::22",
		"--cap-add=NET_ADMIN", "--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", infratest.Image,
		"sh", "-c", "mkdir -p /run/sshd; while :; do /usr/sbin/sshd -D; done")
	t.Cleanup(func() { exec.Command("docker", "rm", "--force", h.name).Run() })
	h.sh("ssh-keygen -q -t ed25519 -N '' -f /tmp/key && mkdir -p -m 700 /root/.ssh && cp /tmp/key.pub /root/.ssh/authorized_keys")
	write := func(file, text string) string {
		t.Helper()
		file = filepath.Join(h.definitions, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	write("roles/guarded.yaml", guardedRoles)
	_, port, err := net.SplitHostPort(strings.Split(run("docker", "port", h.name, "22/tcp"), "\n")[0])
	if err != nil {
		t.Fatal(err)
	}
	h.address = fmt.Sprintf("ssh://root@127.0.0.1:%s?key=%s&known_hosts=%s", port, write("key", h.sh("cat /tmp/key")),
		write("known", fmt.Sprintf("[127.0.0.1]:%s %s", port, h.sh("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub"))))
	h.reached()
	return h
}

func (h *sshHost) sh(script string) string {
	h.t.Helper()
	out, err := exec.Command("docker", "exec", h.name, "sh", "-c", script).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// until waits until a script in the host succeeds.
func (h *sshHost) until(script string) {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); exec.Command("docker", "exec", h.name, "sh", "-c", script).Run() != nil; {
		if time.Now().After(end) {
			h.t.Fatalf("never: %s\n%s", script, h.sh("ps axf; cat /var/lib/steer-host/state.json /var/lib/steer-host/generations/*/guard.log || true"))
		}
	}
}

// reached waits until a new connection can be made.
func (h *sshHost) reached() {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Second)
		conn, err := host.Dial(ctx, h.address)
		cancel()
		if err == nil {
			conn.Close()
			return
		}
		if fault.Of(err) != fault.Unavailable || time.Now().After(end) {
			h.t.Fatal(err)
		}
	}
}

// apply converges the host, which waits a while to be confirmed.
func (h *sshHost) apply(what string, within time.Duration, dry bool) (r cli.HostResult, events []cli.HostEvent) {
	h.t.Helper()
	all, err := app.Infra().Converge(h.t.Context(), cli.HostArgs{Definitions: h.definitions, Roles: []string{"guarded"}, With: map[string]string{"what": what}, Address: h.address},
		cli.ConvergeArgs{Apply: !dry, By: "tester", Guard: &within}, func(e cli.HostEvent) { events = append(events, e) })
	if err != nil || len(all) != 1 {
		h.t.Fatalf("%+v %v", all, err)
	}
	return all[0], events
}

func (h *sshHost) gone() string { return "! pgrep -f host-[g]uard" }

// TestGuard: a change that cuts a host off from a real SSH server is undone by the host.
func TestGuard(t *testing.T) {
	h := newSSHHost(t)
	within := 3 * time.Second
	// A good change is confirmed, and stays.
	r, _ := h.apply("good", time.Minute, false)
	if r.Failed || r.Generation != 1 {
		t.Fatalf("%+v", r)
	}
	h.until(h.gone())
	if got := h.sh("cat /etc/marker; grep -c unconfirmed /var/lib/steer-host/state.json || true"); got != "good\n0" {
		t.Error(got)
	}
	// So is one that ends the connection only.
	r, _ = h.apply("kick", time.Minute, false)
	if r.Failed || r.Generation != 2 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "the host came to the end by itself") {
		t.Fatalf("%+v", r)
	}
	h.until(h.gone())
	if got := h.sh("cat /etc/marker /etc/after"); got != "kick\nkicked" {
		t.Error(got)
	}
	if r, _ = h.apply("good", time.Minute, false); r.Failed || len(r.Notes) > 0 {
		t.Fatalf("%+v", r)
	}
	for _, what := range []string{"sshd", "firewall"} {
		t.Run(what, func(t *testing.T) {
			h.t = t
			r, events := h.apply(what, within, false)
			if !r.Failed || !strings.Contains(r.Error, "the host cannot be reached any more, so it was not confirmed within 3s, and the host undoes generation") || r.Counts["changed"] < 2 {
				t.Errorf("%+v\n%+v", r, events)
			}
			h.until(h.gone())
			h.reached()
			if got := h.sh("cat /etc/marker; ls /etc/ssh/sshd_config.d; nft list ruleset"); got != "good" {
				t.Error(got)
			}
			// The next visits tell it, until one has changed something or found nothing to.
			for i, dry := range []bool{true, true, false, false} {
				r, _ := h.apply("good", time.Minute, dry)
				told := len(r.Notes) == 1 && strings.Contains(r.Notes[0], "was undone at ") && strings.Contains(r.Notes[0], "since nobody confirmed that the host can be reached")
				if r.Failed || told != (i < 3) {
					t.Errorf("visit %d: %+v", i, r)
				}
			}
		})
	}
	h.t = t
	for _, killed := range []string{"host-[r]un", "host-[r]un|host-[g]uard"} {
		t.Run("killed "+killed, func(t *testing.T) {
			h.t = t
			h.sh("rm -f /tmp/middle")
			go func() {
				h.until("test -e /tmp/middle")
				h.sh("pkill -9 -f '" + killed + "' && pkill -9 -x tail")
			}()
			r, _ := h.apply("long", within, false)
			if !r.Failed || !strings.Contains(r.Error, "what it changed by then it undoes itself, 3s after the end of the run") {
				t.Errorf("%+v", r)
			}
			h.until(h.gone())
			r, _ = h.apply("long", within, true)
			if len(r.Notes) != 1 {
				t.Fatalf("%+v", r)
			}
			if strings.Contains(killed, "|") {
				// As by a restart of the host: nobody is left who could undo it.
				if !strings.Contains(r.Notes[0], "its guard was ended before it could undo it") || h.sh("cat /etc/marker") != "long" {
					t.Errorf("%+v", r)
				}
				back, err := app.Infra().Rollback(t.Context(), cli.HostArgs{Address: h.address}, cli.RollbackArgs{Apply: true, To: -1, By: "tester"}, func(cli.HostEvent) {})
				if err != nil || len(back) != 1 || back[0].Failed || len(back[0].Notes) != 2 {
					t.Errorf("%+v %v", back, err)
				}
			} else if !strings.Contains(r.Notes[0], "was undone at ") || !strings.Contains(r.Notes[0], "command:long cannot be undone") {
				t.Errorf("%+v", r)
			}
			if got := h.sh("cat /etc/marker"); got != "good" {
				t.Error(got)
			}
		})
	}
}
