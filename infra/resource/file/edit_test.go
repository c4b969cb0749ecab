package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"steer/infra"
)

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
			write(t, path, c.before)
		}
		text := "path: DIR/f\n" + strings.ReplaceAll(strings.Trim(c.text, "{}"), ", ", "\n")
		r := resource(t, "line", dir, text)
		wantDiff(t, settle(t, h, r), c.diff)
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			b = []byte("-")
		}
		if string(b) != c.want {
			t.Errorf("%s of %q: %q, want %q", c.text, c.before, b, c.want)
		}
	}
	write(t, path, "#Port 22\nPort 80\n")
	wantError(t, h, resource(t, "line", dir, "{path: DIR/f, text: Port 22, match: ^#?Port}"), "match finds 2 lines (1, 2)")
	wantError(t, h, resource(t, "line", dir, "{path: DIR/f, text: x, validate: 'grep y %s'}"), "validate the new "+path)
	wantFile(t, path, "#Port 22\nPort 80\n", 0o644)
	wantError(t, h, resource(t, "line", dir, "{path: DIR/crontab, text: x}"), "there is no such file (create: true makes it")
	wantError(t, h, resource(t, "line", dir, "{path: DIR/no/f, text: x, create: true}"), "there is no folder")
	wantError(t, h, resource(t, "line", dir, "{path: DIR, text: x}"), "is a directory, and lines are changed in files only")

	os.Chmod(path, 0o600)
	d := settle(t, h, resource(t, "line", dir, "{path: DIR/f, text: Port 80, match: ^#Port}").(infra.Removable).Absent())
	wantDiff(t, d, "delete content")
	if d.Fields[0].Text != "@@ -1,2 +1,1 @@\n #Port 22\n-Port 80\n" {
		t.Errorf("%q", d.Fields[0].Text)
	}
	wantFile(t, path, "#Port 22\n", 0o600)
	wantOnly(t, dir, "f")
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
		write(t, path, old)
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(all)-1), 1, 4).Draw(rt, "resources") {
			settle(t, h, all[i]) // which wants that nothing differs afterwards
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
			write(t, path, c.before)
		}
		wantDiff(t, settle(t, h, resource(t, "block", dir, "path: DIR/f\nname: b\n"+c.text)), c.diff)
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			b = []byte("-")
		}
		if string(b) != c.want {
			t.Errorf("%s of %q: %q, want %q", c.text, c.before, b, c.want)
		}
	}
	for text, line := range map[string]string{"a\n# BEGIN steer b\nz\n": ":2:", "# END steer b\n": ":1:", marked + marked: ":5:", "# BEGIN steer b\n" + marked: ":2:"} {
		write(t, path, text)
		wantError(t, h, resource(t, "block", dir, "{path: DIR/f, name: b, content: x}"), line+" there is not one BEGIN and after it one END of the block b")
		wantError(t, h, resource(t, "block", dir, "{path: DIR/f, name: b, state: absent}"), "put the lines that mark it right")
	}
	// Two blocks, and one that is no longer declared.
	write(t, path, "")
	one, two := resource(t, "block", dir, "{path: DIR/f, name: one, content: '1'}"), resource(t, "block", dir, "{path: DIR/f, name: two, content: '2'}")
	settle(t, h, one)
	settle(t, h, two)
	settle(t, h, one.(infra.Removable).Absent())
	wantFile(t, path, "# BEGIN steer two\n2\n# END steer two\n", 0o644)
}

// Those who change one file at the same time lose nothing.
func TestLinesAtTheSameTime(t *testing.T) {
	h, dir := infra.NewHost(t.Context()), t.TempDir()
	write(t, filepath.Join(dir, "f"), "")
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
		wantDiff(t, settle(t, h, r), "create content")
		wantFile(t, filepath.Join(dir, "f"), want, 0o644)
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
	wantDiff(t, settle(t, h, resource(t, "template", dir, "{path: DIR/f, content: x}").(infra.Removable).Absent()), "delete state")
}

func TestDeclarations(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"file", "path: etc/motd", `path: "etc/motd" is no absolute path (let it start with /)`},
		{"file", "mode: '0644'", "path: is missing"},
		{"file", "path: /a/../b", "has .. in it"},
		{"file", "path: /", "/ is no resource"},
		{"file", "{path: /a, mode: u+x}", `mode: "u+x" are no permissions (rights as letters depend on what was there before: write four octal digits`},
		{"file", "{path: /a, mode: '0888'}", `"0888" are no permissions (write four octal digits, like 0644)`},
		{"file", "{path: /a, mode: 17777}", "no permissions"},
		{"file", "{path: /a, state: directory}", `state: "directory" is no state (write present or absent)`},
		{"file", "{path: /a, content: x, source: y}", "source: stands beside content"},
		{"file", "{path: /a, content: x, state: absent}", "state: is absent, and there is a content"},
		{"file", "{path: /a, content: '%', encoding: base64}", "content: is not in base64"},
		{"file", "{path: /a, content: x, encoding: utf-8}", `encoding: "utf-8" is unknown`},
		{"file", "{path: /a, validate: visudo -c}", "validate: \"visudo -c\" does not say where the name of the new file goes"},
		{"file", "{path: /a, contnet: x}", `contnet: unknown key (did you mean "content"?)`},
		{"template", "path: /a", "source: is missing"},
		{"directory", "{path: /a, recurse: true}", "recurse: there is nothing to give"},
		{"directory", "{path: /a, file_mode: '0644'}", "file_mode: is only for"},
		{"directory", "{path: /a, keep: true}", "keep: is for state absent"},
		{"symlink", "path: /a", "target: is missing"},
		{"symlink", "{path: /a/b, target: ../a/b}", "target: the link leads to itself"},
		{"line", "path: /a", "text: is missing"},
		{"line", "{path: /a, state: absent}", "text: is missing"},
		{"line", `{path: /a, text: "x\ny"}`, "text: is more than one line (use block)"},
		{"line", "{path: /a, text: x, match: '('}", "match: \"(\" is no regular expression"},
		{"line", "{path: /a, text: x, insert_after: a, insert_before: b}", "insert_before: stands beside insert_after"},
		{"line", "{path: /a, text: x, all: true}", "all: is for lines that match finds"},
		{"block", "path: /a", "content: is missing"},
		{"block", "{path: /a, content: x, comment: ' '}", "starts no comment"},
		{"block", "{path: /a, name: n, content: '# END steer n'}", "content: has a line that marks a block"},
	} {
		_, err := decode(c.kind, c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %q", c.kind, c.text, err, c.want)
		}
	}
	for text, want := range map[string]string{"0644": "0644", "'644'": "0644", "0o755": "0755", "'4755'": "4755", "'000'": "0000"} {
		r := resource(t, "directory", "", "{path: /a//b/, mode: "+text+"}")
		if got := r.(interface{ ID() string }).ID(); got != "/a/b" {
			t.Error(got)
		}
		d, err := r.Diff(t.Context(), infra.NewHost(t.Context()))
		if err != nil || len(d.Fields) != 1 || d.Fields[0].New != want {
			t.Errorf("%s: %+v %v", text, d, err)
		}
	}
}
