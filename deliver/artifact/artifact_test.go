package artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"pgregory.net/rapid"

	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
)

type fixture struct {
	*Repository
	events []event.Event
	opts   Options
}

func open(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{}
	f.opts = Options{
		Dir: filepath.Join(t.TempDir(), "artifacts"), Key: filepath.Join(t.TempDir(), "package.key"), DB: databasetest.SQLite(t),
		Journal: func(_ context.Context, _ *sql.Tx, e *event.Event) error {
			f.events = append(f.events, *e)
			return nil
		},
		Manifest: func(file string, data []byte) (m catalog.Manifest, err error) {
			m.Service, m.Artifact.Paths, m.Artifact.Build = "catalog", []string{"out/catalog"}, "make"
			m.Description = string(data)
			return m, nil
		},
	}
	f.reopen(t)
	return f
}

func (f *fixture) reopen(t *testing.T) {
	t.Helper()
	r, err := New(t.Context(), f.opts)
	if err != nil {
		t.Fatal(err)
	}
	f.Repository = r
}

// tree makes files; a name that ends in "*" is executable, "a -> b" is a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		mode := os.FileMode(0o640)
		if n, ok := strings.CutSuffix(name, "*"); ok {
			name, mode = n, 0o700
		}
		name, target, link := strings.Cut(name, " -> ")
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if link {
			err = os.Symlink(target, p)
		} else {
			err = os.WriteFile(p, []byte(content), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPutGetUnpack(t *testing.T) {
	f := open(t)
	dir := tree(t, map[string]string{"out/catalog*": "binary", "static/a/b.css": "x", "static/link -> a/b.css": "", "secret": "no"})
	created := time.Unix(1_700_000_000, 0).UTC()
	meta := Meta{Service: "catalog", Version: "b1", Commit: "abc", Created: created, Chain: "c1"}
	a, err := f.Put(t.Context(), meta, dir, []string{"static", "out/catalog"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Put(t.Context(), meta, dir, []string{"static", "out/catalog"})
	if err != nil || again != a {
		t.Fatalf("the same again: %+v, %v", again, err)
	}
	if len(f.events) != 1 || f.events[0].Type != event.ArtifactPackaged || f.events[0].Subject != "artifact/catalog/b1" {
		t.Errorf("events: %+v", f.events)
	}
	got, err := f.Get(t.Context(), "catalog", "b1")
	if err != nil || got != a {
		t.Errorf("got %+v, %v; want %+v", got, err, a)
	}
	target := filepath.Join(t.TempDir(), "deep", "b1")
	for range 2 {
		if err := f.Unpack(t.Context(), a.Digest, target); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"out/catalog": "binary", "static/a/b.css": "x", "static/link": "x"} {
		if b, err := os.ReadFile(filepath.Join(target, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if info, err := os.Stat(filepath.Join(target, "out/catalog")); err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("mode of executable: %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(filepath.Join(target, "secret")); err == nil {
		t.Error("a file that was not named is in the artifact")
	}
	p, err := f.Provenance(t.Context(), a.Digest)
	if err != nil || p.Commit != "abc" || p.Files != 3 || !p.Created.Equal(created) {
		t.Errorf("provenance %+v, %v", p, err)
	}
}

func TestSinglePathLosesFoldersAbove(t *testing.T) {
	f := open(t)
	dir := tree(t, map[string]string{"out/catalog*": "binary", "dist/site/index.html": "x"})
	for i, c := range []struct{ path, want string }{{"out/catalog", "catalog"}, {"dist/site", "site/index.html"}, {".", "out/catalog"}} {
		a, err := f.Put(t.Context(), Meta{Service: "catalog", Version: id.Build(int64(i + 1))}, dir, []string{c.path})
		if err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(t.TempDir(), "x")
		if err := f.Unpack(t.Context(), a.Digest, target); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(target, c.want)); err != nil {
			t.Errorf("path %s: %v", c.path, err)
		}
	}
}

func TestVersionIsBuiltOnce(t *testing.T) {
	f := open(t)
	meta := Meta{Service: "catalog", Version: "b1", Created: time.Unix(1, 0)}
	if _, err := f.Put(t.Context(), meta, tree(t, map[string]string{"a": "1"}), []string{"a"}); err != nil {
		t.Fatal(err)
	}
	_, err := f.Put(t.Context(), meta, tree(t, map[string]string{"a": "2"}), []string{"a"})
	if fault.Of(err) != fault.Conflict {
		t.Errorf("other content: %v", err)
	}
	f.reopen(t)
	if len(f.events) != 1 {
		t.Errorf("%d events", len(f.events))
	}
}

// The archive depends on nothing but what is packed.
func TestReproducible(t *testing.T) {
	pack := func(dir string) []byte {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		entries, _, err := collect(root, []string{"."}, Limits{100, 100})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := archive(&b, root, entries); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	files := map[string]string{"z": "1", "a/b/c*": "2", "a/l -> b/c": "", "m": ""}
	one, two := tree(t, files), tree(t, files)
	if err := os.Chtimes(filepath.Join(two, "z"), time.Unix(5, 0), time.Unix(5, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(two, "m"), 0o604); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pack(one), pack(two)) {
		t.Error("the same files give different archives")
	}
	if err := os.Chmod(filepath.Join(two, "m"), 0o755); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(pack(one), pack(two)) {
		t.Error("an executable bit makes no difference")
	}
}

func TestDamageIsSeen(t *testing.T) {
	f := open(t)
	dir := tree(t, map[string]string{"a": strings.Repeat("content ", 1000)})
	a, err := f.Put(t.Context(), Meta{Service: "catalog", Version: "b1"}, dir, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	_, layers, err := f.load(a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	blob, _ := f.layout.blob(layers[0].Digest)
	data, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	data[4] ^= 1 // the time in gzip's header: unpacks, but is not what was stored
	if err := os.WriteFile(blob, data, 0o600); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "x")
	if err := f.Unpack(t.Context(), a.Digest, target); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("unpack of a damaged archive: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(target)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := f.Unpack(t.Context(), "sha256:12", target); fault.Of(err) != fault.Invalid {
		t.Errorf("no digest: %v", err)
	}
	if err := f.Unpack(t.Context(), "sha256:"+strings.Repeat("0", 64), target); fault.Of(err) != fault.NotFound {
		t.Errorf("unknown digest: %v", err)
	}
}

func TestCrashBetweenIndexAndRow(t *testing.T) {
	f := open(t)
	dir := tree(t, map[string]string{"a": "1"})
	a, err := f.Put(t.Context(), Meta{Service: "catalog", Version: "b1", Chain: "c"}, dir, []string{"a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.db.Write().Exec("DELETE FROM artifact"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.opts.Dir, "tmp", "blob-1"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.reopen(t)
	if got, err := f.Get(t.Context(), "catalog", "b1"); err != nil || got != a {
		t.Errorf("after restart: %+v, %v; want %+v", got, err, a)
	}
	if len(f.events) != 2 {
		t.Errorf("%d events, want one of each recording", len(f.events))
	}
	if left, _ := os.ReadDir(filepath.Join(f.opts.Dir, "tmp")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := os.WriteFile(filepath.Join(f.opts.Dir, "index.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.reopen(t)
	x, err := f.layout.index()
	if err != nil || len(x.Manifests) != 1 || x.Manifests[0].Digest != a.Digest {
		t.Errorf("index made anew: %+v, %v", x, err)
	}
}

func TestConcurrentPuts(t *testing.T) {
	f := open(t)
	f.opts.Journal = func(context.Context, *sql.Tx, *event.Event) error { return nil }
	f.reopen(t)
	dir := tree(t, map[string]string{"a": "1"})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			meta := Meta{Service: "catalog", Version: id.Build(int64(i/2 + 1)), Created: time.Unix(1, 0)}
			if _, err := f.Put(context.Background(), meta, dir, []string{"a"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if x, err := f.layout.index(); err != nil || len(x.Manifests) != 4 {
		t.Errorf("index has %d entries, %v", len(x.Manifests), err)
	}
}

func TestLocal(t *testing.T) {
	f := open(t)
	if _, err := f.Get(t.Context(), "catalog", "b7"); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "nothing has been built") {
		t.Errorf("unknown version: %v", err)
	}
	if _, err := f.Get(t.Context(), "catalog", id.Local); fault.Of(err) != fault.NotFound {
		t.Errorf("no local version: %v", err)
	}
	dir := tree(t, map[string]string{"steer.yaml": "1"})
	if _, err := f.PutLocal(t.Context(), "catalog", dir); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "(build it first: make)") {
		t.Errorf("not built: %v", err)
	}
	dir = tree(t, map[string]string{"steer.yaml": "1", "out/catalog*": "x"})
	one, err := f.PutLocal(t.Context(), "catalog", dir)
	if err != nil || one.Version != "local-1" {
		t.Fatalf("%+v, %v", one, err)
	}
	same, err := f.PutLocal(t.Context(), "catalog", dir)
	if err != nil || same != one {
		t.Errorf("unchanged: %+v, %v", same, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "out/catalog"), []byte("y"), 0o700); err != nil {
		t.Fatal(err)
	}
	two, err := f.PutLocal(t.Context(), "catalog", dir)
	if err != nil || two.Version != "local-2" {
		t.Errorf("changed: %+v, %v", two, err)
	}
	if got, err := f.Get(t.Context(), "catalog", id.Local); err != nil || got != two {
		t.Errorf("newest: %+v, %v", got, err)
	}
	if _, err := f.PutLocal(t.Context(), "other", dir); fault.Of(err) != fault.Invalid {
		t.Errorf("another service: %v", err)
	}
	if _, err := f.Get(t.Context(), "catalog", "b7"); err == nil || !strings.Contains(err.Error(), "newest: local-2") {
		t.Errorf("unknown version: %v", err)
	}
}

// An independent implementation reads the layout.
func TestOtherToolReadsLayout(t *testing.T) {
	f := open(t)
	dir := tree(t, map[string]string{"out/catalog*": "binary"})
	a, err := f.Put(t.Context(), Meta{Service: "catalog", Version: "b1", Commit: "abc"}, dir, []string{"out/catalog"})
	if err != nil {
		t.Fatal(err)
	}
	x, err := ocilayout.ImageIndexFromPath(f.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	im, err := x.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(im.Manifests) != 1 || im.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "catalog:b1" || im.Manifests[0].ArtifactType != TypeArtifact {
		t.Fatalf("index: %+v", im.Manifests)
	}
	hash, err := v1.NewHash(a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	image, err := x.Image(hash)
	if err != nil {
		t.Fatal(err)
	}
	m, err := image.Manifest()
	if err != nil || m.Annotations["org.opencontainers.image.revision"] != "abc" {
		t.Fatalf("manifest %+v, %v", m, err)
	}
	config, err := image.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var p Provenance
	if err := json.Unmarshal(config, &p); err != nil || p.Commit != "abc" {
		t.Errorf("config %s: %v", config, err)
	}
	layer, err := image.LayerByDigest(m.Layers[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	content, err := layer.Compressed()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	n, err := io.Copy(sum, content)
	if err != nil || n != m.Layers[0].Size || hex.EncodeToString(sum.Sum(nil)) != m.Layers[0].Digest.Hex {
		t.Errorf("layer: %d bytes, %v", n, err)
	}
}

// What goes in comes out.
func TestPackUnpackProperty(t *testing.T) {
	f := open(t)
	var n int64
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z0-9 ._ü-]{1,120}`), 1, 6, rapid.ID[string]).Draw(rt, "names")
		files := map[string]string{}
		for i, name := range names {
			if name == "." || name == ".." || name == ".git" || name == marker {
				continue
			}
			files[fmt.Sprintf("d%d/%s", i%3, name)] = rapid.String().Draw(rt, "content")
		}
		if len(files) == 0 {
			return
		}
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		for name, content := range files {
			os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755)
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				rt.Skip("the file system refuses the name")
			}
		}
		n++
		a, err := f.Put(t.Context(), Meta{Service: "catalog", Version: id.Build(n)}, dir, []string{"."})
		if err != nil {
			rt.Fatal(err)
		}
		target := dir + "-out"
		if err := f.Unpack(t.Context(), a.Digest, target); err != nil {
			rt.Fatal(err)
		}
		for name, content := range files {
			if b, err := os.ReadFile(filepath.Join(target, name)); err != nil || string(b) != content {
				rt.Fatalf("%s: %q, %v", name, b, err)
			}
		}
	})
}
