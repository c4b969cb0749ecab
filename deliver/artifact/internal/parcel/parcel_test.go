package parcel

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/fault"
)

func program(t *testing.T, name, deb string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("STEER_REQUIRE_ALL") == "1" {
		t.Fatalf("there is no %s (Debian package %s)", name, deb)
	}
	t.Skipf("needs %s (Debian package %s)", name, deb)
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func content(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func sample() Parcel {
	return Parcel{
		Name: "shop", Version: "0.12", Architecture: "amd64", Summary: "Sells <things> & more", Maintainer: "web", Time: time.Unix(1_700_000_000, 0),
		Depends: []string{"sh-tools (>= 1.2)", "other"},
		Scripts: Scripts{AfterInstall: "echo installed\n"},
		Files: []File{
			{Path: "usr/bin/shop", Mode: 0o700, Size: 5, Open: content("#!go\n")},
			{Path: "etc/shop.conf", Mode: 0o600, Size: 4, Open: content("a=1\n")},
			{Path: "opt/shop", Mode: fs.ModeDir},
			{Path: "opt/shop/empty", Mode: 0o644, Open: content("")},
			{Path: "opt/shop/link", Mode: fs.ModeSymlink, Link: "../../usr/bin/shop"},
		},
	}
}

func scratch(t *testing.T) Scratch {
	return func() (io.ReadWriteSeeker, func(), error) {
		f, err := os.CreateTemp(t.TempDir(), "x")
		return f, func() { f.Close() }, err
	}
}

func write(t *testing.T, p Parcel, kind string) string {
	t.Helper()
	var one, two bytes.Buffer
	for _, b := range []*bytes.Buffer{&one, &two} {
		var err error
		if kind == Deb {
			err = p.WriteDeb(b, scratch(t))
		} else {
			err = p.WriteRPM(b, scratch(t), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("the same %s has other bytes", kind)
	}
	file := filepath.Join(t.TempDir(), p.FileName(kind))
	if err := os.WriteFile(file, one.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func opened(t *testing.T, file string) io.Reader {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func has(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("there is no %q in\n%s", w, text)
		}
	}
}

func TestDpkgReadsDeb(t *testing.T) {
	program(t, "dpkg-deb", "dpkg")
	file := write(t, sample(), Deb)
	has(t, filepath.Base(file), "shop_0.12_amd64.deb")
	has(t, run(t, "dpkg-deb", "-I", file), "Package: shop\n", "Version: 0.12\n", "Depends: sh-tools (>= 1.2), other\n", "conffiles", "postinst", "#!/bin/sh")
	has(t, run(t, "dpkg-deb", "-c", file), "-rwxr-xr-x root/root         5 2023-11-14 22:13 ./usr/bin/shop", "-rw-r--r-- root/root         4 2023-11-14 22:13 ./etc/shop.conf",
		"./opt/shop/link -> ../../usr/bin/shop", "drwxr-xr-x root/root         0 2023-11-14 22:13 ./usr/\n")
	c, err := ReadDeb(opened(t, file))
	if err != nil || c.Get("package") != "shop" || c.Get("Description") != "Sells <things> & more" {
		t.Errorf("control %v %v", c, err)
	}
}

// What dpkg-deb makes is read, however it compresses.
func TestReadOthersDeb(t *testing.T) {
	program(t, "dpkg-deb", "dpkg")
	for _, zip := range []string{"none", "gzip", "xz", "zstd"} {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "x/DEBIAN"), 0o755); err != nil {
			t.Fatal(err)
		}
		control := "Package: x\nVersion: 1:2-3\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: short\n long\n .\n longer\n"
		if err := os.WriteFile(filepath.Join(dir, "x/DEBIAN/control"), []byte(control), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, "dpkg-deb", "--uniform-compression", "-Z"+zip, "--root-owner-group", "-b", filepath.Join(dir, "x"), filepath.Join(dir, "x.deb"))
		c, err := ReadDeb(opened(t, filepath.Join(dir, "x.deb")))
		if err != nil || c.Get("Version") != "1:2-3" || c.Get("Description") != "short\n long\n .\n longer" {
			t.Errorf("%s: %v %v", zip, c, err)
		}
	}
}

func TestRpmReadsRPM(t *testing.T) {
	program(t, "rpm", "rpm")
	file := write(t, sample(), RPM)
	has(t, filepath.Base(file), "shop-0.12-1.x86_64.rpm")
	has(t, run(t, "rpm", "-K", "-v", file), "Header SHA256 digest: OK", "Header SHA1 digest: OK", "Payload SHA256 digest: OK", "MD5 digest: OK")
	has(t, run(t, "rpm", "-qp", "--requires", file), "sh-tools >= 1.2\n", "other\n", "/bin/sh\n")
	has(t, run(t, "rpm", "-qp", "--provides", file), "shop = 0.12-1\n")
	has(t, run(t, "rpm", "-qp", "--scripts", file), "echo installed")
	has(t, run(t, "rpm", "-qp", "-c", file), "/etc/shop.conf")
	has(t, run(t, "rpm", "-qplv", file), "-rwxr-xr-x    1 root     root                        5 Nov 14  2023 /usr/bin/shop", "/opt/shop/link -> ../../usr/bin/shop", "drwxr-xr-x", "/opt/shop/empty")
	root := t.TempDir()
	run(t, "rpm", "--root", root, "-i", "--nodeps", "--noscripts", file)
	if b, err := os.ReadFile(filepath.Join(root, "usr/bin/shop")); err != nil || string(b) != "#!go\n" {
		t.Errorf("installed: %q %v", b, err)
	}
	run(t, "rpm", "--root", root, "-V", "--nodeps", "--noscripts", "shop")

	a, err := ReadRPM(opened(t, file))
	if err != nil {
		t.Fatal(err)
	}
	if a.Name != "shop" || a.Version != "0.12" || a.Release != "1" || a.Architecture != "x86_64" || a.Epoch != "0" || len(a.Files) != 5 || a.Installed != 9 {
		t.Errorf("read: %+v", a)
	}
	if len(a.Requires) != 3 || a.Requires[0] != (Relation{"sh-tools", "GE", "0", "1.2", ""}) {
		t.Errorf("requires: %+v", a.Requires)
	}
}

func TestDamaged(t *testing.T) {
	for _, kind := range []string{Deb, RPM} {
		whole, err := os.ReadFile(write(t, sample(), kind))
		if err != nil {
			t.Fatal(err)
		}
		read := func(b []byte) (err error) {
			if kind == Deb {
				_, err = ReadDeb(bytes.NewReader(b))
			} else {
				_, err = ReadRPM(bytes.NewReader(b))
			}
			return err
		}
		for _, b := range [][]byte{nil, []byte("nonsense"), whole[:100], bytes.Repeat([]byte{0xff}, 500)} {
			if err := read(b); fault.Of(err) != fault.Invalid {
				t.Errorf("%s of %d bytes: %v", kind, len(b), err)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, kind := range []string{Deb, RPM} {
		var b bytes.Buffer
		mem := func() (io.ReadWriteSeeker, func(), error) {
			file, err := os.CreateTemp(f.TempDir(), "x")
			return file, func() { file.Close() }, err
		}
		var err error
		if kind == Deb {
			err = sample().WriteDeb(&b, mem)
		} else {
			err = sample().WriteRPM(&b, mem, nil)
		}
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ReadDeb(bytes.NewReader(b))
		ReadRPM(bytes.NewReader(b))
	})
}
