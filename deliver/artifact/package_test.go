package artifact

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
)

func packaged(version id.Version, kind string, p *catalog.Package, paths ...string) Meta {
	committed := time.Unix(1_700_000_000, 5)
	return Meta{Service: "catalog", Version: version, Committed: &committed, Manifest: &catalog.Manifest{
		Service: "catalog", Team: "web", Description: "Shows\ngoods", Artifact: catalog.Artifact{Kind: kind, Paths: paths, Package: p},
	}}
}

func (f *fixture) put(t *testing.T, m Meta, dir string) Artifact {
	t.Helper()
	a, err := f.Put(t.Context(), m, dir, m.Manifest.Artifact.Paths)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// stored is where a package's file is.
func (f *fixture) storedManifest(t *testing.T, digest string) string {
	t.Helper()
	name, err := f.layout.blob(digest)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPackages(t *testing.T) {
	f := open(t)
	dir := tree(t, map[string]string{
		"out/catalog*": "binary", "out/static/a.css": "x", "catalog.service": "[Service]\n", "conf/c.yaml": "a: 1\n", "post.sh": "#!/bin/sh\nexit 0\n",
	})
	say := &catalog.Package{
		Depends: map[string][]string{"deb": {"adduser"}, "rpm": {"shadow-utils"}, "all": {"curl (>= 7)"}}, Unit: "catalog.service", Architecture: "all",
		Install: map[string]string{"out": "/opt/catalog", "conf": "/etc/catalog"}, Scripts: catalog.PackageScripts{AfterInstall: "post.sh"},
	}
	a := f.put(t, packaged("b12", "packages", say, "out"), dir)
	b := f.put(t, packaged("b13", "packages", say, "out"), dir)
	all, err := f.Packages(t.Context(), 10)
	if err != nil || len(all) != 4 {
		t.Fatalf("%+v %v", all, err)
	}
	names := map[string]Package{}
	for _, p := range all {
		names[p.Name] = p
	}
	for _, want := range []string{"catalog_0.12_all.deb", "catalog-0.12-1.noarch.rpm", "catalog_0.13_all.deb", "catalog-0.13-1.noarch.rpm"} {
		if names[want].Size == 0 {
			t.Errorf("there is no %s in %+v", want, all)
		}
	}
	if dpkg, err := exec.LookPath("dpkg-deb"); err == nil {
		out, err := exec.Command("sh", "-ec", `dpkg-deb -c "$1"; dpkg-deb -I "$1" control postinst conffiles`, dpkg, f.storedManifest(t, names["catalog_0.12_all.deb"].Digest)).CombinedOutput()
		for _, want := range []string{"./opt/catalog/catalog\n", "./opt/catalog/static/a.css\n", "./etc/catalog/c.yaml\n", "./usr/lib/systemd/system/catalog.service\n",
			"2023-11-14", "Depends: curl (>= 7), adduser\n", "Maintainer: web\n", "Description: Shows goods\n", "systemctl enable 'catalog.service'", "/etc/catalog/c.yaml"} {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("there is no %q in (%v)\n%s", want, err, out)
			}
		}
	}
	// The folder of a node is the archive, as ever.
	target := filepath.Join(t.TempDir(), "x")
	if err := f.Unpack(t.Context(), a.Digest, target); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(target, "out/catalog")); err != nil {
		t.Error(err)
	}
	// What a crash left unrecorded comes back with its packages.
	if _, err := f.db.Write().ExecContext(t.Context(), "DELETE FROM artifact WHERE version = 'b13'"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.db.Write().ExecContext(t.Context(), "DELETE FROM artifact_package WHERE version = 'b13'"); err != nil {
		t.Fatal(err)
	}
	f.reopen(t)
	if again, err := f.Packages(t.Context(), 10); err != nil || len(again) != 4 {
		t.Errorf("after a crash: %+v %v", again, err)
	}
	files, err := f.Files(b.Digest)
	if err != nil || len(files) != 3 || files[0].Kind != "deb" || files[2].Name != "catalog-b13.tar.gz" {
		t.Errorf("files %+v %v", files, err)
	}
	// The same files in another repository, with the same key: the same packages.
	g := open(t)
	g.key = f.key
	g.put(t, packaged("b12", "packages", say, "out"), dir)
	others, err := g.Packages(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range others {
		if p.Digest != names[p.Name].Digest {
			t.Errorf("%s has other bytes", p.Name)
		}
	}
}

func TestVersionsSort(t *testing.T) {
	if _, err := exec.LookPath("dpkg"); err != nil {
		if os.Getenv("STEER_REQUIRE_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip("needs dpkg")
	}
	f := open(t)
	dir := tree(t, map[string]string{"a": "x"})
	f.put(t, packaged("b9", "deb", nil, "a"), dir)
	f.put(t, packaged("b10", "deb", nil, "a"), dir)
	f.put(t, packaged("b11", "deb", &catalog.Package{Version: "1.4"}, "a"), dir)
	all, err := f.Packages(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	version := map[id.Version]string{}
	for _, p := range all {
		version[p.Version] = strings.Split(p.Name, "_")[1]
	}
	for _, c := range [][2]id.Version{{"b9", "b10"}, {"b10", "b11"}} {
		if err := exec.Command("dpkg", "--compare-versions", version[c[0]], "lt", version[c[1]]).Run(); err != nil {
			t.Errorf("%s is not below %s for dpkg", version[c[0]], version[c[1]])
		}
	}
}

func TestFinishedPackages(t *testing.T) {
	f := open(t)
	dir := tree(t, map[string]string{"a": "x", "bad.deb": "nonsense"})
	f.put(t, packaged("b1", "deb", nil, "a"), dir)
	all, err := f.Packages(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile(f.storedManifest(t, all[0].Digest))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "own_7_all.deb"), made, 0o644); err != nil {
		t.Fatal(err)
	}
	f.put(t, packaged("b2", "deb", nil, "own_7_all.deb"), dir)
	again, err := f.Packages(t.Context(), 1)
	if err != nil || again[0].Name != "own_7_all.deb" || again[0].Digest != all[0].Digest {
		t.Errorf("taken as %+v %v", again, err)
	}
	m := packaged("b3", "deb", nil, "bad.deb")
	if _, err := f.Put(t.Context(), m, dir, m.Manifest.Artifact.Paths); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), `package "bad.deb": this is no .deb`) {
		t.Errorf("nonsense: %v", err)
	}
	m = packaged("b3", "deb", &catalog.Package{Scripts: catalog.PackageScripts{AfterInstall: "none.sh"}}, "a")
	if _, err := f.Put(t.Context(), m, dir, m.Manifest.Artifact.Paths); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), `script "none.sh"`) {
		t.Errorf("no script: %v", err)
	}
}

// The only file of an artifact is read back as it was built, from anywhere in it.
func TestSingleFile(t *testing.T) {
	f := open(t)
	text := strings.Repeat("0123456789", 20_000)
	dir := tree(t, map[string]string{"dist/shop-1.whl": text})
	a, err := f.Put(t.Context(), Meta{Service: "catalog", Version: "b1"}, dir, []string{"dist/shop-1.whl"})
	if err != nil {
		t.Fatal(err)
	}
	file, in, err := f.OpenFile(a.Digest, "")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if want := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))); file.Name != "shop-1.whl" || file.Digest != want || file.Size != int64(len(text)) {
		t.Errorf("%+v, want digest %s", file, want)
	}
	for _, at := range []int64{0, 150_003, 7, 199_999} {
		if _, err := in.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil || string(b) != text[at:] {
			t.Errorf("from %d: %d bytes, %v", at, len(b), err)
		}
	}
	_, all, err := f.OpenFile(a.Digest, "catalog-b1.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	zip, err := gzip.NewReader(all)
	if err != nil {
		t.Fatal(err)
	}
	if h, err := tar.NewReader(zip).Next(); err != nil || h.Name != "shop-1.whl" {
		t.Errorf("archive: %+v %v", h, err)
	}
	if _, _, err := f.OpenFile(a.Digest, "other"); fault.Of(err) != fault.NotFound {
		t.Errorf("no such file: %v", err)
	}
}

// What dpkg and rpm call a script with decides what becomes of the unit.
func TestUnitScripts(t *testing.T) {
	dir := tree(t, map[string]string{"post.sh": "echo \"mine $1\"; exit 0", "bad.sh": "exit 3"})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	stub := tree(t, map[string]string{"systemctl*": "#!/bin/sh\necho \"$1 $2\"\n"})
	s, err := scripts(root, catalog.Package{Unit: "x/a.service", Scripts: catalog.PackageScripts{AfterInstall: "post.sh", BeforeRemove: "bad.sh"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ script, args, want, without string }{
		{s.AfterInstall, "configure ''", "mine configure\n", ""}, {s.AfterInstall, "configure ''", "enable a.service\n", ""}, {s.AfterInstall, "1", "enable a.service\n", ""},
		{s.AfterInstall, "configure 0.1", "mine", "enable"}, {s.AfterInstall, "2", "mine", "enable"},
		{s.BeforeRemove, "remove", "disable a.service\n", ""}, {s.BeforeRemove, "0", "disable a.service\n", ""},
		{s.BeforeRemove, "upgrade 0.2", "3", "disable"}, {s.BeforeRemove, "1", "3", "disable"}, {s.AfterRemove, "purge", "0", "disable"},
	} {
		cmd := exec.Command("sh", "-c", "set -- "+c.args+"\n(\n"+c.script+")\necho $?")
		cmd.Env = append(os.Environ(), "PATH="+stub+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.want) || c.without != "" && strings.Contains(string(out), c.without) {
			t.Errorf("with %s: %v, want %q and not %q in\n%s\nof\n%s", c.args, err, c.want, c.without, out, c.script)
		}
	}
}
