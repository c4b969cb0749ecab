package account

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
)

const (
	hash  = "$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/"
	hash2 = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC"
)

func TestUser(t *testing.T) {
	infratest.Inside(t, func() {
		t.Run("life", life)
		t.Run("drift", userDrift)
		t.Run("groups", userGroups)
		t.Run("password", password)
		t.Run("home", home)
		t.Run("refusals", refusals)
		t.Run("cut off", cutOff)
	})
}

func life(t *testing.T) {
	h := infra.NewHost(t.Context())
	u := infratest.Decoded(t, &User{}, "{name: web, uid: 1500, shell: /bin/bash, comment: Wéb app}")
	infratest.Converge(t, h, u, infra.Create, "uid", "shell", "comment")
	if got := lineOf(t, "/etc/passwd", "web"); got != "web:x:1500:1500:Wéb app:/home/web:/bin/bash" {
		t.Error(got)
	}
	if got := infratest.Shell(t, "stat -c '%U:%G %a' /home/web /home/web/.profile | xargs"); got != "web:web 755 web:web 644" {
		t.Error(got)
	}
	// Less is declared: nothing changes.
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "name: web"), infra.None)

	system := infratest.Decoded(t, &User{}, "{name: daemon1, system: true, shell: /usr/sbin/nologin, home: /var/lib/daemon1}")
	infratest.Converge(t, h, system, infra.Create, "home", "shell")
	if a, _, _ := h.User("daemon1"); a.UID >= 1000 || a.UID < 100 {
		t.Errorf("uid %d of a service", a.UID)
	}
	if !missing("/var/lib/daemon1") {
		t.Error("a service's home was made unasked")
	}
	infratest.Gone(t, h, u)
	if missing("/home/web") {
		t.Error("the home of a user that is no longer declared is lost")
	}
	// A user of the same name gets its number in a group that is there already.
	infratest.Shell(t, "groupadd -g 1700 ops")
	forget(h)
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "name: ops"), infra.Create)
	if a, _, _ := h.User("ops"); a.GID != 1700 {
		t.Errorf("%+v", a)
	}
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: ops, state: absent, remove_home: true}"), infra.Delete)
	if !missing("/home/ops") {
		t.Error("the home is there")
	}
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: ops, state: absent}"), infra.None)
}

func userDrift(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Shell(t, "groupadd -g 1600 staff2")
	u := infratest.Decoded(t, &User{}, "{name: ben, uid: 1501, group: staff2, home: /home/ben, shell: /bin/sh, comment: Ben, expires: 2031-02-28}")
	infratest.Converge(t, h, u, infra.Create, "uid", "group", "home", "shell", "comment", "expires")
	for _, c := range []struct{ spoil, field, old, want string }{
		{"usermod -u 1777 ben", "uid", "1777", "1501"},
		{"usermod -g daemon ben", "group", "daemon", "staff2"},
		{"usermod -d /srv/ben ben; mkdir /srv/ben", "home", "/srv/ben", "/home/ben"},
		{"usermod -s /bin/bash ben", "shell", "/bin/bash", "/bin/sh"},
		{"usermod -c 'Somebody' ben", "comment", "Somebody", "Ben"},
		{"usermod -e 2030-01-01 ben", "expires", "2030-01-01", "2031-02-28"},
		{"usermod -e '' ben", "expires", "never", "2031-02-28"},
		{"rm -r /home/ben", "create_home", "missing", "/home/ben"},
	} {
		infratest.Shell(t, c.spoil)
		forget(h)
		d := infratest.Converge(t, h, u, infra.Update, c.field)
		if f := d.Fields[0]; f.Old != c.old || f.New != c.want {
			t.Errorf("%s: %+v", c.spoil, f)
		}
	}
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: ben, expires: never}"), infra.Update, "expires")
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: ben, expires: 1970-01-02}"), infra.Update, "expires")
}

func userGroups(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Shell(t, "groupadd g1; groupadd g2; groupadd g3; useradd -m -G g3 carl")
	u := infratest.Decoded(t, &User{}, "{name: carl, groups: [g2, g1, carl]}")
	d := infratest.Converge(t, h, u, infra.Update, "groups")
	if f := d.Fields[0]; f.Old != "g3" || f.New != "g1, g2, g3" {
		t.Errorf("%+v", f)
	}
	exact := infratest.Decoded(t, &User{}, "{name: carl, groups: [g1], exact: true}")
	infratest.Converge(t, h, exact, infra.Update, "groups")
	if got := infratest.Shell(t, "id -nG carl"); got != "carl g1" {
		t.Error(got)
	}
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: carl, exact: true}"), infra.Update, "groups")
	// To be listed in one's own primary group means nothing.
	infratest.Shell(t, "gpasswd -a carl carl")
	forget(h)
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: carl, exact: true}"), infra.None)

	late := infratest.Decoded(t, &User{}, "{name: dora, groups: [later], group: g1}")
	infratest.Fails(t, h, late, "there is no group later (declare it")
	infratest.Shell(t, "groupadd later")
	forget(h)
	infratest.Converge(t, h, late, infra.Create, "group", "groups")
}

func password(t *testing.T) {
	h := infra.NewHost(t.Context())
	field := func() string { return strings.Split(lineOf(t, "/etc/shadow", "eve"), ":")[1] }
	u := infratest.Decoded(t, &User{}, "{name: eve, password: '"+hash+"'}")
	d := infratest.Converge(t, h, u, infra.Create, "password")
	if b, _ := json.Marshal(d); strings.Contains(string(b), "salt") {
		t.Errorf("the diff shows the hash: %s", b)
	}
	if field() != hash {
		t.Error(field())
	}
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: eve, locked: true}"), infra.Update, "locked")
	if field() != "!"+hash {
		t.Error(field())
	}
	// Of a locked account the password can change, and it stays locked.
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: eve, password: '"+hash2+"'}"), infra.Update, "password")
	if field() != "!"+hash2 {
		t.Error(field())
	}
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: eve, password: '"+hash+"', locked: false}"), infra.Update, "password", "locked")
	if field() != hash {
		t.Error(field())
	}
	// Nothing to unlock where there was never a password.
	infratest.Shell(t, "useradd nopass")
	forget(h)
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: nopass, create_home: false, locked: false}"), infra.None)
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: eve, password: '*'}"), infra.Update, "password")
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: eve, locked: true}"), infra.Update, "locked")
	if field() != "!*" {
		t.Error(field())
	}
	if b, err := os.ReadFile("/etc/shadow"); err != nil || strings.Contains(string(b), hash) {
		t.Error("an old hash is kept")
	}
}

func home(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Shell(t, "mkdir -p /etc/skel/bin; echo hi >/etc/skel/bin/tool; chmod 750 /etc/skel/bin/tool; ln -s bin/tool /etc/skel/link; mkfifo /etc/skel/pipe; mkdir -p /srv/people/.fay.steer-new/old; echo HOME_MODE 0700 >>/etc/login.defs")
	u := infratest.Decoded(t, &User{}, "{name: fay, home: /srv/people/fay}")
	infratest.Converge(t, h, u, infra.Create, "home")
	if got := infratest.Shell(t, "cd /srv/people; stat -c '%U %a' fay fay/bin/tool | xargs; readlink fay/link; ls -A"); got != "fay 700 fay 750\nbin/tool\nfay" {
		t.Error(got)
	}
	// A home that is there already stays as it is.
	infratest.Shell(t, "mkdir -m 711 /srv/people/gil; echo mine >/srv/people/gil/note")
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: gil, home: /srv/people/gil}"), infra.Create, "home")
	if got := infratest.Shell(t, "cd /srv/people/gil; stat -c '%U %a' .; ls -A; cat note"); got != "root 711\nnote\nmine" {
		t.Error(got)
	}
}

func refusals(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Fails(t, h, infratest.Decoded(t, &User{}, "{name: hal, uid: 1}"), "uid 1 of user hal is that of user daemon already")
	u := infratest.Decoded(t, &User{}, "{name: ida, uid: 1800}")
	infratest.Converge(t, h, u, infra.Create, "uid")
	p, err := os.StartProcess("/bin/sleep", []string{"sleep", "60"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 1800, Gid: 1800}}})
	if err != nil {
		t.Fatal(err)
	}
	infratest.Fails(t, h, infratest.Decoded(t, &User{}, "{name: ida, uid: 1801}"), "sleep (")
	infratest.Fails(t, h, infratest.Decoded(t, &User{}, "{name: ida, state: absent}"), "stop them first")
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	p.Wait()
	infratest.Converge(t, h, infratest.Decoded(t, &User{}, "{name: ida, uid: 1801}"), infra.Update, "uid")
	if got := infratest.Shell(t, "stat -c %u /home/ida"); got != "1801" {
		t.Errorf("the home belongs to %s", got)
	}
}

// A run may end after each of the steps that make a user.
func cutOff(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Shell(t, "groupadd -f g1; useradd -M -u 1900 kim")
	u := infratest.Decoded(t, &User{}, "{name: kim, uid: 1900, groups: [g1], password: '"+hash+"'}")
	infratest.Converge(t, h, u, infra.Update, "groups", "create_home", "password")
}
