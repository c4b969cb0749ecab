package archive_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.yaml.in/yaml/v4"

	"steer/infra"
	"steer/infra/infratest"
	"steer/infra/resource/file/internal/archive"
	"steer/infra/resource/file/internal/filetest"
)

func resource(t *testing.T, dir, text string) infra.Resource {
	t.Helper()
	return filetest.Resource(t, infra.Kinds{archive.Kind()}, "archive", dir, text)
}

// in is an entry of an archive: name with / at the end is a folder, "l -> t" a link,
// "h => t" a second name.
type in struct{ name, content string }

var epoch = time.Date(2024, 2, 3, 4, 5, 6, 0, time.UTC)

func tarOf(t testing.TB, all ...in) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range all {
		h := &tar.Header{Name: e.name, Mode: 0o4755, Size: int64(len(e.content)), ModTime: epoch, Typeflag: tar.TypeReg}
		if name, to, ok := strings.Cut(e.name, " -> "); ok {
			h.Name, h.Linkname, h.Typeflag = name, to, tar.TypeSymlink
		} else if name, to, ok := strings.Cut(e.name, " => "); ok {
			h.Name, h.Linkname, h.Typeflag = name, to, tar.TypeLink
		} else if strings.HasSuffix(e.name, "/") {
			h.Mode, h.Typeflag = 0o750, tar.TypeDir
		} else if strings.HasPrefix(e.name, "dev") {
			h.Typeflag = tar.TypeChar
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(e.content))
	}
	w.Close()
	return b.Bytes()
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstded(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(b, nil)
}

// bzipped is an archive that Python's tarfile and bz2 made; Go packs no bzip2.
func bzipped(t *testing.T) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString("QlpoOTFBWSZTWaMPmNAAAI97gMqQAQBoAv+ACIJwZV4ACAggAJSEoQp+qeoA000NqGT2qCSUAADQAAPuNWqHyRkAPQpIQzuhr5QnHEUYhDJbvK2NTLFehjU4qBUUAsyJZ5yGY8CmU86TrZrb8HelO7s8kqrMGeFzXh8L30SUbE9EBMmOaRHMRA/F3JFOFCQow+Y0AA==")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func zipOf(t testing.TB, all ...in) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range all {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: epoch}
		h.SetMode(0o755)
		if name, to, ok := strings.Cut(e.name, " -> "); ok {
			h.Name, e.content = name, to
			h.SetMode(0o777 | os.ModeSymlink)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		f.Write([]byte(e.content))
	}
	w.Close()
	return b.Bytes()
}

// ofRole is an archive resource whose archive is a file of the role, as it gets to the
// host.
func ofRole(t *testing.T, dir, text string, b []byte) infra.Resource {
	t.Helper()
	r := resource(t, dir, text)
	if err := r.(infra.Sourced).Source(func(string) ([]byte, error) { return b, nil }, nil); err != nil {
		t.Fatal(err)
	}
	sent, err := yaml.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return resource(t, dir, string(sent))
}

func TestArchiveFormats(t *testing.T) {
	h := infra.NewHost(t.Context())
	all := []in{{"app-1/", ""}, {"app-1/bin/", ""}, {"app-1/bin/run", "#!/bin/sh\n"}, {"app-1/lib -> bin", ""}}
	plain := tarOf(t, all...)
	for name, b := range map[string][]byte{"tar": plain, "gzip": gzipped(plain), "zstd": zstded(plain), "zip": zipOf(t, all[2:]...), "bzip2": bzipped(t)} {
		dir := t.TempDir()
		r := ofRole(t, dir, "{dest: DIR/opt/app, source: files/app, strip: 1}", b)
		filetest.WantDiff(t, filetest.Settle(t, h, r), "create archive")
		filetest.WantDiff(t, filetest.Settle(t, h, r), "")
		filetest.WantFile(t, dir+"/opt/app/bin/run", "#!/bin/sh\n", 0o755) // no set-user-ID
		if to, err := os.Readlink(dir + "/opt/app/lib"); to != "bin" || err != nil {
			t.Errorf("%s: %q %v", name, to, err)
		}
		if st, err := os.Stat(dir + "/opt/app/bin/run"); err != nil || !st.ModTime().Equal(epoch) {
			t.Errorf("%s: %v %v", name, st.ModTime(), err)
		}
		record, _ := filepath.Glob(dir + "/opt/app/.steer-archive-*")
		if len(record) != 1 {
			t.Errorf("%s: %q", name, record)
		}
		filetest.WantDiff(t, filetest.Settle(t, h, r.(infra.Removable).Absent()), "delete state")
		filetest.WantDiff(t, filetest.Settle(t, h, r.(infra.Removable).Absent()), "")
		filetest.WantOnly(t, dir+"/opt/app")
	}
	for want, b := range map[string]string{
		"it is no tar, tar.gz":                "just text",
		"which is not known here (pack it w":  "\xfd7zXZ\x00",
		"read it as gzip: unexpected EOF":     "\x1f\x8b",
		"read it as tar: unexpected EOF":      string(gzipped(plain)[:100]),
		"nothing is in it once the leading f": string(tarOf(t, in{"x", "y"})),
		"read it as zip":                      "PK\x03\x04",
	} {
		dir := t.TempDir()
		filetest.WantError(t, h, ofRole(t, dir, "{dest: DIR/d, source: x, strip: 1}", []byte(b)), want)
		filetest.WantOnly(t, dir+"/d") // nothing is left
	}
}

func TestArchiveDrift(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	one := ofRole(t, dir, "{dest: DIR/d, source: x}", tarOf(t, in{"a", "1"}, in{"sub/b", "2"}, in{"sub/c", "3"}, in{"l -> a", ""}, in{"hard => sub/b", ""}, in{"kind", ""}))
	filetest.Settle(t, h, one)
	filetest.WantFile(t, dir+"/d/hard", "2", 0o755)
	for want, change := range map[string]func() error{
		"a missing":   func() error { return os.Remove(dir + "/d/a") },
		"a":           func() error { return os.WriteFile(dir+"/d/a", []byte("other"), 0o755) },
		"sub/b, hard": func() error { return os.Chmod(dir+"/d/sub/b", 0o600) },
		"l":           func() error { os.Remove(dir + "/d/l"); return os.Symlink("b", dir+"/d/l") },
		"sub missing, sub/b missing, sub/c missing": func() error { return os.RemoveAll(dir + "/d/sub") },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		d := filetest.Settle(t, h, one)
		if len(d.Fields) != 1 || d.Fields[0] != (infra.Field{Name: "files", Old: want, New: "as in the archive"}) {
			t.Errorf("%+v, want %q", d, want)
		}
	}
	filetest.WantFile(t, dir+"/d/sub/c", "3", 0o755)

	// A newer one: what is not in it goes, what others put there stays. Files may become
	// folders and the reverse.
	filetest.Write(t, dir+"/d/sub/mine", "mine")
	two := ofRole(t, dir, "{dest: DIR/d, source: x}", tarOf(t, in{"a/in", "1"}, in{"kind/", ""}, in{"new", "n"}))
	d := filetest.Settle(t, h, two)
	filetest.WantDiff(t, d, "update archive")
	filetest.WantFile(t, dir+"/d/a/in", "1", 0o755)
	filetest.WantFile(t, dir+"/d/sub/mine", "mine", 0o644)
	if list, _ := os.ReadDir(dir + "/d/sub"); len(list) != 1 || exists(dir+"/d/l") || exists(dir+"/d/hard") {
		t.Error("old files stay", list)
	}
	three := ofRole(t, dir, "{dest: DIR/d, source: x}", tarOf(t, in{"a", "1"}))
	filetest.Write(t, dir+"/d/a/mine", "mine")
	filetest.WantError(t, h, three, "directory not empty")
	os.Remove(dir + "/d/a/mine")
	d = filetest.Settle(t, h, three) // what was begun is finished
	filetest.WantDiff(t, d, "update files")
	filetest.WantFile(t, dir+"/d/a", "1", 0o755)

	// Others stand in the way.
	os.Mkdir(dir+"/d/x", 0o755)
	four := ofRole(t, dir, "{dest: DIR/d, source: x}", tarOf(t, in{"b", "1"}, in{"x", "1"}))
	filetest.WantError(t, h, four, "x is in the way, where the archive has a file (remove it)")
	if exists(dir+"/d/b") || !exists(dir+"/d/a") {
		t.Error("a refused archive changed something")
	}
	os.Remove(dir + "/d/x")
	os.Symlink("/etc", dir+"/d/x")
	filetest.WantError(t, h, ofRole(t, dir, "{dest: DIR/d, source: x}", tarOf(t, in{"x/evil", "1"})), "x is in the way, where the archive has a directory")

	// A damaged list.
	record, _ := filepath.Glob(dir + "/d/.steer-archive-*")
	filetest.Write(t, record[0], `{"files":[{"name":"../out"}]}`)
	filetest.WantError(t, h, three, "it names files elsewhere (remove it to unpack again)")
}

// Two archives in one folder, as in /usr/local/bin.
func TestArchivesShareAFolder(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	os.Mkdir(dir+"/bin", 0o700)
	one := ofRole(t, dir, "{dest: DIR, source: x, creates: DIR/bin/one}", tarOf(t, in{"bin/", ""}, in{"bin/one", "1"}, in{"both", "b"}))
	two := ofRole(t, dir, "{dest: DIR, source: x, creates: DIR/bin/two}", tarOf(t, in{"bin/", ""}, in{"bin/two", "2"}, in{"both", "b"}))
	filetest.Settle(t, h, one)
	filetest.Settle(t, h, two)
	filetest.WantDiff(t, filetest.Settle(t, h, one), "")
	if st, err := os.Stat(dir + "/bin"); err != nil || st.Mode().Perm() != 0o700 {
		t.Error("rights of a folder that was there", st.Mode(), err)
	}
	filetest.Write(t, dir+"/bin/one", "changed") // with creates that is allowed
	filetest.WantDiff(t, filetest.Settle(t, h, one), "")
	newer := ofRole(t, dir, "{dest: DIR, source: x, creates: DIR/bin/one}", tarOf(t, in{"bin/one", "1.1"}, in{"both", "b"}))
	filetest.WantDiff(t, filetest.Settle(t, h, newer), "update archive")
	filetest.WantFile(t, dir+"/bin/one", "1.1", 0o755)
	os.Remove(dir + "/bin/one")
	filetest.WantDiff(t, filetest.Settle(t, h, newer), "update creates")
	filetest.Settle(t, h, newer.(infra.Removable).Absent())
	filetest.WantFile(t, dir+"/both", "b", 0o755)
	filetest.WantOnly(t, dir+"/bin", "two")

	filetest.Write(t, dir+"/bin/one", "of a package")
	filetest.WantDiff(t, filetest.Settle(t, h, one), "")
	filetest.WantFile(t, dir+"/bin/one", "of a package", 0o644)
}

func TestArchiveFromTheNetwork(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	b := gzipped(tarOf(t, in{"a", "1"}))
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/a":
			w.Write(b)
		case "/moved":
			http.Redirect(w, r, "/a", http.StatusFound)
		case "/short":
			w.Header().Set("Content-Length", fmt.Sprint(len(b)))
			w.Write(b[:10])
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	sum := sha256.Sum256(b)
	at := func(path, sum string) infra.Resource {
		return resource(t, dir, fmt.Sprintf("{dest: DIR/d, source: '%s%s', sha256: %s}", server.URL, path, sum))
	}
	right := hex.EncodeToString(sum[:])
	filetest.WantError(t, h, at("/a", strings.Repeat("0", 64)), "its SHA-256 is "+right+", and declared is 000")
	filetest.WantError(t, h, at("/none", right), "unpack "+server.URL+"/none into "+dir+"/d: the server answers 404 Not Found")
	filetest.WantError(t, h, at("/short", right), "after 10 bytes: unexpected EOF")
	filetest.WantOnly(t, dir+"/d")
	r := at("/moved", strings.ToUpper(right))
	filetest.Settle(t, h, r)
	filetest.WantFile(t, dir+"/d/a", "1", 0o755)
	asked = 0
	filetest.WantDiff(t, filetest.Settle(t, h, r), "")
	if asked != 0 {
		t.Error("a comparison asked the server")
	}
	server.Close()
	os.Remove(dir + "/d/a")
	filetest.WantError(t, h, r, "connection refused")
}

func TestArchiveOnTheHost(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	r := resource(t, dir, "{dest: DIR/d, source: DIR/a.tar}")
	d, err := r.Diff(t.Context(), h)
	if err != nil || d.Empty() {
		t.Error("what an earlier resource may make is a difference", d, err)
	}
	filetest.WantError(t, h, r, "no such file")
	if err := os.WriteFile(dir+"/a.tar", tarOf(t, in{"a", "1"}), 0o644); err != nil {
		t.Fatal(err)
	}
	filetest.Settle(t, h, r)
	os.WriteFile(dir+"/a.tar", tarOf(t, in{"a", "23"}), 0o644)
	filetest.WantDiff(t, filetest.Settle(t, h, r), "update archive")
	filetest.WantFile(t, dir+"/d/a", "23", 0o755)
	os.Remove(dir + "/a.tar") // is needed no more
	filetest.WantDiff(t, filetest.Settle(t, h, r), "")

	// What a killed run left does no harm.
	record, _ := filepath.Glob(dir + "/d/.steer-archive-*")
	os.MkdirAll(record[0]+".work/tree/a", 0o755)
	os.WriteFile(dir+"/a.tar", tarOf(t, in{"a", "456"}), 0o644)
	filetest.Settle(t, h, r)
	list, _ := os.ReadDir(dir + "/d")
	if len(list) != 2 {
		t.Error(list)
	}
}

func TestArchiveOwners(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		b := tarOf(t, in{"sub/", ""}, in{"sub/a", "1"}, in{"l -> sub", ""})
		r := ofRole(t, "/srv", "{dest: DIR/d, source: x, owner: daemon, group: daemon}", b)
		filetest.WantDiff(t, filetest.Settle(t, h, r), "create archive, owner, group")
		for _, p := range []string{"/srv/d", "/srv/d/sub", "/srv/d/sub/a", "/srv/d/l"} {
			if st, err := os.Lstat(p); err != nil || st.Sys().(*syscall.Stat_t).Uid != 1 || st.Sys().(*syscall.Stat_t).Gid != 1 {
				t.Errorf("%s: %+v %v", p, st, err)
			}
		}
		os.Lchown("/srv/d/l", 0, 0)
		d := filetest.Settle(t, h, r)
		filetest.WantDiff(t, d, "update owner, group")
		if d.Fields[0] != (infra.Field{Name: "owner", Old: "l root", New: "daemon"}) {
			t.Errorf("%+v", d)
		}
		filetest.WantError(t, h, ofRole(t, "/srv", "{dest: DIR/e, source: x, owner: none}", b), "there is no user none")
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
