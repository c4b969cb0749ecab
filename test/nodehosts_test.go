package test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"steer/api/client"
	"steer/base/secret"
	"steer/infra/infratest"
)

// guest is a container that is a host.
type guest struct {
	t    *testing.T
	name string
}

func newGuest(t *testing.T, name string, args ...string) *guest {
	t.Helper()
	g := &guest{t, name}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("docker", "exec", name, "sh", "-c", "ps ax; ls -l /var/lib/steer-nodes/*; tail -n 30 /var/lib/steer-nodes/*/keeper.log; journalctl -n 40 --no-pager -u 'steer-nodes-*'").CombinedOutput()
			t.Logf("%s:\n%s", name, out)
		}
		exec.Command("docker", "rm", "--force", name).Run()
	})
	g.docker(append([]string{"run", "--detach", "--name", name, "--hostname", name}, args...)...)
	return g
}

func (g *guest) docker(args ...string) string {
	g.t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		g.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (g *guest) sh(script string) string {
	g.t.Helper()
	return g.docker("exec", g.name, "sh", "-c", script)
}

// catalogs are the nodes that run there.
func (g *guest) catalogs() []string {
	out, _ := exec.Command("docker", "exec", g.name, "pgrep", "-x", "catalog").Output()
	return strings.Fields(string(out))
}

// nodeHosts are two: one that systemd runs, and one that is reached by SSH, in which
// nothing keeps services running.
func nodeHosts(t *testing.T, prefix string) (one, two *guest, inventory string) {
	t.Helper()
	infratest.NeedDocker(t)
	one = newGuest(t, prefix+"-one", "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", infratest.Image, "/sbin/init")
	two = newGuest(t, prefix+"-two", "--init", infratest.Image, "sh", "-c", "mkdir -p /run/sshd && exec /usr/sbin/sshd -D")
	one.sh("for i in $(seq 600); do [ -S /run/systemd/private ] && break; sleep 0.05; done; systemctl is-system-running --wait || true")
	// They have the program already: bringing it is tested elsewhere, and takes long on
	// a busy machine.
	file := program(t, "steer")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []*guest{one, two} {
		g.sh("mkdir -p -m 700 /var/lib/steer-host/bin")
		g.docker("cp", file, fmt.Sprintf("%s:/var/lib/steer-host/bin/steer-%.8x", g.name, sha256.Sum256(b)))
	}
	dir := t.TempDir()
	two.sh("ssh-keygen -q -t ed25519 -N '' -f /tmp/key && mkdir -p -m 700 /root/.ssh && cp /tmp/key.pub /root/.ssh/authorized_keys")
	at := two.docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", two.name)
	for file, text := range map[string]string{"key": two.sh("cat /tmp/key"), "known": at + " " + two.sh("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return one, two, fmt.Sprintf("%s: {roles: [web], group: web, connect: \"docker://%[1]s\", converge: {every: 0s}}\n%s: {roles: [web], group: web, connect: \"ssh://root@%s?key=%s/key&known_hosts=%[4]s/known\", converge: {every: 0s}}\n",
		one.name, two.name, at, dir)
}

// encrypted is a secret as the server can read it.
func (p *process) encrypted(text string) string {
	p.t.Helper()
	keys, err := secret.Open(filepath.Join(p.data, "secret.key"))
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := keys.Encrypt([]byte(text))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// TestServiceOnHosts: a service on two hosts is deployed, goes on when one of them
// fails, when a connection is cut, and when Steer is killed.
func TestServiceOnHosts(t *testing.T) {
	t.Parallel()
	one, two, inventory := nodeHosts(t, fmt.Sprintf("steer-nodes-%d", os.Getpid()))
	p := serve(t, t.TempDir(), "store.schemas="+secondly(t), "aggregate.statsd.flush=1s", "deploy.hosts.away=3s")
	push := containerShop(t, p)
	p.define(map[string]string{
		"environments.yaml": "production:\n  driver: hosts\n  warm: 1h\n  config: {shop: {PASSWORD: 'secret:password'}}\n  nodes:\n  - {services: [shop], number: 2, hosts: [web]}\n",
		"hosts.yaml":        inventory,
		"roles/web.yaml":    "description: Nothing but services.\nresources: []\n",

		"secrets/production/password.age": p.encrypted("hush-hush"),
	})
	p.run(push("kind: archive", "").ID, "passed")
	address := p.shopAddress()
	on := func(place client.Placement) (hosts []string) {
		for _, n := range place.Nodes {
			if n.Serving {
				hosts = append(hosts, n.Host)
			}
		}
		return hosts
	}
	place := p.serves("b1")
	if h := on(place); len(h) != 2 || h[0] == h[1] {
		t.Errorf("nodes are on %v, want one on each", h)
	}
	watch := watchShop(t, address)
	for _, g := range []*guest{one, two} {
		pid := g.catalogs()[0]
		if out := g.docker("exec", "-u", "65534", g.name, "sh", "-c", "tr '\\0' '\\n' </proc/"+pid+"/environ | grep -a PASSWORD"); out != "PASSWORD=hush-hush" {
			t.Errorf("the node on %s has %q", g.name, out)
		}
		if out := g.sh(`h=hush; grep -rl "$h-$h" /var /etc /tmp /run; ps axww | grep -v grep | grep "$h-$h"; ps -o user= -p ` + pid); out != "nobody" {
			t.Errorf("on %s: %s", g.name, out)
		}
	}

	// The next version migrates, and goes back.
	p.run(push("kind: archive", "  migrate: ./node 0 migrated").ID, "passed")
	p.serves("b2")
	deploys, err := p.api.Deploys(t.Context(), "shop", "production", 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := deploys[0].Steps[0]; got.Name != "migrate to b2" || got.State != "passed" || strings.TrimSpace(strings.Join(got.Log, "\n")) != "task [0 migrated]" {
		t.Errorf("%+v", got)
	}
	if _, err := p.api.Rollback(t.Context(), "shop", "production", "", "for a test"); err != nil {
		t.Fatal(err)
	}
	p.serves("b1")
	// Without a connection they go on.
	before := two.catalogs()
	two.sh("pkill -f 'sshd: [r]oot'")
	until(t, "the host is there again", func() error {
		if strings.Contains(p.output(), "a host is back") {
			return nil
		}
		return fmt.Errorf("it is away")
	})
	// Nor without those who look after them, whether systemd brings these back or Steer.
	for _, g := range []*guest{one, two} {
		g.sh("pkill -9 -f '[n]ode-keeper'")
	}
	until(t, "both hosts have a keeper", func() error {
		for _, g := range []*guest{one, two} {
			if out, err := exec.Command("docker", "exec", g.name, "pgrep", "-f", "[n]ode-keeper").CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %v %s", g.name, err, out)
			}
		}
		return nil
	})
	place = p.serves("b1")
	if now := two.catalogs(); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("nodes are %v, before %v", now, before)
	}
	if failed := watch(); failed != "" {
		t.Errorf("a request failed: %s", failed)
	}
	p.appears("stats.timers.catalog.production.ttfb.count", func(v float64) bool { return v > 0 })
	if out := p.logs(place.Nodes[0].ID); !strings.Contains(out, "catalog") {
		t.Errorf("log %q", out)
	}

	// Killed in the middle of a deploy, Steer goes on where it was.
	run := push("kind: archive", "")
	p.deploying(run.Version)
	p.kill()
	if len(one.catalogs()) == 0 || len(two.catalogs()) == 0 {
		t.Error("nodes ended with Steer")
	}
	p = serve(t, p.data, "store.schemas="+secondly(t), "deploy.hosts.away=3s")
	p.run(run.ID, "passed")
	p.serves(run.Version)

	// A host dies: the other one has all nodes, until it is back and clean.
	one.docker("kill", one.name)
	p.answersAtAll(address)
	until(t, "all nodes are on the other host", func() error {
		if h := on(p.serves(run.Version)); h[0] != two.name || h[1] != two.name {
			return fmt.Errorf("they are on %v", h)
		}
		return nil
	})
	watch = watchShop(t, address)
	one.docker("start", one.name)
	until(t, "the host that is back is empty", func() error {
		if !strings.Contains(p.output(), "a host is back") {
			return fmt.Errorf("it is not back")
		}
		left := one.sh(`grep -L '"stopped"' /var/lib/steer-nodes/*/nodes/*/node.json || true`)
		if n := one.catalogs(); len(n) > 0 || strings.Contains(left, "-b3-") {
			return fmt.Errorf("it has %v %s", n, left)
		}
		return nil
	})
	if failed := watch(); failed != "" {
		t.Errorf("a request failed: %s", failed)
	}
}
