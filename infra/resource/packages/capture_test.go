package packages

import (
	"os"
	"testing"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/infra"
	"steer/infra/infratest"
)

// captured is what a resource says of the host now, as it would be read again; the host
// does not differ from it.
func captured[R infra.Captured](t *testing.T, h *infra.Host, r R, again infra.Resource) infra.Resource {
	t.Helper()
	is, err := r.Capture(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	b, err := yaml.Marshal(is)
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Decode("capture", b, again); err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	infratest.Same(t, h, again)
	return again
}

func TestCapturePackage(t *testing.T) {
	infratest.Inside(t, func() {
		dir := t.TempDir()
		os.Chmod(dir, 0o755)
		deb(t, dir, "one", "1.0", "", nil)
		deb(t, dir, "one", "2.0", "", nil)
		index(t, dir, "test", "stable")
		only(t, dir)
		h := infra.NewHost(t.Context())
		newest := pkg(t, "{name: one, version: latest}").(*Package)
		was := captured(t, h, newest, &Package{})
		becomes(t, h, pkg(t, "{name: one, version: '1.0', hold: true}"), differs(t, h, pkg(t, "{name: one, version: '1.0', hold: true}")))
		old := captured(t, h, pkg(t, "{name: one, version: '2.0', hold: false}").(*Package), &Package{})
		removed := captured(t, h, pkg(t, "{name: one, state: absent}").(*Package), &Package{})
		for _, back := range []struct{ change, undo infra.Resource }{
			{pkg(t, "{name: one, version: '2.0', hold: false}"), old},
			{pkg(t, "{name: one, hold: false}"), old},
			{pkg(t, "{name: one, state: purged, allow_removal: true}"), removed},
		} {
			if d := differs(t, h, back.change); d == "" {
				t.Error("no change")
			}
			if back.undo == removed { // what is held is not removed
				infratest.Shell(t, "apt-mark unhold one")
				h.ForgetAll()
			}
			if err := apply(t.Context(), h, back.change); err != nil {
				t.Fatal(err)
			}
			if err := apply(t.Context(), h, back.undo); err != nil {
				t.Fatal(err)
			}
			if got := infratest.Shell(t, "dpkg-query -W -f '${db:Status-Abbrev}${Version}' one"); got != "hi 1.0" {
				t.Errorf("%q", got)
			}
		}
		if err := apply(t.Context(), h, pkg(t, "{name: one, hold: false}")); err != nil {
			t.Fatal(err)
		}
		if err := apply(t.Context(), h, was); err != nil {
			t.Fatal(err)
		}
		if got := infratest.Shell(t, "dpkg-query -W one 2>/dev/null || echo gone"); got != "gone" {
			t.Errorf("%q", got)
		}
	})
}

func TestCaptureRepository(t *testing.T) {
	infratest.Inside(t, func() {
		h := infra.NewHost(t.Context())
		r := repository(t, "{name: mine, url: 'https://example.org/debian', architectures: [amd64], trusted: true, components: [main, extra]}")
		captured(t, h, r, &Repository{})
		files, _, err := r.Rewrites(h)
		if err != nil || len(files) != 2 {
			t.Fatal(files, err)
		}
		m, err := open(h)
		if err != nil {
			t.Fatal(err)
		}
		written, err := m.Files(r)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range written {
			if f.Path != files[i] {
				t.Errorf("%s is not rewritten", f.Path)
			}
			if err := put(f); err != nil {
				t.Fatal(err)
			}
		}
		if is := captured(t, h, r, &Repository{}).(*Repository); is.URL != r.URL || len(is.Components) != 2 || !is.Trusted {
			t.Errorf("%+v", is)
		}
		infratest.Shell(t, "echo '# mine' >>"+files[0])
		if _, err := r.Capture(t.Context(), h); err == nil {
			t.Error("a file of somebody else was taken for ours")
		}
	})
}
