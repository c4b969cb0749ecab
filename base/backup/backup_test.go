package backup_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"steer/base/backup"
)

// tree writes files below a new folder.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// list is what a folder holds, by path.
func list(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		if e.IsDir() {
			all[name+"/"] = ""
			return nil
		}
		b, err := os.ReadFile(path)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var sample = map[string]string{
	"instance": "here\n", "empty": "", "a/b/c/deep": "deep", "a/other": strings.Repeat("x", 700), "git/x.git/refs/": "", "big": strings.Repeat("0123456789abcdef", 40_000),
	"a/" + strings.Repeat("long", 40): "a name that needs a header of its own",
}

func archive(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, t.TempDir(), backup.Info{Steer: "v1", Created: time.Unix(1_800_000_000, 0).UTC(), Instance: "here", LeftOut: []backup.LeftOut{{Path: "stream", Why: "made anew"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Tree(tree(t, files), ".", nil); err != nil {
		t.Fatal(err)
	}
	w.Note("a word\nto people")
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name := range files {
		if !strings.HasSuffix(name, "/") {
			n++
		}
	}
	if sum.Files != n {
		t.Errorf("%d files, want %d", sum.Files, n)
	}
	return out.Bytes()
}

func same(t testing.TB, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if g, ok := got[name]; !ok || g != text {
			t.Errorf("%s: %.50q (%v), want %.50q", name, g, ok, text)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

func whole(files map[string]string) map[string]string {
	all := map[string]string{}
	for name, text := range files {
		all[name] = text
		for up := filepath.Dir(strings.TrimSuffix(name, "/")); up != "."; up = filepath.Dir(up) {
			all[up+"/"] = ""
		}
	}
	return all
}

func TestRoundTrip(t *testing.T) {
	data := archive(t, sample)
	for _, dir := range []string{filepath.Join(t.TempDir(), "new", "folder"), t.TempDir()} {
		var told []string
		sum, err := backup.Restore(t.Context(), bytes.NewReader(data), dir, func(name string) { told = append(told, name) })
		if err != nil {
			t.Fatal(err)
		}
		same(t, list(t, dir), whole(sample))
		if sum.Files != 6 || sum.Bytes != 640_000+5+4+700+37 || sum.Info.Steer != "v1" || sum.Info.Created.Unix() != 1_800_000_000 || fmt.Sprint(sum.Notes) != "[a word to people]" {
			t.Errorf("%+v", sum)
		}
		if len(told) < 6 {
			t.Errorf("told only of %v", told)
		}
		verified, err := backup.Verify(bytes.NewReader(data), nil)
		if err != nil || fmt.Sprint(verified) != fmt.Sprint(sum) {
			t.Errorf("%+v %v", verified, err)
		}
		if info, err := os.Stat(filepath.Join(dir, "instance")); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%v %v", info.Mode(), err)
		}
	}
}

// Other programs read and check an archive.
func TestOtherProgramsReadIt(t *testing.T) {
	dir, file := t.TempDir(), filepath.Join(t.TempDir(), "b.tar")
	if err := os.WriteFile(file, archive(t, sample), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"tar", "-xf", file, "-C", dir}, {"sh", "-c", "cd " + dir + " && sha256sum --strict -c SHA256SUMS"}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	want := whole(sample)
	got := list(t, dir)
	for _, name := range []string{"backup.json", "SHA256SUMS"} {
		if got[name] == "" {
			t.Errorf("there is no %s", name)
		}
		delete(got, name)
	}
	same(t, got, want)
}

func TestTreePassesOver(t *testing.T) {
	dir := tree(t, map[string]string{"keep": "1", "skip/x": "2", "with\\backslash": "3", "f/z": "4", "f/sub/y": "5", "backup.json": "old"})
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, t.TempDir(), backup.Info{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	if err := w.Tree(dir, ".", func(name string) bool { order = append(order, name); return name == "skip" || name == "backup.json" }); err != nil {
		t.Fatal(err)
	}
	if err := w.Tree(filepath.Join(dir, "nowhere"), "nowhere", nil); err != nil {
		t.Errorf("a folder that is gone: %v", err)
	}
	if err := w.File("SHA256SUMS", 1, strings.NewReader("x")); err == nil {
		t.Error("a file takes the name of the manifest")
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(sum.Notes); len(sum.Notes) != 2 || !strings.Contains(text, `"link" is left out: it is no file but a symbolic link`) || !strings.Contains(text, "backslash") {
		t.Errorf("%s", text)
	}
	to := t.TempDir()
	if _, err := backup.Restore(t.Context(), &out, to, nil); err != nil {
		t.Fatal(err)
	}
	same(t, list(t, to), map[string]string{"keep": "1", "f/": "", "f/z": "4", "f/sub/": "", "f/sub/y": "5"})
	if last := order[len(order)-2:]; last[0] != "f/sub" && last[1] != "f/sub/y" {
		t.Errorf("folders come before files: %v", order)
	}
}

// badSectors cannot be read in places.
type badSectors struct {
	*bytes.Reader
	bad map[int64]bool // numbers of sectors of 4 KiB
}

func (b badSectors) ReadAt(p []byte, at int64) (int, error) {
	for s := at / 4096; s*4096 < at+int64(len(p)); s++ {
		if b.bad[s] {
			n := max(0, s*4096-at)
			b.Reader.ReadAt(p[:n], at)
			return int(n), syscall.EIO
		}
	}
	return b.Reader.ReadAt(p, at)
}

func TestSalvage(t *testing.T) {
	text := bytes.Repeat([]byte("x"), 600_001)
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, t.TempDir(), backup.Info{})
	if err != nil {
		t.Fatal(err)
	}
	bad := badSectors{bytes.NewReader(text), map[int64]bool{0: true, 7: true, 8: true, 146: true}}
	if err := w.Salvage("metrics/block", int64(len(text)), bad); err != nil {
		t.Fatal(err)
	}
	if err := w.Salvage("short", 10, bytes.NewReader([]byte("x"))); err == nil || !strings.Contains(err.Error(), "got shorter") {
		t.Errorf("%v", err)
	}
	w.Abandon()

	out.Reset()
	if w, err = backup.NewWriter(&out, t.TempDir(), backup.Info{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Salvage("metrics/block", int64(len(text)), bad); err != nil {
		t.Fatal(err)
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	lost := 3*4096 + 600_001 - 146*4096
	if len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], fmt.Sprintf("metrics/block: %d bytes cannot be read and are zeros", lost)) {
		t.Errorf("%v", sum.Notes)
	}
	dir := t.TempDir()
	if _, err := backup.Restore(t.Context(), &out, dir, nil); err != nil {
		t.Fatal(err)
	}
	got := list(t, dir)["metrics/block"]
	if len(got) != len(text) || strings.Count(got, "\x00") != lost || got[:4096] != strings.Repeat("\x00", 4096) || got[4096] != 'x' {
		t.Errorf("%d bytes, %d zeros", len(got), strings.Count(got, "\x00"))
	}
}

// What Writer passes on does not grow with the archive.
func TestOnlyAPieceIsInMemory(t *testing.T) {
	w, err := backup.NewWriter(io.Discard, t.TempDir(), backup.Info{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abandon()
	n := 0
	allocated := testing.AllocsPerRun(20, func() {
		n++
		if err := w.File(fmt.Sprint("f", n), 8<<20, io.LimitReader(zeros{}, 8<<20)); err != nil {
			t.Fatal(err)
		}
	})
	if allocated > 60 {
		t.Errorf("%v allocations for a file", allocated)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
