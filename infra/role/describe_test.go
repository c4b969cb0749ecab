package role_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"steer/infra/infratest"
	"steer/infra/role"
)

// TestDescribe: who reads no definitions learns from the page of a role what may be
// chosen, what is on its hosts and when, what has to hold, and what is watched.
func TestDescribe(t *testing.T) {
	const text = `description: Serves the shop.
owner: web
parameters:
  port: {type: integer, default: 80, doc: Port.}
  sites: {type: list, default: [shop, blog], doc: Names a|b}
  stage: {values: [test, production]}
  password: {secret: true, default: hush}
resources:
  - note: /a
    text: one
    notify: ["bell:/b"]
  - note: {path: "/{{ .item }}", state: absent}
    each: "{{ .sites }}"
    when: '{{ eq .stage "test" }}'
  - note: {path: /s, text: hush}
    sensitive: true
  - tags: [x]
    bell: /b
tests:
  - port: 80
  - file: {path: /a, mode: "0644", contains: [one, two]}
    name: It is there
    severity: page
checks:
  - {name: load, query: load.15m, above: 8}
`
	l, err := role.Load(fstest.MapFS{"roles/r.yaml": {Data: []byte(text)}}, infratest.Kinds())
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Role("r")
	if err != nil {
		t.Fatal(err)
	}
	const want = "## r\n\nServes the shop.\n\nHosts: a, b.\n\nOwner: web.\n\n" +
		"| parameter | type | default | what for |\n|---|---|---|---|\n" +
		"| `password` | string | (secret) |  |\n" +
		"| `port` | integer | `80` | Port. |\n" +
		"| `sites` | list | `[shop, blog]` | Names a\\|b |\n" +
		"| `stage` | string | (needed) | (one of test, production) |\n" +
		"\nOn each host, in this order:\n\n" +
		"- note `/a`, text `one` (tells `[bell:/b]`)\n" +
		"- note `/{{ .item }}`, state `absent` (once for each of `{{ .sites }}`; if `{{ eq .stage \"test\" }}`)\n" +
		"- note `/s`\n- bell `/b`\n" +
		"\nWhat has to hold there:\n\n" +
		"- port `80`\n- It is there: file `/a`: mode `0644`, contains `[one, two]`\n" +
		"\nWhat is watched:\n\n- load: `load.15m`\n\n"
	if got := r.Describe("Hosts: a, b."); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.Contains(want, "hush") {
		t.Error("a secret is shown")
	}
}
