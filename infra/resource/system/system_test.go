package system

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/config"
)

func TestRefused(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"sysctl", "{name: ../../etc/passwd, value: 1}", "is no setting of the kernel"},
		{"sysctl", "{name: net..x, value: 1}", "name: \"net..x\" is no setting"},
		{"sysctl", "{name: 'vm.swappiness = 1', value: 1}", "is no setting"},
		{"sysctl", "name: vm.swappiness", "value: is missing"},
		{"sysctl", "{name: a.b, value: \"1\\nc.d = 2\"}", "value: is more than one line"},
		{"mount", "{path: srv, source: x}", "path: \"srv\" is no absolute path"},
		{"mount", "{path: /srv/, source: x}", "path: \"/srv/\" is no absolute path"},
		{"mount", "path: /srv", "source: is missing"},
		{"mount", "{path: /, state: absent}", "the root folder cannot go"},
		{"mount", "{path: /a, source: b, options: ['ro,nodev']}", "options[0]: \"ro,nodev\" is no option"},
		{"mount", "{path: /a, source: b, type: 'ext4 x'}", "type: \"ext4 x\" is no file system"},
		{"mount", "{path: /a, source: b, pass: 3}", "pass: 3 is not from 0 to 2"},
		{"mount", "{path: /a, source: b, state: here}", "use mounted, present, absent"},
		{"volume", "device: vdb", "device: \"vdb\" is no absolute path"},
		{"volume", "{device: /dev/vdb, type: zfs}", "type: \"zfs\" is not known"},
		{"volume", "{device: /dev/vdb, type: xfs, label: more-than-twelve}", "label: \"more-than-twelve\" is no label of xfs (up to 12 bytes"},
		{"volume", "{device: /a, size: 10X}", "size: \"10X\" is no size"},
		{"volume", "{device: /a, size: 99999999T}", "size: \"99999999T\" is no size"},
		{"volume", "{device: /a, size: 512K}", "size: \"512K\" is no size"},
		{"hostname", "name: web_1", "name: \"web_1\" is no host name"},
		{"hostname", "name: '10.1'", "is no host name"},
		{"hostname", "name: -web", "is no host name"},
		{"hostname", "name: web..com", "is no host name"},
		{"hostname", "name: localhost", "is no host name"},
		{"hostname", "name: " + strings.Repeat("a", 64), "is no host name"},
		{"hostname", "{}", "name: \"\" is no host name"},
		{"timezone", "name: ../../etc/passwd", "is no time zone"},
		{"timezone", "name: /etc", "is no time zone"},
		{"firewall", "policy: reject", "policy: \"reject\" is not drop or accept"},
		{"firewall", "allow: [{port: ssh}]", "allow[0].port: \"ssh\" is no port"},
		{"firewall", "allow: [{port: 22}, {port: 90-80}]", "allow[1].port: \"90-80\" is no port"},
		{"firewall", "allow: [{port: 70000}]", "\"70000\" is no port"},
		{"firewall", "allow: [{port: 22, from: 10.0.0/8}]", "allow[0].from: \"10.0.0/8\" is no address or network"},
		{"firewall", "allow: [{port: 22, protocol: icmp}]", "allow[0].protocol: \"icmp\" is not tcp or udp"},
		{"firewall", "allow: [{}]", "a rule says port, from or interface"},
		{"firewall", "deny: [{interface: 'eth0\" accept'}]", "is no name of an interface"},
		{"firewall", "{content: x, allow: [{port: 1}]}", "content: stands alone"},
		{"certificate", "{path: a, key_path: /b, self_signed: true, names: [x]}", "path: \"a\" is no absolute path"},
		{"certificate", "{path: /b, key_path: /b, self_signed: true, names: [x]}", "cannot be the same file"},
		{"certificate", "{path: /a, key_path: /b}", "content: say either"},
		{"certificate", "{path: /a, key_path: /b, self_signed: true, content: x}", "content: say either"},
		{"certificate", "{path: /a, key_path: /b, self_signed: true}", "names: are missing"},
		{"certificate", "{path: /a, key_path: /b, content: x, key: secret}", "content: certificate and key do not fit"},
		{"certificate", "{path: /a, key_path: /b, self_signed: true, names: [x], mode: '0644'}", "mode: \"0644\" is no mode of a key"},
		{"certificate", "{path: /a, key_path: /b, self_signed: true, names: [x], days: 10, renew_before: 10d}", "renew_before: 240h is not shorter than 10 days"},
		{"certificate", "{path: /a, key_path: /b, self_signed: true, names: ['http://x']}", "names[0]: \"http://x\" is no host name"},
	} {
		kind, ok := Kinds().Find(c.kind)
		if !ok {
			t.Fatal(c.kind)
		}
		if err := config.Decode("test.yaml", []byte(c.text), kind.New()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %s", c.kind, c.text, err, c.want)
		}
	}
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("old and longer"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".file.steer-new"), []byte("of a run that was cut off"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replace(link, []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(file)
	is, _ := os.Stat(file)
	target, _ := os.Readlink(link)
	all, _ := os.ReadDir(dir)
	if string(b) != "new" || is.Mode() != 0o640 || target != "file" || len(all) != 2 {
		t.Errorf("%q %s %q %v", b, is.Mode(), target, all)
	}
	if err := overwrite(file, []byte("n")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(file); string(b) != "n" {
		t.Errorf("%q", b)
	}
}
