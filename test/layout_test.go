// Package test holds the tests of the whole: layout, scripts, end to end.
package test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

type pkg struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

// packages lists the module's packages as go list sees them.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

var (
	vocabulary = []string{"base/id", "base/metric", "base/event", "base/fault"}
	areas      = []string{"monitor", "deliver", "infra", "release", "listen", "improve"}
)

func top(path string) string {
	first, _, _ := strings.Cut(path, "/")
	return first
}

// level places a package in the house: see the table in CONTRIBUTING.md.
func level(path string) (int, bool) {
	switch {
	case slices.Contains(vocabulary, path):
		return 0, true
	case top(path) == "base" || top(path) == "catalog":
		return 1, true
	case slices.Contains(areas, top(path)):
		return 2, true
	case slices.Contains([]string{"api", "cli", "web", "examples"}, top(path)):
		return 3, true
	case top(path) == "app":
		return 4, true
	case path == "steer":
		return 5, true
	}
	return 0, false
}

// forbidden says why from may not import to, or "".
func forbidden(from, to string) string {
	f, _ := level(from)
	g, _ := level(to)
	switch {
	case f == 0:
		if (from == "base/event" || from == "base/metric") && to == "base/id" {
			return ""
		}
		return "the vocabulary imports only the standard library"
	case f == 1 && (g == 0 || g == 1 && (top(to) == "base" || top(from) == "catalog")):
		return ""
	case f == 2:
		// A kind may know the stage that it is a kind of; stages don't know each other.
		// internal packages belong to the stage above them.
		owner, _, internal := strings.Cut(to, "/internal/")
		if g <= 1 || strings.HasPrefix(from, to+"/") || internal && strings.HasPrefix(from+"/", owner+"/") {
			return ""
		}
		return "a stage imports base and catalog, a kind also its parent; what else it needs is a seam that app fills"
	case top(from) == "api" && (g <= 2 || top(to) == "api"):
		return ""
	case top(from) == "cli":
		if g == 0 || to == "api/client" || top(to) == "cli" {
			return ""
		}
		return "cli speaks to the server through api/client; main hands in the rest"
	case f >= 4 && g <= f:
		return ""
	}
	return "imports point down only"
}

// Packages named …test help tests; nothing else may import them.
func helpsTests(path string) bool { return strings.HasSuffix(path, "test") }

func TestImportsPointDown(t *testing.T) {
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, "steer/")
		if _, ok := level(from); !ok {
			if top(from) != "test" {
				t.Errorf("%s has no place in the house: see the plan in CONTRIBUTING.md", from)
			}
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, "steer/")
			switch f, _ := level(from); {
			case !ours && f == 0 && strings.Contains(imp, "."):
				t.Errorf("%s imports %s: the vocabulary imports only the standard library", from, imp)
			case !ours || helpsTests(from):
			case helpsTests(to):
				t.Errorf("%s imports %s, which is for tests", from, to)
			default:
				if why := forbidden(from, to); why != "" {
					t.Errorf("%s imports %s: %s", from, to, why)
				}
			}
		}
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && len(p.GoFiles) > 0 {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func TestNoPackageIsNamedAfterNothing(t *testing.T) {
	for _, p := range packages(t) {
		last := p.ImportPath[strings.LastIndex(p.ImportPath, "/")+1:]
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "types", "model", "models", "misc"}, last) {
			t.Errorf("%s: name the package after what it does", p.ImportPath)
		}
	}
}
