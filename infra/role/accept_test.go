package role_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"steer/infra/infratest"
	"steer/infra/role"
)

func TestAccept(t *testing.T) {
	const text = `# Hosts of the shop.
description: d
parameters: {port: {default: 80, type: integer}}
resources:
  - note: /a
    text: one # of the shop

  # The second one.
  - note: {path: /b, text: "two"}
    tags: [x]
  - note:
      path: /c
      text: |
        many
        lines
    notify: [note:/a]
  - note: {path: /d, source: d.txt}
  - {note: {path: /e, text: "{{ .port }}"}}
  - note: "/{{ .item }}"
    each: [f, g]
tests: []
`
	for _, c := range []struct{ place, fields, found, want string }{
		{"roles/r.yaml:5", "text", "path: /a\ntext: new\n", "  - note: /a\n    text: new # of the shop\n\n  # The second one.\n  - note: {path: /b"},
		{"roles/r.yaml:9", "text", "path: /b\ntext: \"new\\nlines\"\n", "  # The second one.\n  - note: {path: /b, text: \"new\\nlines\"}\n    tags: [x]\n  - note:\n      path: /c\n"},
		{"roles/r.yaml:11", "text", "path: /c\ntext: |\n  other\n  words\n", "  - note:\n      path: /c\n      text: |\n        other\n        words\n    notify: ['note:/a']\n  - note: {path: /d"},
		{"roles/r.yaml:11", "text", "path: /c\n", "  - note:\n      path: /c\n    notify"},
		{"roles/r.yaml:5", "text", "path: /a\nstate: absent\n", "  - note: /a\n    text: one # of the shop\n    state: absent\n\n  # The second"},
		{"roles/r.yaml:17", "content", "path: /d\ncontent: new\n", "FILE new"},
		{"roles/r.yaml:18", "text", "path: /e\ntext: '81'\n", "ERROR roles/r.yaml:18: a template makes its text: change it by hand; on the host it is\npath: /e"},
		{"roles/r.yaml:19", "text", "path: /f\ntext: x\n", "ERROR a loop declares it"},
		{"roles/r.yaml:6", "text", "path: /f\ntext: x\n", "ERROR roles/r.yaml:6 declares no resource any more"},
		{"roles/s.yaml:6", "text", "path: /f\ntext: x\n", "ERROR no place in a role"},
	} {
		l, err := role.Load(fstest.MapFS{"roles/r.yaml": {Data: []byte(text)}, "roles/r/d.txt": {Data: []byte("old")}}, infratest.Kinds())
		if err != nil {
			t.Fatal(err)
		}
		files, err := l.Accept(c.place, "note", strings.Fields(c.fields), []byte(c.found))
		got := string(files["roles/r.yaml"])
		switch {
		case err != nil:
			got = "ERROR " + err.Error()
		case files["roles/r/d.txt"] != nil:
			got = "FILE " + string(files["roles/r/d.txt"])
		default:
			// All else is as it was.
			if !strings.HasPrefix(got, "# Hosts of the shop.\ndescription: d\nparameters: {port: {default: 80, type: integer}}\nresources:\n  - note: /a\n") || !strings.HasSuffix(got, "    each: [f, g]\ntests: []\n") {
				t.Errorf("%s: more is changed:\n%s", c.place, got)
			}
		}
		if want, isError := strings.CutPrefix(c.want, "ERROR "); isError && (err == nil || !strings.Contains(err.Error(), want)) || !isError && !strings.Contains(got, c.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.place, got, c.want)
		}
	}
}
