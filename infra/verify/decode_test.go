package verify

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"steer/base/config"
	"steer/base/fault"
)

func load(t testing.TB, text string) []Test {
	t.Helper()
	tests, err := Load("roles/web.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

func TestDecode(t *testing.T) {
	tests := load(t, `
tests:
  - file: {path: /etc/motd, mode: "0644", size: {above: 1, below: 100}, contains: [a, "!/b/", {is: "!c"}]}
  - service: nginx
    name: the server runs
    retry: 10s
    severity: page
  - {port: 80, skip: the balancer moves}
  - http:
      url: http://localhost/
      headers: {Server: /^nginx/, Age: {any: [0, 1]}}
  - user: {name: web, groups: {only: [web, adm]}, exists: false}
`)
	var got strings.Builder
	for _, test := range tests {
		fmt.Fprintf(&got, "%s|%s|%s|%s|%s|%s\n", test.Place, test.Name, test.Kind, test.Skip, test.Retry, test.Severity)
		for _, p := range properties(test.Subject) {
			fmt.Fprintf(&got, "  %s: %s\n", p.name, p.want)
		}
	}
	want := `roles/web.yaml:3|file /etc/motd|file||0s|ticket
  exists: true
  mode: 0644
  size: above 1 and below 100
  contains: a and not /b/ and !c
roles/web.yaml:4|the server runs|service||10s|page
  running: true
roles/web.yaml:8|port 80/tcp|port|the balancer moves|0s|ticket
  listening: true
roles/web.yaml:9|http http://localhost/|http||0s|ticket
  status: 200
  headers.Age: 0 or 1
  headers.Server: /^nginx/
roles/web.yaml:12|user web|user||0s|ticket
  exists: false
  groups: only [web, adm]
`
	if got.String() != want {
		t.Errorf("got:\n%s", got.String())
	}
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range []struct{ item, want string }{
		{"{fiel: /etc/motd}", "roles/web.yaml:1:10: tests[0]: names nothing to test"},
		{"{file: /etc/motd, package: nginx}", "is a test of file and one of package"},
		{"{file: /etc/motd, retri: 3s}", `tests[0].retri: unknown key (did you mean "retry"?)`},
		{"{file: /etc/motd, retry: 2h}", "tests[0].retry: has to be between 0s and 1h"},
		{"{file: /etc/motd, severity: pgae}", `did you mean "page"?`},
		{"{file: /etc/motd, rollback: perhaps}", "rollback"},
		{"{file: motd}", `roles/web.yaml:1:17: tests[0].file: "motd" is no absolute path`},
		{"{file: {path: /a, mdoe: 1}}", `tests[0].file.mdoe: unknown key (did you mean "mode"?)`},
		{"{file: {path: /a, exists: maybe}}", `"maybe" is not true or false`},
		{"{file: {path: /a, mode: rw}}", `tests[0].file.mode: "rw" is no mode`},
		{"{file: {path: /a, type: '!dir'}}", `tests[0].file.type: "dir" is none`},
		{"{file: {path: /a, mode: {above: 3}}}", "this is no number that could be above"},
		{"{file: {path: /a, size: big}}", `tests[0].file.size: "big" is no number`},
		{"{file: {path: /a, size: {above: big}}}", `"big" is no number`},
		{"{file: {path: /a, size: {over: 1}}}", `"over" is no condition`},
		{"{file: {path: /a, contains: []}}", "expects nothing"},
		{"{file: {path: /a, contains: [~]}}", "without a value"},
		{"{file: {path: /a, contains: [/(/]}}", "missing closing )"},
		{"{file: {path: /a, contains: {any: []}}}", "nothing is one of none"},
		{"{file: {path: /a, contains: {any: x}}}", "any takes a list"},
		{"{file: {path: /a, contains: {is: [x]}}}", "is takes one text"},
		{"{file: {path: /a, contains: &x {not: *x}}}", "nested more than"},
		{"{file: {path: /a, contains: {any: [" + strings.Repeat("x, ", 1100) + "]}}}", "more than 1000 conditions"},
		{"{port: 0}", "is missing, or 0"},
		{"{port: {port: 1, protocol: tpc}}", `did you mean "tcp"?`},
		{"{service: --all}", `"--all" is no name`},
		{"{service: 'a*'}", "is no name"},
		{"{http: localhost}", "starts with http://"},
		{"{http: {url: 'http://a/', within: 2h}}", "at most 1m"},
		{"{command: ' '}", "command: is missing"},
		{"{address: localhost}", "HOST:PORT"},
		{"{sysctl: ../../etc/passwd}", "no name of a parameter"},
		{"{matching: x}", "is: is missing"},
		{"{mount: proc}", "no absolute path"},
	} {
		_, err := Load("roles/web.yaml", []byte("tests: [ "+c.item+" ]"))
		if err == nil || !strings.Contains(err.Error(), c.want) || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v, want %s", c.item, err, c.want)
		}
	}
	// Every mistake is told.
	_, err := Load("x.yaml", []byte("tests:\n  - {file: a, retry: -1s}\n  - {}\n"))
	if n := len(config.Problems(err)); n != 3 {
		t.Errorf("%d problems: %v", n, err)
	}
}

// The kinds document themselves: with an example that is a test, and a text for
// each key.
func TestKinds(t *testing.T) {
	for _, k := range Kinds() {
		tests := load(t, "tests:\n  - "+k.Example)
		if tests[0].Kind != k.Name {
			t.Errorf("%s: example of %s", k.Name, tests[0].Kind)
		}
		if k.Doc == "" {
			t.Errorf("%s is not explained", k.Name)
		}
		doc := string(config.Default(k.New()))
		keys := map[string]bool{}
		explained := false
		for line := range strings.Lines(doc) {
			comment, key := strings.HasPrefix(line, "# ") && !strings.HasSuffix(line, ":\n"), strings.TrimPrefix(line, "# ")
			if key, _, ok := strings.Cut(key, ":"); ok && !comment {
				keys[key] = true
				if !explained {
					t.Errorf("%s: key %s is not explained", k.Name, key)
				}
			}
			explained = comment
		}
		for _, key := range append([]string{k.Key}, k.Stable...) {
			if !keys[key] {
				t.Errorf("%s has no key %q:\n%s", k.Name, key, doc)
			}
		}
	}
	if doc := string(Common()); !strings.Contains(doc, "severity: ticket") {
		t.Error(doc)
	}
}

func FuzzDecode(f *testing.F) {
	for _, k := range Kinds() {
		f.Add("tests:\n  - " + k.Example)
	}
	f.Add("tests: [{file: {path: /a, contains: &x [a, {not: *x}]}}]")
	f.Add("tests: [{file: {<<: {path: /a}, size: {<<: {above: 1}}}}]")
	f.Fuzz(func(t *testing.T, text string) {
		tests, err := Load("fuzz.yaml", []byte(text))
		if err != nil {
			if fault.Of(err) != fault.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		for _, test := range tests {
			if test.Name == "" || test.Place == "" || len(properties(test.Subject)) == 0 {
				t.Errorf("%+v", test)
			}
			for _, p := range properties(test.Subject) {
				for _, found := range []any{"a", 1, 2.5, true, []string{"a", "1"}, Content{Text: "a\nb"}, Mode(0o644), Nothing("x"), os.ErrNotExist, nil} {
					if got := judge(p, Found{p.name: found}); got.Status == "" || found == nil && got.Status != Failed {
						t.Errorf("%v: %+v", found, got)
					}
				}
			}
		}
	})
}
