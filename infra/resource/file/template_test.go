package file_test

import (
	"os"
	"path/filepath"
	"testing"

	"steer/infra"
	"steer/infra/resource/file/internal/filetest"
)

func TestTemplate(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	data := map[string]any{"port": 80, "host": map[string]any{"name": "web1"}}
	read := func(name string) ([]byte, error) { return []byte("from " + name + "\n{{ .port }}\n"), nil }
	for text, want := range map[string]string{
		"{path: DIR/f, content: \"{{ .host.name | upper }} '{{ `{{` }}'\"}": "WEB1 '{{'",
		"{path: DIR/f, source: templates/x}":                                "from templates/x\n80\n",
	} {
		r := resource(t, "template", dir, text)
		if err := r.(infra.Sourced).Source(read, data); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, "f"))
		filetest.WantDiff(t, filetest.Settle(t, h, r), "create content")
		filetest.WantFile(t, filepath.Join(dir, "f"), want, 0o644)
	}
	for text, want := range map[string]string{
		"{path: DIR/f, content: '{{ .prot }}'}":          "template content: line 1: there is no key \"prot\" in .prot (did you mean \"port\"?)",
		"{path: DIR/f, content: eA==, encoding: base64}": "encoding: a template is text (leave it out)",
		"{path: DIR/f, content: '{{ if }}'}":             "template content: line 1: missing value for if",
	} {
		if err := resource(t, "template", dir, text).(infra.Sourced).Source(read, data); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	}
	filetest.WantDiff(t, filetest.Settle(t, h, resource(t, "template", dir, "{path: DIR/f, content: x}").(infra.Removable).Absent()), "delete state")
}
