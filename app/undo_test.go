package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/infratest"
)

// putBack is one kind of resource over what somebody made by hand.
type putBack struct {
	name  string
	by    string   // shell: what is there
	roles []string // KIND and its YAML, parted by a blank; applied one run after the other
	world string   // shell: prints what has to be the same afterwards
	not   string   // why it can't be put back, else empty
	// capture is the YAML of what is there in the words of the first of roles; empty: not
	// compared.
	capture string
	secret  string // what no event may show
	first   bool   // go back to what the first of roles made
}

func (p putBack) run(t *testing.T) {
	infratest.Shell(t, p.by)
	world := func() string { return infratest.Shell(t, p.world) }
	dir := t.TempDir() + "/state"
	before, to := world(), 0
	for i, text := range p.roles {
		kind, body, _ := strings.Cut(text, " ")
		k, ok := resourceKinds().Find(kind)
		if !ok {
			t.Fatalf("no kind %s", kind)
		}
		one := k.New()
		if err := config.Decode("test.yaml", []byte(body), one); err != nil {
			t.Fatal(err)
		}
		h := infra.NewHost(t.Context())
		if c, ok := one.(infra.Captured); ok && i == 0 && p.capture != "" {
			p.captured(t, h, c)
		}
		r, err := converge.Run(t.Context(), infra.Manifest{Resources: []infra.Declared{{Kind: kind, ID: one.ID(), Resource: one, Class: k.Class}}},
			converge.Options{Host: h, Kinds: resourceKinds(), Dir: dir, Event: func(e converge.Event) {
				if e.Status != converge.Changed {
					t.Errorf("apply: %+v", e)
				}
			}})
		if err != nil || r.Counts[converge.Changed] == 0 {
			t.Fatalf("apply: %+v %v", r, err)
		}
		if p.first && i == 0 {
			before, to = world(), 1
		}
	}
	if p.not == "" && world() == before {
		t.Fatalf("nothing is different: %s", before)
	}
	r, err := converge.Rollback(t.Context(), to, converge.Options{Host: infra.NewHost(t.Context()), Kinds: resourceKinds(), Dir: dir, Event: func(e converge.Event) {
		if e.Status == converge.Failed || p.secret != "" && strings.Contains(fmt.Sprint(e), p.secret) {
			t.Errorf("undo: %+v", e)
		}
	}})
	switch {
	case err != nil || r.Failed():
		t.Errorf("undo: %+v %v", r, err)
	case p.not != "":
		if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "cannot be undone: ") || !strings.Contains(r.Notes[0], p.not) {
			t.Errorf("notes: %q, want %s", r.Notes, p.not)
		}
	case len(r.Notes) > 0 || world() != before:
		t.Errorf("notes %q\nis   %s\nwant %s", r.Notes, world(), before)
	}
}

// captured checks what a resource says of the host now: the host does not differ from it.
func (p putBack) captured(t *testing.T, h *infra.Host, c infra.Captured) {
	t.Helper()
	is, err := c.Capture(t.Context(), h)
	if err != nil {
		t.Errorf("capture: %v", err)
		return
	}
	k, ok := resourceKinds().Of(is)
	if !ok {
		t.Fatalf("no kind of %T", is)
	}
	b, err := yaml.Marshal(is)
	if err != nil {
		t.Fatal(err)
	}
	again := k.New()
	if err := config.Decode("capture", b, again); err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	if d, err := again.Diff(t.Context(), h); err != nil || !d.Empty() {
		t.Errorf("differs from what was captured: %+v %v in\n%s", d, err, b)
	}
	if got := strings.Join(strings.Fields(string(b)), " "); got != strings.Join(strings.Fields(p.capture), " ") {
		t.Errorf("captured %s\nwant     %s", got, p.capture)
	}
}

// look prints a path with its rights and content.
const look = `for p in %; do if [ -L $p ]; then echo "$p -> $(readlink $p)"; elif [ -e $p ]; then stat -c '%n %F %U:%G %a' $p; [ -d $p ] || base64 -w0 $p; fi; done`

func at(paths string) string { return strings.Replace(look, "%;", paths+";", 1) }

// TestEveryKindCanBeUndone, or stands here.
func TestEveryKindCanBeUndone(t *testing.T) {
	not := []string{"command", "archive", "git", "puppet", "ansible", "volume", "updates"}
	for _, k := range resourceKinds() {
		_, captured := k.New().(infra.Captured)
		_, rewrites := k.New().(infra.Rewriter)
		if can := captured || rewrites; can == slices.Contains(not, k.Name) {
			t.Errorf("%s: can be undone: %v", k.Name, can)
		}
	}
}

func TestUndoFiles(t *testing.T) {
	infratest.Inside(t, func() {
		for _, p := range []putBack{
			{name: "new file", roles: []string{"file {path: /tmp/x, content: new}"}, world: at("/tmp/x"), capture: "path: /tmp/x state: absent"},
			{name: "file", by: "printf 'was' >/etc/x; chown daemon:adm /etc/x; chmod 4640 /etc/x", roles: []string{"file {path: /etc/x, content: new, owner: root, mode: '0644'}"}, world: at("/etc/x"),
				capture: `path: /etc/x content: was owner: daemon group: adm mode: "4640" state: present`},
			{name: "bytes", by: `printf '\000\377\r\n' >/etc/x`, roles: []string{"file {path: /etc/x, content: new}"}, world: at("/etc/x")},
			{name: "twice", by: "echo was >/etc/x", roles: []string{"file {path: /etc/x, content: a}", "file {path: /etc/x, content: b}", "file {path: /etc/x, state: absent}"}, world: at("/etc/x")},
			{name: "owner only", by: "rm /etc/x; head -c 6000000 /dev/zero >/etc/x", roles: []string{"file {path: /etc/x, owner: daemon}"}, world: "stat -c '%U %s' /etc/x", capture: `path: /etc/x owner: root group: root mode: "0644" state: present`},
			{name: "too big", by: "head -c 6000000 /dev/zero >/etc/x", roles: []string{"file {path: /etc/x, content: small}"}, not: "/etc/x has more than 4 MiB", world: "true"},
			{name: "file over a link", by: "ln -sfn nowhere /etc/x", roles: []string{"file {path: /etc/x, content: new}"}, world: at("/etc/x")},
			{name: "file over a folder", by: "rm -f /etc/x; mkdir -m 750 /etc/x", roles: []string{"file {path: /etc/x, content: new, force: true}"}, world: at("/etc/x")},
			{name: "template", by: "rm -rf /etc/x; echo '{{ .nothing }}' >/etc/x", roles: []string{"template {path: /etc/x, content: new}"}, world: at("/etc/x")},
			{name: "template after file", by: "echo was >/etc/x", roles: []string{"template {path: /etc/x, content: new}", "file {path: /etc/x, content: newer}"}, world: at("/etc/x")},
			{name: "new folder", roles: []string{"directory {path: /etc/d, owner: daemon}"}, world: at("/etc/d"), capture: "path: /etc/d state: absent keep: true"},
			{name: "folder", by: "mkdir -p -m 700 /etc/d; touch /etc/d/x", roles: []string{"directory {path: /etc/d, mode: '0755', owner: daemon}"}, world: at("/etc/d"),
				capture: `path: /etc/d owner: root group: root mode: "0700" state: present`},
			{name: "folder over a file", by: "rm -rf /etc/d; echo was >/etc/d", roles: []string{"directory {path: /etc/d, force: true}"}, world: at("/etc/d")},
			{name: "empty folder gone", by: "rm -rf /etc/d; mkdir /etc/d", roles: []string{"directory {path: /etc/d, state: absent}"}, world: at("/etc/d")},
			{name: "full folder gone", by: "mkdir -p /etc/e; touch /etc/e/x", roles: []string{"directory {path: /etc/e, state: absent, force: true}"}, not: "what is in /etc/e is not kept", world: "true"},
			{name: "recurse", by: "mkdir -p /etc/e; touch /etc/e/x", roles: []string{"directory {path: /etc/e, owner: daemon, recurse: true}"}, not: "whom everything in /etc/e belonged to was not kept", world: "true"},
			{name: "link", by: "ln -sfn nowhere /etc/l", roles: []string{"symlink {path: /etc/l, target: /etc}"}, world: at("/etc/l"), capture: "path: /etc/l target: nowhere state: present"},
			{name: "link over a file", by: "rm -f /etc/l; echo was >/etc/l", roles: []string{"symlink {path: /etc/l, target: /etc, force: true}"}, world: at("/etc/l")},
			{name: "line", by: "printf 'a\\nport 1\\nend' >/etc/x", roles: []string{"line {path: /etc/x, match: ^port, text: port 2}"}, world: at("/etc/x"),
				capture: "path: /etc/x state: present text: port 1 match: ^port"},
			{name: "new line", by: "printf 'a\\nend' >/etc/x", roles: []string{"line {path: /etc/x, text: port 2}"}, world: at("/etc/x"), capture: "path: /etc/x state: absent text: port 2"},
			{name: "lines gone", by: "printf 'b\\na\\nb\\nc\\n' >/etc/x", roles: []string{"line {path: /etc/x, text: b, state: absent}"}, world: at("/etc/x"), capture: "path: /etc/x state: present text: b"},
			{name: "line in a new file", roles: []string{"line {path: /etc/new, text: b, create: true}"}, world: at("/etc/new")},
			{name: "lines of several runs", by: "printf 'a\\n' >/etc/x", roles: []string{"line {path: /etc/x, text: b}", "line {path: /etc/x, text: c}"}, world: at("/etc/x")},
			{name: "block", by: "printf 'a\\n# BEGIN steer n\\nwas\\n# END steer n\\nb' >/etc/x", roles: []string{"block {path: /etc/x, name: n, content: 'new'}"}, world: at("/etc/x"),
				capture: `path: /etc/x state: present name: "n" content: | was comment: '#'`},
			{name: "block gone", by: "printf '# BEGIN steer n\\nwas\\n# END steer n\\nb' >/etc/x", roles: []string{"block {path: /etc/x, name: n, state: absent}"}, world: at("/etc/x")},
			{name: "new block", by: "printf a >/etc/x", roles: []string{"block {path: /etc/x, name: n, content: new}"}, world: at("/etc/x"), capture: `path: /etc/x state: absent name: "n" comment: '#'`},
			{name: "command", roles: []string{"command {run: 'true', name: it}"}, not: "what a command did is not known", world: "true"},
		} {
			t.Run(p.name, p.run)
		}
	})
}

func TestUndoAccounts(t *testing.T) {
	infratest.Inside(t, func() {
		accounts := "grep -E '^(u|v|g|h):' /etc/passwd /etc/group | sort; cut -d: -f1,2,8 /etc/shadow | grep ^[uv]: || true"
		for _, p := range []putBack{
			{name: "new user", by: "groupadd -g 1700 g; groupadd -g 1701 h", roles: []string{"user {name: v, uid: 1600}"}, world: accounts, capture: "name: v state: absent"},
			{name: "user", by: "useradd -u 1500 -s /bin/sh -G g u", roles: []string{"user {name: u, uid: 1501, groups: [h], exact: true, shell: /bin/bash, comment: Me}"}, world: accounts,
				capture: `name: u state: present uid: 1500 group: u groups: - g exact: true home: /home/u create_home: false shell: /bin/sh comment: ""`},
			{name: "password", by: "true", roles: []string{"user {name: u, password: '$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/', expires: 2040-01-01}"}, world: accounts},
			{name: "locked", by: "echo 'u:$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/' | chpasswd -e", roles: []string{"user {name: u, locked: true}"}, world: accounts},
			{name: "user gone", by: "usermod -c Gecos -e 2030-02-03 u", roles: []string{"user {name: u, state: absent}"}, world: accounts},
			{name: "new group", roles: []string{"group {name: k}"}, world: "getent group k || true"},
			{name: "group", by: "gpasswd -M daemon,u g", roles: []string{"group {name: g, gid: 1800, members: [bin], exact: true}"}, world: accounts,
				capture: "name: g state: present gid: 1700 members: - daemon - u exact: true"},
			{name: "group gone", roles: []string{"group {name: g, state: absent}"}, world: accounts},
			{name: "key", by: "mkdir -p -m 700 /root/.ssh; printf 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna\\n' >/root/.ssh/authorized_keys; chmod 600 /root/.ssh/authorized_keys",
				roles: []string{"authorized_key {user: root, exact: true}"}, world: at("/root/.ssh/authorized_keys"),
				capture: "user: root key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna exact: true state: present"},
			{name: "key among others", by: "sed -i '1i # mine' /root/.ssh/authorized_keys", roles: []string{"authorized_key {user: root, options: [no-pty], key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna}", "authorized_key {user: root, exact: true}"}, world: at("/root/.ssh/authorized_keys"),
				capture: "user: root key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna state: present"},
		} {
			t.Run(p.name, p.run)
		}
	})
}

func TestUndoSystem(t *testing.T) {
	infratest.Inside(t, func() {
		firewall := "nft -s list ruleset; " + at("/etc/nftables.d/steer.nft")
		for _, p := range []putBack{
			{name: "new cron", roles: []string{"cron {name: c, schedule: '@daily', command: 'true'}"}, world: at("/etc/cron.d/c"), capture: "name: c state: absent"},
			{name: "cron of others", by: "printf '1 2 * * * root a\\n3 4 * * * root b\\n' >/etc/cron.d/c", roles: []string{"cron {name: c, schedule: '@daily', command: 'true'}"}, world: at("/etc/cron.d/c")},
			{name: "cron", by: "rm /etc/cron.d/c", first: true, roles: []string{`cron {name: c, schedule: '1 2 * * mon', user: daemon, command: 'date +%F  >/x', environment: {A: 'b "c', MAILTO: ''}}`, "cron {name: c, state: absent}"}, world: at("/etc/cron.d/c")},
			{name: "cron in words", by: "printf '# Written by Steer: changes here are undone.\\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\\nA=\"b c\"\\n1 2 * * mon daemon date +\\\\%%F  x\\n' >/etc/cron.d/c",
				roles: []string{"cron {name: c, state: absent}"}, world: at("/etc/cron.d/c"), capture: `name: c state: present schedule: 1 2 * * mon command: date +%F x user: daemon environment: A: b c`},
			{name: "repository", by: "echo 'Types: deb' >/etc/apt/sources.list.d/r.sources", roles: []string{"repository {name: r, state: absent}"}, world: at("/etc/apt/sources.list.d/r.sources")},
			{name: "setting as before", first: true, by: "true", roles: []string{"sysctl {name: net.ipv4.ip_forward, value: 0, running: false}", "sysctl {name: net.ipv4.ip_forward, value: 1, running: false}"}, world: at("/etc/sysctl.d/zz-steer-net.ipv4.ip_forward.conf")},
			{name: "timezone", by: "ln -sfn /usr/share/zoneinfo/Asia/Tokyo /etc/localtime; echo Asia/Tokyo >/etc/timezone", roles: []string{"timezone {name: UTC}"}, world: at("/etc/localtime /etc/timezone"), capture: "name: Asia/Tokyo"},
			{name: "hostname", by: "hostname one; printf '127.0.0.1\\tlocalhost\\n127.0.1.1\\tone\\n' >/etc/hosts; echo one >/etc/hostname", roles: []string{"hostname {name: two.example.com}"}, world: "hostname; cat /etc/hostname /etc/hosts", capture: "name: one"},
			{name: "setting", by: "rm -f /etc/sysctl.d/zz*", roles: []string{"sysctl {name: net.ipv4.ip_forward, value: 0, running: false}"}, world: at("/etc/sysctl.d/zz-steer-net.ipv4.ip_forward.conf")},
			{name: "new mount", by: "mkdir -p /mnt/m", roles: []string{"mount {path: /mnt/m, source: t, type: tmpfs}"}, world: "cat /etc/fstab; grep /mnt/m /proc/mounts || true", capture: "path: /mnt/m state: absent"},
			{name: "mount", by: "echo 't /mnt/m tmpfs size=1m,nodev 0 0' >>/etc/fstab; mount /mnt/m", roles: []string{"mount {path: /mnt/m, source: t, type: tmpfs, state: absent}"}, world: "cat /etc/fstab; grep /mnt/m /proc/mounts || true",
				capture: "path: /mnt/m source: t type: tmpfs options: - size=1m - nodev state: mounted"},
			{name: "new firewall", roles: []string{"firewall {allow: [{port: 22}]}"}, world: firewall},
			{name: "firewall by hand", by: "nft 'add table inet steer; add chain inet steer input { type filter hook input priority filter; policy accept; }; add rule inet steer input tcp dport 1 drop'", roles: []string{"firewall {allow: [{port: 22}]}"}, world: "nft -s list ruleset"},
			{name: "firewall", by: "true", roles: []string{"firewall {allow: [{port: 22}]}", "firewall {allow: [{port: 23}]}"}, world: "nft -s list ruleset"},
			{name: "firewall as before", first: true, roles: []string{"firewall {allow: [{port: 22}]}", "firewall {policy: accept}"}, world: firewall},
			{name: "certificate", by: "echo mine >/etc/c.pem; echo hunter2 >/etc/k.pem; chmod 600 /etc/k.pem", roles: []string{"certificate {path: /etc/c.pem, key_path: /etc/k.pem, self_signed: true, names: [a]}"}, secret: "hunter2", world: at("/etc/c.pem /etc/k.pem")},
		} {
			t.Run(p.name, p.run)
		}
	})
}

func TestUndoServices(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		unit := "printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' >/etc/systemd/system/s.service; systemctl daemon-reload; "
		state := "systemctl show -P ActiveState,UnitFileState s.service; systemctl is-enabled s.service || true; " + at("/etc/systemd/system/s.service")
		timer := "timer {name: t, schedule: daily, command: 'echo 100% \"$HOME\"', persistent: true, delay: 5m, environment: {A: 'b \"c'}}"
		timers := "systemctl is-active t.timer || true; systemctl is-enabled t.timer || true; " + at("/etc/systemd/system/t.timer /etc/systemd/system/t.service")
		for _, p := range []putBack{
			{name: "started", by: unit, roles: []string{"service {name: s, settle: 0s}"}, world: state, capture: "name: s state: stopped enabled: false masked: false on_notify: restart settle: 0s"},
			{name: "stopped", by: "systemctl enable --now s", roles: []string{"service {name: s, state: stopped}"}, world: state},
			{name: "masked", by: "systemctl disable --now s; rm /etc/systemd/system/s.service; systemctl daemon-reload; systemctl mask s", roles: []string{"service {name: s, state: stopped, masked: false}"}, world: state},
			{name: "drop-in", first: true, by: "systemctl unmask s; " + unit, roles: []string{"unit {name: s.service, drop_in: d, content: \"[Service]\\nNice=1\\n\"}", "unit {name: s.service, drop_in: d, state: absent}"}, world: "cat /etc/systemd/system/s.service.d/d.conf || true"},
			{name: "new unit", by: "rm /etc/systemd/system/s.service; systemctl daemon-reload", roles: []string{"unit {name: s.service, content: \"[Service]\\nExecStart=/bin/true\\n\"}"}, world: state, capture: "name: s.service state: absent"},
			{name: "unit", by: unit, roles: []string{"unit {name: s.service, content: \"[Service]\\nExecStart=/bin/true\\n\"}"}, world: state},
			{name: "new timer", roles: []string{timer}, world: timers},
			{name: "timer", first: true, by: "true", roles: []string{timer, "timer {name: t, schedule: hourly, command: 'true'}"}, world: timers},
		} {
			t.Run(p.name, p.run)
		}
	})
}

// TestGuardIsOutside: under systemd, a guard belongs to no service or session that may end
// with a change.
func TestGuardIsOutside(t *testing.T) {
	infratest.InsideSystemd(t, func() {
		infratest.Shell(t, "echo was >/etc/x")
		k, _ := resourceKinds().Find("file")
		one := k.New()
		if err := config.Decode("test.yaml", []byte("{path: /etc/x, content: new}"), one); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir() + "/state"
		r, err := converge.Run(t.Context(), infra.Manifest{Resources: []infra.Declared{{Kind: "file", ID: one.ID(), Resource: one}}},
			toConverge{Dir: dir, Guard: 5 * time.Second}.options(t.Context(), infra.NewHost(t.Context()), nil))
		if err != nil || !r.Unconfirmed {
			t.Fatalf("%+v %v", r, err)
		}
		if got := infratest.Shell(t, "cat /proc/$(pgrep -f host-[g]uard)/cgroup"); !strings.Contains(got, "/system.slice/run-") {
			t.Error(got)
		}
		infratest.Shell(t, "for i in $(seq 300); do grep -q was /etc/x && exit; sleep 0.1; done; exit 1")
	})
}
