package file_test

import (
	"strings"
	"testing"

	"steer/infra"
	"steer/infra/resource/file"
	"steer/infra/resource/file/internal/filetest"
)

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
		_, err := filetest.Decode(file.Kinds(), c.kind, c.text)
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
