package account

import (
	"os"
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/infratest"
)

const (
	anna = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna@laptop"
	ben  = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGVj7sIhYQo1xVtNwhLMWjYwIJfiIAyRjTGGqcKY0YkN"
)

func TestMerge(t *testing.T) {
	keys := func(text string) []sshKey {
		all, err := parseKeys(text)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	a, b := keys(anna), keys(ben)
	for _, c := range []struct {
		name, text   string
		keys         []sshKey
		remove, only bool
		want         string
	}{
		{"new", "", a, false, false, anna + "\n"},
		{"no end of the last line", "# note\n" + ben, a, false, false, "# note\n" + ben + "\n" + anna + "\n"},
		{"there, no end", anna, a, false, false, anna + "\n"},
		{"other key there, no end", anna + "\n" + ben, a, false, false, anna + "\n" + ben},
		{"options and comment go", `from="10.0.0.1",no-pty ` + strings.Replace(anna, "anna@laptop", "old name", 1) + "\r\n" + ben + " \r\n", a, false, false, anna + "\n" + ben + " \r\n"},
		{"twice", anna + "\n" + ben + "\n" + anna + "\n", a, false, false, anna + "\n" + ben + "\n"},
		{"in a comment", "#" + anna + "\n", a, false, false, "#" + anna + "\n" + anna + "\n"},
		{"removed", "# x\n\n" + anna + "\nnonsense\n", a, true, false, "# x\n\nnonsense\n"},
		{"removed, was not there", ben, a, true, false, ben},
		{"only", "# x\n" + anna + "\n", b, false, true, ben + "\n"},
		{"only none", "# x\n" + anna + "\n", nil, false, true, ""},
	} {
		if got := merge(c.text, c.keys, c.remove, c.only); got != c.want {
			t.Errorf("%s:\n%q, want\n%q", c.name, got, c.want)
		}
	}
	quoted := keys(`command="echo \"a b\" # c",no-pty ` + anna)[0]
	if quoted.options != `command="echo \"a b\" # c",no-pty` || quoted.comment != "anna@laptop" {
		t.Errorf("%+v", quoted)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add(anna)
	f.Add(`command="a \" b" ` + ben + "\r\n#x\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parseKeys(text)
		if err != nil {
			return
		}
		for _, k := range all {
			if back, err := parseKey(k.line()); err != nil || back != k {
				t.Errorf("%+v became %+v %v", k, back, err)
			}
		}
	})
}

func TestAuthorizedKey(t *testing.T) {
	infratest.Inside(t, func() {
		t.Run("life", keyLife)
		t.Run("drift", keyDrift)
		t.Run("traps", traps)
	})
}

const keysOfKate = "/home/kate/.ssh/authorized_keys"

func keyLife(t *testing.T) {
	h := infra.NewHost(t.Context())
	k := infratest.Decoded(t, &Key{}, "{user: kate, key: '"+anna+"', options: [no-pty]}")
	if k.ID() != "kate/anna@laptop" {
		t.Error(k.ID())
	}
	if other := infratest.Decoded(t, &Key{}, "{user: kate, key: '"+ben+"'}"); !strings.HasPrefix(other.ID(), "kate/SHA256:") {
		t.Error(other.ID())
	}
	infratest.Fails(t, h, k, "there is no user kate (declare it")
	infratest.Shell(t, "useradd kate")
	forget(h)
	infratest.Fails(t, h, k, "the home folder /home/kate of user kate is missing")
	infratest.Shell(t, "install -d -o kate -g kate /home/kate")
	infratest.Converge(t, h, k, infra.Create, "key")
	if got := infratest.Shell(t, "stat -c '%U:%G %a' /home/kate/.ssh "+keysOfKate+"; cat "+keysOfKate+"; ssh-keygen -lf "+keysOfKate+" | cut -d' ' -f2"); got != "kate:kate 700\nkate:kate 600\nno-pty "+anna+"\n"+k.keys()[0].fingerprint() {
		t.Error(got)
	}
	second := infratest.Decoded(t, &Key{}, "{user: kate, key: '"+ben+"'}")
	infratest.Converge(t, h, second, infra.Create, "key")
	infratest.Same(t, h, k)
	infratest.Gone(t, h, k)
	infratest.Same(t, h, second)
	exact := infratest.Decoded(t, &Key{}, "{user: kate, exact: true, key: \""+anna+"\\n"+anna+"\\n\"}")
	infratest.Converge(t, h, exact, infra.Update, "key")
	if b, _ := os.ReadFile(keysOfKate); string(b) != anna+"\n" {
		t.Errorf("%q", b)
	}
	infratest.Converge(t, h, infratest.Decoded(t, &Key{}, "{user: kate, exact: true}"), infra.Update, "key")
	infratest.Gone(t, h, func() infra.Removable { // of a user who is gone there is no key
		infratest.Converge(t, h, infratest.Decoded(t, &Key{}, "{user: nobody1, state: absent, key: '"+anna+"'}"), infra.None)
		infratest.Shell(t, "useradd -m last")
		forget(h)
		infratest.Converge(t, h, infratest.Decoded(t, &Key{}, "{user: last, key: '"+anna+"'}"), infra.Create, "key")
		return infratest.Decoded(t, &Key{}, "{user: last, key: '"+anna+"'}")
	}())
}

func keyDrift(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Shell(t, "useradd -m leo")
	forget(h)
	k := infratest.Decoded(t, &Key{}, "{user: leo, key: '"+anna+"'}")
	infratest.Converge(t, h, k, infra.Create, "key")
	for _, c := range [][2]string{
		{"chmod 644 authorized_keys", "file mode"},
		{"chmod 775 .", "folder mode"},
		{"chown root authorized_keys", "file owner"},
		{"chgrp daemon .", "folder owner"},
		{"sed -i 's/^/no-pty /' authorized_keys; chown leo:leo authorized_keys", "key"},
	} {
		infratest.Shell(t, "cd /home/leo/.ssh; "+c[0])
		infratest.Converge(t, h, k, infra.Update, c[1])
	}
	infratest.Shell(t, "rm -r /home/leo/.ssh")
	infratest.Converge(t, h, k, infra.Create, "key")
}

// What the user plants must not make root read or write elsewhere.
func traps(t *testing.T) {
	h := infra.NewHost(t.Context())
	infratest.Shell(t, "useradd -m mia; mkdir /victim; cp /etc/shadow /victim/authorized_keys; sysctl -q -w fs.protected_hardlinks=0 2>/dev/null || true")
	forget(h)
	before := infratest.Shell(t, "cat /victim/authorized_keys; stat -c '%U %a' /victim /victim/authorized_keys")
	k := infratest.Decoded(t, &Key{}, "{user: mia, key: '"+anna+"'}")
	for _, trap := range []string{
		"ln -s /victim .ssh",
		"mkdir elsewhere; ln -s elsewhere .ssh",
		"ln -s nowhere .ssh",
		"echo >.ssh",
		"mkdir .ssh; ln -s /victim/authorized_keys .ssh/authorized_keys",
		"mkdir .ssh; ln -s other .ssh/authorized_keys; echo >.ssh/other",
		"mkdir .ssh; ln /victim/authorized_keys .ssh/authorized_keys",
		"mkdir .ssh; mkfifo .ssh/authorized_keys",
		"mkdir -p .ssh/authorized_keys",
	} {
		infratest.Shell(t, "cd /home/mia; rm -rf .ssh elsewhere; "+trap)
		infratest.Fails(t, h, k, "could make root write elsewhere (remove it)")
	}
	infratest.Shell(t, "rm -rf /home/mia/.ssh")
	if after := infratest.Shell(t, "cat /victim/authorized_keys; stat -c '%U %a' /victim /victim/authorized_keys"); after != before {
		t.Errorf("was changed:\n%s", after)
	}
	infratest.Converge(t, h, k, infra.Create, "key")
}
