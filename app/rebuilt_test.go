package app

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"steer/cli"
	"steer/infra/host"
	"steer/infra/infratest"
	"steer/infra/role"
)

// judged are facts about a host of the role everything, in Testinfra's words.
var judged = []string{
	`h.group("shop").gid == 1700`,
	`h.user("shop").uid == 1700 and h.user("shop").group == "shop" and h.user("shop").shell == "/bin/bash"`,
	`"anna@laptop" in h.file("/home/shop/.ssh/authorized_keys").content_string and h.file("/home/shop/.ssh/authorized_keys").mode == 0o600`,
	`h.file("/srv/shop").is_directory and h.file("/srv/shop").mode == 0o750 and h.file("/srv/shop").user == "shop"`,
	`h.file("/srv/shop/settings").user == "shop"`,
	`h.file("/srv/shop/one").content_string == "one on everything\n"`,
	`h.file("/srv/shop/current").linked_to == "/srv/shop/one"`,
	`h.file("/srv/shop/hosts").content_string == "db=10.0.0.1\n"`,
	`"10.0.0.2 db2" in h.file("/srv/shop/cluster").content_string`,
	`h.file("/opt/tool/bin/tool").is_file`,
	`h.run("git -C /srv/checkout rev-parse HEAD").stdout == h.run("git -C /srv/origin rev-parse main").stdout`,
	`h.package("git").is_installed`,
	`not h.file("/etc/apt/sources.list.d/local.list").exists and not h.file("/etc/apt/sources.list.d/local.sources").exists`,
	`"-security" not in h.run("apt-get -s -qq dist-upgrade").stdout.lower()`,
	`h.service("shop").is_running and h.service("shop").is_enabled`,
	`h.service("backup.timer").is_running and h.service("backup.timer").is_enabled`,
	`"17 3 * * *" in h.file("/etc/cron.d/certificates").content_string`,
	`h.sysctl("net.ipv4.conf.lo.log_martians") == 1`,
	`h.mount_point("/srv/scratch").exists and h.mount_point("/srv/scratch").filesystem == "tmpfs"`,
	`h.file("/srv/volume.img").size == 16 << 20`,
	`h.run("hostname").stdout.strip() in ("everything", "everything.example.com")`,
	`h.file("/etc/localtime").linked_to.endswith("Europe/Vienna")`,
	`"dport 22" in h.run("nft list ruleset").stdout`,
	`h.file("/etc/ssl/shop.pem").content_string.startswith("-----BEGIN CERTIFICATE") and h.file("/etc/ssl/private/shop.key").mode == 0o600`,
	`h.file("/srv/shop/installed").exists`,
}

// TestRebuilt: a host with every kind of resource is made and converged; Testinfra
// agrees that it is so; it is destroyed and made anew, and its state has the same hash.
func TestRebuilt(t *testing.T) {
	t.Parallel()
	infratest.NeedDocker(t)
	if err := exec.Command("/usr/bin/python3", "-c", "import testinfra").Run(); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("python3-testinfra is needed: ", err)
		}
		t.Skip("there is no python3-testinfra: ", err)
	}
	l, err := role.Load(os.DirFS("testdata/everything"), resourceKinds())
	if err != nil {
		t.Fatal(err)
	}
	self, err := fromHere()
	if err != nil {
		t.Fatal(err)
	}
	name := "steer-rebuilt-" + strings.ToLower(time.Now().Format("150405.000")[7:]) + "-" + time.Now().Format("150405")
	h := host.Host{Name: name, Address: "docker://" + name}
	h.Make = &host.Make{Docker: &host.Docker{Image: infratest.Image, Run: []string{"/sbin/init"}, Network: "none", Rights: []string{"NET_ADMIN", "SYS_ADMIN"}}}
	t.Cleanup(func() { host.Destroy(context.WithoutCancel(t.Context()), h) })
	f := &selection{library: l, self: self, uses: func(host.Host) ([]role.Use, error) { return []role.Use{{Role: "everything"}}, nil }}
	make := func() string {
		t.Helper()
		start := time.Now()
		if _, err := host.Create(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		// What it is made from is the same each time.
		prepare := `mount -o remount,rw /proc/sys
export GIT_AUTHOR_DATE='2026-01-01 00:00:00 +0000' GIT_COMMITTER_DATE='2026-01-01 00:00:00 +0000'
git -c init.defaultBranch=main init -q /srv/origin && cd /srv/origin && echo a > a && git add a && git -c user.name=n -c user.email=e@example.com commit -qm one`
		if out, err := exec.Command("docker", "exec", name, "sh", "-ec", prepare).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		var r cli.HostResult
		for range 2 { // the name of the host changes in the first run, and is in files
			r = f.one(t.Context(), h, cli.ConvergeArgs{Apply: true, By: "test"}, func(e cli.HostEvent) {
				if e.Status == "failed" || e.Status == "skipped" {
					t.Errorf("%s %s: %s", e.Ref, e.Status, e.Why)
				}
			})
		}
		if r.Failed {
			t.Fatalf("%+v", r)
		}
		t.Logf("made and converged in %s", time.Since(start).Round(time.Millisecond))
		return r.Hash
	}
	first := make()
	in, err := json.Marshal(judged)
	if err != nil {
		t.Fatal(err)
	}
	judge := "import json, sys, testinfra\nh = testinfra.get_host('docker://' + sys.argv[1])\nprint(json.dumps([bool(eval(e)) for e in json.load(sys.stdin)]))"
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", judge, name)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	var verdicts []bool
	if err != nil || json.Unmarshal(out, &verdicts) != nil || len(verdicts) != len(judged) {
		t.Fatalf("%v: %s", err, out)
	}
	for i, well := range verdicts {
		if !well {
			t.Errorf("Testinfra says no: %s", judged[i])
		}
	}
	if err := host.Destroy(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if second := make(); second != first {
		t.Errorf("the host was rebuilt, and its state has the hash %s, not %s", second, first)
	}
}
