package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/fault"
)

// archive makes a tar of headers; regular files get zeros.
func archive(t testing.TB, all ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range all {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, h.Size))
	}
	w.Close()
	return b.Bytes()
}

func unpack(t testing.TB, b []byte, o Options) (dir string, entries []Entry, err error) {
	t.Helper()
	outer := t.TempDir()
	dir = filepath.Join(outer, "in")
	os.Mkdir(dir, 0o755)
	os.WriteFile(filepath.Join(outer, "a"), b, 0o600)
	f, err := os.Open(filepath.Join(outer, "a"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	o.UID, o.GID = -1, -1
	entries, err = Into(t.Context(), f, root, o)
	if list, _ := os.ReadDir(outer); len(list) != 2 {
		t.Errorf("something was put beside: %v", list)
	}
	return dir, entries, err
}

func TestNothingLeavesTheFolder(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Size: 1, Mode: 0o644} }
	link := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink}
	}
	hard := func(name, to string) tar.Header {
		return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink}
	}
	for want, all := range map[string][]tar.Header{
		`"../x" would leave the folder`:                {file("../x")},
		`"/etc/x" would leave`:                         {file("/etc/x")},
		`"a/../../x" would leave`:                      {file("a/../../x")},
		`l is a link to "/etc", which leads out`:       {link("l", "/etc")},
		`l is a link to "..", which leads out`:         {link("l", "..")},
		`d/l is a link to "../../x", which leads out`:  {link("d/l", "../../x")},
		`d/l is a link to "x/../../..", which leads`:   {link("d/l", "x/../../..")},
		`d/e/m is a link to "l/..", which leads out`:   {link("d/e/l", "../../t"), link("d/e/m", "l/..")},
		`l/x is in l, which is a symlink`:              {link("l", "d"), file("d/y"), file("l/x")},
		`f/x is in f, which is a file`:                 {file("f"), file("f/x")},
		`h is another name of "x", which is no file`:   {hard("h", "x")},
		`h is another name of "l", which is no file`:   {file("f"), link("l", "f"), hard("h", "l")},
		`h is another name of "h", which is no file`:   {file("h"), hard("h", "h")},
		`d is in it twice, as a directory and a file`:  {file("d/x"), file("d")},
		`p is a device or a pipe`:                      {{Name: "p", Typeflag: tar.TypeFifo}},
		`more than 0 MiB come out of it`:               {file("a"), {Name: "b", Size: 100_000}},
		`it holds more than 5 files`:                   {file("1"), file("2"), file("a/b/c/d")},
		`would leave the folder (its name starts with`: {hard("h", "/etc/shadow")},
	} {
		_, _, err := unpack(t, archive(t, all...), Options{Bytes: 50_000, Entries: 5})
		if err == nil || !strings.Contains(err.Error(), want) || fault.Of(err) == fault.Internal {
			t.Errorf("%v (%v), want %q", err, fault.Of(err), want)
		}
	}
}

func TestUnusualArchives(t *testing.T) {
	dir, entries, err := unpack(t, archive(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "./a/b", Size: 3, Mode: 0o6755},
		tar.Header{Name: "./a/", Typeflag: tar.TypeDir, Mode: 0o500},
		tar.Header{Name: "x", Size: 1, Mode: 0o600},
		tar.Header{Name: "x", Size: 2, Mode: 0o640}, // the last counts
		tar.Header{Name: "a/l", Linkname: "../x", Typeflag: tar.TypeSymlink},
		tar.Header{Name: "a/self", Linkname: ".", Typeflag: tar.TypeSymlink},
	), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name+" "+string(e.Type)+" "+e.Mode.String())
	}
	want := "a directory -r-x------|a/b file -rwxr-xr-x|x file -rw-r-----|a/l symlink ----------|a/self symlink ----------"
	if strings.Join(names, "|") != want {
		t.Errorf("%q, want %q", strings.Join(names, "|"), want)
	}
	if b, err := os.ReadFile(dir + "/a/l"); len(b) != 2 || err != nil {
		t.Error(b, err)
	}
	dir, _, err = unpack(t, archive(t, tar.Header{Name: "v1/bin/a", Size: 1}, tar.Header{Name: "v1/l => ", Linkname: "v1/bin/a", Typeflag: tar.TypeLink}, tar.Header{Name: "README"}), Options{Strip: 1})
	if list, _ := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Error(list, err)
	}
}

func TestUnpackEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f, err := os.Create(filepath.Join(t.TempDir(), "a"))
	if err != nil {
		t.Fatal(err)
	}
	f.Write(archive(t, tar.Header{Name: "a"}))
	f.Seek(0, 0)
	root, _ := os.OpenRoot(t.TempDir())
	if _, err := Into(ctx, f, root, Options{}); err != context.Canceled {
		t.Error(err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(archive(f, tar.Header{Name: "a/b", Size: 3}, tar.Header{Name: "l", Linkname: "a", Typeflag: tar.TypeSymlink}))
	f.Add([]byte("PK\x03\x04"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		unpack(t, b, Options{Bytes: 1 << 20, Entries: 100}) // which looks whether something is beside
	})
}
