package infratest

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/infra"
)

// Decoded reads a resource from YAML.
func Decoded[R infra.Resource](t *testing.T, r R, text string) R {
	t.Helper()
	if err := config.Decode("test.yaml", []byte(text), r); err != nil {
		t.Fatal(err)
	}
	return r
}

// Converge applies a resource that must differ in the fields named, and nothing
// else, and must not differ afterwards.
func Converge(t *testing.T, h *infra.Host, r infra.Resource, action infra.Action, fields ...string) infra.Diff {
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
		t.Fatalf("differs by %q %q, want %q %q: %+v", d.Action, names, action, fields, d)
	}
	if action == infra.None {
		return d
	}
	if err := r.Apply(t.Context(), h, d); err != nil {
		t.Fatal(err)
	}
	Same(t, h, r)
	Same(t, infra.NewHost(t.Context()), r) // what is remembered is what is there
	return d
}

// Same fails when a resource differs.
func Same(t *testing.T, h *infra.Host, r infra.Resource) {
	t.Helper()
	if d, err := r.Diff(t.Context(), h); err != nil || !d.Empty() {
		t.Fatalf("still differs: %+v %v", d, err)
	}
}

// Gone takes a resource away as a later run would, from what the host remembers.
func Gone(t *testing.T, h *infra.Host, r infra.Removable) {
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
	Same(t, h, kept)
}

// Fails applies a resource that differs and cannot be applied.
func Fails(t *testing.T, h *infra.Host, r infra.Resource, want string) {
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

// Shell runs a script, and returns what it writes without the space around it.
func Shell(t *testing.T, script string) string {
	t.Helper()
	out, err := infra.NewHost(t.Context()).Run(t.Context(), "sh", "-ec", script)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}
