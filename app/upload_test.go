package app_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/app"
)

const manifest = "service: shop\nartifact: {paths: [shop.sh]}\nrun: {command: sh shop.sh, grace: 1s}\n"

// archive packs entries as they are, however wicked.
func archive(entries ...*tar.Header) *bytes.Buffer {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for _, h := range entries {
		text := h.Uname // content
		h := *h
		h.Uname = ""
		if h.Typeflag == tar.TypeReg {
			h.Size, h.Mode = int64(len(text)), 0o644
		}
		t.WriteHeader(&h)
		if h.Typeflag == tar.TypeReg {
			io.WriteString(t, text)
		}
	}
	t.Close()
	z.Close()
	return &b
}

func file(name, text string) *tar.Header {
	return &tar.Header{Typeflag: tar.TypeReg, Name: name, Uname: text}
}

func TestWickedUploads(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	s.define(places)
	who := s.as(s.give("dora", "developer"))
	key, err := os.ReadFile(filepath.Join(data, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(data, "..", "evil")
	yaml, sh := file("steer.yaml", manifest), file("shop.sh", "sleep 1")
	for name, c := range map[string]struct {
		body io.Reader
		want string
	}{
		"path upwards":            {archive(yaml, sh, file("../../evil", "x")), "leads out"},
		"absolute path":           {archive(yaml, sh, file(outside, "x")), "leads out"},
		"through a link":          {archive(yaml, sh, &tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "../../.."}, file("a/evil", "x")), "leads out"},
		"an absolute link":        {archive(yaml, sh, &tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "/etc/passwd"}), "leads out"},
		"a link as steer.yaml":    {archive(&tar.Header{Typeflag: tar.TypeSymlink, Name: "steer.yaml", Linkname: "../../secret.key"}, sh), "leads out"},
		"a hard link":             {archive(yaml, sh, &tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "/etc/passwd"}), "no file"},
		"a device":                {archive(yaml, sh, &tar.Header{Typeflag: tar.TypeChar, Name: "a", Devmajor: 1}), "no file"},
		"a pipe":                  {archive(yaml, sh, &tar.Header{Typeflag: tar.TypeFifo, Name: "a"}), "no file"},
		"too deep":                {archive(yaml, sh, file(strings.Repeat("a/", 40)+"b", "x")), "too deep"},
		"too long":                {archive(yaml, sh, file(strings.Repeat("a", 2000), "x")), "too long"},
		"no manifest":             {archive(sh), "steer.yaml"},
		"another service's":       {archive(file("steer.yaml", strings.Replace(manifest, "shop", "catalog", 1)), sh), "catalog"},
		"a bad manifest":          {archive(file("steer.yaml", "service: shop\nnope: 1\n"), sh), "steer.yaml:2:1"},
		"without its files":       {archive(yaml), "shop.sh"},
		"cut off":                 {bytes.NewReader(archive(yaml, sh).Bytes()[:60]), "tar.gz"},
		"empty":                   {strings.NewReader(""), "tar.gz"},
		"gzip of nonsense":        {nonsense(), "tar.gz"},
		"a bomb":                  {bomb(t), "unpacks to more"},
		"a file that is a folder": {archive(yaml, sh, file("a", "x"), file("a/b", "x")), "a"},
	} {
		r := who.do("POST", "/api/v1/services/shop/local", c.body)
		if r.code < 400 || r.code > 499 || !strings.Contains(r.body, c.want) {
			t.Errorf("%s: %v, want %q", name, r, c.want)
		}
		if strings.Contains(r.body, data) || strings.Contains(r.body, "AGE-SECRET") || strings.Contains(r.body, string(key)) {
			t.Errorf("%s tells of the server's folders or files: %v", name, r)
		}
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("a file was written outside")
	}
	if left, _ := os.ReadDir(filepath.Join(data, "tmp")); len(left) > 0 {
		t.Errorf("uploads are left: %v", left)
	}
	r := who.do("POST", "/api/v1/services/shop/local", archive(yaml, sh))
	if r.code != 200 || !strings.Contains(r.body, `"local-1"`) {
		t.Errorf("a good one: %v", r)
	}
}

func nonsense() io.Reader {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(bytes.Repeat([]byte("x"), 2000))
	z.Close()
	return &b
}

// bomb is small and unpacks to a lot.
func bomb(t *testing.T) io.Reader {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	w := tar.NewWriter(z)
	// Its head alone tells, so that nothing is unpacked in vain.
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "big", Size: 5 << 30}); err != nil {
		t.Fatal(err)
	}
	z.Close()
	return &b
}

// What the command line packs is what the server takes.
func TestDeployWhatIsHere(t *testing.T) {
	s := start(t, t.TempDir())
	s.define(places)
	dir := t.TempDir()
	for name, text := range shop("exec sleep 600", "") {
		write(t, filepath.Join(dir, name), text)
	}
	var packed, progress bytes.Buffer
	if err := app.Pack(t.Context(), dir, "shop", &packed, &progress); err != nil {
		t.Fatal(err)
	}
	version, err := s.api.Upload(t.Context(), "shop", &packed)
	if err != nil || version != "local-1" {
		t.Fatalf("%q %v", version, err)
	}
	d, err := s.api.Deploy(t.Context(), "shop", "ci", version, "", false)
	if err != nil {
		t.Fatal(err)
	}
	if d = s.deployed(d); d.State != "passed" {
		t.Errorf("%s: %v", d.State, d.Failure)
	}
}
