package test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"steer/infra/infratest"
)

// larder is a folder with roles, a base to bake from and a cache.
type larder struct {
	t   *testing.T
	dir string
}

func newLarder(t *testing.T) *larder {
	t.Helper()
	infratest.NeedDocker(t)
	if os.Geteuid() != 0 {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("this is not root, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("only root can bake")
	}
	l := &larder{t, t.TempDir()}
	l.sh(`docker run --rm --network=none ` + infratest.Image + ` tar -C / -c --one-file-system --exclude=./usr/share/locale --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/perl --exclude=./usr/lib/git-core --exclude=./usr/lib/*/perl --exclude=./usr/lib/*/gconv --exclude=./var/lib/apt/lists --exclude=./usr/bin/git* --exclude=./.dockerenv . > base.tar`)
	write(t, filepath.Join(l.dir, "roles/app/role.yaml"), `
description: Runs the shop.
parameters:
  greeting: {default: Hello}
resources:
  - user: {name: shop, system: true}
  - directory: {path: /etc/shop, owner: shop, mode: "0750"}
  - file: {path: /etc/shop/shop.conf, content: "init {{ .host.init }}\n", mode: "0640", owner: shop}
    notify: ["command:note"]
  - command: {name: note, run: "id -un > /etc/shop/noted", on_notify: true}
  - unit:
      name: shop.service
      content: |
        [Service]
        ExecStart=/bin/sleep infinity
        User=shop
        [Install]
        WantedBy=multi-user.target
  - service: shop
  - service: {name: ssh, state: stopped}
  - sysctl: {name: vm.swappiness, value: "10", running: false}
  - file: {path: /srv/greeting, content: "{{ .greeting }}\n"}
tests:
  - file: {path: /etc/shop/shop.conf, mode: "0640", owner: shop}
  - service: shop
  - command: {run: "id shop"}
`)
	return l
}

func (l *larder) sh(script string) string {
	l.t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Dir = l.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		l.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (l *larder) bake(more string) string {
	l.t.Helper()
	return l.sh(program(l.t, "steer") + " bake app --from base.tar --cache cache " + more + " 2>&1")
}

var digestOf = regexp.MustCompile(`(?m)^app  (sha256:[0-9a-f]{64})  .*, (\d+) of (\d+) parts from the cache`)

// TestBake: an image is what its roles say, in an engine and for Steer.
func TestBake(t *testing.T) {
	t.Parallel()
	l := newLarder(t)
	name := fmt.Sprintf("steer-test-bake-%d", os.Getpid())
	first := l.bake("--tag " + name + ":1 --test --rootfs root.tar.gz --out app.tar")
	for _, want := range []string{
		"service:shop (not started: nothing runs here)", "! command:note (notified)", "skip  service shop: nothing runs here", "0 failed, 1 skipped",
	} {
		if !strings.Contains(first, want) {
			t.Errorf("the output lacks %q:\n%s", want, first)
		}
	}
	t.Cleanup(func() {
		exec.Command("docker", "rm", "-f", name).Run()
		exec.Command("docker", "rmi", "-f", name+":1").Run()
	})
	l.sh("docker load -i app.tar")
	got := l.sh("docker run --rm --network=none " + name + ":1 sh -c 'cat /etc/shop/shop.conf /etc/shop/noted /srv/greeting; stat -c \"%U %a\" /etc/shop /etc/shop/shop.conf; test ! -e /usr/sbin/policy-rc.d; wc -c < /etc/machine-id; ls /etc/ssh/*_key 2>/dev/null || echo no keys'")
	if want := "init systemd\nroot\nHello\nshop 750\nshop 640\n0\nno keys"; got != want {
		t.Errorf("in the container: %s\nwant %s", got, want)
	}
	if list := l.sh("tar -tzf root.tar.gz | grep srv/greeting"); list != "srv/greeting" {
		t.Errorf("the root file system has %q", list)
	}
	// Booted, there is nothing left to do.
	l.sh("docker run --detach --network=none --name " + name + " --cgroupns=private --tmpfs=/run --tmpfs=/run/lock --cap-add=SYS_ADMIN --security-opt=seccomp=unconfined " + name + ":1 /sbin/init")
	l.sh("docker exec " + name + ` sh -c 'for i in $(seq 600); do [ -S /run/systemd/private ] && break; sleep 0.05; done; systemctl is-system-running --wait || true'`)
	if out := l.sh(program(t, "steer") + " apply app -y --host docker://" + name); !regexp.MustCompile(`ok=\d+ +changed=0 +failed=0 +skipped=0`).MatchString(out) {
		t.Errorf("applied to a container of the image:\n%s", out)
	}
	hash := l.sh("docker inspect -f '{{index .Config.Labels \"steer.hash\"}}' " + name)
	if len(hash) != 32 {
		t.Errorf("label steer.hash is %q", hash)
	}

	// The same again gives the same bytes, from the cache and without.
	digest := digestOf.FindStringSubmatch(first)
	warm := digestOf.FindStringSubmatch(l.bake("--tag " + name + ":1 --out again.tar"))
	fresh := digestOf.FindStringSubmatch(l.bake("--tag " + name + ":1 --out fresh.tar --fresh"))
	if digest == nil || warm == nil || fresh == nil || digest[1] != warm[1] || digest[1] != fresh[1] || warm[2] != warm[3] || fresh[2] != "0" {
		t.Errorf("first %v, warm %v, fresh %v", digest, warm, fresh)
	}
	l.sh("cmp app.tar again.tar && cmp app.tar fresh.tar")
	last := digestOf.FindStringSubmatch(l.bake("-p greeting=Bye --out app.tar"))
	if last == nil || last[1] == digest[1] || last[2] == last[3] || last[2] == "0" {
		t.Errorf("with another last resource: %v", last)
	}
	// It goes to the server's registry, and comes out as it went in.
	p := serve(t, filepath.Join(l.dir, "data"))
	l.sh("STEER_SERVER=" + p.url + " STEER_TOKEN=" + p.token + " " + program(t, "steer") + " bake app --from base.tar --cache cache --tag " + name + ":1 --push team/app:1")
	if head, err := remote.Head(p.image("team/app:1"), p.login()); err != nil || head.Digest.String() != digest[1] {
		t.Errorf("pushed: %v, %v; want %s", head, err, digest[1])
	}
	// What needs a running system is written only, and this machine stays as it is.
	write(t, filepath.Join(l.dir, "roles/still.yaml"), `
description: Needs a running system.
parameters: {password: {default: unset-1, secret: true}}
resources:
  - hostname: box.example.com
  - mount: {path: /mnt/box, source: none, type: tmpfs}
  - volume: {device: /dev/steer-none, type: ext4}
  - firewall: {policy: drop, allow: [{port: 22}]}
  - timer: {name: sweep, schedule: daily, command: "true"}
  - command: {name: steal, run: "nft add table inet steer_test_stolen && exit 1 || hostname stolen && exit 1 || mount -t tmpfs none /mnt && exit 1 || exit 0"}
  - file: {path: /srv/password, content: "{{ .password }}"}
    when: '{{ ne .password "unset-1" }}'
`)
	name0, _ := os.Hostname()
	still := l.sh(program(t, "steer") + " bake still --from base.tar --cache cache --rootfs still.tar 2>&1")
	for _, want := range []string{"(not mounted: only written to /etc/fstab)", "volume:/dev/steer-none (not made: there are no disks here)", "(not loaded: only written, nft did not check it)", "timer:sweep (not started: nothing runs here)", "! command:steal"} {
		if !strings.Contains(still, want) {
			t.Errorf("the output lacks %q:\n%s", want, still)
		}
	}
	if name, _ := os.Hostname(); name != name0 {
		t.Errorf("this machine is called %s now", name)
	}
	got = l.sh("tar -xOf still.tar etc/hostname; tar -xOf still.tar etc/fstab | grep -c /mnt/box; tar -tf still.tar | grep -E 'timers.target.wants/sweep|nftables.d/' | wc -l")
	if !strings.HasPrefix(got, "box.example.com\n1\n") {
		t.Errorf("the root file system has %q", got)
	}
	if out, err := exec.Command("sh", "-c", "cd "+l.dir+" && "+program(t, "steer")+" bake still --from base.tar --cache cache -p password=hush1234 2>&1").CombinedOutput(); err == nil || !strings.Contains(string(out), "file:/srv/password uses a secret, which everybody who has the image could read") || strings.Contains(string(out), "hush1234") {
		t.Errorf("a secret in an image: %v %s", err, out)
	}
	if mounts := l.sh("cat /proc/mounts"); strings.Contains(mounts, l.dir) {
		t.Errorf("something is still mounted:\n%s", mounts)
	}
}

// TestBakeIsKilled: kill -9 leaves no process, no mount and no half entry.
func TestBakeIsKilled(t *testing.T) {
	t.Parallel()
	l := newLarder(t)
	write(t, filepath.Join(l.dir, "roles/slow.yaml"), "description: Takes long.\nresources:\n  - file: {path: /srv/begun, content: x}\n  - command: {name: wait, run: 'touch /srv/waits; sleep 4321'}\n")
	cmd := exec.Command(program(t, "steer"), "bake", "slow", "--from", "base.tar", "--cache", "cache")
	cmd.Dir = l.dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) //nolint:errcheck // it is over unless the test fails first
	trees := filepath.Join(l.dir, "cache/work/*/stack*/upper")
	until(t, "the command runs", func() error {
		if found, _ := filepath.Glob(trees + "/srv/waits"); len(found) == 0 {
			return errors.New("it does not")
		}
		return nil
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	until(t, "nothing runs in the tree", func() error {
		all, _ := filepath.Glob("/proc/[0-9]*")
		for _, p := range all {
			if m, err := os.ReadFile(p + "/mountinfo"); err == nil && strings.Contains(string(m), l.dir) {
				return fmt.Errorf("%s still has it mounted", p)
			}
			if c, err := os.ReadFile(p + "/cmdline"); err == nil && strings.Contains(string(c), "sleep\x004321") {
				return fmt.Errorf("%s still sleeps", p)
			}
		}
		return nil
	})
	for _, what := range []string{"grep -l layers cache/entries/*", "ls cache/layers", "ls -d cache/trees/*/*"} { // the base and the file
		if found := strings.Fields(l.sh(what)); len(found) != 2 {
			t.Errorf("kept are %v", found)
		}
	}
	l.bake("--out app.tar")
	if left, _ := filepath.Glob(filepath.Join(l.dir, "cache/work/*")); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}
