package machine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steer/infra/infratest"
)

// shell runs a script as root.
func shell(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("sh", "-euc", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.TrimSpace(string(out))
}

// about keeps what is about one thing: others use this machine, too.
func about(t *testing.T, look func() (Seen, error), of ...string) []string {
	t.Helper()
	s, err := look()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range s.Findings {
		if slices.Contains(of, f.Of) {
			all = append(all, f.Kind+" "+f.Text)
		}
	}
	return all
}

func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("STEER_REQUIRE_ALL") != "" {
		t.Fatal(what + ", and STEER_REQUIRE_ALL is set")
	}
	t.Skip(what)
}

// TestFilesystemBreaksReally lets this kernel find an error in an ext4 file system, which
// becomes read-only, and reads what it tells of it.
func TestFilesystemBreaksReally(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	loop, err := exec.Command("sh", "-euc", "cd "+dir+" && truncate -s 16M disk && mkfs.ext4 -q -O ^has_journal disk && tune2fs -e remount-ro disk >/dev/null && losetup --find --show disk").Output()
	device := strings.TrimSpace(string(loop))
	if err != nil || device == "" {
		lack(t, fmt.Sprintf("no loop device and ext4 here: %v", err))
	}
	defer exec.Command("losetup", "--detach", device).Run() //nolint:errcheck // the machine's rest
	name, point := filepath.Base(device), filepath.Join(dir, "mounted")
	shell(t, "mkdir "+point+" && mount "+device+" "+point)
	defer exec.Command("umount", point).Run() //nolint:errcheck // it is over
	m := Machine{Now: time.Now()}
	look := func() (Seen, error) { return m.Filesystems(t.Context(), m.Now.Add(-time.Hour)) }
	before := m.Now
	if got := about(t, look, device); got != nil {
		t.Errorf("it is well: %q", got)
	}
	shell(t, "echo by a test > /sys/fs/ext4/"+name+"/trigger_fs_error; ! touch "+point+"/x 2>/dev/null")
	m.Now = time.Now()
	got := about(t, look, name, device)
	if len(got) != 2 || !strings.HasPrefix(got[0], "errors "+name+": ext4 counted 1 error, the last 20") || !strings.Contains(got[0], "trigger_test_error") ||
		!strings.HasPrefix(got[1], "read-only "+device+" at "+point+" (ext4) can't be written to any more") {
		t.Errorf("%q", got)
	}
	// The log tells it, too. Of a disk that would count also once it is unmounted.
	shell(t, "umount "+point)
	m.Now = time.Now()
	entries, _, err := m.log(t.Context(), before.Add(-time.Minute))
	if err != nil {
		lack(t, err.Error())
	}
	i := slices.IndexFunc(entries, func(e entry) bool {
		return strings.Contains(e.text, "EXT4-fs error (device "+name+"): trigger_test_error")
	})
	if i < 0 || entries[i].at.Before(before.Add(-2*time.Second)) || entries[i].at.After(m.Now.Add(2*time.Second)) {
		t.Errorf("%d of %d entries tells it: %+v", i, len(entries), entries[max(0, i)])
	}
	if got := about(t, look, name, device); got != nil {
		t.Errorf("an image in a file is no disk: %q", got)
	}
}

// TestDeviceIsMissingReally mounts half of a mirror.
func TestDeviceIsMissingReally(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := exec.Command("sh", "-euc", "cd "+dir+" && truncate -s 150M a b && mkfs.btrfs -q -L "+filepath.Base(dir)+"half -d raid1 -m raid1 a b >/dev/null && losetup --find --show a").Output()
	device := strings.TrimSpace(string(out))
	if err != nil || device == "" {
		lack(t, fmt.Sprintf("no loop device and btrfs here: %v", err))
	}
	defer exec.Command("losetup", "--detach", device).Run() //nolint:errcheck // the machine's rest
	point := filepath.Join(dir, "mounted")
	shell(t, "mkdir "+point+" && mount -o degraded "+device+" "+point)
	defer exec.Command("umount", point).Run() //nolint:errcheck // it is over
	label := filepath.Base(dir) + "half"
	m := Machine{Now: time.Now()}
	got := about(t, func() (Seen, error) { return m.Filesystems(t.Context(), m.Now.Add(-time.Hour)) }, "btrfs "+label+" device 2")
	if len(got) != 1 || !strings.HasPrefix(got[0], "degraded btrfs "+label+": device 2 is missing") || !strings.Contains(got[0], filepath.Base(device)) {
		t.Errorf("%q", got)
	}
}

// TestMountsReally works in a container, where mounts harm nobody. It looks at them as a
// machine does, and as what it is.
func TestMountsReally(t *testing.T) {
	t.Parallel()
	infratest.Inside(t, func() {
		shell(t, `mkdir /srv/a /srv/b /srv/c "/srv/d e"; mount -t tmpfs one /srv/a; mount -t tmpfs two /srv/b; mount -t tmpfs three /srv/c; mount -t tmpfs four "/srv/d e"
mount -o remount,ro /srv/a; mount -o remount,ro /srv/b; mount -o remount,ro,bind /srv/c; mount -o remount,ro "/srv/d e"
printf '# a comment\none /srv/a tmpfs defaults 0 0\ntwo /srv/b tmpfs ro,size=1m\nthree /srv/c/ tmpfs\nfour /srv/d\\040e tmpfs rw 0 0\nnothing /srv/none ext4\nswap none swap\n' >/etc/fstab`)
		m := Machine{Now: time.Now()}
		look := func() (s Seen, err error) {
			err = m.mounts(&s)
			return s, err
		}
		want := []string{
			"read-only one at /srv/a (tmpfs) is mounted read-only, and /etc/fstab says read-write (mount -o remount,rw /srv/a; dmesg tells if the kernel refuses)",
			"read-only three at /srv/c (tmpfs) is mounted read-only, and /etc/fstab says read-write (mount -o remount,rw /srv/c; dmesg tells if the kernel refuses)",
			"read-only four at /srv/d e (tmpfs) is mounted read-only, and /etc/fstab says read-write (mount -o remount,rw '/srv/d e'; dmesg tells if the kernel refuses)",
		}
		if got := about(t, look, "one", "two", "three", "four"); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
		m.Container = true
		if got := about(t, look, "one", "two", "three", "four"); got != nil {
			t.Errorf("the fstab of a container means nothing: %q", got)
		}
	})
}

// TestKillReally lets the kernel kill a process in a container: the machine's log says
// which, the container only that.
func TestKillReally(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("hungry%d", time.Now().UnixNano()%1e7)
	// In the container the first look begins to count, and a program wants more than there is.
	infratest.Inside(t, func() {
		m := Machine{Now: time.Now(), Container: true}
		look := func() (Seen, error) { return m.OOM(t.Context(), "", m.Now.Add(-time.Hour)) }
		if got := about(t, look, "this container"); got != nil {
			t.Errorf("nobody was killed: %q", got)
		}
		shell(t, `cp /usr/bin/tail /usr/local/bin/$HUNGRY; ! $HUNGRY /dev/zero`)
		m.Now = time.Now()
		got := about(t, look, "this container")
		if len(got) != 1 || !strings.HasPrefix(got[0], "kill 1 this container: the kernel killed 1 process for want of memory between ") {
			t.Errorf("%q", got)
		}
	}, "--memory=64m", "--memory-swap=64m", "-e", "HUNGRY="+name)
	if os.Getenv("HUNGRY") != "" {
		return
	}
	m := Machine{Now: time.Now()}
	s, err := m.OOM(t.Context(), name, m.Now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Findings) != 1 || !strings.HasPrefix(s.Findings[0].Text, name+"[") || !strings.Contains(s.Findings[0].Text, "its group /docker/") || !strings.Contains(s.Note(), "looked at the kernel's log") {
		t.Errorf("%+v", s)
	}
}
