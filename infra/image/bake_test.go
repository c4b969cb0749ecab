package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/klauspost/compress/zstd"

	"steer/base/fault"
	"steer/infra"
)

// kitchen bakes scripts: each step is a shell script that runs in the folder of the tree.
type kitchen struct {
	t       *testing.T
	cache   string
	from    string
	scripts []string
	ran     []string // scripts, with what they were told
}

// inside is the kitchen in a tree.
type inside struct {
	*kitchen
	root string
}

func (i *inside) Facts() (infra.Facts, error) { return infra.Facts{Name: "fake", Offline: true}, nil }
func (i *inside) Close() error                { return nil }

func (i *inside) Apply(n int, told []string) ([]string, error) {
	s := i.scripts[n]
	i.ran = append(i.ran, strings.Join(append([]string{s}, told...), " told "))
	if s == "fail" {
		return nil, errors.New("it fails")
	}
	cmd := exec.Command("sh", "-ec", s)
	cmd.Dir = i.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", s, err, out)
	}
	return []string{"r" + fmt.Sprint(n)}, nil
}

func (i *inside) Check() (string, error) {
	i.ran = append(i.ran, "check")
	return "state", nil
}

func (k *kitchen) options() Options {
	return Options{
		From: k.from, Cache: k.cache, Room: 1 << 40, Name: "fake", Done: func(Part) {}, Slow: func(error) {},
		Enter: func(_ context.Context, root string, _ map[string]string) (Inside, error) {
			return &inside{kitchen: k, root: root}, nil
		},
		Steps: func(f infra.Facts) ([]Step, error) {
			var all []Step
			for _, s := range k.scripts {
				b, err := json.Marshal(s + f.Name)
				if err != nil {
					return nil, err
				}
				all = append(all, Step{Title: s, Input: b})
			}
			return all, nil
		},
		Config: Settings{Cmd: []string{"/run me"}, Env: []string{"A=b"}, Labels: map[string]string{"steer.role": "fake"}, Tags: []string{"shop:1", "registry.example:5000/shop"}},
	}
}

func newKitchen(t *testing.T) *kitchen {
	needRoot(t)
	k := &kitchen{t: t, cache: filepath.Join(t.TempDir(), "cache"), from: filepath.Join(t.TempDir(), "base.tar"),
		scripts: []string{"echo one > etc/one; chmod 700 etc; chown 5 etc", "rm base; echo $$ > two", "true", "mkdir -p deep/er; echo three > deep/er/three"}}
	dir := t.TempDir()
	shell(t, dir, "mkdir -p etc; echo base > base; chmod 755 .; touch -d @1600000000 base etc; tar -cf "+k.from+" .")
	return k
}

func (k *kitchen) bake(change func(*Options)) (Image, error) {
	k.t.Helper()
	k.ran = nil
	o := k.options()
	if change != nil {
		change(&o)
	}
	return Bake(k.t.Context(), o)
}

func (k *kitchen) mustBake(change func(*Options)) Image {
	k.t.Helper()
	img, err := k.bake(change)
	if err != nil {
		k.t.Fatal(err)
	}
	return img
}

// TestCache: what did not change is not done again, what follows a change is.
func TestCache(t *testing.T) {
	k := newKitchen(t)
	k.scripts[1] = "rm base; echo 2 > two"
	first := k.mustBake(nil)
	want := []string{k.scripts[0], k.scripts[1] + " told r0", k.scripts[2] + " told r1", k.scripts[3] + " told r2", "check"}
	if !slices.Equal(k.ran, want) {
		t.Errorf("ran %q\nwant %q", k.ran, want)
	}
	if again := k.mustBake(nil); len(k.ran) > 0 || again.Digest != first.Digest || again.Hash != "state" {
		t.Errorf("again: ran %q, %s, first was %s", k.ran, again.Digest, first.Digest)
	}
	last := k.scripts[3]
	k.scripts[3] = "echo other > other"
	if other := k.mustBake(nil); !slices.Equal(k.ran, []string{"echo other > other told r2", "check"}) || other.Digest == first.Digest {
		t.Errorf("with another last step: ran %q", k.ran)
	}
	k.scripts[3] = last
	if k.mustBake(nil); len(k.ran) > 0 {
		t.Errorf("back again: ran %q", k.ran)
	}
	k.scripts[0] = "echo 0 > etc/zero"
	if k.mustBake(nil); len(k.ran) != 5 {
		t.Errorf("with another first step: ran %q", k.ran)
	}
	fresh := k.mustBake(func(o *Options) { o.Fresh = true })
	if len(k.ran) != 5 {
		t.Errorf("fresh: ran %q", k.ran)
	}
	if warm := k.mustBake(nil); warm.Digest != fresh.Digest || len(k.ran) > 0 {
		t.Errorf("after fresh: %q", k.ran)
	}
	// Another cache, the same image.
	k.cache = filepath.Join(t.TempDir(), "other")
	if other := k.mustBake(nil); other.Digest != fresh.Digest || other.Config != fresh.Config {
		t.Errorf("two bakes give %s and %s", fresh.Digest, other.Digest)
	}
	// What a step that fails did is not kept, what was before it is.
	k.scripts[2] = "fail"
	for _, n := range []int{1, 1} {
		if _, err := k.bake(nil); err == nil || err.Error() != "it fails" || len(k.ran) != n {
			t.Errorf("%v, ran %q", err, k.ran)
		}
	}
	if left, err := os.ReadDir(filepath.Join(k.cache, "work")); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

// TestRoom: what was not used for longest goes, what is used now stays.
func TestRoom(t *testing.T) {
	k := newKitchen(t)
	k.mustBake(nil)
	k.scripts = []string{"echo new > new"}
	k.mustBake(func(o *Options) { o.Room = 1 })
	all, err := os.ReadDir(filepath.Join(k.cache, "entries"))
	if err != nil || len(all) != 3 { // base, step, check
		t.Errorf("%d entries are left, %v", len(all), err)
	}
	if k.mustBake(nil); len(k.ran) > 0 {
		t.Errorf("ran %q", k.ran)
	}
}

// TestLayout: others read the image as it is meant.
func TestLayout(t *testing.T) {
	k := newKitchen(t)
	dir := t.TempDir()
	layout, archive, rootfs := filepath.Join(dir, "layout"), filepath.Join(dir, "image.tar"), filepath.Join(dir, "root.tar.zst")
	img := k.mustBake(func(o *Options) { o.Layout = layout })
	if same := k.mustBake(func(o *Options) { o.Layout, o.RootFS = archive, rootfs }); same.Digest != img.Digest {
		t.Errorf("%s and %s", img.Digest, same.Digest)
	}
	path, err := ocilayout.FromPath(layout)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(img.Digest)
	if err != nil {
		t.Fatal(err)
	}
	of, err := path.Image(hash)
	if err != nil {
		t.Fatal(err)
	}
	docker, err := tarball.ImageFromPath(archive, mustTag(t, "shop:1"))
	if err != nil {
		t.Fatal(err)
	}
	for which, i := range map[string]v1.Image{"layout": of, "docker's": docker} {
		if err := validate.Image(i); err != nil {
			t.Errorf("%s: %v", which, err)
		}
		c, err := i.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := i.ConfigName()
		if id.String() != img.Config || c.Config.Cmd[0] != "/run me" || c.Config.Labels["steer.hash"] != "state" || c.Config.Labels["steer.role"] != "fake" || !slices.Contains(c.Config.Env, "A=b") || c.Created.Unix() != 1600000000 {
			t.Errorf("%s: %s %+v", which, id, c)
		}
		if n := len(c.History); n != 5 || !c.History[3].EmptyLayer || len(c.RootFS.DiffIDs) != 4 {
			t.Errorf("%s: history %+v, %d layers", which, c.History, len(c.RootFS.DiffIDs))
		}
		if got := list(t, mutate.Extract(i)); got != "deep 0 755, deep/er 0 755, deep/er/three 0 644, etc 5 700, etc/one 0 644, two 0 644" {
			t.Errorf("%s: %s", which, got)
		}
	}
	f, err := os.Open(rootfs)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if got := list(t, z); got != "deep 0 755, deep/er 0 755, deep/er/three 0 644, etc 5 700, etc/one 0 644, two 0 644" {
		t.Errorf("root file system: %s", got)
	}
	// Each of them can be the base of the next.
	k.scripts = []string{"test ! -e base; cat etc/one; echo more > more"}
	for _, from := range []string{layout, archive, rootfs} {
		k.from = from
		if img := k.mustBake(nil); img.Size == 0 || len(k.ran) != 2 {
			t.Errorf("from %s: %+v", from, img)
		}
	}
}

func mustTag(t *testing.T, tag string) *name.Tag {
	t.Helper()
	n, err := name.NewTag(tag)
	if err != nil {
		t.Fatal(err)
	}
	return &n
}

func list(t *testing.T, r io.Reader) string {
	t.Helper()
	var all []string
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			slices.Sort(all)
			return strings.Join(all, ", ")
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() > 1600000000 {
			t.Errorf("%s is of %s, later than the base", h.Name, h.ModTime)
		}
		all = append(all, fmt.Sprintf("%s %d %o", strings.TrimSuffix(h.Name, "/"), h.Uid, h.Mode&0o7777))
	}
}

func TestBakeRefuses(t *testing.T) {
	k := newKitchen(t)
	damaged := filepath.Join(t.TempDir(), "layout")
	k.mustBake(func(o *Options) { o.Layout = damaged })
	blobs, _ := filepath.Glob(filepath.Join(damaged, "blobs/sha256/*"))
	for _, b := range blobs {
		if is, _ := os.Stat(b); is.Size() < 300 {
			if err := os.WriteFile(b, []byte("?"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		from, want string
		packages   []string
	}{
		{"/no/such.tar", "it is no suite of Debian, like bookworm, and no file", nil},
		{k.from, "packages are for a suite of Debian", []string{"vim"}},
		{t.TempDir(), "name an OCI layout", nil},
		{damaged, "is damaged", nil},
	} {
		k.from = c.from
		if _, err := k.bake(func(o *Options) { o.Packages = c.packages }); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("from %s: got %v, want %s", c.from, err, c.want)
		} else if fault.Of(err) == fault.Internal && c.want != "name an OCI layout" {
			t.Errorf("from %s: no kind of fault: %v", c.from, err)
		}
	}
}
