package edit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/infra"
	"steer/infra/resource/file/internal/edit"
	"steer/infra/resource/file/internal/filetest"
)

func resource(t *testing.T, kind, dir, text string) infra.Resource {
	t.Helper()
	return filetest.Resource(t, infra.Kinds{edit.LineKind(), edit.BlockKind()}, kind, dir, text)
}

func TestLine(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "f")
	for _, c := range []struct{ text, before, want, diff string }{
		{"text: x", "a\nb\n", "a\nb\nx\n", "create content"},
		{"text: x", "a\nx\nb\n", "a\nx\nb\n", ""},
		{"text: x", "a\nb", "a\nb\nx\n", "create content"}, // no final newline
		{"text: x", "a\nx", "a\nx", ""},
		{"text: x", "", "x\n", "create content"},
		{"text: x", "a\r\nb\r\n", "a\r\nb\r\nx\r\n", "create content"},
		{"text: x", "a\r\nb", "a\r\nb\r\nx\r\n", "create content"},
		{"text: x", "a\r\nx\r\n", "a\r\nx\r\n", ""},
		{"text: ' x'", "x\n", "x\n x\n", "create content"}, // spaces count
		{"text: 0600", "", "0600\n", "create content"},
		{"{text: Port 22, match: '^#?Port '}", "a\n#Port 80\nb\n", "a\nPort 22\nb\n", "update content"},
		{"{text: Port 22, match: '^#?Port '}", "a\nPort 80", "a\nPort 22", "update content"},
		{"{text: Port 22, match: '^#?Port '}", "a\r\nPort 80\r\n", "a\r\nPort 22\r\n", "update content"},
		{"{text: Port 22, match: '^Port '}", "Port 22\nPort 22\n", "Port 22\nPort 22\n", ""},
		{"{text: Port 22, match: '^Port '}", "a\n", "a\nPort 22\n", "create content"},
		{"{text: Port 22, match: '^#Port'}", "a\nPort 22\n", "a\nPort 22\n", ""}, // match is done with
		{"{text: Port 22, match: '^#?Port ', all: true}", "#Port 22\na\nPort 80\nPort 22\n", "Port 22\na\n", "update content"},
		{"{text: x, match: ^x, insert_after: ^a}", "a\nx1\nb\n", "a\nx\nb\n", "update content"}, // stays where it is
		{"{text: x, insert_after: ^a}", "a\nb\na\nc\n", "a\nb\na\nx\nc\n", "create content"},
		{"{text: x, insert_after: ^c}", "a\nc", "a\nc\nx\n", "create content"},
		{"{text: x, insert_before: ^a}", "b\na\na\n", "b\nx\na\na\n", "create content"},
		{"{text: x, insert_before: ^}", "a\nb", "x\na\nb", "create content"},
		{"{text: x, insert_before: ^none}", "a\n", "a\nx\n", "create content"},
		{"{text: x, insert_before: ^}", "", "x\n", "create content"},
		{"{text: x, state: absent}", "x\na\nx", "a\n", "delete content"},
		{"{text: x, state: absent}", "xx\n", "xx\n", ""},
		{"{match: ^x, state: absent}", "xx\r\na\r\n", "a\r\n", "delete content"},
		{"{text: x, state: absent}", "-", "-", ""},
		{"{text: x, create: true}", "-", "x\n", "create content"},
	} {
		os.Remove(path)
		if c.before != "-" {
			filetest.Write(t, path, c.before)
		}
		text := "path: DIR/f\n" + strings.ReplaceAll(strings.Trim(c.text, "{}"), ", ", "\n")
		r := resource(t, "line", dir, text)
		filetest.WantDiff(t, filetest.Settle(t, h, r), c.diff)
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			b = []byte("-")
		}
		if string(b) != c.want {
			t.Errorf("%s of %q: %q, want %q", c.text, c.before, b, c.want)
		}
	}
	filetest.Write(t, path, "#Port 22\nPort 80\n")
	filetest.WantError(t, h, resource(t, "line", dir, "{path: DIR/f, text: Port 22, match: ^#?Port}"), "match finds 2 lines (1, 2)")
	filetest.WantError(t, h, resource(t, "line", dir, "{path: DIR/f, text: x, validate: 'grep y %s'}"), "validate the new "+path)
	filetest.WantFile(t, path, "#Port 22\nPort 80\n", 0o644)
	filetest.WantError(t, h, resource(t, "line", dir, "{path: DIR/crontab, text: x}"), "there is no such file (create: true makes it")
	filetest.WantError(t, h, resource(t, "line", dir, "{path: DIR/no/f, text: x, create: true}"), "there is no folder")
	filetest.WantError(t, h, resource(t, "line", dir, "{path: DIR, text: x}"), "is a directory, and lines are changed in files only")

	os.Chmod(path, 0o600)
	d := filetest.Settle(t, h, resource(t, "line", dir, "{path: DIR/f, text: Port 80, match: ^#Port}").(infra.Removable).Absent())
	filetest.WantDiff(t, d, "delete content")
	if d.Fields[0].Text != "@@ -1,2 +1,1 @@\n #Port 22\n-Port 80\n" {
		t.Errorf("%q", d.Fields[0].Text)
	}
	filetest.WantFile(t, path, "#Port 22\n", 0o600)
	filetest.WantOnly(t, dir, "f")
}

func TestLineIsIdempotent(t *testing.T) {
	dir, h := t.TempDir(), infra.NewHost(t.Context())
	path := filepath.Join(dir, "f")
	kinds := []string{"text: x", "text: x\nmatch: ^[xy]\nall: true", "text: x\nmatch: ^a\nall: true\ninsert_after: b", "text: x\ninsert_before: y", "text: x\nstate: absent"}
	var all []infra.Resource
	for _, k := range kinds {
		all = append(all, resource(t, "line", dir, "path: DIR/f\n"+k))
	}
	for _, k := range []string{"content: ''", "content: 'x'\ninsert_before: x", "state: absent"} {
		all = append(all, resource(t, "block", dir, "path: DIR/f\n"+k))
	}
	rapid.Check(t, func(rt *rapid.T) {
		old := rapid.StringMatching(`([xyab]{0,2}(\r?\n)){0,5}[xy]?`).Draw(rt, "old")
		filetest.Write(t, path, old)
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 1, 4).Draw(rt, "resources") {
			filetest.Settle(t, h, all[i]) // which wants that nothing differs afterwards
		}
	})
}

func TestBlock(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	path := filepath.Join(dir, "f")
	const marked = "# BEGIN steer b\nx\ny\n# END steer b\n"
	for _, c := range []struct{ text, before, want, diff string }{
		{`content: "x\ny"`, "a\n", "a\n" + marked, "create content"},
		{`content: "x\ny\n"`, "a", "a\n" + marked, "create content"},
		{`content: "x\ny\n"`, "a\n" + marked, "a\n" + marked, ""},
		{`content: "x\ny\n"`, "a\n# BEGIN steer b\nz\n# END steer b\nc", "a\n" + marked + "c", "update content"},
		{`content: "x\ny\n"`, "# BEGIN steer b\nz\n# END steer b", strings.TrimSuffix(marked, "\n"), "update content"},
		{`content: "x\ny\n"`, "a\r\n", "a\r\n" + strings.ReplaceAll(marked, "\n", "\r\n"), "create content"},
		{`content: "x\ny\n"`, "a\r\n" + strings.ReplaceAll(marked, "\n", "\r\n"), "a\r\n" + strings.ReplaceAll(marked, "\n", "\r\n"), ""},
		{`content: ""`, "a\n" + marked, "a\n# BEGIN steer b\n# END steer b\n", "update content"},
		{"content: x\ninsert_before: ^", "a\n", "# BEGIN steer b\nx\n# END steer b\na\n", "create content"},
		{"content: x\ninsert_after: a", "a\nb\n", "a\n# BEGIN steer b\nx\n# END steer b\nb\n", "create content"},
		{"content: x\ncomment: <!--\ncomment_end: -->", "<a>\n", "<a>\n<!-- BEGIN steer b -->\nx\n<!-- END steer b -->\n", "create content"},
		{"state: absent", "a\n" + marked + "c\n", "a\nc\n", "delete content"},
		{"state: absent", "a\n", "a\n", ""},
		{"state: absent", "-", "-", ""},
		{"content: x\ncreate: true", "-", "# BEGIN steer b\nx\n# END steer b\n", "create content"},
	} {
		os.Remove(path)
		if c.before != "-" {
			filetest.Write(t, path, c.before)
		}
		filetest.WantDiff(t, filetest.Settle(t, h, resource(t, "block", dir, "path: DIR/f\nname: b\n"+c.text)), c.diff)
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			b = []byte("-")
		}
		if string(b) != c.want {
			t.Errorf("%s of %q: %q, want %q", c.text, c.before, b, c.want)
		}
	}
	for text, line := range map[string]string{"a\n# BEGIN steer b\nz\n": ":2:", "# END steer b\n": ":1:", marked + marked: ":5:", "# BEGIN steer b\n" + marked: ":2:"} {
		filetest.Write(t, path, text)
		filetest.WantError(t, h, resource(t, "block", dir, "{path: DIR/f, name: b, content: x}"), line+" there is not one BEGIN and after it one END of the block b")
		filetest.WantError(t, h, resource(t, "block", dir, "{path: DIR/f, name: b, state: absent}"), "put the lines that mark it right")
	}
	// Two blocks, and one that is no longer declared.
	filetest.Write(t, path, "")
	one, two := resource(t, "block", dir, "{path: DIR/f, name: one, content: '1'}"), resource(t, "block", dir, "{path: DIR/f, name: two, content: '2'}")
	filetest.Settle(t, h, one)
	filetest.Settle(t, h, two)
	filetest.Settle(t, h, one.(infra.Removable).Absent())
	filetest.WantFile(t, path, "# BEGIN steer two\n2\n# END steer two\n", 0o644)
}

// Those who change one file at the same time lose nothing.
func TestLinesAtTheSameTime(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	filetest.Write(t, filepath.Join(dir, "f"), "")
	done := make(chan error)
	for _, line := range strings.Split("abcdefgh", "") {
		r := resource(t, "line", dir, "{path: DIR/f, text: "+line+"}")
		go func() {
			d, err := r.Diff(t.Context(), h)
			if err == nil {
				err = r.Apply(t.Context(), h, d)
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "f")); err != nil || len(b) != 16 {
		t.Errorf("%q %v", b, err)
	}
}
