package test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/api/client"
	"steer/base/event"
	"steer/base/fault"
	"steer/infra/host"
)

// TestLoginIsOff: an image without logins is baked, and its hosts run and are kept as
// declared; who opens one from outside is seen, and it is replaced; who has to get in does
// it with a reason, and it is replaced as well. In containers of Docker and of systemd.
func TestLoginIsOff(t *testing.T) {
	t.Parallel()
	l := newLarder(t)
	need(t, "systemd-nspawn")
	shop, box := fmt.Sprintf("steer-test-shut-%d", os.Getpid()), fmt.Sprintf("steer-test-box-%d", os.Getpid())
	out := l.bake("--no-login --tag " + shop + ":1 --out app.tar --rootfs root.tar")
	if !strings.Contains(out, "~ login:off") || !strings.Contains(out, "sshd: lets people in -> DenyUsers *") {
		t.Errorf("the output lacks what was shut:\n%s", out)
	}
	l.sh("docker load -i app.tar")
	t.Cleanup(func() {
		exec.Command("docker", "rm", "-f", shop).Run()
		exec.Command("docker", "rmi", "-f", shop+":1").Run()
	})
	// A role that lets people in is refused.
	write(t, filepath.Join(l.dir, "roles/open.yaml"), "description: Open.\nresources:\n  - authorized_key: {user: root, key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna@laptop}\n")
	if out, err := exec.Command("sh", "-c", "cd "+l.dir+" && "+program(t, "steer")+" bake open --no-login --from base.tar --cache cache 2>&1").CombinedOutput(); err == nil || !strings.Contains(string(out), "roles/open.yaml:3: authorized_key:root/anna@laptop lets a key in, and logging in is switched off") {
		t.Errorf("got %v\n%s", err, out)
	}

	p := serve(t, filepath.Join(l.dir, "data"))
	steer := func(words string) string {
		t.Helper()
		return l.sh("export STEER_SERVER=" + p.url + " STEER_TOKEN=" + p.token + "; " + program(t, "steer") + " " + words + " 2>&1")
	}
	role, err := os.ReadFile(filepath.Join(l.dir, "roles/app/role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	entry := "  roles: [app]\n  immutable: true\n  login: false\n"
	hosts := shop + ":\n" + entry + "  make: {docker: {image: '" + shop + ":1', run: [/sbin/init], rights: [SYS_ADMIN], network: none}}\n" +
		box + ":\n" + entry + "  make: {nspawn: {rootfs: " + l.dir + "/root.tar, network: none}}\n"
	p.define(map[string]string{"roles/app/role.yaml": string(role), "hosts.yaml": hosts})
	t.Cleanup(func() {
		write(t, filepath.Join(l.dir, "hosts.yaml"), hosts)
		l.sh(program(t, "steer") + " host destroy " + shop + " " + box + " -y")
	})
	well := func(name string) (d client.HostDetail) {
		t.Helper()
		slowly(t, name+" is as declared", func() (err error) {
			if d, err = p.api.Host(t.Context(), name); err == nil && (d.Host.State != "converged" || d.Host.Running != 0) {
				err = fmt.Errorf("%+v", d.Host)
			}
			return err
		})
		return d
	}
	for _, address := range []string{"docker://" + shop, "nspawn://" + box} {
		name := address[len("docker://"):]
		inside := func(script string) string {
			t.Helper()
			conn, err := host.Dial(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := conn.Run(t.Context(), host.Call{Args: []string{"sh", "-ec", script}, Stdout: &out}); err != nil {
				t.Fatalf("%s: %v", script, err)
			}
			return strings.TrimSpace(out.String())
		}
		if d := well(name); !d.Host.NoLogin || !d.Host.Immutable {
			t.Errorf("%+v", d.Host)
		}
		if got := inside(`cat /proc/1/comm; ps -eo comm= | grep -cE "sshd|getty|login$" || true; systemctl start ssh 2>&1 || true; head -n 1 /etc/nologin`); got != "systemd\n0\nFailed to start ssh.service: Unit ssh.service is masked.\nLogging in is switched off on this host." {
			t.Errorf("in %s: %s", name, got)
		}
		if text := steer("fleet host " + name); !strings.Contains(text, "Logging in is off.") {
			t.Errorf("got %s", text)
		}
		// Somebody opens it from outside.
		inside(`mkdir -p -m 700 /root/.ssh /run/sshd; ssh-keygen -A >/dev/null; ssh-keygen -q -t ed25519 -N "" -C eve@laptop -f /root/k; mv /root/k.pub /root/.ssh/authorized_keys; echo root:hunter22 | chpasswd; rm /etc/systemd/system/ssh.service; /usr/sbin/sshd`)
		steer("fleet visit " + name)
		slowly(t, name+" was made anew", func() error {
			d, err := p.api.Host(t.Context(), name)
			if err == nil && d.Host.Rebuilt.IsZero() {
				err = fmt.Errorf("%+v", d.Host)
			}
			return err
		})
		d := well(name)
		if i := slices.IndexFunc(d.Visits, func(v client.Visit) bool { return v.Kind == "rebuild" }); i < 0 || d.Visits[i].Cause != "drift" {
			t.Errorf("%+v", d.Visits)
		}
		if got := inside("ls -A /root/.ssh 2>/dev/null || true; grep ^root /etc/shadow; ps -eo comm= | grep -c sshd || true"); !strings.HasPrefix(got, "root:*:") || !strings.HasSuffix(got, "\n0") {
			t.Errorf("the new %s has %s", name, got)
		}
		told := p.journal(name, event.HostDrifted)
		for _, want := range []string{"password of root set", "eve@laptop", "sshd runs as process", "units can be started: ssh.service"} {
			if !strings.Contains(told, want) {
				t.Errorf("the journal lacks %q: %s", want, told)
			}
		}
	}
	// A person gets in, with a reason; not everybody may.
	c, err := client.New(p.url, p.tokenOf("dev", "developer"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.EnterHost(t.Context(), shop, client.EnterRequest{Command: []string{"id"}, Reason: "I wonder"}); fault.Of(err) != fault.Denied || p.journal(shop, event.HostEntered) != "" {
		t.Errorf("a developer: %v", err)
	}
	if text := steer("fleet enter " + shop + " --reason 'incident 12' -- sh -c 'id -un; hostname'"); !strings.HasPrefix(text, "root\n"+shop+"\n") {
		t.Errorf("got %s", text)
	}
	if told := p.journal(shop, event.HostEntered); !strings.Contains(told, "ended with code 0") {
		t.Errorf("the journal says %s", told)
	}
	if text := steer("fleet host " + shop); !strings.Contains(text, "admin was on it") || !strings.Contains(text, "paused") {
		t.Errorf("got %s", text)
	}
	steer("fleet resume " + shop)
	slowly(t, shop+" is nobody's any more", func() error {
		d, err := p.api.Host(t.Context(), shop)
		if err == nil && d.Host.Touched != nil {
			err = fmt.Errorf("%+v", d.Host)
		}
		return err
	})
	if d := well(shop); d.Visits[0].Cause != "entered" || d.Visits[0].Reason != "admin was on it: incident 12" {
		t.Errorf("%+v", d.Visits)
	}
}

// slowly is until, for hosts that start.
func slowly(t *testing.T, what string, ok func() error) {
	t.Helper()
	var err error
	for range waits(90 * time.Second) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("waited until %s: %v", what, err)
}

// journal is what events of a kind say of a host, with what it is like.
func (p *process) journal(name, kind string) string {
	p.t.Helper()
	all, err := p.api.Events(p.t.Context(), url.Values{"subject": {"host/" + name}, "type": {kind}})
	if err != nil {
		p.t.Fatal(err)
	}
	var text []string
	for _, e := range all {
		text = append(text, e.Summary)
	}
	return strings.Join(text, "\n")
}
