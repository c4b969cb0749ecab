package artifact

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"steer/base/fault"
	"steer/catalog"
)

// someImage is one of somebody else's, for linux.
func someImage(t *testing.T) v1.Image {
	t.Helper()
	i, err := random.Image(2000, 2)
	if err != nil {
		t.Fatal(err)
	}
	c, err := i.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c.OS, c.Architecture, c.Config.Env, c.Config.Cmd = "linux", "amd64", []string{"A=b"}, []string{"sleep"}
	if i, err = mutate.ConfigFile(i, c); err != nil {
		t.Fatal(err)
	}
	return i
}

func imageMeta(base, command string) Meta {
	m := catalog.Manifest{Service: "catalog", Artifact: catalog.Artifact{Kind: catalog.KindImage, Base: base}, Run: catalog.Run{Command: command, Ports: map[string]int{"http": 8080}}}
	return Meta{Service: "catalog", Version: "b1", Commit: "c0ffee", Manifest: &m, Created: time.Unix(1700000000, 0)}
}

// stored is what any OCI tool finds in the repository.
func (f *fixture) stored(t *testing.T, a Artifact) v1.Image {
	t.Helper()
	p, err := ocilayout.FromPath(f.opts.Dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := p.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	d, err := v1.NewHash(a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	x, err := all.ImageIndex(d)
	if err != nil {
		t.Fatal(err)
	}
	m, err := x.IndexManifest()
	if err != nil || len(m.Manifests) != 2 {
		t.Fatalf("%+v %v", m, err)
	}
	i, err := x.Image(m.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(i); err != nil {
		t.Fatal(err)
	}
	return i
}

func TestImagesThatABuildMadeAreKeptAsTheyAre(t *testing.T) {
	img := someImage(t)
	want, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		make func(dir string) error
	}{
		{"layout", func(at string) error {
			p, err := ocilayout.Write(at, empty.Index)
			if err != nil {
				return err
			}
			return p.AppendImage(img)
		}},
		{"saved", func(at string) error { return tarball.WriteToFile(at, name.MustParseReference("shop:1"), img) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, dir := open(t), t.TempDir()
			if err := c.make(filepath.Join(dir, "image")); err != nil {
				t.Fatal(err)
			}
			a, err := f.Put(t.Context(), imageMeta("", ""), dir, []string{"image"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.stored(t, a).ConfigName()
			if err != nil || got != want {
				t.Fatalf("image %s %v, want %s", got, err, want)
			}
			if a.Size == 0 {
				t.Error("it has no size")
			}
			p, err := f.Provenance(t.Context(), a.Digest)
			if err != nil || p.Commit != "c0ffee" || len(p.Content) != 2 {
				t.Fatalf("%+v %v", p, err)
			}
			if again, err := f.Put(t.Context(), imageMeta("", ""), dir, []string{"image"}); err != nil || again.Digest != a.Digest {
				t.Fatalf("%+v %v: the same again", again, err)
			}
			// A crash that lost the index.
			if err := os.Remove(filepath.Join(f.opts.Dir, "index.json")); err != nil {
				t.Fatal(err)
			}
			f.reopen(t)
			f.stored(t, a)
			if err := f.Unpack(t.Context(), a.Digest, filepath.Join(t.TempDir(), "x")); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "driver: docker") {
				t.Fatal(err)
			}
			if _, _, err := f.OpenFile(a.Digest, ""); fault.Of(err) != fault.NotFound || !strings.Contains(err.Error(), "registry") {
				t.Fatal(err)
			}
			if _, err := f.Archive(t.Context(), a.Digest); fault.Of(err) != fault.Invalid {
				t.Fatal(err)
			}
			// What an engine loads.
			id, layers, save, err := f.Image(t.Context(), a.Digest)
			if err != nil || id != want.String() || len(layers) != 2 {
				t.Fatal(id, layers, err)
			}
			var out bytes.Buffer
			if err := save(&out, "steer/catalog:b1", 0); err != nil {
				t.Fatal(err)
			}
			loaded, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil }, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(loaded); err != nil {
				t.Fatal(err)
			}
			for without, files := range []int{4, 3, 2} { // config, layers, manifest.json
				out.Reset()
				if err := save(&out, "steer/catalog:b1", without); err != nil {
					t.Fatal(err)
				}
				n := 0
				for in := tar.NewReader(&out); ; n++ {
					if _, err := in.Next(); errors.Is(err, io.EOF) {
						break
					} else if err != nil {
						t.Fatal(err)
					}
				}
				if n != files {
					t.Errorf("without %d layers there are %d files, want %d", without, n, files)
				}
			}
		})
	}
}

func TestImagesFromPathsAreTheSameEveryTime(t *testing.T) {
	dir := tree(t, map[string]string{"out/catalog*": "program", "version": "v1"})
	if err := tarball.WriteToFile(filepath.Join(dir, "base.tar"), name.MustParseReference("base:1"), someImage(t)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		base, command string
		paths         []string
		layers        int
		entry, file   string
	}{
		{"scratch", "exec ./catalog -p 8080", []string{"out/catalog"}, 1, "./catalog -p 8080", "app/catalog"},
		{"scratch", "./catalog -p $PORT", []string{"out/catalog"}, 1, "", "app/catalog"},
		{"base.tar", "./catalog | tee log", []string{"out", "version"}, 3, "/bin/sh -c ./catalog | tee log", "app/out/catalog"},
	} {
		var digests []string
		for range 2 {
			f := open(t)
			a, err := f.Put(t.Context(), imageMeta(c.base, c.command), dir, c.paths)
			if err != nil {
				t.Fatal(err)
			}
			digests = append(digests, a.Digest)
			i := f.stored(t, a)
			config, err := i.ConfigFile()
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(config.Config.Entrypoint, " "); got != c.entry || config.Config.WorkingDir != "/app" || len(config.Config.Cmd) > 0 || len(config.Config.ExposedPorts) != 1 {
				t.Errorf("%+v", config.Config)
			}
			if c.base != "scratch" && (len(config.Config.Env) != 1 || config.Config.User != "") || c.base == "scratch" && config.Config.User != nobody {
				t.Errorf("%+v", config.Config)
			}
			layers, err := i.Layers()
			if err != nil || len(layers) != c.layers {
				t.Fatal(len(layers), err)
			}
			r, err := layers[c.layers-1].Uncompressed()
			if err != nil {
				t.Fatal(err)
			}
			names := map[string]int64{}
			for in := tar.NewReader(r); ; {
				h, err := in.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				names[h.Name] = h.Mode
			}
			r.Close()
			if names[c.file] != 0o755 || c.base == "scratch" && names["tmp/"] != 0o1777 {
				t.Errorf("%v", names)
			}
		}
		if digests[0] != digests[1] {
			t.Errorf("%s: %s, then %s", c.base, digests[0], digests[1])
		}
	}
}

func TestWhatIsNoImageIsRefused(t *testing.T) {
	f := open(t)
	good := filepath.Join(t.TempDir(), "layout")
	p, err := ocilayout.Write(good, empty.Index)
	if err == nil {
		err = p.AppendImage(someImage(t))
	}
	if err != nil {
		t.Fatal(err)
	}
	damaged, err := filepath.Glob(filepath.Join(good, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	biggest := ""
	var size int64
	for _, file := range damaged {
		if i, err := os.Stat(file); err == nil && i.Size() > size {
			biggest, size = file, i.Size()
		}
	}
	if err := os.WriteFile(biggest, bytes.Repeat([]byte("x"), int(size)), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := tree(t, map[string]string{"folder/x": "", "file": "no tar", "index.json": "{}", "other/index.json": `{"manifests":[{"digest":"sha256:../../x"}]}`})
	if err := os.Rename(good, filepath.Join(dir, "damaged")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, base, want string }{
		{"nothing", "", `image "nothing": no such file or directory (does artifact.build make it?)`},
		{"folder", "", "neither an OCI image layout"},
		{"file", "", "read archive"},
		{"file", "folder", "neither an OCI image layout"},
		{".", "", "it holds 0 images"},
		{"other", "", "no digest that is understood"},
		{"damaged", "", "is damaged"},
		{"../x", "", "path escapes"},
	} {
		_, err := f.Put(t.Context(), imageMeta(c.base, "./x"), dir, []string{c.path})
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s on %q: %v, want %q", c.path, c.base, err, c.want)
		}
	}
	left, err := filepath.Glob(filepath.Join(f.opts.Dir, "tmp", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v %v is left over", left, err)
	}
}
