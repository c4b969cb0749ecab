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
		forward := decoded(t, &Sysctl{}, "{name: net.ipv4.ip_forward, value: 0}")
		sh(t, "mount -o remount,rw /proc/sys; echo 1 >/proc/sys/net/ipv4/ip_forward; mount -o remount,ro /proc/sys")
		fails(t, h, forward, "/proc/sys is read-only here, as in a container")
		if _, err := os.Stat(forward.file()); err == nil {
			t.Error("a file is there for what the kernel did not take")
		}
		later := decoded(t, &Sysctl{}, "{name: kernel.no_such_setting, value: 1, running: false}")
		converge(t, h, later, infra.Create, "file")
		gone(t, h, later)

		sh(t, "mount -o remount,rw /proc/sys")
		converge(t, h, forward, infra.Create, "file", "value")
		sh(t, "sysctl -q -w net.ipv4.ip_forward=1")
		if d := converge(t, h, forward, infra.Update, "value"); d.Fields[0].Old != "1" || d.Fields[0].New != "0" {
			t.Errorf("%+v", d)
		}
		sh(t, "sed -i 's/= 0/= 1/' /etc/sysctl.d/zz-steer-*")
		if d := converge(t, h, forward, infra.Update, "file"); d.Fields[0].Old != "1" {
			t.Errorf("%+v", d)
		}
		// A list, which the kernel shows with tabs.
		list := decoded(t, &Sysctl{}, "{name: net.ipv4.tcp_rmem, value: '4096  131073 6291456'}")
		converge(t, h, list, infra.Create, "file", "value")
		converge(t, h, decoded(t, &Sysctl{}, "{name: net/ipv4/conf/lo/rp_filter, value: 2}"), infra.Create, "file", "value")
		// What is written is what others read.
		sh(t, "sysctl -q -w net.ipv4.tcp_rmem='4096 131072 6291456' net.ipv4.conf.lo.rp_filter=0; sysctl -q --system")
		same(t, h, list)
		same(t, h, decoded(t, &Sysctl{}, "{name: net/ipv4/conf/lo/rp_filter, value: 2}"))
		for _, c := range [][2]string{
			{"{name: net.ipv4.ip_forward, value: many}", "the kernel refuses the value: "},
			{"{name: net.ipv4.no_such_thing, value: 1}", "the kernel has no such setting"},
			{"{name: net.ipv4.ip_forward, value: 00}", "the kernel made \"0\" of it"},
		} {
			fails(t, h, decoded(t, &Sysctl{}, c[0]), c[1])
		}
		same(t, h, forward)
		gone(t, h, forward)
		if got := sh(t, "cat /proc/sys/net/ipv4/ip_forward"); got != "0" {
			t.Errorf("the running value became %s", got)
		}
	})
}

func TestTimezone(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		sh(t, "ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC >/etc/timezone")
		zone := decoded(t, &Timezone{}, "name: Europe/Vienna")
		if d := converge(t, h, zone, infra.Update, "name", zoneFile); d.Fields[0].Old != "Etc/UTC" {
			t.Errorf("%+v", d)
		}
		if got := sh(t, "date -d @1700000000 +%Z"); got != "CET" {
			t.Error(got)
		}
		sh(t, "rm /etc/localtime; echo old >/etc/localtime; ln -s nowhere /etc/localtime.steer-new") // a file, and a run that was cut off
		converge(t, h, zone, infra.Update, "name")
		sh(t, "echo UTC >/etc/timezone")
		converge(t, h, zone, infra.Update, zoneFile)
		sh(t, "rm /etc/timezone; ln -sf ../usr/share/zoneinfo/Europe/Vienna /etc/localtime")
		converge(t, h, zone, infra.None)
		fails(t, h, decoded(t, &Timezone{}, "name: Europe/Atlantis"), "there is no time zone Europe/Atlantis")
		fails(t, h, decoded(t, &Timezone{}, "name: Europe"), "there is no time zone Europe ")
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
		name := decoded(t, &Hostname{}, "name: web1.example.com")
		// Docker mounts both files, so that they cannot be replaced.
		converge(t, h, name, infra.Update, "name", hostnameFile, hostsFile)
		if got := sh(t, "hostname; hostname -f; hostname -s; cat /etc/hostname; ls -A /etc | grep steer || true"); got != "web1.example.com\nweb1.example.com\nweb1\nweb1.example.com" {
			t.Error(got)
		}
		sh(t, "hostname other")
		converge(t, h, name, infra.Update, "name")
		sh(t, "echo other >/etc/hostname")
		converge(t, h, name, infra.Update, hostnameFile)
		sh(t, "echo 127.0.0.1 localhost >/etc/hosts")
		converge(t, h, name, infra.Update, hostsFile)
		converge(t, h, decoded(t, &Hostname{}, "name: db1"), infra.Update, "name", hostnameFile, hostsFile)
		if b, _ := os.ReadFile(hostsFile); strings.Contains(string(b), "web1") {
			t.Errorf("the former name is still in\n%s", b)
		}
		sh(t, "umount /etc/hosts /etc/hostname; rm -f /etc/hosts /etc/hostname")
		converge(t, h, name, infra.Update, "name", hostnameFile, hostsFile)
	})
}
