package packages

import (
	"fmt"
	"strings"
	"testing"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

func TestStatus(t *testing.T) {
	status := `Package: dpkg
Status: install ok installed
Architecture: amd64
Version: 1.21.22

Package: libc6
Status: hold ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9
Provides: libc6-2.36, libfoo:any (= 3)

Package: libc6
Status: install ok installed
Architecture: i386
Version: 2.36-8

Package: wine32
Status: install ok installed
Architecture: i386
Version: 8.0

Package: tool
Status: install ok triggers-pending
Architecture: all
Version: 1
Description: a tool
 Version: 99
 Status: install ok installed

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 3
Provides: virtual

Package: known
Status: purge ok not-installed
Architecture: amd64
`
	inv := parseStatus(status, "Package: tool\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: libc6\nArchitecture: i386\nAuto-Installed: 1\n")
	for name, want := range map[string]installed{
		"libc6":       {"2.36-9", complete, true, false},
		"libc6:amd64": {"2.36-9", complete, true, false},
		"libc6:i386":  {"2.36-8", complete, false, true},
		"wine32:i386": {"8.0", complete, false, false},
		"tool":        {"1", "triggers-pending", false, true},
		"tool:all":    {"1", "triggers-pending", false, true},
		"gone":        {"3", configured, false, false},
		"wine32":      {}, // of another architecture: the name alone is not that
		"known":       {},
	} {
		if got := inv.has[name]; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	for name, want := range map[string]string{"libfoo": "[libc6]", "libc6-2.36": "[libc6]", "virtual": "[]"} {
		if got, err := inv.provides(t.Context(), name); fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: provided by %v", name, got)
		}
	}
}

func TestSimulation(t *testing.T) {
	out := `NOTE: This is only a simulation!
Inst linux-image-6.1 (6.1.9 Debian-Security:12/stable-security [amd64])
Inst libssl3 [3.0.1-1] (3.0.2-1 Debian-Security:12/stable-security [amd64]) [openssl:amd64 ]
Inst libc6:i386 [2.36-8] (2.36-9 Debian:12.5/stable [i386])
Inst bash [5.1] (5.2 Ubuntu:22.04/jammy-updates, Ubuntu:22.04/jammy-security [amd64])
Inst old [1] (2 Debian-Security:10/oldoldstable/updates [amd64])
Inst local [1] (2  [all])
Conf libssl3 (3.0.2-1 Debian-Security:12/stable-security [amd64])
`
	want := "[{libssl3 3.0.1-1 3.0.2-1 true false} {libc6:i386 2.36-8 2.36-9 false false} {bash 5.1 5.2 true false} {old 1 2 true false} {local 1 2 false false}]"
	if got := fmt.Sprint(parseSimulation(out)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestPolicy(t *testing.T) {
	out := `behind:
  Installed: 1.0
  Candidate: 1.2
  Version table:
     1.2 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
     1.1 500
        500 http://security.debian.org/debian-security bookworm-security/main amd64 Packages
 *** 1.0 100
        100 /var/lib/dpkg/status
ahead:
  Installed: 1.1
  Candidate: 1.2
  Version table:
     1.2 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
 *** 1.1 500
        500 http://security.debian.org/debian-security bookworm-security/main amd64 Packages
        100 /var/lib/dpkg/status
`
	if got := fmt.Sprint(parsePolicy(out)); got != "map[behind:true]" {
		t.Error(got)
	}
}

func TestDnfOutput(t *testing.T) {
	inv := parseRPMs("bash\t0:5.2.15-3.fc38\tx86_64\nvim-minimal\t2:9.0.1-1.fc38\tx86_64\nkernel\t0:6.2.9-300.fc38\tx86_64\nkernel\t0:6.3.8-200.fc38\tx86_64\ngpg-pubkey\t0:eb10b464-6202d9c6\t(none)\n",
		"# Added lock on Fri Mar 1 2024\nvim-minimal-2:9.0.1-1.fc38.*\n!bash-0:5.2.15-3.fc38.*\n")
	want := map[string]installed{
		"bash": {Version: "5.2.15-3.fc38", State: complete}, "vim-minimal:x86_64": {Version: "2:9.0.1-1.fc38", State: complete, Held: true},
		"kernel": {Version: "6.3.8-200.fc38", State: complete}, "gpg-pubkey": {},
	}
	for name, one := range want {
		if got := inv.has[name]; got != one {
			t.Errorf("%s: %+v, want %+v", name, got, one)
		}
	}
	got := parseUpgrades("bash|0:5.2.21-1.fc38\n\nvim-minimal|2:9.0.2-1.fc38\n\nnot-here|0:1-1\n", "bash|0:5.2.21-1.fc38\n", inv)
	if text := fmt.Sprint(got); text != "[{bash 5.2.15-3.fc38 5.2.21-1.fc38 true false} {vim-minimal 2:9.0.1-1.fc38 2:9.0.2-1.fc38 false true}]" {
		t.Error(text)
	}
	who := neededBy("error: Failed dependencies:\n\tlibz.so.1()(64bit) is needed by (installed) rpm-4.18-1.x86_64\n\tzlib is needed by (installed) rpm-4.18-1.x86_64\n")
	if fmt.Sprint(who) != "[rpm-4.18-1.x86_64]" {
		t.Error(who)
	}
}

func TestApkOutput(t *testing.T) {
	inv := parseInstalled("C:Q1abc=\nP:busybox\nV:1.36.1-r5\nA:x86_64\np:/bin/sh cmd:busybox=1.36.1-r5\nF:bin\nR:busybox\n\nP:nginx\nV:1.24.0-r6\nA:x86_64\n\n", "nginx=1.24.0-r6\nother@edge\n")
	if got := inv.has["busybox"]; got != (installed{Version: "1.36.1-r5", State: complete, Auto: true}) {
		t.Errorf("%+v", got)
	}
	if got := inv.has["nginx"]; got != (installed{Version: "1.24.0-r6", State: complete}) {
		t.Errorf("%+v", got)
	}
	if got, _ := inv.provides(t.Context(), "cmd:busybox"); fmt.Sprint(got) != "[busybox]" {
		t.Error(got)
	}
	out := "nginx-1.24.0-r7 x86_64 {nginx} (BSD-2-Clause) [upgradable from: nginx-1.24.0-r6]\nlibcrypto3-3.1.4-r5 x86_64 {openssl} (Apache-2.0) [upgradable from: libcrypto3-3.1.4-r1]\n"
	if got := fmt.Sprint(parseUpgradable(out)); got != "[{nginx 1.24.0-r6 1.24.0-r7 true false} {libcrypto3 3.1.4-r1 3.1.4-r5 true false}]" {
		t.Error(got)
	}
}

func TestWrongDeclarations(t *testing.T) {
	for _, c := range []struct {
		into infra.Resource
		yaml string
		want string
	}{
		{&Package{}, "{}", "name: "},
		{&Package{}, "name: nginx-", "is no name of a package"},
		{&Package{}, "name: nginx=1.2", "a version goes into version"},
		{&Package{}, "{name: nginx, state: latest}", "latest is a version"},
		{&Package{}, "{name: nginx, version: '>= 1'}", "version: "},
		{&Package{}, "{name: nginx, state: absent, version: '1'}", "has no version and no hold"},
		{&Package{}, "{name: nginx, state: purged, hold: true}", "has no version and no hold"},
		{&Repository{}, "{name: a.b, url: 'http://x/'}", "name: "},
		{&Repository{}, "{name: a}", "url: "},
		{&Repository{}, "{name: a, url: 'no url'}", "is no URL"},
		{&Repository{}, "{name: a, url: 'http://x/', suite: 'a b'}", "suite: "},
		{&Repository{}, "{name: a, url: 'http://x/', suite: ./, components: [main]}", "components: "},
		{&Repository{}, "{name: a, url: 'http://x/', key: abc}", "gpg --armor"},
		{&Repository{}, "{name: a, url: 'http://x/', key: '-----BEGIN PGP PRIVATE KEY BLOCK-----'}", "revoke it"},
		{&Updates{}, "which: some", "neither security nor all"},
		{&Updates{}, "max_age: 1s", "max_age: "},
	} {
		err := config.Decode("test.yaml", []byte(c.yaml), c.into)
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v, want %q", c.yaml, err, c.want)
		}
	}
}
