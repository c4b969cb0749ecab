package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file"
	"steer/infra/role"
)

func manifestOf(t *testing.T, resources ...string) (infra.Manifest, error) {
	t.Helper()
	text := "description: d\nresources:\n"
	for _, r := range resources {
		text += "  - " + r + "\n"
	}
	l, err := role.Load(fstest.MapFS{"roles/r.yaml": {Data: []byte(text)}, "roles/r/x.tar": {Data: []byte("x")}}, resourceKinds())
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return l.Compile([]role.Use{{Role: "r"}}, role.Input{Facts: infra.Facts{Name: "h", Init: "systemd"}})
}

const someKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna"

// TestClaims: resources that would undo each other are refused with both places, others
// stand side by side.
func TestClaims(t *testing.T) {
	const alone, part, twice = "for itself, as does", "changes a part of", "is declared twice, first at roles/r.yaml:3"
	for _, c := range []struct{ name, a, b, want string }{
		{"one twice", "file: {path: /a, content: x}", "file: {path: /a, mode: '0600'}", twice},
		{"cron twice", "cron: {name: a, schedule: '@daily', command: x}", "cron: {name: a, schedule: '@hourly', command: x}", twice},
		{"file and template", "file: {path: /a, content: x}", "template: {path: /a, content: y}", alone},
		{"mode and template", "file: {path: /a, mode: '0600'}", "template: {path: /a, content: y}", alone},
		{"file and link", "file: {path: /a, content: x}", "symlink: {path: /a, target: b}", alone},
		{"gone and there", "file: {path: /a, state: absent}", "symlink: {path: /a, target: b}", alone},
		{"folder and file", "directory: /a", "file: {path: /a/, content: x}", alone},
		{"folder gone, and a checkout", "directory: {path: /a, state: absent}", "git: {dest: /a, repository: https://x/y}", alone},
		{"cron and file", "cron: {name: a, schedule: '@daily', command: x}", "file: {path: /etc/cron.d/a, content: x}", alone},
		{"unit and template", "unit: {name: a.service, content: '[Service]'}", "template: {path: /etc/systemd/system/a.service, content: x}", alone},
		{"unit and timer", "unit: {name: a.timer, content: '[Timer]'}", "timer: {name: a, schedule: daily, command: x}", alone},
		{"a service of two names", "service: nginx", "service: {name: nginx.service, state: stopped}", alone},
		{"a setting of two names", "sysctl: {name: vm.swappiness, value: 1}", "sysctl: {name: vm/swappiness, value: 2}", alone},
		{"a key of two certificates", "certificate: {path: /a, key_path: /k, self_signed: true, names: [x]}", "certificate: {path: /b, key_path: /k, self_signed: true, names: [x]}", alone},
		{"hostname and file", "hostname: a", "file: {path: /etc/hostname, content: b}", alone},
		{"timezone and link", "timezone: UTC", "symlink: {path: /etc/localtime, target: /usr/share/zoneinfo/UTC}", alone},
		{"source of packages and file", "repository: {name: a, url: 'https://x/y'}", "file: {path: /etc/apt/sources.list.d/a.sources, content: x}", alone},
		{"key of packages and file", "file: {path: /etc/apt/keyrings/a.asc, content: x}", "repository: {name: a, url: 'https://x/y'}", alone},
		{"setting and its file", "sysctl: {name: vm.swappiness, value: 1}", "template: {path: /etc/sysctl.d/zz-steer-vm.swappiness.conf, content: x}", alone},
		{"firewall and its file", "firewall: drop", "file: {path: /etc/nftables.d/steer.nft, state: absent}", alone},
		{"mount, and the whole table", "file: {path: /etc/fstab, content: x}", "mount: {path: /a, source: tmpfs, type: tmpfs}", part},
		{"mount gone, and the whole table", "mount: {path: /a, state: absent}", "template: {path: /etc/fstab, content: x}", part},
		{"line in a file", "file: {path: /a, content: x}", "line: {path: /a, text: y}", part},
		{"block before a template", "block: {path: /a, content: x}", "template: {path: /a, content: y}", part},
		{"line in what is gone", "line: {path: /a, text: y}", "file: {path: /a, state: absent}", part},
		{"the only key, and another", "authorized_key: {user: u, exact: true}", "authorized_key: {user: u, key: " + someKey + "}", part},
		{"only members, and one more", "group: {name: g, members: [a], exact: true}", "user: {name: b, groups: [g]}", "keeps the members of group g as it is listed"},
		{"only groups, and one more", "group: {name: g, members: [a]}", "user: {name: a, exact: true}", "keeps the groups of user a as it is listed"},
		{"purged checkout", "git: {dest: /srv/a, repository: https://x/y}", "directory: {path: /srv/a, purge: true}", "would purge what git:/srv/a at roles/r.yaml:3 puts there"},
		{"purge in an archive", "archive: {dest: /srv/a, source: x.tar}", "directory: {path: /srv/a/b/c, purge: true}", "would purge what archive:/srv/a at roles/r.yaml:3 puts there"},

		{"mode and line", "file: {path: /a, mode: '0600'}", "line: {path: /a, text: x}", ""},
		{"line and block", "line: {path: /a, text: x}", "block: {path: /a, content: y}", ""},
		{"lines", "line: {path: /a, text: x}", "line: {path: /a, text: y}", ""},
		{"folder of a checkout", "directory: {path: /a, owner: root}", "git: {dest: /a, repository: https://x/y}", ""},
		{"mounts, and a line of the table", "mount: {path: /a, source: tmpfs, type: tmpfs}", "line: {path: /etc/fstab, text: '# x'}", ""},
		{"firewall, and what includes it", "firewall: drop", "file: {path: /etc/nftables.conf, content: x}", ""},
		{"home, and its folder", "user: {name: u, home: /srv/u}", "directory: {path: /srv/u, owner: u}", ""},
		{"repositories", "repository: {name: a, url: 'https://x/y'}", "repository: {name: b, url: 'https://x/z'}", ""},
		{"only members, and one of them", "group: {name: g, members: [a], exact: true}", "user: {name: a, groups: [g], exact: true}", ""},
		{"members, and more", "group: {name: g, members: [a]}", "user: {name: b, groups: [g]}", ""},
		{"only members, and whose own group it is", "group: {name: g, members: [], exact: true}", "user: {name: b, group: g, groups: [g]}", ""},
		{"folder of a mount", "mount: {path: /a, source: tmpfs, type: tmpfs}", "directory: {path: /a, mode: '1777'}", ""},
		{"folder gone after its mount", "mount: {path: /a, state: absent}", "directory: {path: /a, state: absent}", ""},
		{"archives in one folder", "archive: {dest: /usr/local/bin, source: x.tar, creates: /usr/local/bin/a}", "archive: {dest: /usr/local/bin, source: x.tar, creates: /usr/local/bin/b}", ""},
		{"a path with one beginning like it", "file: {path: /a, content: x}", "file: {path: /ab, content: x}", ""},
		{"a drop-in and its unit", "unit: {name: a.service, content: '[Service]'}", "unit: {name: a.service, drop_in: b, content: '[Service]'}", ""},
		{"command that makes a file", "command: {run: x, creates: /a}", "file: {path: /a, mode: '0600'}", ""},
		{"keys of a user", "authorized_key: {user: u, key: " + someKey + "}", "authorized_key: {user: u, key: " + someKey + "2}", ""},
	} {
		_, err := manifestOf(t, c.a, c.b)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		text := fmt.Sprint(err)
		if fault.Of(err) != fault.Invalid || !strings.Contains(text, c.want) || !strings.Contains(text, "roles/r.yaml:3") || !strings.Contains(text, "roles/r.yaml:4") {
			t.Errorf("%s: %s, want %q and both places", c.name, text, c.want)
		}
	}
}

// TestPurgeKnowsOthers: what any role declares in a folder is not purged from it.
func TestPurgeKnowsOthers(t *testing.T) {
	m, err := manifestOf(t, "directory: {path: /srv/a, purge: true}", "file: {path: /srv/a/f, content: x}", "line: {path: /srv/a/l, text: x}", "file: {path: /srv/ab, content: x}",
		"directory: /srv/a/d", "git: {dest: /srv/a/g, repository: https://x/y}", "command: {run: x, creates: /srv/a/c}", "mount: {path: /srv/a/m, source: tmpfs, type: tmpfs}", "symlink: {path: /srv/a/s, target: f}", "user: {name: u, home: /srv/a/u}",
		"directory: {path: /etc/apt/sources.list.d, purge: true}", "repository: {name: a, url: 'https://x/y'}", "directory: {path: /etc/sysctl.d, purge: true}", "sysctl: {name: vm.swappiness, value: 1}")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range m.Resources {
		folder, ok := d.Resource.(*file.Directory)
		if !ok || !folder.Purge {
			continue
		}
		want := map[string]string{
			"/srv/a":                  "/srv/a/c /srv/a/d /srv/a/f /srv/a/g /srv/a/l /srv/a/m /srv/a/s /srv/a/u",
			"/etc/apt/sources.list.d": "/etc/apt/sources.list.d/a.sources",
			"/etc/sysctl.d":           "/etc/sysctl.d/zz-steer-vm.swappiness.conf",
		}[folder.Path]
		var in []string
		for _, path := range folder.Declared {
			if strings.HasPrefix(path, folder.Path+"/") {
				in = append(in, path)
			}
		}
		if !slices.Contains(folder.Declared, "/srv/ab") || slices.Contains(folder.Declared, folder.Path) {
			t.Errorf("%s is told of %q: what a link may lead into it, and not itself", folder.Path, folder.Declared)
		}
		if got := strings.Join(in, " "); got != want {
			t.Errorf("in %s: %s, want %s", folder.Path, got, want)
		}
	}
}
