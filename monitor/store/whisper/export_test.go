package whisper

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/internal/schema"
)

func mustExport(t *testing.T, s Source, glob string) *bytes.Buffer {
	t.Helper()
	e, err := NewExport(t.Context(), s, glob)
	if err != nil {
		t.Fatal(err)
	}
	e.now = clock
	b := &bytes.Buffer{}
	next := 0
	if err := e.Write(t.Context(), b, func() { next++ }); err != nil {
		t.Fatal(err)
	}
	if next != len(e.Names) {
		t.Errorf("next was called %d times for %d files", next, len(e.Names))
	}
	return b
}

// What Carbon's files brought in is given out as files that the library reads the
// same, and that bring the same into another store.
func TestExportedFilesAreReadAsTheStore(t *testing.T) {
	o := newOracle(t)
	rng := rand.New(rand.NewPCG(9, 10))
	dir := t.TempDir()
	var all []store.Retention
	for n, archives := range retentions {
		all = append(all, retention(t, archives, methods[(n+2)%len(methods)], 0))
	}
	s := openStore(t, t.TempDir(), all)
	var entries []entry
	for n, r := range all {
		path := filepath.Join(dir, "in.wsp")
		o.story(path, "steady", r, rng)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(path)
		name, err := Path("r" + string(rune('0'+n)) + ".deep.er;a=b.c")
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{name, data})
	}
	mustImport(t, ImportOptions{Store: s}, pack(t, entries...))
	stream := mustExport(t, s, "r*.deep.*").Bytes()
	other := openStore(t, t.TempDir(), all)
	if sum := mustImport(t, ImportOptions{Store: other}, bytes.NewReader(stream)); sum.Files != len(all) || sum.Different > 0 {
		t.Errorf("%v", sum)
	}
	files := 0
	for in := tar.NewReader(bytes.NewReader(stream)); ; files++ {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name, err := Name(h.Name)
		if err != nil || h.Name != entries[files].name && h.Mode != 0o644 {
			t.Fatal(h, err)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "out.wsp")
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		r := s.Retention(name)
		if f := load(t, path); f.String() != r.String() {
			t.Errorf("%s: %v, want %v", name, f.Retention, r)
		}
		for _, a := range r.Archives {
			request := store.Request{Names: []string{name}, From: testNow - a.Keep, Until: testNow}
			mine, err := s.Fetch(t.Context(), request)
			if err != nil || len(mine) != 1 {
				t.Fatal(mine, err)
			}
			theirs, _ := o.fetch(path, testNow-a.Keep, testNow, testNow)
			if !same(mine[0], theirs) || known(theirs) == 0 {
				t.Errorf("%s: archive %v in the file: %s", name, a, differ(theirs, mine[0]))
			}
			if again, err := other.Fetch(t.Context(), request); err != nil || len(again) != 1 || !same(again[0], mine[0]) {
				t.Errorf("%s: archive %v imported again: %v", name, a, err)
			}
		}
	}
	if files != len(all) {
		t.Errorf("%d files, want %d", files, len(all))
	}
}

func TestWhatCannotBeExported(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, []store.Retention{retention(t, "1s:1y", schema.Average, 0.5), retention(t, "1m:1h", schema.Average, 0.5)})
	for _, name := range []string{"r0.large", "r1.a/b", "r1.good"} {
		if err := s.Write(t.Context(), []metric.Point{{Name: []byte(name), Time: testNow, Value: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	for glob, c := range map[string]struct {
		kind fault.Kind
		want string
	}{
		"nothing.*": {fault.NotFound, `export "nothing.*": no series has such a name`},
		"r1":        {fault.NotFound, "no series"},
		"r*.a/b":    {fault.Invalid, `the file of series "r1.a/b"`},
		"**":        {fault.TooMuch, "r0.large: a file of 1s:1y average 0.5 would have 360 MiB, more than 64"},
	} {
		if _, err := NewExport(t.Context(), s, glob); err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", glob, err)
		}
	}
	e, err := NewExport(t.Context(), s, "r1.g*")
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("gone")
	if err := e.Write(t.Context(), failing{full}, nil); !errors.Is(err, full) {
		t.Errorf("a client that has gone: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.Write(t.Context(), io.Discard, nil); fault.Of(err) != fault.Unavailable {
		t.Errorf("a closed store: %v", err)
	}
}
