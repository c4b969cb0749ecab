package app

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
	"steer/infra/role"
	"steer/infra/verify"
)

// TestEverything: a role with every kind of resource is applied to a host, a second
// apply changes nothing, the tests of the role pass, drift of each resource is found and
// healed, and afterwards the state of the host has the same hash. At last, nothing is
// declared any more, and what was created is gone.
func TestEverything(t *testing.T) {
	t.Parallel()
	infratest.InsideSystemd(t, func() { everything(t) })
}

func everything(t *testing.T) {
	l, err := role.Load(os.DirFS("testdata/everything"), resourceKinds())
	if err != nil {
		t.Fatal(err)
	}
	shell(t, `mount -o remount,rw /proc/sys`)
	shell(t, `git -c init.defaultBranch=main init -q /srv/origin && cd /srv/origin && echo a > a && git add a && git -c user.name=n -c user.email=e@example.com commit -qm one`)
	ctx := context.Background()
	compile := func() infra.Manifest {
		m, err := l.Compile([]role.Use{{Role: "everything"}}, role.Input{Facts: infra.NewHost(ctx).Facts})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := compile()
	covered := map[string]bool{"puppet": true, "ansible": true} // have tests of their own
	for _, d := range m.Resources {
		covered[d.Kind] = true
	}
	for _, name := range resourceKinds().Names() {
		if !covered[name] {
			t.Errorf("the role has no %s", name)
		}
	}
	run := func(m infra.Manifest, dry bool) (changed []string, r converge.Report) {
		t.Helper()
		r, err := converge.Run(ctx, m, converge.Options{Host: infra.NewHost(ctx), Kinds: resourceKinds(), DryRun: dry, Event: func(e converge.Event) {
			switch e.Status {
			case converge.OK:
			case converge.Failed, converge.Skipped:
				t.Errorf("%s %s: %s", e.Ref, e.Status, e.Why)
			default:
				changed = append(changed, e.Ref)
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(changed)
		return changed, r
	}
	first, r := run(m, false)
	if len(first) < 20 {
		t.Errorf("the first run changed %d: %v", len(first), first)
	}
	m = compile() // the name of the host has changed
	run(m, false)
	if again, _ := run(m, false); len(again) > 0 {
		t.Errorf("a second apply changes %v", again)
	}
	_, r = run(m, true)
	tests, err := verify.Decode(m.Tests)
	if err != nil {
		t.Fatal(err)
	}
	if v := verify.Run(ctx, infra.NewHost(ctx), tests, verify.Options{}); v.Failed() {
		t.Errorf("%+v", v.Results)
	}
	for _, drift := range [][2]string{ // a change behind our back, and what it is drift of
		{"groupmod -g 1701 shop", "group:shop"},
		{"usermod -s /bin/sh shop", "user:shop"},
		{"rm /home/shop/.ssh/authorized_keys", "authorized_key:shop"},
		{"chmod 777 /srv/shop", "directory:/srv/shop"},
		{"echo x >> /srv/shop/settings", "file:/srv/shop/settings"},
		{"rm /srv/shop/two", "template:/srv/shop/two"},
		{"ln -sfn two /srv/shop/current", "symlink:/srv/shop/current"},
		{"sed -i s/10.0.0.1/10.0.0.9/ /srv/shop/hosts", "line:/srv/shop/hosts"},
		{"sed -i /db2/d /srv/shop/cluster", "block:/srv/shop/cluster"},
		{"rm /opt/tool/bin/tool", "archive:/opt/tool"},
		{"cd /srv/origin && echo b > b && git add b && git -c user.name=n -c user.email=e@example.com commit -qm two", "git:/srv/checkout"},
		{"sed -i s/infinity/9999/ /etc/systemd/system/shop.service", "unit:shop.service"},
		{"systemctl stop shop", "service:shop"},
		{"rm /etc/systemd/system/backup.timer", "timer:backup"},
		{"rm /etc/cron.d/certificates", "cron:certificates"},
		{"sysctl -qw net.ipv4.conf.lo.log_martians=0", "sysctl:net.ipv4.conf.lo.log_martians"},
		{"umount /srv/scratch", "mount:/srv/scratch"},
		{"rm /srv/volume.img", "volume:/srv/volume.img"},
		{"hostname other", "hostname:host"},
		{"ln -sf /usr/share/zoneinfo/UTC /etc/localtime", "timezone:host"},
		{"nft flush ruleset", "firewall:"},
		{"rm /etc/ssl/shop.pem", "certificate:/etc/ssl/shop.pem"},
		{"rm /srv/shop/installed", "command:"},
	} {
		shell(t, drift[0])
		found, _ := run(m, true)
		if !slices.ContainsFunc(found, func(ref string) bool { return strings.HasPrefix(ref, drift[1]) }) {
			t.Errorf("%s: not found, only %v", drift[0], found)
		}
		healed, _ := run(m, false)
		if !slices.ContainsFunc(healed, func(ref string) bool { return strings.HasPrefix(ref, drift[1]) }) {
			t.Errorf("%s: not healed, only %v", drift[0], healed)
		}
		if left, after := run(m, true); len(left) > 0 {
			t.Errorf("%s: %v is left", drift[0], left)
		} else if drift[1] != "git:/srv/checkout" && drift[1] != "certificate:/etc/ssl/shop.pem" && after.Hash != r.Hash {
			t.Errorf("%s: the host was healed, and its state has another hash", drift[0])
		} else {
			r = after
		}
	}
	removed, _ := run(infra.Manifest{}, false)
	if len(removed) < 15 {
		t.Errorf("only %v was removed", removed)
	}
	for _, path := range []string{"/srv/shop/settings", "/opt/tool/bin/tool", "/etc/systemd/system/shop.service", "/etc/cron.d/certificates", "/etc/ssl/shop.pem"} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

func shell(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}
