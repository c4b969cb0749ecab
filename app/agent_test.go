package app

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/converge"
)

// A host that is alone becomes what it kept, as far as it may.
func TestConvergesAlone(t *testing.T) {
	dir, things := t.TempDir(), t.TempDir()
	if _, err := convergeAlone(t.Context(), dir, os.Args[0]); fault.Of(err) != fault.NotFound {
		t.Error(err)
	}
	a, b := filepath.Join(things, "a"), filepath.Join(things, "b")
	m := manifest(t, map[string]string{"roles/web.yaml": fmt.Sprintf("description: d\nresources:\n  - file: {path: %s, content: hello}\n  - file: {path: %s, content: hello}\n    heal: report\n", a, b)})
	text, err := infra.Encode(m.Resources)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, converge.ManifestFile), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	run, err := convergeAlone(t.Context(), dir, os.Args[0])
	if err != nil || run.Failed || run.Counts["changed"] != 2 || run.Hash == "" || run.Took <= 0 {
		t.Errorf("%+v %v", run, err)
	}
	for _, path := range []string{a, b} {
		if err := os.WriteFile(path, []byte("drifted"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run, err = convergeAlone(t.Context(), dir, os.Args[0])
	if err != nil || run.Failed || run.Counts["changed"] != 1 || run.Counts["drifted"] != 1 {
		t.Errorf("%+v %v", run, err)
	}
	for path, want := range map[string]string{a: "hello", b: "drifted"} {
		if text, err := os.ReadFile(path); string(text) != want || err != nil {
			t.Errorf("%s: %s %v", path, text, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, converge.ManifestFile), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := convergeAlone(t.Context(), dir, os.Args[0]); err == nil {
		t.Error("a torn manifest was taken")
	}
}
