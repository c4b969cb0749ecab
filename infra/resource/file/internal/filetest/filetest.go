// Package filetest helps the tests of resources that are files: they are declared as in
// roles, and looked at on the disk.
package filetest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"steer/base/config"
	"steer/infra"
)

// Resource decodes a declaration of one of the kinds: DIR in it is dir.
func Resource(t *testing.T, all infra.Kinds, kind, dir, text string) infra.Resource {
	t.Helper()
	r, err := Decode(all, kind, strings.ReplaceAll(text, "DIR", dir))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// Decode reads a declaration as a role has it.
func Decode(all infra.Kinds, kind, text string) (infra.Resource, error) {
	k, ok := all.Find(kind)
	if !ok {
		return nil, fmt.Errorf("no kind %s", kind)
	}
	r := k.New()
	return r, config.Decode("test.yaml", []byte(text), r)
}

// Settle applies what differs, and wants nothing to differ afterwards. The diff
// is that of before.
func Settle(t *testing.T, h *infra.Host, r infra.Resource) infra.Diff {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if d.Empty() {
		return d
	}
	if err := r.Apply(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	left, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if !left.Empty() {
		t.Fatalf("applied %+v, and still %+v", d, left)
	}
	return d
}

// WantDiff wants a diff in words.
func WantDiff(t *testing.T, d infra.Diff, want string) {
	t.Helper()
	if d.String() != want {
		t.Errorf("diff %q, want %q: %+v", d, want, d)
	}
}

// WantError wants an error of Diff, or else of Apply.
func WantError(t *testing.T, h *infra.Host, r infra.Resource, want string) error {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err == nil {
		err = r.Apply(t.Context(), h, d)
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	return err
}

// Write writes a file.
func Write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// WantFile wants a file with a content and rights.
func WantFile(t *testing.T, path, want string, mode os.FileMode) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != want {
		t.Errorf("%s: %q %v, want %q", path, b, err, want)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode() != mode {
		t.Errorf("%s: %v, want %v", path, st.Mode(), mode)
	}
}

// WantOnly wants nothing else in a folder: no leftovers.
func WantOnly(t *testing.T, dir string, names ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	var got []string
	for _, e := range list {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("in %s: %q %v, want %q", dir, got, err, names)
	}
}
