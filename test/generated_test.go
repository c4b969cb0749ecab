package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The reference in docs/generated is what the program says about itself.
func TestGeneratedDocsAreUpToDate(t *testing.T) {
	const kept = "../docs/generated"
	fresh := t.TempDir()
	if out, err := exec.Command(program(t, "steer"), "docs", fresh).CombinedOutput(); err != nil {
		t.Fatalf("steer docs: %v\n%s", err, out)
	}
	made, err := os.ReadDir(fresh)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range made {
		known[f.Name()] = true
		want, err := os.ReadFile(filepath.Join(fresh, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(kept, f.Name()))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s/%s is out of date (%v): run make docs", kept, f.Name(), err)
		}
	}
	old, err := os.ReadDir(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range old {
		if !known[f.Name()] {
			t.Errorf("%s/%s is not made by the program any more: remove it", kept, f.Name())
		}
	}
}
