package verify

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/infratest"
)

// verdicts runs tests and words what is not as expected.
func verdicts(t *testing.T, text string) []string {
	t.Helper()
	var all []string
	for _, r := range Run(t.Context(), infra.NewHost(t.Context()), load(t, text), Options{}).Results {
		for _, p := range r.Properties {
			if p.Status != Passed {
				all = append(all, strings.TrimSpace(fmt.Sprintf("%s: %s %s: expected %s, found %s %s", r.Test, p.Name, p.Status, p.Expected, p.Found, p.Why)))
			}
		}
	}
	return all
}

func allWell(t *testing.T, text string) {
	t.Helper()
	for _, v := range verdicts(t, text) {
		t.Error(v)
	}
}

// broken runs one test, every property of which but those that are so by default has
// to come out as said.
func broken(t *testing.T, test, want string) {
	t.Helper()
	if got := strings.Join(verdicts(t, "tests:\n  - "+test), "\n"); !strings.Contains(got, want) || want == "" {
		t.Errorf("%s:\n got %s\nwant %s", test, got, want)
	}
}

func do(t *testing.T, script string) {
	t.Helper()
	if out, err := exec.Command("sh", "-euc", script).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

func TestHost(t *testing.T) {
	infratest.Inside(t, func() { host(t) })
}

func host(t *testing.T) {
	do(t, `
mkdir -p /srv/shop && cd /srv/shop
printf 'user www-data;\nworker_processes 4;\n' >conf
chmod 0640 conf; chown daemon:adm conf
ln -s conf link; ln -s nowhere dangling; mkfifo pipe; mkdir -m 1777 open
truncate -s 17M large
cp /bin/sleep /usr/local/bin/zombie; cp /bin/sleep /usr/local/bin/longer-than-the-kernel-keeps
sh -c 'zombie 0 & exec sleep 600' >/dev/null 2>&1 &
longer-than-the-kernel-keeps 600 >/dev/null 2>&1 &
useradd --create-home --shell /bin/sh --groups adm ann
`)
	allWell(t, `
tests:
  - file: /srv/shop/conf
  - file:
      path: /srv/shop/conf
      type: file
      mode: "0640"
      owner: daemon
      group: adm
      size: 35
      sha256: 8b03e6099b23f17d191a4b1786a753e53b3a958f94efa36b545cfacaa1b4b40b
      contains: [worker_processes, "/^user www-data;$/", "!/^debug/"]
  - file: {path: /srv/shop/link, type: link, target: conf, mode: "0640", contains: user}
  - file: {path: /srv/shop/dangling, exists: true, type: link, target: nowhere}
  - file: {path: /srv/shop/open, type: directory, mode: "1777"}
  - file: {path: /srv/shop/pipe, type: pipe}
  - file: {path: /dev/null, type: device, mode: "0666"}
  - file: {path: /srv/shop/none, exists: false}
  - file: {path: /srv/shop/conf/below, exists: false}
  - package: openssh-server
  - package: {name: openssh-server, version: ["/^1:9[.]2/", "!/ubuntu/"]}
  - package: {name: nginx, installed: false}
  - user: {name: ann, uid: {above: 999}, groups: [adm, ann], home: /home/ann, shell: /bin/sh}
  - user: {name: root, uid: 0, gid: 0, groups: {only: [root]}}
  - user: {name: bob, exists: false}
  - group: {name: adm, gid: 4, members: {only: [ann]}}
  - group: {name: nothing, exists: false}
  - process: {name: zombie, running: false}
    retry: 20s
  - process: longer-than-the-kernel-keeps
    retry: 20s
  - process: {name: no-such-program, running: false, count: 0}
  - dns: {name: localhost, addresses: [127.0.0.1]}
  - interface: {name: lo, up: true, addresses: [127.0.0.1], mtu: {above: 1499}}
  - interface: {name: eth7, exists: false}
  - mount: {path: /proc, filesystem: proc, options: [nosuid, "!ro"]}
  - mount: {path: /srv/shop, exists: false}
  - sysctl: {name: net.ipv4.ip_forward, value: {any: [0, 1]}}
  - sysctl: {name: kernel.pid_max, value: {above: 1000}}
  - sysctl: {name: net/ipv4/conf/lo/forwarding, exists: true}
  - sysctl: {name: kernel.no_such_thing, exists: false}
  - command: {run: "echo out; echo err >&2; exit 3", code: 3, stdout: [out, "!err"], stderr: /^err$/}
  - command: {run: id -un, user: daemon, stdout: /^daemon$/}
  - matching: {value: "2147483648", is: {above: 1000000000}}
`)
	for _, c := range [][2]string{
		{"file: {path: /srv/shop/none, mode: \"0644\"}", "exists failed: expected true, found false"},
		{"file: {path: /srv/shop/none, mode: \"0644\"}", "mode skipped: expected 0644, found nothing exists is false"},
		{"file: {path: /srv/shop/conf, exists: false}", "exists failed: expected false, found true"},
		{"file: {path: /srv/shop/conf, mode: \"0644\"}", "mode failed: expected 0644, found 0640"},
		{"file: {path: /srv/shop/conf, owner: root, group: \"!adm\"}", "owner failed: expected root, found daemon"},
		{"file: {path: /srv/shop/conf, owner: root, group: \"!adm\"}", "group failed: expected not adm, found adm"},
		{"file: {path: /srv/shop/conf, sha256: 00}", "sha256 failed: expected 00, found "},
		{"file: {path: /srv/shop/conf, size: {below: 10}}", "size failed: expected below 10, found 35"},
		{"file: {path: /srv/shop/conf, contains: [user, secret, \"!worker\"]}", "contains failed: expected secret and not worker, found a text of 35 bytes"},
		{"file: {path: /srv/shop/conf, contains: \"!worker\"}", "contains failed: expected not worker, found line 2"},
		{"file: {path: /srv/shop/conf, target: x}", "target failed: expected x, found nothing"},
		{"file: {path: /srv/shop/dangling, mode: \"0644\"}", "mode failed: expected 0644, found nothing (the link leads nowhere)"},
		{"file: {path: /srv/shop/open, contains: x}", "contains failed: expected x, found nothing (it is a directory)"},
		{"file: {path: /srv/shop/large, contains: \"!x\"}", "contains error: expected not x, found  read /srv/shop/large: is larger than 16 MiB"},
		{"package: nginx", "installed failed: expected true, found false"},
		{"package: {name: openssh-server, version: \"9\"}", "version failed: expected 9, found [1:9."},
		{"user: bob", "exists failed"},
		{"user: {name: ann, shell: /bin/bash, groups: {only: [ann]}}", "shell failed: expected /bin/bash, found /bin/sh"},
		{"user: {name: ann, shell: /bin/bash, groups: {only: [ann]}}", "groups failed: expected only [ann], found [adm, ann]"},
		{"group: {name: adm, members: bob}", "members failed: expected bob, found [ann]"},
		{"group: {name: adm, members: {only: []}}", "members failed: expected only [], found [ann]"},
		{"process: no-such-program", "running failed"},
		{"port: 1", "listening failed: expected true, found false"},
		{"dns: {name: no-such-host.localhost.invalid}", "resolves"},
		{"dns: {name: a.example, server: \"127.0.0.1:9\"}", "resolves error"},
		{"interface: {name: lo, mtu: 1}", "mtu failed: expected 1, found "},
		{"mount: {path: /proc, filesystem: ext4}", "filesystem failed: expected ext4, found proc"},
		{"sysctl: {name: kernel.ostype, value: BSD}", "value failed: expected BSD, found Linux"},
		{"command: {run: \"echo no such thing >&2; exit 3\"}", "code failed: expected 0, found 3 (no such thing)"},
		{"command: {run: \"echo abc\", stdout: [abc, def]}", "stdout failed: expected def, found abc"},
		{"command: {run: \"sleep 60\", within: 100ms}", "code error: expected 0, found  run sh -c sleep 60: not done within 100ms"},
		{"command: {run: \"true\", user: nobody-at-all}", `code error: expected 0, found  run sh: there is no user "nobody-at-all"`},
		{"command: {run: \"yes | head -c 2000000\", stdout: \"!x\"}", "stdout error: expected not x, found  is longer than a MiB"},
		{"service: no-such-service", "running failed: expected true, found false (there is no such script)"},
		{"address: {address: \"127.0.0.1:1\"}", "reachable failed: expected true, found false (dial tcp 127.0.0.1:1: connect: connection refused)"},
	} {
		broken(t, c[0], c[1])
	}
}

func TestServers(t *testing.T) {
	infratest.Inside(t, func() { servers(t) })
}

func servers(t *testing.T) {
	do(t, "mkdir -p /run/sshd; ssh-keygen -A; /usr/sbin/sshd -p 2222 -o ListenAddress=127.0.0.1 -o ListenAddress=127.0.0.2")
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "shop/1")
		fmt.Fprintf(w, "Welcome to %s, %s\nsecond line", r.Host, r.Header.Get("X-Who"))
	})
	mux.Handle("/old", http.RedirectHandler("/", http.StatusFound))
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, largest+1)) })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer secure.Close()
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	self, _ := os.Executable()
	name := self[strings.LastIndex(self, "/")+1:]
	fill := strings.NewReplacer("$PLAIN", plain.URL, "$SECURE", secure.URL, "$PORT", portOf(plain.Listener.Addr()), "$UDP", portOf(udp.LocalAddr()), "$SELF", name).Replace
	allWell(t, fill(`
tests:
  - port: {port: 2222, process: sshd, address: ["127.0.0.1", 127.0.0.2]}
    retry: 20s
  - port: {port: $PORT, protocol: tcp, address: {only: [127.0.0.1]}, process: $SELF}
  - port: {port: $PORT, protocol: udp, listening: false}
  - port: {port: $UDP, protocol: udp, address: 127.0.0.1, process: {only: [$SELF]}}
  - address: 127.0.0.1:2222
    retry: 20s
  - process: {name: sshd, count: 1, user: {only: [root]}}
    retry: 20s
  - http: $PLAIN
  - http: {url: $PLAIN, send: {Host: shop.example, X-Who: Ann}, body: ["Welcome to shop.example, Ann", /^second/], headers: {server: /^shop/, Content-Type: /plain/}}
  - http: {url: $PLAIN/old, headers: {Server: shop/1}}
  - http: {url: $PLAIN/old, follow: false, status: 302, headers: {Location: /}}
  - http: {url: $SECURE, insecure: true, certificate_days: {above: 14}}
`))
	for _, c := range [][2]string{
		{"port: {port: 2222, process: nginx}", "process failed: expected nginx, found [sshd]"},
		{"port: {port: 2222, address: 0.0.0.0}", `address failed: expected 0.0.0.0, found [127.0.0.1, 127.0.0.2]`},
		{"http: {url: $PLAIN, status: {above: 399}, body: [Welcome, Goodbye]}", "status failed: expected above 399, found 200"},
		{"http: {url: $PLAIN, body: [Welcome, Goodbye]}", `body failed: expected Goodbye, found "Welcome to`},
		{"http: {url: $PLAIN, headers: {Age: 0}}", "headers.Age failed: expected 0, found nothing"},
		{"http: {url: $PLAIN, certificate_days: 1}", "certificate_days failed: expected 1, found nothing (the answer came without TLS)"},
		{"http: $SECURE", "status failed: expected 200, found nothing (tls: failed to verify certificate"},
		{"http: {url: $PLAIN/large, body: \"!x\"}", "body error: expected not x, found  read the answer: is larger than 16 MiB"},
		{"http: {url: $PLAIN/slow, within: 100ms}", "status failed: expected 200, found nothing ("},
		{"http: \"http://127.0.0.1:1/\"", "status failed: expected 200, found nothing (dial tcp 127.0.0.1:1: connect: connection refused)"},
	} {
		broken(t, fill(c[0]), c[1])
	}
	late(t)
	// Whoever may not see the process of a port can't judge it.
	out, err := infra.NewHost(t.Context()).Exec(t.Context(), infra.Command{Args: []string{"/steer.test", "-test.run=^TestUnseen$", "-test.v"}, Env: []string{"STEER_TEST_UNSEEN=1"}, User: "nobody", Within: time.Minute})
	if err != nil || out.Code != 0 || !strings.Contains(string(out.Stdout), "--- PASS") {
		t.Errorf("%v %s", err, out.Stdout)
	}
}

// late tests a port on which something listens only after the first look.
func late(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	h, test := infra.NewHost(t.Context()), "tests: [{port: "+portOf(l.Addr())+"}]"
	if r := Run(t.Context(), h, load(t, test), Options{}); r.Counts[Failed] != 1 {
		t.Errorf("%+v", r)
	}
	opened := make(chan net.Listener, 1)
	time.AfterFunc(200*time.Millisecond, func() {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Error(err)
		}
		opened <- l
	})
	r := Run(t.Context(), h, load(t, strings.Replace(test, "}]", ", retry: 1m}]", 1)), Options{})
	if l = <-opened; l == nil {
		return
	}
	defer l.Close()
	if r.Counts[Passed] != 1 || r.Results[0].Attempts < 2 {
		t.Errorf("%+v", r)
	}
	if r := Run(t.Context(), h, load(t, test), Options{}); r.Counts[Passed] != 1 {
		t.Errorf("the host remembers: %+v", r)
	}
}

func portOf(a net.Addr) string {
	_, port, _ := net.SplitHostPort(a.String())
	return port
}

// TestUnseen is started by TestServers as another user.
func TestUnseen(t *testing.T) {
	if os.Getenv("STEER_TEST_UNSEEN") == "" {
		return
	}
	broken(t, "port: {port: 2222, process: sshd}", "process error: expected sshd, found  the process that listens can't be seen: run the test as root")
	broken(t, "file: {path: /etc/shadow, contains: x}", "contains error: expected x, found  open /etc/shadow: permission denied")
	broken(t, "file: {path: /root/x}", "exists error: expected true, found  lstat /root/x: permission denied")
}

func TestServices(t *testing.T) {
	infratest.InsideSystemd(t, func() { services(t) })
}

func services(t *testing.T) {
	do(t, `
cat >/etc/systemd/system/shop.service <<X
[Service]
ExecStart=/bin/sleep infinity
[Install]
WantedBy=multi-user.target
X
cat >/etc/systemd/system/bad.service <<X
[Service]
ExecStart=/bin/false
X
cat >/etc/init.d/old <<X
#!/bin/sh
### BEGIN INIT INFO
# Provides: old
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
X
chmod +x /etc/init.d/old
systemctl daemon-reload
systemctl enable --now shop cron
systemctl start bad || true
`)
	allWell(t, `
tests:
  - service: shop
  - service: {name: shop, exists: true, running: true, enabled: true}
  - service: {name: shop.service, running: true, enabled: true}
  - service: {name: bad, running: false, enabled: true}
    name: static ones start when wanted
    retry: 10s
  - service: {name: none, exists: false, running: false, enabled: false}
  - service: {name: old, enabled: false, running: false}
  - service: {name: systemd-tmpfiles-clean.timer, running: true}
`)
	broken(t, "service: {name: none}", "running failed: expected true, found false (inactive, dead)")
	broken(t, "service: {name: none, enabled: true}", "enabled failed: expected true, found false (there is no such unit)")
	broken(t, "{service: bad, retry: 1s}", "running failed: expected true, found false (failed, failed)")
	do(t, "systemctl disable shop; systemctl enable old")
	broken(t, "service: {name: shop, enabled: true}", "enabled failed: expected true, found false (disabled)")
	allWell(t, "tests: [{service: {name: old, enabled: true}}]")
	do(t, "systemctl stop shop; (sleep 1; systemctl start shop) >/dev/null 2>&1 &")
	allWell(t, "tests: [{service: shop, retry: 30s}]")

	h := infra.NewHost(t.Context())
	for _, c := range [][3]string{
		{"service", "shop", "tests:\n  - service:\n      name: shop\n      exists: true\n      running: true\n      enabled: false\n"},
		{"package", "cron", "tests:\n  - package:\n      name: cron\n      installed: true\n"},
		{"file", "/etc/passwd", "tests:\n  - file:\n      path: /etc/passwd\n      exists: true\n      type: file\n      mode: \"0644\"\n      owner: root\n      group: root\n"},
		{"file", "/bin", "tests:\n  - file:\n      path: /bin\n      exists: true\n      type: link\n      mode: \"0755\"\n      owner: root\n      group: root\n      target: usr/bin\n"},
		{"user", "daemon", "tests:\n  - user:\n      name: daemon\n      exists: true\n      uid: 1\n      groups: [daemon]\n      home: /usr/sbin\n      shell: /usr/sbin/nologin\n"},
		{"group", "messagebus", "tests:\n  - group:\n      name: messagebus\n      exists: true\n"},
		{"process", "cron", "tests:\n  - process:\n      name: cron\n      running: true\n      user: [root]\n"},
		{"interface", "lo", "tests:\n  - interface:\n      name: lo\n      exists: true\n      up: true\n      mtu: 65536\n"},
		{"mount", "/proc", "tests:\n  - mount:\n      path: /proc\n      exists: true\n      filesystem: proc\n"},
		{"sysctl", "kernel.ostype", "tests:\n  - sysctl:\n      name: kernel.ostype\n      exists: true\n      value: Linux\n"},
		{"command", "echo 'a: b' # c; exit 3", "tests:\n  - command:\n      run: \"echo 'a: b' # c; exit 3\"\n      code: 0\n"},
		{"dns", "localhost", "tests:\n  - dns:\n      name: localhost\n      resolves: true\n"},
	} {
		got, err := Add(t.Context(), h, c[0], c[1])
		if err != nil || string(got) != c[2] {
			t.Errorf("%v: %v\n%s", c[:2], err, got)
			continue
		}
		allWell(t, string(got))
	}
	do(t, "useradd --home-dir /srv/a+b/ --shell '' odd; systemctl start ssh")
	for _, c := range [][2]string{{"user", "odd"}, {"port", "22"}, {"address", "127.0.0.1:22"}} {
		got, err := Add(t.Context(), h, c[0], c[1])
		if err != nil {
			t.Error(err)
			continue
		}
		allWell(t, string(got))
	}
	for _, c := range [][2]string{{"service", "shpo"}, {"package", "no-such"}, {"file", "/no/such"}, {"port", "23"}, {"user", "bob"}, {"process", "none"}, {"http", "http://127.0.0.1:1/"}} {
		if got, err := Add(t.Context(), h, c[0], c[1]); fault.Of(err) != fault.NotFound {
			t.Errorf("%v: %v %s", c, err, got)
		}
	}
	for _, c := range [][2]string{{"servcie", "shop"}, {"file", "relative"}, {"matching", "x"}, {"port", "http"}} {
		if got, err := Add(t.Context(), h, c[0], c[1]); fault.Of(err) != fault.Invalid {
			t.Errorf("%v: %v %s", c, err, got)
		}
	}
}
