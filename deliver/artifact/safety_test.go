package artifact

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/base/id"
)

func TestPackRefuses(t *testing.T) {
	f := open(t)
	for name, c := range map[string]struct {
		files map[string]string
		paths []string
		want  string
	}{
		"nothing":        {map[string]string{"a": ""}, nil, "no paths given"},
		"missing":        {map[string]string{"a": ""}, []string{"out/catalog"}, `path "out/catalog": no such file or directory (does artifact.build make it?)`},
		"above":          {map[string]string{"a": ""}, []string{"../x"}, "leaves the checkout"},
		"absolute":       {map[string]string{"a": ""}, []string{"/etc/passwd"}, "leaves the checkout"},
		"empty":          {map[string]string{"d/.git/x": ""}, []string{"d"}, "there is no file in"},
		"link out":       {map[string]string{"d/l -> ../../etc/passwd": ""}, []string{"d"}, "outside of the artifact"},
		"absolute link":  {map[string]string{"d/l -> /etc/passwd": ""}, []string{"d"}, "outside of the artifact"},
		"through a link": {map[string]string{"d -> /etc": ""}, []string{"d/passwd"}, "escapes"},
		"link as start":  {map[string]string{"d -> /etc": ""}, []string{"d"}, "escapes"},
	} {
		_, err := f.Put(t.Context(), Meta{Service: "catalog", Version: "b1"}, tree(t, c.files), c.paths)
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want …%s…", name, err, c.want)
		}
	}
	f.limits = Limits{MaxMB: 1, MaxFiles: 2}
	_, err := f.Put(t.Context(), Meta{Service: "catalog", Version: "b1"}, tree(t, map[string]string{"a": "", "b": "", "c": ""}), []string{"."})
	if err == nil || !strings.Contains(err.Error(), "artifact.max_files") {
		t.Errorf("too many files: %v", err)
	}
	for _, v := range []id.Version{"", "latest", "local", "a/b", "../x"} {
		if _, err := f.Put(t.Context(), Meta{Service: "catalog", Version: v}, tree(t, map[string]string{"a": ""}), []string{"a"}); fault.Of(err) != fault.Invalid {
			t.Errorf("version %q: %v", v, err)
		}
	}
}

func TestUnpackRefusesHostileArchives(t *testing.T) {
	type item struct{ name, link, content string }
	for name, c := range map[string]struct {
		items []item
		want  string
	}{
		"above":         {[]item{{"../x", "", "1"}}, "leaves the folder"},
		"absolute":      {[]item{{"/etc/x", "", "1"}}, "leaves the folder"},
		"hidden above":  {[]item{{"a/../../x", "", "1"}}, "leaves the folder"},
		"link out":      {[]item{{"l", "../..", ""}}, "outside of the folder"},
		"absolute link": {[]item{{"l", "/tmp", ""}}, "outside of the folder"},
		"over a link":   {[]item{{"x", "", "1"}, {"l", "x", ""}, {"l", "", "2"}}, "exists"},
		"twice":         {[]item{{"x", "", "1"}, {"x", "", "2"}}, "exists"},
		"too large":     {[]item{{"x", "", strings.Repeat("x", 2<<20)}}, "artifact.max_mb"},
		"too many":      {[]item{{"a", "", ""}, {"b", "", ""}, {"c", "", ""}, {"d", "", ""}}, "artifact.max_files"},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, i := range c.items {
			h := &tar.Header{Name: i.name, Typeflag: tar.TypeReg, Size: int64(len(i.content))}
			if i.link != "" {
				h.Typeflag, h.Linkname = tar.TypeSymlink, i.link
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, i.content)
		}
		w.Close()
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		err = extractTar(t.Context(), tar.NewReader(&b), root, Limits{MaxMB: 1, MaxFiles: 3})
		root.Close()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want …%s…", name, err, c.want)
		}
	}
}
