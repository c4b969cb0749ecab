package system

import (
	"os"
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
)

func TestSysctlPath(t *testing.T) {
	for name, want := range map[string]string{
		"vm.swappiness": "vm/swappiness", "net/ipv4/ip_forward": "net/ipv4/ip_forward",
		"net.ipv4.conf.eth0/100.rp_filter": "net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter": "net/ipv4/conf/eth0.100/rp_filter",
	} {
		if got := sysctlPath(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestSysctl(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		forward := infratest.Decoded(t, &Sysctl{}, "{name: net.ipv4.ip_forward, value: 0}")
		infratest.Shell(t, "mount -o remount,rw /proc/sys; echo 1 >/proc/sys/net/ipv4/ip_forward; mount -o remount,ro /proc/sys")
		infratest.Fails(t, h, forward, "/proc/sys is read-only here, as in a container")
		if _, err := os.Stat(forward.file()); err == nil {
			t.Error("a file is there for what the kernel did not take")
		}
		later := infratest.Decoded(t, &Sysctl{}, "{name: kernel.no_such_setting, value: 1, running: false}")
		infratest.Converge(t, h, later, infra.Create, "file")
		infratest.Gone(t, h, later)

		infratest.Shell(t, "mount -o remount,rw /proc/sys")
		infratest.Converge(t, h, forward, infra.Create, "file", "value")
		infratest.Shell(t, "sysctl -q -w net.ipv4.ip_forward=1")
		if d := infratest.Converge(t, h, forward, infra.Update, "value"); d.Fields[0].Old != "1" || d.Fields[0].New != "0" {
			t.Errorf("%+v", d)
		}
		infratest.Shell(t, "sed -i 's/= 0/= 1/' /etc/sysctl.d/zz-steer-*")
		if d := infratest.Converge(t, h, forward, infra.Update, "file"); d.Fields[0].Old != "1" {
			t.Errorf("%+v", d)
		}
		// A list, which the kernel shows with tabs.
		list := infratest.Decoded(t, &Sysctl{}, "{name: net.ipv4.tcp_rmem, value: '4096  131073 6291456'}")
		infratest.Converge(t, h, list, infra.Create, "file", "value")
		infratest.Converge(t, h, infratest.Decoded(t, &Sysctl{}, "{name: net/ipv4/conf/lo/rp_filter, value: 2}"), infra.Create, "file", "value")
		// What is written is what others read.
		infratest.Shell(t, "sysctl -q -w net.ipv4.tcp_rmem='4096 131072 6291456' net.ipv4.conf.lo.rp_filter=0; sysctl -q --system")
		infratest.Same(t, h, list)
		infratest.Same(t, h, infratest.Decoded(t, &Sysctl{}, "{name: net/ipv4/conf/lo/rp_filter, value: 2}"))
		for _, c := range [][2]string{
			{"{name: net.ipv4.ip_forward, value: many}", "the kernel refuses the value: "},
			{"{name: net.ipv4.no_such_thing, value: 1}", "the kernel has no such setting"},
			{"{name: net.ipv4.ip_forward, value: 00}", "the kernel made \"0\" of it"},
		} {
			infratest.Fails(t, h, infratest.Decoded(t, &Sysctl{}, c[0]), c[1])
		}
		infratest.Same(t, h, forward)
		infratest.Gone(t, h, forward)
		if got := infratest.Shell(t, "cat /proc/sys/net/ipv4/ip_forward"); got != "0" {
			t.Errorf("the running value became %s", got)
		}
	})
}

func TestTimezone(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		infratest.Shell(t, "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC >/etc/timezone")
		zone := infratest.Decoded(t, &Timezone{}, "name: Europe/Vienna")
		if d := infratest.Converge(t, h, zone, infra.Update, "name", zoneFile); d.Fields[0].Old != "Etc/UTC" {
			t.Errorf("%+v", d)
		}
		if got := infratest.Shell(t, "date -d @1700000000 +%Z"); got != "CET" {
			t.Error(got)
		}
		infratest.Shell(t, "rm /etc/localtime; echo old >/etc/localtime; ln -s nowhere /etc/localtime.steer-new") // a file, and a run that was cut off
		infratest.Converge(t, h, zone, infra.Update, "name")
		infratest.Shell(t, "echo UTC >/etc/timezone")
		infratest.Converge(t, h, zone, infra.Update, zoneFile)
		infratest.Shell(t, "rm /etc/timezone; ln -sf ../usr/share/zoneinfo/Europe/Vienna /etc/localtime")
		infratest.Converge(t, h, zone, infra.None)
		infratest.Fails(t, h, infratest.Decoded(t, &Timezone{}, "name: Europe/Atlantis"), "there is no time zone Europe/Atlantis")
		infratest.Fails(t, h, infratest.Decoded(t, &Timezone{}, "name: Europe"), "there is no time zone Europe ")
	})
}

func TestOwnName(t *testing.T) {
	for _, c := range []struct{ name, hosts, host, former, want string }{
		{"none", "", "web", "", "127.0.1.1\tweb\n"},
		{"beside the loopback", "127.0.0.1 localhost\n::1 localhost\n", "web.example.com", "old", "127.0.0.1 localhost\n127.0.1.1\tweb.example.com web\n::1 localhost\n"},
		{"no end", "::1 localhost", "web", "", "::1 localhost\n127.0.1.1\tweb\n"},
		{"there by another address", "10.0.0.7 web.example.com web\n", "web.example.com", "old", "10.0.0.7 web.example.com web\n"},
		{"half of it there", "10.0.0.7 web.example.com\n", "web.example.com", "", "10.0.0.7 web.example.com\n127.0.1.1\tweb.example.com web\n"},
		{"renamed", "127.0.1.1 old.example.com old db # note\n", "web.example.com", "old.example.com", "127.0.1.1\tweb.example.com web db # note\n"},
		{"in a comment only", "# 127.0.1.1 web\n", "web", "", "# 127.0.1.1 web\n127.0.1.1\tweb\n"},
		{"part of another", "10.0.0.7 web2 myweb\n", "web", "", "10.0.0.7 web2 myweb\n127.0.1.1\tweb\n"},
		{"line ends of Windows", "127.0.0.1 localhost\r\n127.0.1.1 web\r\n", "web", "", "127.0.0.1 localhost\r\n127.0.1.1 web\r\n"},
	} {
		got := withOwnName(c.hosts, c.host, c.former)
		if got != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
		if again := withOwnName(got, c.host, c.host); again != got {
			t.Errorf("%s: a second time it becomes %q", c.name, again)
		}
	}
}

func TestHostname(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		name := infratest.Decoded(t, &Hostname{}, "name: web1.example.com")
		// Docker mounts both files, so that they cannot be replaced.
		infratest.Converge(t, h, name, infra.Update, "name", hostnameFile, hostsFile)
		if got := infratest.Shell(t, "hostname; hostname -f; hostname -s; cat /etc/hostname; ls -A /etc | grep steer || true"); got != "web1.example.com\nweb1.example.com\nweb1\nweb1.example.com" {
			t.Error(got)
		}
		infratest.Shell(t, "hostname other")
		infratest.Converge(t, h, name, infra.Update, "name")
		infratest.Shell(t, "echo other >/etc/hostname")
		infratest.Converge(t, h, name, infra.Update, hostnameFile)
		infratest.Shell(t, "echo 127.0.0.1 localhost >/etc/hosts")
		infratest.Converge(t, h, name, infra.Update, hostsFile)
		infratest.Converge(t, h, infratest.Decoded(t, &Hostname{}, "name: db1"), infra.Update, "name", hostnameFile, hostsFile)
		if b, _ := os.ReadFile(hostsFile); strings.Contains(string(b), "web1") {
			t.Errorf("the former name is still in\n%s", b)
		}
		infratest.Shell(t, "umount /etc/hosts /etc/hostname; rm -f /etc/hosts /etc/hostname")
		infratest.Converge(t, h, name, infra.Update, "name", hostnameFile, hostsFile)
	})
}
