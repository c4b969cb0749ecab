package verify

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
)

// judged are tests with one property each, what they should come to, and the same
// said for Testinfra.
var judged = []struct {
	test      string
	well      bool
	testinfra string
}{
	{"file: /etc/passwd", true, `h.file("/etc/passwd").exists`},
	{"file: /etc/none", false, `h.file("/etc/none").exists`},
	{"file: {path: /etc/passwd, type: file}", true, `h.file("/etc/passwd").is_file`},
	{"file: {path: /etc/passwd, type: directory}", false, `h.file("/etc/passwd").is_directory`},
	{"file: {path: /bin, type: link}", true, `h.file("/bin").is_symlink`},
	{"file: {path: /run, type: link}", false, `h.file("/run").is_symlink`},
	{"file: {path: /run/shop.pipe, type: pipe}", true, `h.file("/run/shop.pipe").is_pipe`},
	{"file: {path: /run/systemd/private, type: socket}", true, `h.file("/run/systemd/private").is_socket`},
	{"file: {path: /etc/shadow, mode: \"0640\"}", true, `h.file("/etc/shadow").mode == 0o640`},
	{"file: {path: /etc/shadow, mode: \"0644\"}", false, `h.file("/etc/shadow").mode == 0o644`},
	{"file: {path: /tmp, mode: \"1777\"}", true, `h.file("/tmp").mode == 0o1777`},
	{"file: {path: /tmp, mode: \"0777\"}", false, `h.file("/tmp").mode == 0o777`},
	{"file: {path: /usr/bin/su, mode: \"4755\"}", true, `h.file("/usr/bin/su").mode == 0o4755`},
	{"file: {path: /etc/shadow, owner: root, group: shadow}", true, `h.file("/etc/shadow").user == "root" and h.file("/etc/shadow").group == "shadow"`},
	{"file: {path: /etc/shadow, group: root}", false, `h.file("/etc/shadow").group == "root"`},
	{"file: {path: /srv/odd, owner: \"4711\"}", true, `h.file("/srv/odd").user in ("4711", "UNKNOWN") and h.file("/srv/odd").uid == 4711`},
	{"file: {path: /srv/odd, size: 13}", true, `h.file("/srv/odd").size == 13`},
	{"file: {path: /srv/odd, size: 12}", false, `h.file("/srv/odd").size == 12`},
	{"file: {path: /srv/odd, sha256: dbea9325179efe46ea2add94f7b6b745ca983fabb208dc6d34aa064623d7ee23}", true, `h.file("/srv/odd").sha256sum == "dbea9325179efe46ea2add94f7b6b745ca983fabb208dc6d34aa064623d7ee23"`},
	{"file: {path: /srv/odd, contains: /^second$/}", true, `h.file("/srv/odd").contains("^second$")`},
	{"file: {path: /srv/odd, contains: /^econd$/}", false, `h.file("/srv/odd").contains("^econd$")`},
	{"file: {path: /bin, target: usr/bin}", true, `h.file("/bin").linked_to == "/usr/bin"`},
	{"package: cron", true, `h.package("cron").is_installed`},
	{"package: nginx", false, `h.package("nginx").is_installed`},
	{"package: removed-once", false, `h.package("removed-once").is_installed`},
	{"package: {name: cron, version: \"/^3[.]0/\"}", true, `h.package("cron").version.startswith("3.0")`},
	{"package: {name: cron, version: \"/^4/\"}", false, `h.package("cron").version.startswith("4")`},
	{"service: {name: cron, running: true}", true, `h.service("cron").is_running`},
	{"service: {name: shop, running: true}", false, `h.service("shop").is_running`},
	{"service: {name: none, running: true}", false, `h.service("none").is_running`},
	{"service: {name: cron, enabled: true}", true, `h.service("cron").is_enabled`},
	{"service: {name: shop, enabled: true}", false, `h.service("shop").is_enabled`},
	{"service: {name: masked, enabled: true}", false, `h.service("masked").is_enabled`},
	{"service: {name: systemd-journald, enabled: true}", true, `h.service("systemd-journald").is_enabled`},
	{"service: {name: old, enabled: true}", true, `h.service("old").is_enabled`},
	{"service: {name: idle, enabled: true}", false, `h.service("idle").is_enabled`},
	{"user: root", true, `h.user("root").exists`},
	{"user: bob", false, `h.user("bob").exists`},
	{"user: {name: ann, uid: 1234, home: /srv/ann, shell: /bin/sh}", true, `(h.user("ann").uid, h.user("ann").home, h.user("ann").shell) == (1234, "/srv/ann", "/bin/sh")`},
	{"user: {name: ann, uid: 1235}", false, `h.user("ann").uid == 1235`},
	{"user: {name: ann, groups: {only: [ann, adm]}}", true, `sorted(h.user("ann").groups) == ["adm", "ann"]`},
	{"user: {name: ann, groups: cron}", false, `"cron" in h.user("ann").groups`},
	{"group: {name: adm, gid: 4, members: ann}", true, `h.group("adm").gid == 4 and h.run("getent group adm").stdout.strip().endswith(":ann")`},
	{"group: none", false, `h.group("none").exists`},
	{"port: {port: 2222, address: 127.0.0.1}", true, `h.socket("tcp://127.0.0.1:2222").is_listening`},
	{"port: {port: 2222, address: 0.0.0.0}", false, `h.socket("tcp://0.0.0.0:2222").is_listening`},
	{"port: 2223", false, `h.socket("tcp://127.0.0.1:2223").is_listening`},
	{"port: {port: 2222, protocol: udp}", false, `h.socket("udp://127.0.0.1:2222").is_listening`},
	{"process: {name: sshd, count: 1, user: root}", true, `[p.user for p in h.process.filter(comm="sshd")] == ["root"]`},
	{"process: nginx", false, `len(h.process.filter(comm="nginx")) > 0`},
	{"command: {run: \"exit 3\", code: 3}", true, `h.run("exit 3").rc == 3`},
	{"command: \"exit 3\"", false, `h.run("exit 3").succeeded`},
	{"command: {run: \"echo a; echo b >&2\", stdout: a, stderr: b}", true, `(h.run("echo a; echo b >&2").stdout, h.run("echo a; echo b >&2").stderr) == ("a\n", "b\n")`},
	{"command: {run: \"echo a; echo b >&2\", stdout: b}", false, `"b" in h.run("echo a; echo b >&2").stdout`},
	{"mount: {path: /proc, filesystem: proc}", true, `h.mount_point("/proc").exists and h.mount_point("/proc").filesystem == "proc"`},
	{"mount: /srv", false, `h.mount_point("/srv").exists`},
	{"sysctl: {name: kernel.ostype, value: Linux}", true, `h.run("cat /proc/sys/kernel/ostype").stdout == "Linux\n"`},
}

const judgement = `
import json, sys, testinfra
h = testinfra.get_host("docker://" + sys.argv[1])
print(json.dumps([bool(eval(e)) for e in json.load(sys.stdin)]))
`

// TestTestinfraAgrees compares verdicts about one host with those of Testinfra,
// which looks at it in other ways: by test, stat, dpkg-query, systemctl is-enabled,
// getent, netstat and ps.
func TestTestinfraAgrees(t *testing.T) {
	const inside = "STEER_TEST_JUDGED"
	if os.Getenv(inside) != "" {
		var all []bool
		for _, j := range judged {
			r := Run(t.Context(), infra.NewHost(t.Context()), load(t, "tests:\n  - "+j.test), Options{})
			if r.Counts[Error] > 0 {
				t.Errorf("%s: %+v", j.test, r.Results)
			}
			all = append(all, !r.Failed())
		}
		b, _ := json.Marshal(all)
		os.Stdout.WriteString("verdicts " + string(b) + "\n")
		return
	}
	infratest.NeedDocker(t)
	netstat, err := exec.LookPath("netstat") // the image has none
	if err == nil {
		err = exec.Command("/usr/bin/python3", "-c", "import testinfra").Run()
	}
	if err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal("python3-testinfra and net-tools are needed: ", err)
		}
		t.Skip("there is no python3-testinfra, or no netstat: ", err)
	}
	id, self := startHost(t, netstat), ""
	ours := bytes.NewBuffer(docker(t, nil, "exec", "-e", inside+"=1", id, "/steer.test", "-test.run=^"+t.Name()+"$")).String()
	_, self, _ = strings.Cut(ours, "verdicts ")
	self, _, ok := strings.Cut(self, "\n")
	var verdicts, theirs []bool
	if err := json.Unmarshal([]byte(self), &verdicts); err != nil || !ok {
		t.Fatalf("%v: %s", err, ours)
	}
	var asked []string
	for _, j := range judged {
		asked = append(asked, j.testinfra)
	}
	in, _ := json.Marshal(asked)
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", judgement, id)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != len(judged) || len(verdicts) != len(judged) {
		t.Fatalf("%v: %d of ours, %d of theirs: %s", err, len(verdicts), len(theirs), out)
	}
	for i, j := range judged {
		if verdicts[i] != j.well || theirs[i] != j.well {
			t.Errorf("%s: ours %v, Testinfra's %v, should be %v", j.test, verdicts[i], theirs[i], j.well)
		}
	}
}

// startHost runs a host with systemd until the test ends, and returns its container.
func startHost(t *testing.T, netstat string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimSpace(string(docker(t, nil, "run", "--rm", "--detach", "--cgroupns=private", "--tmpfs=/run", "--tmpfs=/run/lock", "--network=none",
		"--cap-add=SYS_ADMIN", "--security-opt=seccomp=unconfined", "-v", self+":/steer.test:ro", "-v", netstat+":/usr/bin/netstat:ro", infratest.Image, "/sbin/init")))
	t.Cleanup(func() { exec.Command("docker", "kill", id).Run() })
	docker(t, []byte(`
for i in $(seq 600); do [ -S /run/systemd/private ] && break; sleep 0.05; done
systemctl is-system-running --wait || true
printf 'first\nsecond\n' >/srv/odd; chown 4711 /srv/odd; mkfifo /run/shop.pipe
useradd --uid 1234 --home-dir /srv/ann --shell /bin/sh --groups adm ann
mkdir -p /tmp/p/DEBIAN /tmp/p/etc && echo x >/tmp/p/etc/removed-once && echo /etc/removed-once >/tmp/p/DEBIAN/conffiles
printf 'Package: removed-once\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' >/tmp/p/DEBIAN/control
dpkg-deb -b /tmp/p /tmp/p.deb && dpkg -i /tmp/p.deb && dpkg -r removed-once
printf '[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n' >/etc/systemd/system/shop.service
systemctl mask masked
for s in old idle; do printf '#!/bin/sh\n### BEGIN INIT INFO\n# Provides: %s\n# Default-Start: 2 3 4 5\n# Default-Stop: 0 1 6\n### END INIT INFO\n' $s >/etc/init.d/$s; chmod +x /etc/init.d/$s; done
systemctl daemon-reload; systemctl enable old
systemctl stop ssh; mkdir -p /run/sshd; ssh-keygen -A; setsid /usr/sbin/sshd -p 2222 -o ListenAddress=127.0.0.1 -o PidFile=/run/sshd/2222
for i in $(seq 600); do netstat -ltn | grep -q :2222 && break; sleep 0.05; done
`), "exec", "-i", id, "sh", "-eu")
	return id
}

func docker(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "docker", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("docker %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return out
}
