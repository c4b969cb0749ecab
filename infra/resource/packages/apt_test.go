package packages

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/config"
	"steer/infra"
	"steer/infra/infratest"
)

// deb builds a package into a folder. The fields are lines of its control file
// besides the usual ones, scripts and conffiles are by name.
func deb(t *testing.T, dir, name, version, fields string, extra map[string]string) {
	t.Helper()
	tree := t.TempDir()
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		path = filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if fields != "" {
		fields = strings.TrimSpace(fields) + "\n"
	}
	write("DEBIAN/control", "Package: "+name+"\nVersion: "+version+"\nArchitecture: all\nMaintainer: Test <test@example.org>\nDescription: for tests\n"+fields, 0o644)
	for path, text := range extra {
		write(path, text, 0o755)
	}
	sh(t, "chmod 755 "+tree+" && mkdir -p "+dir+" && dpkg-deb -b "+tree+" "+dir+"/"+name+"_"+version+"_all.deb")
}

// index makes a folder of packages a repository.
func index(t *testing.T, dir, label, suite string) {
	t.Helper()
	sh(t, `cd `+dir+` && apt-ftparchive packages . > Packages && rm -f Release && apt-ftparchive -o APT::FTPArchive::Release::Label=`+label+
		` -o APT::FTPArchive::Release::Suite=`+suite+` -o APT::FTPArchive::Release::Version=12 release . > .Release && mv .Release Release`)
}

// only makes folders the only repositories of the host, with an index that was read.
func only(t *testing.T, dirs ...string) {
	t.Helper()
	sh(t, "rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*")
	for i, dir := range dirs {
		sh(t, "echo 'deb [trusted=yes] copy:"+dir+" ./' > /etc/apt/sources.list.d/"+string(rune('a'+i))+".list")
	}
	sh(t, "apt-get -q update")
}

func sh(t *testing.T, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", script)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

func decode(t *testing.T, r infra.Resource, text string) infra.Resource {
	t.Helper()
	if err := config.Decode("test.yaml", []byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

func pkg(t *testing.T, text string) infra.Resource { return decode(t, &Package{}, text) }

// differs is the diff as one line of fields, old -> new.
func differs(t *testing.T, h *infra.Host, r infra.Resource) string {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(string(d.Action))
	for _, f := range d.Fields {
		b.WriteString(" " + f.Name + ": " + f.Old + " -> " + f.New)
	}
	return b.String()
}

func apply(ctx context.Context, h *infra.Host, r infra.Resource) error {
	d, err := r.Diff(ctx, h)
	if err != nil || d.Empty() {
		return err
	}
	return r.Apply(ctx, h, d)
}

// becomes expects a difference, applies, and expects none.
func becomes(t *testing.T, h *infra.Host, r infra.Resource, diff string) {
	t.Helper()
	if got := differs(t, h, r); got != diff {
		t.Errorf("%s differs by %q, want %q", r.ID(), got, diff)
	}
	if err := apply(t.Context(), h, r); err != nil {
		t.Errorf("apply %s: %v", r.ID(), err)
	}
	if got := differs(t, h, r); got != "" {
		t.Errorf("%s still differs: %s", r.ID(), got)
	}
}

// refused expects that applying fails with a text.
func refused(t *testing.T, h *infra.Host, r infra.Resource, texts ...string) {
	t.Helper()
	err := apply(t.Context(), h, r)
	if err == nil {
		t.Errorf("%s was applied", r.ID())
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the error of %s lacks %q: %v", r.ID(), text, err)
		}
	}
}

func TestPackage(t *testing.T) {
	infratest.Inside(t, func() {
		deb(t, "/r", "liba", "1", "", nil)
		deb(t, "/r", "extra", "1", "", nil)
		deb(t, "/r", "alpha", "1.0", "Depends: liba\nRecommends: extra", nil)
		deb(t, "/r", "alpha", "1.1", "Depends: liba\nRecommends: extra", nil)
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		h := infra.NewHost(t.Context())

		alpha := pkg(t, "name: alpha\nversion: 1.10")
		refused(t, h, alpha, "install alpha=1.10", "no repository of this host has it")

		alpha = pkg(t, "{name: alpha, version: 1.0}")
		becomes(t, h, alpha, "create state:  -> present version:  -> 1.0")
		if got := sh(t, "dpkg-query -W -f '${Package} ${Version},' alpha liba extra 2>/dev/null || true"); got != "alpha 1.0,extra ,liba 1," {
			t.Errorf("installed: %s", got)
		}
		if s, err := alpha.(infra.Stated).State(t.Context(), h); s != "installed 1.0" || err != nil {
			t.Errorf("state %q %v", s, err)
		}
		sh(t, "apt-get -y remove alpha")
		becomes(t, h, alpha, "create state:  -> present version:  -> 1.0")
		becomes(t, h, pkg(t, "{name: alpha, version: latest}"), "update version: 1.0 -> 1.1")
		becomes(t, h, alpha, "update version: 1.1 -> 1.0")
		becomes(t, h, pkg(t, "{name: alpha, hold: true}"), "update hold: false -> true")
		if got := differs(t, h, pkg(t, "{name: alpha, version: latest}")); got != "" {
			t.Errorf("a held package is to be upgraded: %s", got)
		}
		refused(t, h, pkg(t, "{name: alpha, version: '1.1'}"), "alpha is held on the host", "hold: true or false")
		becomes(t, h, pkg(t, "{name: alpha, version: '1.1', hold: true}"), "update version: 1.0 -> 1.1")
		becomes(t, h, pkg(t, "{name: alpha, hold: false}"), "update hold: true -> false")

		becomes(t, h, pkg(t, "name: liba"), "update wanted: by others -> for itself")
		refused(t, h, pkg(t, "{name: liba, state: absent}"), "remove liba: needed by alpha", "allow_removal: true")
		becomes(t, h, pkg(t, "{name: liba, state: absent, allow_removal: true}"), "delete state: installed 1 -> absent")
		if got := differs(t, h, pkg(t, "name: alpha")); got != "create state:  -> present" {
			t.Errorf("alpha: %s", got)
		}
		becomes(t, h, pkg(t, "{name: alpha, recommends: true, hold: true}"), "create state:  -> present hold: false -> true")
		if got := differs(t, h, pkg(t, "name: extra")); got != "update wanted: by others -> for itself" {
			t.Errorf("extra: %s", got)
		}
		gone := alpha.(infra.Removable).Absent()
		if got := differs(t, h, gone); got != "delete state: installed 1.1 -> absent" {
			t.Errorf("absent: %s", got)
		}
		refused(t, h, gone, "alpha is held")
	})
}

func TestPackageNames(t *testing.T) {
	infratest.Inside(t, func() {
		deb(t, "/r", "lib2x0", "1", "", nil)
		deb(t, "/r", "g++-x", "1", "", nil)
		deb(t, "/r", "mta-a", "1", "Provides: mail-agent (= 2)", nil)
		deb(t, "/r", "mta-b", "1", "Provides: mail-agent, other\nConflicts: mta-a", nil)
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		h := infra.NewHost(t.Context())

		// To apt-get, such a name is an expression that fits others.
		refused(t, h, pkg(t, "name: lib2.0"), "install lib2.0", "no repository of this host has it")
		if got := differs(t, h, pkg(t, "name: lib2x0")); got == "" {
			t.Error("lib2x0 was installed for lib2.0")
		}
		becomes(t, h, pkg(t, "name: g++-x"), "create state:  -> present")

		refused(t, h, pkg(t, "name: mail-agent"), "virtual package", "mta-a", "mta-b")
		becomes(t, h, pkg(t, "name: mta-a"), "create state:  -> present")
		agent := pkg(t, "name: mail-agent")
		if got := differs(t, h, agent); got != "" {
			t.Errorf("the virtual package differs: %s", got)
		}
		if s, err := agent.(infra.Stated).State(t.Context(), h); s != "mta-a 1" || err != nil {
			t.Errorf("state %q %v", s, err)
		}
		if got := differs(t, h, pkg(t, "{name: mail-agent, version: '2'}")); got == "" {
			t.Error("a virtual package has no version")
		}
		refused(t, h, pkg(t, "name: mta-b"), "mta-a would have to be removed for it", "allow_removal")
		becomes(t, h, pkg(t, "{name: mta-b, allow_removal: true}"), "create state:  -> present")
		becomes(t, h, pkg(t, "{name: mta-a, state: absent}"), "")
		becomes(t, h, pkg(t, "name: 'mta-b:all'"), "")
		becomes(t, h, pkg(t, "name: other"), "")
	})
}

func TestPackageConfiguration(t *testing.T) {
	infratest.Inside(t, func() {
		file := func(text string) map[string]string {
			return map[string]string{"etc/conf.txt": text, "DEBIAN/conffiles": "/etc/conf.txt\n"}
		}
		deb(t, "/r", "conf", "1", "", file("one\n"))
		deb(t, "/r", "conf", "2", "", file("two\n"))
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		h := infra.NewHost(t.Context())
		becomes(t, h, pkg(t, "{name: conf, version: '1'}"), "create state:  -> present version:  -> 1")
		sh(t, "echo mine > /etc/conf.txt")
		becomes(t, h, pkg(t, "{name: conf, version: '2'}"), "update version: 1 -> 2")
		if got := sh(t, "cat /etc/conf.txt"); got != "mine\n" {
			t.Errorf("the changed configuration is %q now", got)
		}
		becomes(t, h, pkg(t, "{name: conf, state: absent}"), "delete state: installed 2 -> absent")
		if got := sh(t, "cat /etc/conf.txt"); got != "mine\n" {
			t.Errorf("the changed configuration is %q now", got)
		}
		if got := differs(t, h, pkg(t, "name: conf")); got != "create state:  -> present" {
			t.Errorf("removed, with configuration: %q", got)
		}
		becomes(t, h, pkg(t, "{name: conf, state: purged}"), "delete state: config-files 2 -> purged")
		becomes(t, h, pkg(t, "{name: never-there, state: purged}"), "")
		if _, err := os.Stat("/etc/conf.txt"); err == nil {
			t.Error("the configuration is still there")
		}
	})
}

func TestPackageCutOff(t *testing.T) {
	infratest.Inside(t, func() {
		// Its script fails until the file is there, as after a kill in the middle.
		deb(t, "/r", "slow", "1", "", map[string]string{"DEBIAN/postinst": "#!/bin/sh\necho no file yet >&2\ntest -e /ready\n"})
		deb(t, "/r", "other", "1", "", nil)
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		h := infra.NewHost(t.Context())
		slow := pkg(t, "name: slow")
		refused(t, h, slow, "install slow", "no file yet")
		if got := differs(t, h, slow); got != "update state: half-configured -> installed" {
			t.Errorf("half of it: %q", got)
		}
		sh(t, "touch /ready")
		// Whatever comes next ends what was begun.
		becomes(t, h, pkg(t, "name: other"), "create state:  -> present")
		if got := differs(t, h, slow); got != "" {
			t.Errorf("after the repair: %q", got)
		}
		sh(t, `sed -i '/^Package: slow$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status`)
		becomes(t, h, slow, "update state: half-installed, to be installed again -> installed")
	})
}

func TestPackageIndex(t *testing.T) {
	infratest.Inside(t, func() {
		deb(t, "/r", "one", "1", "", nil)
		index(t, "/r", "Debian", "stable")
		only(t, "/r")
		deb(t, "/r", "two", "1", "", nil)
		deb(t, "/r", "three", "1", "", nil)
		index(t, "/r", "Debian", "stable")
		sh(t, `echo 'APT::Update::Pre-Invoke {"echo read >> /reads";};' > /etc/apt/apt.conf.d/count`)
		reads := func() string { return sh(t, "cat /reads 2>/dev/null || true") }
		h := infra.NewHost(t.Context())
		becomes(t, h, pkg(t, "name: one"), "create state:  -> present")
		if reads() != "" {
			t.Error("the index was read though it has the package")
		}
		for _, name := range []string{"two", "three"} {
			becomes(t, h, pkg(t, "name: "+name), "create state:  -> present")
		}
		refused(t, h, pkg(t, "name: four"), "no repository")
		if got := reads(); got != "read\n" {
			t.Errorf("the index was read in this run: %q", got)
		}
		sh(t, "rm /etc/apt/sources.list.d/* && echo 'deb [trusted=yes] copy:/none ./' > /etc/apt/sources.list.d/a.list")
		refused(t, infra.NewHost(t.Context()), pkg(t, "name: four"), "install four", "Failed to fetch copy:/none")
	})
}
