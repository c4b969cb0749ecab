package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// tree unpacks the record of a machine.
func tree(t *testing.T, name string) string {
	t.Helper()
	a, err := txtar.ParseFile(filepath.Join("testdata", name+".txtar"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range a.Files {
		put(t, root, f.Name, string(f.Data))
	}
	return root
}

func put(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(name, "usr/") {
		mode = 0o755
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func now() time.Time { return time.Date(2026, 11, 26, 10, 0, 0, 0, time.UTC) }

// words are what a look found out.
func words(t *testing.T, look func() (Seen, error)) []string {
	t.Helper()
	s, err := look()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range s.Findings {
		if f.Of == "" || f.Kind == "" {
			t.Errorf("nobody knows what this is about: %+v", f)
		}
		all = append(all, f.Text)
	}
	return append(all, s.Note())
}

// hardware words what all looks find out.
func hardware(t *testing.T, m Machine, within time.Duration) string {
	t.Helper()
	var b strings.Builder
	since := m.Now.Add(-within)
	for _, part := range []struct {
		name string
		look func() (Seen, error)
	}{
		{"arrays", m.Arrays},
		{"disks", func() (Seen, error) { return m.Disks(t.Context(), since, 90) }},
		{"filesystems", func() (Seen, error) { return m.Filesystems(t.Context(), since) }},
		{"memory", func() (Seen, error) { return m.Memory(10) }},
		{"board", func() (Seen, error) { return m.Board(t.Context(), since) }},
		{"oom", func() (Seen, error) { return m.OOM(t.Context(), "", since) }},
	} {
		s, err := part.look()
		if err != nil {
			t.Fatalf("%s: %v", part.name, err)
		}
		fmt.Fprintf(&b, "%s: %s\n", part.name, s.Note())
		for _, f := range s.Findings {
			if i := strings.LastIndex(f.Text, " ("); i < 0 || !strings.HasSuffix(f.Text, ")") || strings.Contains(f.Text[i+2:], ") ") {
				t.Errorf("it does not end with what to do next: %s", f.Text)
			}
			fmt.Fprintf(&b, "  %s, %s: %s\n", f.Of, f.Kind, f.Text)
		}
	}
	return b.String()
}

// TestRecorded looks at recorded machines. What should be found stands in the record;
// STEER_TEST_UPDATE=1 writes it anew, to be read before it is believed.
func TestRecorded(t *testing.T) {
	for _, name := range []string{"well", "broken", "journal", "container"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join("testdata", name+".txtar")
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := Machine{Root: tree(t, name), Now: now(), Container: name == "container"}
			within := 24 * time.Hour
			if name == "broken" { // what is older is left out
				within = time.Hour
			}
			got := hardware(t, m, within)
			i := slices.IndexFunc(a.Files, func(f txtar.File) bool { return f.Name == "want" })
			if i < 0 {
				i = len(a.Files)
				a.Files = append(a.Files, txtar.File{Name: "want"})
			}
			if os.Getenv("STEER_TEST_UPDATE") != "" {
				a.Files[i].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(string(a.Files[i].Data), got); d != "" {
				t.Error(d)
			}
		})
	}
}
