package system

import (
	"os"
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
)

func TestTable(t *testing.T) {
	want := &tableLine{"LABEL=my data", "/srv/a b", "ext4", "noatime,x-y=#1", "0", "2"}
	const line = `LABEL=my\040data /srv/a\040b ext4 noatime,x-y=\0431 0 2` + "\n"
	for _, c := range []struct {
		name, text string
		want       *tableLine
		result     string
	}{
		{"empty", "", want, line},
		{"no end of the last line", "/dev/a / ext4 defaults 0 1", want, "/dev/a / ext4 defaults 0 1\n" + line},
		{"others stay, bytes and all", "#x\n\n/dev/a\t/srv  ext4\tro\r\nnonsense\n", want, "#x\n\n/dev/a\t/srv  ext4\tro\r\nnonsense\n" + line},
		{"in its place", "/dev/b /srv/a\\040b xfs\n/dev/c /c xfs\n", want, line + "/dev/c /c xfs\n"},
		{"the same with other blanks", "LABEL=my\\040data\t/srv/a\\040b\text4 noatime,x-y=\\0431 0 2\n", want, "LABEL=my\\040data\t/srv/a\\040b\text4 noatime,x-y=\\0431 0 2\n"},
		{"more than one", line + "/dev/b /srv/a\\040b xfs\n", want, line},
		{"gone", "/dev/a /a ext4\n" + line + "#/dev/b /srv/a\\040b\n", nil, "/dev/a /a ext4\n#/dev/b /srv/a\\040b\n"},
	} {
		if got := withMount(c.text, "/srv/a b", c.want); got != c.result {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.result)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add("/dev/a", "/srv/a b", `x\040y`)
	f.Add(`\`, "/\t#", "o=\n")
	f.Fuzz(func(t *testing.T, source, path, options string) {
		if unescape(escape(source)) != source {
			t.Errorf("%q", source)
		}
		want := tableLine{source, path, "ext4", options, "0", "0"}
		if source == "" || path == "" || options == "" || strings.Contains(source+path+options, "\r") {
			return
		}
		if got, ok := parseTableLine(want.String()); !ok || got != want {
			t.Errorf("%+v became %+v", want, got)
		}
	})
}

func TestReadMounts(t *testing.T) {
	all := readMounts("36 35 98:0 /sub /srv/a\\040b rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n37 36 0:5 / /srv/a\\040b ro - tmpfs none ro\nbroken\n38 1 0:6 / /x rw - y\n")
	if m := all["/srv/a b"]; len(all) != 1 || m.fsType != "tmpfs" || m.options[0] != "ro" || m.super[0] != "ro" {
		t.Errorf("%+v", all)
	}
}

func TestMount(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		infratest.Shell(t, "printf '# static\\n/dev/x /x ext4 ro' >/etc/fstab; mkdir -p /srv/from; echo hi >/srv/from/file")
		m := infratest.Decoded(t, &Mount{}, "{path: /srv/a b, source: cache, type: tmpfs, options: [size=1m, nodev, noexec]}")
		infratest.Converge(t, h, m, infra.Create, "source", "type", "options", "dump", "pass", "mounted")
		if got := infratest.Shell(t, "cat /etc/fstab; findmnt -no FSTYPE,SIZE '/srv/a b' | xargs; findmnt --verify --tab-file /etc/fstab | tail -1 >/dev/null"); got != "# static\n/dev/x /x ext4 ro\ncache /srv/a\\040b tmpfs size=1m,nodev,noexec 0 0\ntmpfs 1M" {
			t.Error(got)
		}
		again := func() { h.Forget(mountsKey); h.Forget(tableKey) }
		for _, c := range []struct{ spoil, field, old, want string }{
			{"umount '/srv/a b'", "mounted", "false", "true"},
			{"mount -o remount,exec '/srv/a b'", "mounted options", "", "noexec"},
			{"mount -o remount,ro '/srv/a b'", "mounted options", "", "rw"},
			{"mount -t ramfs x '/srv/a b'", "mounted type", "ramfs", "tmpfs"},
			{"sed -i s/size=1m/size=9m/ /etc/fstab", "options", "size=9m,nodev,noexec", "size=1m,nodev,noexec"},
			{"sed -i 's/^cache/dust/' /etc/fstab", "source", "dust", "cache"},
			{"sed -i 's/noexec 0 0/noexec 1 0/' /etc/fstab", "dump", "1", "0"},
			{"sed -i 's/noexec 0 0/noexec 0 2/' /etc/fstab", "pass", "2", "0"},
			{"printf '%s\\n' '/dev/y /srv/a\\040b xfs' >>/etc/fstab", "lines", "2", "1"},
		} {
			infratest.Shell(t, c.spoil)
			again()
			d := infratest.Converge(t, h, m, infra.Update, c.field)
			if f := d.Fields[0]; c.old != "" && f.Old != c.old || f.New != c.want {
				t.Errorf("%s: %+v", c.spoil, f)
			}
		}
		bind := infratest.Decoded(t, &Mount{}, "{path: /srv/view, source: /srv/from, type: none, options: [bind, ro, nodev]}")
		infratest.Converge(t, h, bind, infra.Create, "source", "type", "options", "dump", "pass", "mounted")
		if got := infratest.Shell(t, "cat /srv/view/file; touch /srv/view/new 2>&1 || true; touch /srv/from/new"); !strings.Contains(got, "hi\n") || !strings.Contains(got, "Read-only") {
			t.Error(got)
		}
		infratest.Shell(t, "mount -o remount,bind,rw,nodev /srv/view")
		again()
		infratest.Converge(t, h, bind, infra.Update, "mounted options")

		// What does not mount does not get into the table: the host might not start.
		infratest.Fails(t, h, infratest.Decoded(t, &Mount{}, "{path: /srv/no, source: /dev/nothing, type: ext4}"), "mount /srv/no (nothing was written to /etc/fstab)")
		if b, _ := os.ReadFile(tableFile); strings.Contains(string(b), "/srv/no") {
			t.Errorf("%s", b)
		}
		only := infratest.Decoded(t, &Mount{}, "{path: /srv/later, source: LABEL=later, type: ext4, state: present, pass: 2}")
		infratest.Converge(t, h, only, infra.Create, "source", "type", "options", "dump", "pass")
		infratest.Gone(t, h, only)

		p, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{Dir: "/srv/a b"})
		if err != nil {
			t.Fatal(err)
		}
		infratest.Fails(t, h, m.Absent(), "fuser -vm /srv/a b")
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		p.Wait()
		infratest.Shell(t, "mount -t tmpfs over '/srv/a b'") // a second one over it
		again()
		infratest.Gone(t, h, m)
		infratest.Gone(t, h, bind)
		if got := infratest.Shell(t, "cat /etc/fstab; ls -d '/srv/a b'"); got != "# static\n/dev/x /x ext4 ro\n/srv/a b" {
			t.Error(got)
		}
		infratest.Shell(t, "rm /etc/fstab")
		again()
		infratest.Converge(t, h, m, infra.Create, "source", "type", "options", "dump", "pass", "mounted")
	})
}

func TestVolume(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		infratest.Fails(t, h, infratest.Decoded(t, &Volume{}, "device: /dev/nothing"), "there is no device /dev/nothing")
		infratest.Fails(t, h, infratest.Decoded(t, &Volume{}, "device: /srv/no-size"), "give a size to make a file")
		infratest.Fails(t, h, infratest.Decoded(t, &Volume{}, "{device: /srv/x, type: xfs, size: 400M}"), "- package: xfsprogs")
		infratest.Shell(t, "echo of a run that was cut off >/srv/disk.steer-new")
		v := infratest.Decoded(t, &Volume{}, "{device: /srv/disk, size: 8M, label: data}")
		infratest.Converge(t, h, v, infra.Create, "type", "size")
		if got := infratest.Shell(t, "blkid -p -o export /srv/disk | egrep '^(TYPE|LABEL)='; stat -c '%s %a' /srv/disk; e2fsck -fn /srv/disk >/dev/null 2>&1; ls /srv; [ $(du -k /srv/disk | cut -f1) -ge 8000 ]"); got != "LABEL=data\nTYPE=ext4\n8388608 600\ndisk" {
			t.Error(got)
		}
		if d := infratest.Converge(t, h, infratest.Decoded(t, &Volume{}, "{device: /srv/disk, label: other}"), infra.Update, "label"); d.Fields[0].Old != "data" {
			t.Errorf("%+v", d)
		}
		for _, kind := range []string{"ext2", "ext3", "swap"} {
			infratest.Shell(t, "rm -f /srv/disk")
			infratest.Converge(t, h, infratest.Decoded(t, &Volume{}, "{device: /srv/disk, size: 8M, type: "+kind+"}"), infra.Create, "type", "size")
			if got := infratest.Shell(t, "blkid -p -o value -s TYPE /srv/disk"); got != kind {
				t.Error(got)
			}
			infratest.Converge(t, h, infratest.Decoded(t, &Volume{}, "{device: /srv/disk, label: x, type: "+kind+"}"), infra.Update, "label")
		}
		// Another file system, text, and data after a blank start are left alone.
		ext4 := infratest.Decoded(t, &Volume{}, "device: /srv/disk")
		infratest.Fails(t, h, ext4, "/srv/disk holds something already, and is not formatted")
		infratest.Shell(t, "truncate -s 0 /srv/disk; truncate -s 8M /srv/disk; printf secret | dd of=/srv/disk conv=notrunc bs=1 seek=70000 status=none")
		infratest.Fails(t, h, ext4, "holds something already")
		infratest.Shell(t, "truncate -s 0 /srv/disk; truncate -s 8M /srv/disk; printf secret >>/srv/disk")
		infratest.Fails(t, h, ext4, "holds something already")
		if got := infratest.Shell(t, "tail -c 6 /srv/disk"); got != "secret" {
			t.Error(got)
		}
		// A blank one is formatted, one that holds something only by force.
		infratest.Shell(t, "truncate -s 0 /srv/disk; truncate -s 8M /srv/disk")
		infratest.Converge(t, h, ext4, infra.Create, "type")
		forced := infratest.Decoded(t, &Volume{}, "{device: /srv/disk, type: swap, force: true}")
		infratest.Converge(t, h, forced, infra.Replace, "type")
		infratest.Converge(t, h, forced, infra.None)
		// On a full disk nothing of the name appears.
		infratest.Shell(t, "mkdir /small; mount -t tmpfs -o size=4m x /small")
		infratest.Fails(t, h, infratest.Decoded(t, &Volume{}, "{device: /small/disk, size: 16M}"), "no space left on device")
		if got := infratest.Shell(t, "ls -A /small"); got != "" {
			t.Error(got)
		}
	})
}

func TestIdentify(t *testing.T) {
	b := make([]byte, startLength)
	if is := identify(b); !is.blank || is.fsType != "" {
		t.Errorf("%+v", is)
	}
	for want, signs := range map[string]map[int]string{
		"xfs":   {0: "XFSB", 108: "data"},
		"btrfs": {0x10040: "_BHRfS_M", 0x1012b: "data"},
		"vfat":  {82: "FAT32   ", 71: "data       "},
	} {
		b := make([]byte, startLength)
		for at, text := range signs {
			copy(b[at:], text)
		}
		if is := identify(b); is.fsType != want || is.label != "data" {
			t.Errorf("%s: %+v", want, is)
		}
	}
	if is := identify(nil); !is.blank { // an empty file
		t.Errorf("%+v", is)
	}
}

// File systems whose tools a small Debian lacks, in files.
func TestVolumeKinds(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ kind, size, program, judge string }{
		{"vfat", "40M", "mkfs.vfat", "fsck.vfat -n"},
		{"btrfs", "128M", "mkfs.btrfs", "btrfs check --readonly"},
		{"xfs", "320M", "mkfs.xfs", "xfs_repair -n -f"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			h := infra.NewHost(t.Context())
			if !h.Has(c.program) {
				if os.Getenv("STEER_REQUIRE_ALL") != "" {
					t.Fatal(c.program + " is not installed, and STEER_REQUIRE_ALL is set")
				}
				t.Skip(c.program + " is not installed")
			}
			file := dir + "/" + c.kind
			v := infratest.Decoded(t, &Volume{}, "{device: "+file+", type: "+c.kind+", size: "+c.size+", label: FIRST}")
			infratest.Converge(t, h, v, infra.Create, "type", "size")
			infratest.Converge(t, h, infratest.Decoded(t, &Volume{}, "{device: "+file+", type: "+c.kind+", label: SECOND}"), infra.Update, "label")
			if got := infratest.Shell(t, c.judge+" "+file+" >/dev/null 2>&1; blkid -p -o value -s LABEL -s TYPE "+file+" | xargs"); got != "SECOND "+c.kind {
				t.Error(got)
			}
			ext4 := infratest.Decoded(t, &Volume{}, "device: "+file)
			infratest.Fails(t, h, ext4, "holds something already")
			infratest.Converge(t, h, infratest.Decoded(t, &Volume{}, "{device: "+file+", force: true}"), infra.Replace, "type")
			infratest.Converge(t, h, infratest.Decoded(t, &Volume{}, "{device: "+file+", type: "+c.kind+", force: true}"), infra.Replace, "type")
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		})
	}
}
