package account

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/infra"
)

func decoded[R infra.Resource](t *testing.T, r R, text string) R {
	t.Helper()
	if err := config.Decode("test.yaml", []byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// converge applies a resource that must differ in the fields named, and nothing
// else, and must not differ afterwards.
func converge(t *testing.T, h *infra.Host, r infra.Resource, action infra.Action, fields ...string) infra.Diff {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range d.Fields {
		names = append(names, f.Name)
	}
	if d.Action != action || strings.Join(names, " ") != strings.Join(fields, " ") {
		t.Fatalf("differs by %q %q, want %q %q", d.Action, names, action, fields)
	}
	if action == infra.None {
		return d
	}
	if err := r.Apply(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	same(t, h, r)
	same(t, infra.NewHost(t.Context()), r) // what is remembered is what is there
	return d
}

func same(t *testing.T, h *infra.Host, r infra.Resource) {
	t.Helper()
	if d, err := r.Diff(t.Context(), h); err != nil || !d.Empty() {
		t.Fatalf("still differs: %+v %v", d, err)
	}
}

// gone takes a resource away as a later run would, from what the host remembers.
func gone(t *testing.T, h *infra.Host, r infra.Removable) {
	t.Helper()
	b, err := yaml.Marshal(r.Absent())
	if err != nil {
		t.Fatal(err)
	}
	kept := r.Absent()
	if err := config.Decode("state", b, kept); err != nil {
		t.Fatalf("%v in\n%s", err, b)
	}
	d, err := kept.Diff(t.Context(), h)
	if err != nil || d.Action != infra.Delete {
		t.Fatalf("%+v %v", d, err)
	}
	if err := kept.Apply(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	same(t, h, kept)
}

func fails(t *testing.T, h *infra.Host, r infra.Resource, want string) {
	t.Helper()
	d, err := r.Diff(t.Context(), h)
	if err == nil {
		if d.Empty() {
			t.Fatalf("no difference, want one that cannot be applied: %s", want)
		}
		err = r.Apply(t.Context(), h, d)
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func sh(t *testing.T, script string) string {
	t.Helper()
	h := infra.NewHost(t.Context())
	out, err := h.Run(t.Context(), "sh", "-ec", script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

func lineOf(t *testing.T, file, name string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, name+":") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func TestExamples(t *testing.T) {
	for _, k := range Kinds() {
		r := k.New()
		short := strings.Replace(k.Example, k.Name+":", k.Key+":", 1)
		if err := config.Decode(k.Name, []byte(short), r); err != nil {
			t.Error(err)
		}
		if r.ID() == "" || k.Doc == "" {
			t.Errorf("%s: %q", k.Name, r.ID())
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ kind, text, want string }{
		{"user", "name: '1000'", "name: \"1000\" cannot be a name"},
		{"user", "name: -rf", "cannot be a name"},
		{"user", "name: " + strings.Repeat("a", 33), "cannot be a name"},
		{"user", "{}", "name: \"\" cannot be a name"},
		{"user", "{name: a, uid: -1}", "uid: -1 is not from 0"},
		{"user", "{name: a, uid: 4294967295}", "uid: 4294967295 is not from 0"},
		{"user", "{name: a, comment: 'x:y'}", "comment: a colon"},
		{"user", "{name: a, home: home/a}", "home: \"home/a\" is no absolute path"},
		{"user", "{name: a, shell: /bin/../sh}", "shell: "},
		{"user", "{name: a, password: secret}", "password: this is not the hash"},
		{"user", "{name: a, expires: 31.12.2026}", "expires: \"31.12.2026\" is no day"},
		{"user", "{name: root, state: absent}", "root cannot be removed"},
		{"user", "{name: a, state: gone}", "state: \"gone\" is not known"},
		{"user", "{name: a, remove_home: true}", "remove_home: goes with"},
		{"user", "{name: a, groups: [b, 12]}", "groups[1]: \"12\" cannot be a name"},
		{"group", "{name: a, members: [b c]}", "members[0]: \"b c\" cannot be a name"},
		{"group", "{name: a, gid: x}", "not a whole number"},
		{"authorized_key", "{user: a}", "key: is missing"},
		{"authorized_key", "{user: a, key: ssh-ed25519 AAAA}", "cut off or damaged"},
		{"authorized_key", "{user: a, key: '-----BEGIN OPENSSH PRIVATE KEY-----'}", "this is a private key"},
		{"authorized_key", "{user: a, key: " + strings.Replace(anna, "ssh-ed25519", "ssh-rsa", 1) + "}", "is no ssh-rsa inside"},
		{"authorized_key", "{user: a, key: " + anna + ", options: ['no pty']}", "options[0]: \"no pty\" is no option"},
	} {
		kind, _ := Kinds().Find(c.kind)
		err := config.Decode("test.yaml", []byte(c.text), kind.New())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %s", c.kind, c.text, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}
