package packages

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"steer/infra"
	"steer/infra/infratest"
)

func repository(t *testing.T, text string) *Repository {
	return decode(t, &Repository{}, text).(*Repository)
}

func fixture(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/signed/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRepository(t *testing.T) {
	infratest.Inside(t, func() {
		deb(t, "/r", "alpha", "1", "", nil)
		index(t, "/r", "Debian", "stable")
		sh(t, "rm -f /etc/apt/sources.list; cp -r testdata/signed /signed; rm -rf /etc/apt/keyrings")
		h := infra.NewHost(t.Context())

		local := repository(t, "{name: local, url: 'copy:/r', suite: ./, trusted: true}")
		if d, err := local.Diff(t.Context(), h); d.Action != infra.Create || !strings.Contains(d.Fields[0].Text, "+URIs: copy:/r") || err != nil {
			t.Errorf("%+v %v", d, err)
		}
		becomes(t, h, local, "create source:  -> ")
		becomes(t, h, pkg(t, "name: alpha"), "create state:  -> present")
		sh(t, "echo 'Enabled: no' >> /etc/apt/sources.list.d/local.sources")
		becomes(t, h, local, "update source:  -> ")

		// The key is that of somebody else: nothing is left of the try.
		signed := repository(t, "{name: signed, url: 'copy:/signed', suite: ./, key_file: key.asc}")
		read := func(name string) ([]byte, error) { return []byte(fixture(t, "other.asc")), nil }
		if err := signed.Source(read, nil); err != nil {
			t.Fatal(err)
		}
		refused(t, h, signed, "repository signed: read its index", "InRelease")
		if got := sh(t, "ls -A /etc/apt/sources.list.d /etc/apt/keyrings"); strings.Contains(got, "signed") {
			t.Errorf("left: %s", got)
		}
		signed.Key = fixture(t, "good.asc")
		becomes(t, h, signed, "create source:  ->  key:  -> ")
		if got := sh(t, "cat /etc/apt/sources.list.d/signed.sources"); !strings.Contains(got, "Signed-By: /etc/apt/keyrings/signed.asc\n") {
			t.Error(got)
		}
		sh(t, "apt-get update -o APT::Update::Error-Mode=any; echo broken > /etc/apt/keyrings/signed.asc")
		becomes(t, h, signed, "update key:  -> ")

		// A link in its place is replaced, not followed.
		sh(t, "mv /etc/apt/sources.list.d/signed.sources /target; echo x > /target; ln -s /target /etc/apt/sources.list.d/signed.sources")
		becomes(t, h, signed, "update source:  -> ")
		if got := sh(t, "cat /target"); got != "x\n" {
			t.Errorf("the link was followed: %s", got)
		}

		// The same once more with another key would make all of apt fail.
		twice := repository(t, "{name: twice, url: 'copy:/signed', suite: ./}")
		twice.Key = fixture(t, "good.asc")
		refused(t, h, twice, "taken back", "declared twice", "Signed-By")
		sh(t, "apt-get indextargets; test ! -e /etc/apt/sources.list.d/twice.sources; test ! -e /etc/apt/keyrings/twice.asc")

		refused(t, h, repository(t, "{name: none, url: 'copy:/none', suite: ./, trusted: true}"), "repository none: read its index", "Failed to fetch")
		becomes(t, h, repository(t, "{name: none, state: absent}"), "")
		gone := signed.Absent()
		becomes(t, h, gone, "delete source: /etc/apt/sources.list.d/signed.sources -> absent key: /etc/apt/keyrings/signed.asc -> absent")
	})
}

func TestRepositoryFiles(t *testing.T) {
	key := "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n"
	h := &infra.Host{Facts: infra.Facts{OS: infra.OS{Codename: "bookworm"}}}
	r := &Repository{Name: "my-repo", State: present, URL: "https://example.org/x", Key: key, Architectures: []string{"amd64"}}
	for name, c := range map[string]struct {
		m    manager
		want string
	}{
		"apt": {newApt(h), "/etc/apt/sources.list.d/my-repo.sources\n# Written by Steer: changes here are undone.\nTypes: deb\nURIs: https://example.org/x\nSuites: bookworm\nComponents: main\nArchitectures: amd64\nSigned-By: /etc/apt/keyrings/my-repo.asc\n/etc/apt/keyrings/my-repo.asc\n" + key},
		"dnf": {newDnf(h), "/etc/yum.repos.d/my-repo.repo\n# Written by Steer: changes here are undone.\n[my-repo]\nname=my-repo\nbaseurl=https://example.org/x\nenabled=1\ngpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-my-repo\n/etc/pki/rpm-gpg/RPM-GPG-KEY-my-repo\n" + key},
		"apk": {newApk(h), "/etc/apk/repositories.d/my-repo.list\n# Written by Steer: changes here are undone.\nhttps://example.org/x\n/etc/apk/keys/my-repo.rsa.pub\n" + key},
	} {
		files, err := c.m.Files(r)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, f := range files {
			b.WriteString(f.Path + "\n" + string(f.Content))
		}
		if b.String() != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, b.String(), c.want)
		}
	}
	h.Facts.OS.Codename = ""
	if _, err := newApt(h).Files(r); err == nil || !strings.Contains(err.Error(), "write suite") {
		t.Error(err)
	}
}

func TestUpdates(t *testing.T) {
	infratest.Inside(t, func() {
		for _, name := range []string{"plain", "alpha", "kept", "behind"} {
			deb(t, "/r", name, "1", "", nil)
		}
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		sh(t, "apt-get -y install plain kept behind; apt-get -y install alpha; apt-mark auto alpha; apt-mark hold kept")
		deb(t, "/r", "plain", "2", "", nil)
		deb(t, "/r", "behind", "3", "", nil)
		index(t, "/r", "Debian", "stable")
		deb(t, "/s", "alpha", "2", "Depends: fresh", nil)
		deb(t, "/s", "fresh", "1", "", nil)
		deb(t, "/s", "kept", "2", "", nil)
		deb(t, "/s", "behind", "2", "", nil)
		sh(t, `cd /s && d=dists/stable-security && m=$d/main/binary-$(dpkg --print-architecture) && mkdir -p $m && apt-ftparchive packages . > $m/Packages &&
apt-ftparchive -o APT::FTPArchive::Release::Label=Debian-Security -o APT::FTPArchive::Release::Suite=stable-security -o APT::FTPArchive::Release::Components=main release $d > /Release && mv /Release $d/`)

		told := decode(t, &Updates{}, "{}")
		sh(t, "rm -rf /var/lib/apt/lists/*")
		h := infra.NewHost(t.Context())
		if got := differs(t, h, told); got != "update index: never read -> at most 24h old" {
			t.Errorf("%q", got)
		}
		sh(t, "echo 'deb [trusted=yes] copy:/s stable-security main' > /etc/apt/sources.list.d/s.list")
		if err := apply(t.Context(), h, told); err != nil {
			t.Fatal(err)
		}
		want := "report alpha: 1 -> 2 behind: 1 -> 3 kept: 1 (held) -> 2"
		if got := differs(t, h, told); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if s, err := told.(infra.Stated).State(t.Context(), h); s != "alpha 1 2\nbehind 1 3\nkept 1 2\n" || err != nil {
			t.Errorf("%q %v", s, err)
		}
		long := time.Now().Add(-50 * time.Hour)
		if err := os.Chtimes(aptStamp, long, long); err != nil {
			t.Fatal(err)
		}
		if got := differs(t, h, told); got != "update index: 50h old -> at most 24h old" {
			t.Errorf("%q", got)
		}
		auto := decode(t, &Updates{}, "automatic: true")
		if got := differs(t, h, auto); got != "update index: 50h old -> at most 24h old alpha: 1 -> 2 behind: 1 -> 3" {
			t.Errorf("%q", got)
		}
		if err := apply(t.Context(), h, auto); err != nil {
			t.Fatal(err)
		}
		if got := differs(t, h, auto); got != "report kept: 1 (held) -> 2" {
			t.Errorf("%q", got)
		}
		if got := sh(t, "apt-mark showauto"); !strings.Contains(got, "alpha\n") {
			t.Errorf("an upgrade made it wanted for itself: %s", got)
		}
		sh(t, "apt-mark unhold kept; apt-get -y install kept")
		becomes(t, h, auto, "")
		becomes(t, h, decode(t, &Updates{}, "{which: all, automatic: true}"), "update plain: 1 -> 2")
		sh(t, "touch /run/reboot-required; printf 'libc6\nlinux\nlibc6\n' > /run/reboot-required.pkgs")
		if got := differs(t, h, auto); got != "report restart: needed: libc6, linux -> done" {
			t.Errorf("%q", got)
		}
	})
}

// holdLock starts a process that holds apt's lock until end is called: nobody's own
// locks are in their way.
func holdLock(t *testing.T) (end func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWaitForOther$")
	cmd.Env = append(os.Environ(), "HOLD=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("%q %v", line, err)
	}
	return func() { in.Close(); cmd.Wait() }
}

func TestWaitForOther(t *testing.T) {
	infratest.Inside(t, func() {
		if os.Getenv("HOLD") != "" {
			f, err := os.OpenFile("/var/lib/dpkg/lock-frontend", os.O_RDWR|os.O_CREATE, 0o640)
			if err == nil {
				err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK})
			}
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println("locked")
			io.Copy(io.Discard, os.Stdin)
			f.Close()
			return
		}
		deb(t, "/r", "alpha", "1", "", nil)
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		end := holdLock(t)
		h := infra.NewHost(t.Context())
		m, err := open(h)
		if err != nil {
			t.Fatal(err)
		}
		m.(*apt).wait = 300 * time.Millisecond
		alpha := pkg(t, "name: alpha")
		refused(t, h, alpha, "install alpha: process ", "steer.test has held /var/lib/dpkg/lock-frontend for 300ms", "run again")
		m.(*apt).wait = time.Minute
		done := make(chan error)
		go func() { done <- apply(t.Context(), h, alpha) }()
		end() // the other one goes
		if err := <-done; err != nil {
			t.Error(err)
		}
		becomes(t, h, alpha, "")
	})
}

// Two packages of one run at once, do not hinder each other.
func TestPackagesAtOnce(t *testing.T) {
	infratest.Inside(t, func() {
		for _, name := range []string{"one", "two"} {
			deb(t, "/r", name, "1", "", nil)
		}
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		h := infra.NewHost(t.Context())
		done := make(chan error)
		for _, name := range []string{"one", "two"} {
			p := pkg(t, "name: "+name)
			go func() { done <- apply(t.Context(), h, p) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		becomes(t, h, pkg(t, "name: one"), "")
		becomes(t, h, pkg(t, "name: two"), "")
	})
}

func TestNoManager(t *testing.T) {
	if _, err := pkg(t, "name: x").Diff(t.Context(), &infra.Host{}); err == nil || !strings.Contains(err.Error(), "none of apt, dnf and apk") {
		t.Error(err)
	}
}
