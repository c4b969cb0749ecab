package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/infra/infratest"
)

// rootfs is a tar of the small Debian that tests have.
func rootfs(t *testing.T) string {
	t.Helper()
	infratest.NeedDocker(t)
	if os.Geteuid() != 0 {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("this is not root, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("this is not root")
	}
	dir := t.TempDir()
	script := `docker run --rm --network=none ` + infratest.Image + ` tar -C / -c --one-file-system --exclude=./usr/share/locale --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/perl --exclude=./usr/lib/git-core --exclude=./usr/lib/*/perl --exclude=./var/lib/apt/lists --exclude=./.dockerenv . > "$1"/root.tar`
	if out, err := exec.Command("sh", "-ec", script, "sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// TestTree: a folder as a host, entered without a way to the machine below.
func TestTree(t *testing.T) {
	t.Parallel()
	dir := rootfs(t)
	folder := filepath.Join(dir, "guest")
	h := Host{Name: "guest", Folder: dir, Entry: Entry{Make: &Make{Debootstrap: &Debootstrap{RootFS: "root.tar", Folder: dir + "/{}"}}}}
	h.Address = h.Make.Debootstrap.address(h.Name)
	if _, err := Dial(t.Context(), h.Address); fault.Of(err) != fault.Unavailable {
		t.Errorf("before it is made: %v", err)
	}
	if made, err := Create(t.Context(), h); !made || err != nil {
		t.Fatal(made, err)
	}
	if made, err := Create(t.Context(), h); made || err != nil {
		t.Error("made twice", err)
	}
	conn, err := Dial(t.Context(), h.Address)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, conn, "guest")
	for script, want := range map[string]string{
		"echo $$": "1\n",
		"cat /etc/hostname; echo x > /dev/null && ls /dev/pts/ptmx":        "guest\n/dev/pts/ptmx\n",
		"ls " + dir + " 2>/dev/null || echo nothing":                       "nothing\n",
		"mount -t tmpfs none /mnt 2>/dev/null || echo no mounts":           "no mounts\n",
		"echo 1 2>/dev/null > /proc/sys/vm/swappiness || echo no":          "no\n",
		"ip link add x type dummy 2>/dev/null || echo no":                  "no\n",
		"grep -c . /proc/mounts | grep -q . && grep -c ' / ' /proc/mounts": "1\n",
	} {
		var out strings.Builder
		err := conn.Run(t.Context(), Call{Args: []string{"sh", "-c", script}, Stdout: &out})
		if got := out.String(); err != nil || got != want {
			t.Errorf("%s: %q, want %q, %v", script, got, want, err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), folder) {
		t.Errorf("it is mounted here: %v", err)
	}
	other := h
	other.Name = "other"
	other.Make = &Make{Debootstrap: &Debootstrap{RootFS: "root.tar", Folder: folder}}
	if _, err := Create(t.Context(), other); fault.Of(err) != fault.Conflict {
		t.Errorf("took the folder of another host: %v", err)
	}
	if err := Destroy(t.Context(), other); fault.Of(err) != fault.Denied {
		t.Errorf("destroyed the folder of another host: %v", err)
	}
	for range 2 {
		if err := Destroy(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(dir + "/.*"); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
	h.Make.Debootstrap.RootFS = "none.tar"
	if _, err := Create(t.Context(), h); err == nil || !strings.Contains(err.Error(), "make host guest: unpack rootfs "+dir+"/none.tar: ") {
		t.Errorf("got %v", err)
	}
	if left, _ := filepath.Glob(dir + "/.*"); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}

// TestNspawn boots a container and reaches it.
func TestNspawn(t *testing.T) {
	t.Parallel()
	dir := rootfs(t)
	if _, err := exec.LookPath("systemd-nspawn"); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("systemd-nspawn is not installed, and STEER_REQUIRE_ALL is set")
		}
		t.Skip("systemd-nspawn is not installed")
	}
	volume := t.TempDir()
	h := Host{Name: fmt.Sprintf("steer-test-%d", os.Getpid()), Folder: dir, Entry: Entry{Make: &Make{Nspawn: &Nspawn{RootFS: "root.tar", Network: "none", Volumes: map[string]string{"/srv/data": volume}}}}}
	h.Address = h.Make.Nspawn.address(h.Name)
	defer Destroy(t.Context(), h) //nolint:errcheck // it is destroyed below
	if made, err := Create(t.Context(), h); !made || err != nil {
		t.Fatal(made, err)
	}
	if made, err := Create(t.Context(), h); made || err != nil {
		t.Error("made twice", err)
	}
	conn, err := Dial(t.Context(), h.Address)
	if err != nil {
		t.Fatal(err)
	}
	converse(t, conn, h.Name)
	var out strings.Builder
	script := "cat /proc/1/comm; systemctl is-active multi-user.target; echo kept > /srv/data/file; ls /sys/class/net"
	if err := conn.Run(t.Context(), Call{Args: []string{"sh", "-c", script}, Stdout: &out}); err != nil || out.String() != "systemd\nactive\nlo\n" {
		t.Errorf("%q %v", out.String(), err)
	}
	for _, way := range []string{Off, Kill} {
		if err := SwitchOff(t.Context(), h, way); err != nil || leader(h.Name) != 0 {
			t.Errorf("%s: %v", way, err)
		}
		if _, err := Dial(t.Context(), h.Address); fault.Of(err) != fault.Unavailable || !strings.Contains(err.Error(), "it is stopped (steer host start "+h.Name) {
			t.Errorf("%s: %v", way, err)
		}
		if err := SwitchOn(t.Context(), h); err != nil || leader(h.Name) == 0 {
			t.Errorf("start after %s: %v", way, err)
		}
	}
	made := func() bool {
		all, err := Made(t.Context())
		return err == nil && slices.Contains(all, h.Address)
	}
	if !made() {
		t.Error("it is not among those that were made")
	}
	if err := DestroyMade(t.Context(), h.Name); err != nil || made() {
		t.Error("destroyed by name", err)
	}
	if err := Destroy(t.Context(), h); err != nil {
		t.Error(err)
	}
	if err := SwitchOn(t.Context(), h); fault.Of(err) != fault.NotFound {
		t.Error(err)
	}
	if err := SwitchOff(t.Context(), h, Off); fault.Of(err) != fault.NotFound {
		t.Error(err)
	}
	if b, err := os.ReadFile(volume + "/file"); err != nil || string(b) != "kept\n" {
		t.Errorf("the volume has %q, %v", b, err)
	}
	if _, err := Dial(t.Context(), h.Address); fault.Of(err) != fault.Unavailable {
		t.Errorf("after its end: %v", err)
	}
	if left, _ := filepath.Glob(machines + "/*" + h.Name + "*"); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}

func TestNspawnWords(t *testing.T) {
	n := &Nspawn{Suite: "bookworm", Memory: "512M", CPUs: 1.5, Network: "br0", Volumes: map[string]string{"/srv": "/data", "/a": "/b"}}
	words, err := n.words("web-1", true)
	want := "systemd-run --quiet --unit=steer-host-web-1 --property=Delegate=yes --property=KillMode=mixed --property=MemoryMax=512M --property=CPUQuota=150% " +
		"systemd-nspawn --quiet --boot --keep-unit --directory=/var/lib/machines/web-1 --machine=web-1 --resolv-conf=copy-host --link-journal=no --console=read-only --network-bridge=br0 --bind=/b:/a --bind=/data:/srv"
	if got := strings.Join(words, " "); err != nil || got != want {
		t.Errorf("%s %v\nwant %s", got, err, want)
	}
	if _, err := n.words("web-1", false); fault.Of(err) != fault.Invalid {
		t.Errorf("limits without systemd: %v", err)
	}
	words, err = (&Nspawn{Network: "none"}).words("x", false)
	if err != nil || words[0] != "systemd-nspawn" || !slices.Contains(words, "--register=no") || !slices.Contains(words, "--private-network") {
		t.Errorf("%q %v", words, err)
	}
	for _, n := range []*Nspawn{{}, {Suite: "x", RootFS: "y"}, {Suite: "x", Memory: "much"}, {Suite: "x", Network: "-a"}, {Suite: "x", Volumes: map[string]string{"a": "/b"}}} {
		if err := n.Check(); fault.Of(err) != fault.Invalid {
			t.Errorf("%+v: %v", n, err)
		}
	}
}
