// Package infratest lets tests work on a host of their own: a throw-away container
// with Debian, in which they are root.
package infratest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// Image is the name of the image that hosts are made from.
const Image = "steer-test-host"

// packages are in the image besides the smallest Debian that has apt.
const packages = "ca-certificates,procps,cron,nftables,git,openssh-server,systemd,systemd-sysv,dbus,apt-utils,dpkg-dev"

const inside = "STEER_TEST_INSIDE"

// Inside runs body on a host of its own, in a container: the same test is started
// again in there. It works on a fresh Debian as root, without a network and without
// systemd, in the folder of its package. More are further options of docker run.
func Inside(t *testing.T, body func(), more ...string) {
	t.Helper()
	if os.Getenv(inside) != "" {
		body()
		return
	}
	self, dir := prepare(t)
	args := append(append([]string{"run", "--rm"}, options(self, dir)...), more...)
	finish(t, docker(t, append(args, Image)...)...)
}

// InsideSystemd is Inside on a host that systemd runs.
func InsideSystemd(t *testing.T, body func()) {
	t.Helper()
	if os.Getenv(inside) != "" {
		body()
		return
	}
	self, dir := prepare(t)
	args := append([]string{"run", "--rm", "--detach", "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock"}, options(self, dir)...)
	out, err := exec.CommandContext(t.Context(), "docker", append(args, Image, "/sbin/init")...).Output()
	if err != nil {
		t.Fatalf("start a host with systemd: %v", err)
	}
	id := strings.TrimSpace(string(out))
	defer exec.Command("docker", "kill", id).Run()
	// Its own end may be "degraded": what matters is that the start is over.
	wait := `for i in $(seq 600); do [ -S /run/systemd/private ] && break; sleep 0.05; done; systemctl is-system-running --wait`
	if out, err := exec.CommandContext(t.Context(), "docker", "exec", id, "sh", "-c", wait).CombinedOutput(); err != nil && !bytes.Contains(out, []byte("degraded")) {
		t.Fatalf("systemd does not start: %v\n%s", err, out)
	}
	finish(t, docker(t, "exec", "-w", dir, id)...)
}

func prepare(t *testing.T) (self, dir string) {
	t.Helper()
	NeedDocker(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if dir, err = os.Getwd(); err != nil {
		t.Fatal(err)
	}
	return self, dir
}

// options give the container the test, and what a virtual machine would allow it.
func options(self, dir string) []string {
	return []string{"--network=none", "--cap-add=SYS_ADMIN", "--cap-add=NET_ADMIN", "--security-opt=seccomp=unconfined", "-e", inside + "=1", "-e", "STEER_REQUIRE_ALL",
		"-v", self + ":/steer.test:ro", "-v", dir + ":" + dir + ":ro", "-w", dir}
}

func docker(t *testing.T, args ...string) []string {
	return append(args, "/steer.test", "-test.v", "-test.run", "^"+regexp.QuoteMeta(t.Name())+"$")
}

// finish runs the test inside, and fails this one if that fails.
func finish(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "docker", args...).CombinedOutput()
	if err != nil {
		t.Errorf("inside the container: %v\n%s", err, out)
	} else if bytes.Contains(out, []byte("--- SKIP")) || !bytes.Contains(out, []byte("--- PASS")) {
		t.Errorf("inside the container the test did not run:\n%s", out)
	}
}

// NeedDocker skips a test for want of a Docker engine, or fails it as
// STEER_REQUIRE_ALL says. It makes the image, once.
func NeedDocker(t *testing.T) {
	t.Helper()
	lack := func(what string) {
		t.Helper()
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal(what + ", and STEER_REQUIRE_ALL is set")
		}
		t.Skip(what)
	}
	if err := exec.Command("docker", "version").Run(); err != nil {
		lack("no Docker engine answers")
	}
	// Tests of several packages come here at once.
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), Image+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if exec.Command("docker", "image", "inspect", Image).Run() == nil {
		return
	}
	if _, err := exec.LookPath("debootstrap"); err != nil || os.Geteuid() != 0 {
		lack("debootstrap is not installed, or this is not root")
	}
	tree := t.TempDir()
	make := fmt.Sprintf("debootstrap --variant=minbase --include=%s bookworm %s && rm -rf %s/var/cache/apt/archives/*.deb && tar -C %s -c . | docker import - %s", packages, tree, tree, tree, Image)
	if out, err := exec.Command("sh", "-c", make).CombinedOutput(); err != nil {
		t.Fatalf("make the image of a host: %v\n%s", err, out)
	}
}
