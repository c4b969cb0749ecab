package role_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/infratest"
	"steer/infra/role"
)

func files(pairs ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

func load(t *testing.T, pairs ...string) *role.Library {
	t.Helper()
	l, err := role.Load(files(pairs...), infratest.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const web = `
description: A web server
parameters:
  port: {type: integer, default: 8080}
  sites: {type: list, default: []}
  password: {secret: true, default: ""}
  domain: {doc: name that visitors type}
include:
  - {role: base, with: {motd: "Welcome to {{ .domain }}"}}
  - {role: base, with: {motd: "Welcome to {{ .domain }}"}}
  - {role: extra, when: "{{ eq .host.os.id \"alpine\" }}"}
resources:
  - note: {path: /n/port, number: "{{ .port }}", text: "on {{ .host.name }} "}
    notify: ["bell:/n/bell"]
    tags: net
  - note: "/n/{{ .item.name }}"
    lines: "{{ .item.lines }}"
    each: "{{ .sites }}"
    before: ["bell:/n/bell"]
    heal: report
  - bell: /n/bell
    subscribe: ["note:/n/motd"]
  - note: {path: /n/secret, text: "pass={{ .password }}"}
  - note: {path: /n/file, source: files/text}
    when: "{{ gt .port 80 }}"
  - note: /n/never
    when: "{{ lt .port 80 }}"
`

func TestCompile(t *testing.T) {
	l := load(t, "roles/web.yaml", web, "roles/web/files/text", "from a file of {{ .password }}",
		"roles/base/role.yaml", "description: Every host\nparameters: {motd: {}}\nheal: ask\nresources:\n  - note: {path: /n/motd, text: '{{ .motd }}'}\n",
		"roles/extra.yaml", "description: Unused\nresources: [{note: /n/extra}]\n")
	m, err := l.Compile([]role.Use{{Role: "web", With: map[string]any{
		"port": "9000", "domain": "example.org", "password": "secret:db",
		"sites": []any{map[string]any{"name": "a", "lines": []any{"x", "y"}}, map[string]any{"name": "b", "lines": []any{}}}}}},
		role.Input{Facts: infra.Facts{Name: "host1"}, Secret: func(name string) (string, error) { return "hunter22" + name, nil }})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range m.Resources {
		line := d.Ref() + " " + string(d.Heal) + " " + d.Place
		if n, ok := d.Resource.(*infratest.Note); ok {
			line += " " + n.Text + strings.Join(n.Lines, "+") + strings.Repeat("#", n.Number/1000)
		}
		if d.Sensitive {
			line += " (secret)"
		}
		got = append(got, line+" "+strings.Join(d.After, ",")+">"+strings.Join(d.Notify, ","))
	}
	want := `note:/n/motd ask roles/base/role.yaml:5 Welcome to example.org >bell:/n/bell
note:/n/port heal roles/web.yaml:13 on host1 ######### >bell:/n/bell
note:/n/a report roles/web.yaml:16 x+y >
note:/n/b report roles/web.yaml:16  >
bell:/n/bell heal roles/web.yaml:21 note:/n/a,note:/n/b>
note:/n/secret heal roles/web.yaml:23 pass=hunter22db (secret) >
note:/n/file heal roles/web.yaml:24 from a file of {{ .password }} (secret) >`
	if have := strings.Join(got, "\n"); have != want {
		t.Errorf("got\n%s\nwant\n%s", have, want)
	}
}

// TestWrong: each mistake is told with its place and a way out.
func TestWrong(t *testing.T) {
	for _, c := range []struct{ name, role, want string }{
		{"no description", "resources: []", "roles/r.yaml:1:1: description: is missing (say"},
		{"unknown kind", "description: d\nresources:\n  - nota: /a", `roles/r.yaml:3:5: resources[0]: there is no kind of resource "nota" (did you mean "note"?)`},
		{"two kinds", "description: d\nresources:\n  - note: /a\n    bell: /b", "resources[0].bell: unknown key"},
		{"beside", "description: d\nresources:\n  - note: {path: /a}\n    text: b", "text stands beside note, whose keys are below it"},
		{"twice", "description: d\nresources:\n  - note: /a\n    path: /b", "path: stands twice"},
		{"only about", "description: d\nresources:\n  - when: 'true'", "there is no resource in it"},
		{"unknown key", "description: d\nresources:\n  - note: {path: /a, txt: b}", `roles/r.yaml:3:22: resources[0].note.txt: unknown key (did you mean "text"?)`},
		{"checked", "description: d\nresources:\n  - note: a", `roles/r.yaml:3:11: resources[0].path: "a" is not absolute`},
		{"heal", "description: d\nheal: maybe", `heal: "maybe" is not heal, report or ask`},
		{"unknown role", "description: d\ninclude: [{role: s}]", `there is no role "s"`},
		{"ring", "description: d\ninclude: [{role: r}]", "roles include each other: r → r"},
		{"parameter type", "description: d\nparameters: {p: {type: int}}", `"int" is none of string, integer`},
		{"parameter default", "description: d\nparameters: {p: {type: integer, default: x}}", `default: "x" is no integer`},
		{"parameter name", "description: d\nparameters: {host: {}}", "this name cannot be used"},
		{"not a list", "description: d\nresources: {note: /a}", "keys with values, expected a list"},
	} {
		_, err := role.Load(files("roles/r.yaml", c.role), infratest.Kinds())
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// TestWrongValues: mistakes that show when a host is known.
func TestWrongValues(t *testing.T) {
	for _, c := range []struct {
		name, role string
		with       map[string]any
		want       string
	}{
		{"missing", "parameters: {p: {doc: the port}}", nil, "role r: parameter p is missing (the port)"},
		{"unknown", "parameters: {port: {default: a}}", map[string]any{"prot": 1}, `role r has no parameter "prot" (did you mean "port"?)`},
		{"type", "parameters: {p: {type: boolean}}", map[string]any{"p": "maybe"}, `parameter p: "maybe" is no boolean`},
		{"value far off", "parameters: {p: {values: [fast, slow]}}", map[string]any{"p": "xyz"}, "\"xyz\" is none of fast, slow"},
		{"values", "parameters: {p: {values: [fast, slow]}}", map[string]any{"p": "fats"}, `"fats" is none of fast, slow (did you mean "fast"?)`},
		{"match", "parameters: {p: {match: '[a-z]+'}}", map[string]any{"p": "a1"}, `"a1" does not match [a-z]+`},
		{"key", "resources:\n  - note: {path: /a, text: '{{ .host.nmae }}'}", nil, `roles/r.yaml:3:28: resources[0].note: line 1: there is no key "nmae" in .host.nmae (did you mean "name"?)`},
		{"number", "parameters: {p: {}}\nresources:\n  - note: {path: /a, number: '{{ .p }}'}", map[string]any{"p": "x"}, `resources[0].note.number: "x" is not a whole number`},
		{"each", "resources:\n  - note: /a\n    each: '{{ .host.name }}'", nil, `resources[0].each: "h", expected a list`},
		{"condition", "resources:\n  - note: /a\n    when: '{{ .host.name }}'", nil, `resources[0].when: the condition makes "h", neither true nor false`},
		{"reference", "resources:\n  - note: /a\n    after: [/b]", nil, `"/b" names no resource (write KIND:ID`},
		{"before", "resources:\n  - note: /a\n    before: ['note:/b']", nil, "roles/r.yaml:3: before of note:/a names note:/b, which no role of this host declares"},
		{"file", "resources:\n  - note: {path: /a, source: ../../x}", nil, `"../../x" is no file of the role`},
		{"no file", "resources:\n  - note: {path: /a, source: x}", nil, "there is no file roles/r/x"},
		{"secret in a name", "parameters: {p: {secret: true}}\nresources:\n  - note: '/{{ .p }}'", map[string]any{"p": "hunter22"}, "resources[0]: the resource would be called after a secret"},
		{"secret in a check", "parameters: {p: {secret: true}}\nchecks: [{name: c, query: 'a.{{ .p }}'}]", map[string]any{"p": "hunter22"}, "this one would hold a secret"},
		{"secret", "parameters: {p: {}}", map[string]any{"p": "secret:x"}, "role r: parameter p: no such secret"},
	} {
		l, err := role.Load(files("roles/r.yaml", "description: d\n"+c.role), infratest.Kinds())
		if err == nil {
			_, err = l.Compile([]role.Use{{Role: "r", With: c.with}}, role.Input{Facts: infra.Facts{Name: "h"}, Secret: func(string) (string, error) { return "", errors.New("no such secret") }})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "none of fast, slow (known") {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}
