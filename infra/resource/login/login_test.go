package login

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"steer/infra"
	"steer/infra/infratest"
)

// newHouse is a root file system of a test.
func newHouse(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// doors are what is open, as NAME=IS, and shuts them.
func doors(t *testing.T, root string) (text string, shut func()) {
	t.Helper()
	all, err := open(&infra.Host{Facts: infra.Facts{Offline: true}}, root)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, d := range all {
		if d.name != noticeFile { // it is everywhere
			words = append(words, d.name+"="+d.is)
		}
	}
	return strings.Join(words, "; "), func() {
		for _, d := range all {
			if err := d.shut(); err != nil {
				t.Fatalf("%s: %v", d.name, err)
			}
		}
	}
}

func TestDoors(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBMPmn1vnHJwqV6rySVp0QGrSp1bNrRu8mgmgZoSzEEv anna@laptop\n"
	const print = "SHA256:nlqnG5SE8MOmTYD9P9p8RqRhGOlF80veTv6fH0s29tA"
	const passwd = "root:x:0:0:root:/root:/bin/bash\nann:x:1:1::/home/ann:/bin/sh\n"
	for name, c := range map[string]struct {
		files       map[string]string
		open        string
		file, after string // one of the files, when all is shut
	}{
		"nothing there":       {},
		"locked":              {files: map[string]string{"etc/passwd": passwd, "etc/shadow": "root:*:1::::::\nann:!$6$x$y:1::::::\n"}, file: "etc/shadow", after: "root:*:1::::::\nann:!$6$x$y:1::::::\n"},
		"password":            {files: map[string]string{"etc/shadow": "root:*:1::::::\nann:$6$x$y:7:0:9:::\n+::::::\n"}, open: "password of ann=set", file: "etc/shadow", after: "root:*:1::::::\nann:!:7:0:9:::\n+::::::\n"},
		"no password at all":  {files: map[string]string{"etc/shadow": "root::1:::::\n"}, open: "password of root=empty", file: "etc/shadow", after: "root:!:1:::::\n"},
		"password in passwd":  {files: map[string]string{"etc/passwd": "ann:aBcDeFgHiJkLm:1:1::/h:/bin/sh\nbob::2:2::/h:/bin/sh\n"}, open: "password of ann=set; password of bob=empty", file: "etc/passwd", after: "ann:!:1:1::/h:/bin/sh\nbob:!:2:2::/h:/bin/sh\n"},
		"key":                 {files: map[string]string{"etc/passwd": passwd, "root/.ssh/authorized_keys": "# mine\n" + key}, open: "/root/.ssh/authorized_keys=" + print + " anna@laptop"},
		"key with options":    {files: map[string]string{"etc/passwd": passwd, "home/ann/.ssh/authorized_keys2": `from="10.0.0.1" ` + key + "cert-authority broken\n"}, open: "/home/ann/.ssh/authorized_keys2=" + print + " anna@laptop, 1 more lines"},
		"key elsewhere":       {files: map[string]string{"etc/ssh/authorized_keys.d/ann": key}, open: "/etc/ssh/authorized_keys.d/ann=" + print + " anna@laptop"},
		"only a remark":       {files: map[string]string{"etc/passwd": passwd, "root/.ssh/authorized_keys": "# none\n\n"}},
		"sshd":                {files: map[string]string{sshdConfig: "Port 22\n"}, open: "sshd=lets people in", file: sshdConfig, after: ruleText + "Port 22\n"},
		"sshd with a folder":  {files: map[string]string{sshdConfig: "Include /etc/ssh/sshd_config.d/*.conf\n"}, open: "sshd=lets people in", file: sshdRule, after: ruleText},
		"a folder for some":   {files: map[string]string{sshdConfig: "Match User ann\nInclude /etc/ssh/sshd_config.d/*.conf\n", sshdRule: ruleText}, open: "sshd=lets people in", file: sshdConfig, after: ruleText + "Match User ann\nInclude /etc/ssh/sshd_config.d/*.conf\n"},
		"sshd denies some":    {files: map[string]string{sshdConfig: "DenyUsers ann\n"}, open: "sshd=lets people in"},
		"sshd denies all":     {files: map[string]string{sshdConfig: "denyusers = bob *\n"}},
		"sshd of Debian":      {files: map[string]string{sshdConfig: "DenyUsers *\n", "etc/init.d/ssh": "#!/bin/sh\n"}, open: "start of sshd=allowed"},
		"consoles of OpenRC":  {files: map[string]string{"etc/runlevels/default/sshd": "", "etc/runlevels/default/agetty.tty1": "", "etc/runlevels/default/nginx": ""}, open: "runlevels/default/agetty.tty1=starts with the host; runlevels/default/sshd=starts with the host"},
		"consoles of inittab": {files: map[string]string{"etc/inittab": "::sysinit:/sbin/openrc sysinit\n#tty0::respawn:/sbin/getty\ntty1::respawn:/sbin/getty 38400 tty1\n::askfirst:-/bin/sh\n"}, open: "inittab=2 lines let people in", file: "etc/inittab", after: "::sysinit:/sbin/openrc sysinit\n#tty0::respawn:/sbin/getty\n#tty1::respawn:/sbin/getty 38400 tty1\n#::askfirst:-/bin/sh\n"},
	} {
		t.Run(name, func(t *testing.T) {
			root := newHouse(t, c.files)
			got, shut := doors(t, root)
			if got != c.open {
				t.Errorf("open is %q, want %q", got, c.open)
			}
			shut()
			if left, err := open(&infra.Host{Facts: infra.Facts{Offline: true}}, root); err != nil || len(left) > 0 {
				t.Errorf("left open: %+v %v", left, err)
			}
			if b, err := os.ReadFile(filepath.Join(root, c.file)); c.file != "" && (err != nil || string(b) != c.after) {
				t.Errorf("%s is %q, %v, want %q", c.file, b, err, c.after)
			}
			if is, err := os.Stat(filepath.Join(root, "etc/shadow")); err == nil && is.Mode().Perm() != 0o640 {
				t.Errorf("shadow has the mode %o", is.Mode().Perm())
			}
		})
	}
	// Units, also where somebody put one of their own, and a file of keys that is a link.
	root := newHouse(t, map[string]string{"usr/lib/systemd/systemd": "", "etc/systemd/system/getty@.service": "[Service]", "etc/passwd": passwd, "elsewhere": key, "root/.ssh/x": ""})
	if err := os.Symlink("../../elsewhere", filepath.Join(root, "root/.ssh/authorized_keys")); err != nil {
		t.Fatal(err)
	}
	got, shut := doors(t, root)
	if !strings.HasPrefix(got, "/root/.ssh/authorized_keys=there, as a link; units=can be started: ssh.service, ") || !strings.Contains(got, "getty@.service") {
		t.Errorf("got %s", got)
	}
	shut()
	if to, err := os.Readlink(filepath.Join(root, "etc/systemd/system/getty@.service")); to != "/dev/null" {
		t.Errorf("got %q %v", to, err)
	}
	if got, _ := doors(t, root); got != "" {
		t.Errorf("left open: %s", got)
	}
}

// TestLogin: with a real server of SSH a key and a password open the host before; none
// does afterwards, also when somebody starts the server, and gives out a key and a
// password once more; and that is seen.
func TestLogin(t *testing.T) {
	infratest.Inside(t, func() {
		infratest.Shell(t, `useradd -m -s /bin/sh ann; useradd -m -s /bin/sh bob; echo ann:hunter22 | chpasswd
mkdir -p -m 700 /root/.ssh /run/sshd; ssh-keygen -A; ssh-keygen -q -t ed25519 -N '' -C eve@laptop -f /tmp/key
sed -i 's/pam_unix.so nullok/pam_unix.so nullok nodelay/' /etc/pam.d/common-auth
printf 'PermitRootLogin yes\nPasswordAuthentication yes\n' > /etc/ssh/sshd_config.d/test.conf`)
		pem, err := os.ReadFile("/tmp/key")
		if err != nil {
			t.Fatal(err)
		}
		key, err := ssh.ParsePrivateKey(pem)
		if err != nil {
			t.Fatal(err)
		}
		serve := func() (end func()) {
			cmd := exec.Command("/usr/sbin/sshd", "-D", "-p", "2222", "-o", "ListenAddress=127.0.0.1")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			return func() { cmd.Process.Kill(); cmd.Wait() } //nolint:errcheck // it was killed
		}
		login := func(user string, way ssh.AuthMethod) error {
			var err error
			for end := time.Now().Add(30 * time.Second); ; {
				var c *ssh.Client
				c, err = ssh.Dial("tcp", "127.0.0.1:2222", &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{way}, HostKeyCallback: ssh.InsecureIgnoreHostKey(), Timeout: 10 * time.Second})
				if err == nil {
					defer c.Close()
					s, err := c.NewSession()
					if err != nil {
						return err
					}
					out, err := s.Output("id -un")
					if err == nil && strings.TrimSpace(string(out)) != user {
						err = fmt.Errorf("logged in as %s", out)
					}
					return err
				}
				if !strings.Contains(err.Error(), "connection refused") || time.Now().After(end) {
					return err
				}
			}
		}
		ways := map[string]ssh.AuthMethod{"root": ssh.PublicKeys(key), "ann": ssh.Password("hunter22")}
		su := func() error {
			cmd := exec.Command("su", "ann", "-c", "true")
			cmd.SysProcAttr = as(t, "bob")
			cmd.Stdin = strings.NewReader("hunter22\n")
			return cmd.Run()
		}
		infratest.Shell(t, "cp /tmp/key.pub /root/.ssh/authorized_keys")
		end := serve()
		for user, way := range ways {
			if err := login(user, way); err != nil {
				t.Fatalf("before, %s: %v", user, err)
			}
		}
		if err := su(); err != nil {
			t.Fatalf("before, su: %v", err)
		}
		o, h := New(), infra.NewHost(t.Context())
		if d, err := o.Diff(t.Context(), h); err != nil || !d.Has("sshd") || !d.Has("password of ann") || !d.Has("/root/.ssh/authorized_keys") {
			t.Fatalf("%+v %v", d, err)
		}
		if err := o.Apply(t.Context(), h, infra.Diff{}); err == nil || !strings.Contains(err.Error(), "only a new host is without it") {
			t.Errorf("with a server that runs: %v", err)
		}
		end()
		if err := o.Apply(t.Context(), h, infra.Diff{}); err != nil {
			t.Fatal(err)
		}
		if d, err := o.Diff(t.Context(), h); err != nil || !d.Empty() {
			t.Fatalf("afterwards %+v %v", d, err)
		}
		if err := su(); err == nil {
			t.Error("su goes on")
		}
		// Somebody who is in by other means opens what they can think of.
		infratest.Shell(t, "cp /tmp/key.pub /root/.ssh/authorized_keys; echo ann:hunter22 | chpasswd")
		defer serve()()
		for user, way := range ways {
			if err := login(user, way); err == nil || !strings.Contains(err.Error(), "unable to authenticate") {
				t.Errorf("%s: %v", user, err)
			}
		}
		d, err := o.Diff(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v", d.Fields)
		for _, want := range []string{"password of ann", "/root/.ssh/authorized_keys", "[listener]"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s is not seen: %s", want, text)
			}
		}
		for _, f := range d.Fields {
			if f.Name == "/root/.ssh/authorized_keys" && !strings.Contains(f.Old, "eve@laptop") || strings.Contains(f.Old, "$") {
				t.Errorf("%+v", f)
			}
		}
	})
}

// as is the right of a user.
func as(t *testing.T, user string) *syscall.SysProcAttr {
	t.Helper()
	a, ok, err := (&infra.Host{}).User(user)
	if !ok || err != nil {
		t.Fatal(user, err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}}
}

func TestKind(t *testing.T) {
	all := []infra.Declared{{Kind: "login", ID: "off", Resource: New()}}
	if all[0].Ref() != Ref {
		t.Errorf("it is called %s", all[0].Ref())
	}
	b, err := infra.Encode(all)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := infra.Decode(infra.Kinds{Kind()}, b); err != nil || *back[0].Resource.(*Off) != *New() {
		t.Errorf("%+v %v", back, err)
	}
	if _, err := New().Diff(context.Background(), infra.NewHost(t.Context())); err != nil {
		t.Error(err)
	}
}
