package examples

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"steer/catalog"
)

// pack reads the folder.
func pack(t *testing.T) []byte {
	t.Helper()
	var a txtar.Archive
	for _, top := range []string{"catalog", "catalog-slow", "definitions"} {
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				if err == nil && d.Name() == "out" {
					return fs.SkipDir
				}
				return err
			}
			data, err := os.ReadFile(path)
			a.Files = append(a.Files, txtar.File{Name: filepath.ToSlash(path), Data: data})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return txtar.Format(&a)
}

var update = flag.Bool("update", false, "write examples.txtar")

func TestArchive(t *testing.T) {
	want := pack(t)
	if *update {
		if err := os.WriteFile("examples.txtar", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, want) {
		t.Error("examples.txtar differs from the files: run go generate ./examples")
	}
	for _, name := range []string{"catalog/go.mod", "catalog/smoke/main.go", "catalog-slow/pricing.go.txt", "definitions/teams.yaml"} {
		if _, err := fs.Stat(Files, name); err != nil {
			t.Error(err)
		}
	}
}

func TestDefinitionsAndManifest(t *testing.T) {
	definitions, err := fs.Sub(Files, "definitions")
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalog.Load(definitions)
	if err != nil {
		t.Fatal(err)
	}
	text, err := fs.ReadFile(Files, "catalog/steer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := catalog.ParseManifest("steer.yaml", text)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.CheckManifest("steer.yaml", text); err != nil {
		t.Error(err)
	}
	if len(m.Pipeline) != 3 || len(m.Checks) != 1 || m.Service != "catalog" {
		t.Errorf("%+v", m)
	}
}

// The slow change is one that tests do not catch.
func TestServiceAndSlowChange(t *testing.T) {
	for _, change := range []string{"", "catalog-slow/pricing.go.txt"} {
		dir := t.TempDir()
		service, err := fs.Sub(Files, "catalog")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, service); err != nil {
			t.Fatal(err)
		}
		if change != "" {
			text, err := fs.ReadFile(Files, change)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "pricing.go"), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("go", "test", "./...")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "ok  \tcatalog\t") {
			t.Errorf("with %q: %v\n%s", change, err, out)
		}
	}
}
