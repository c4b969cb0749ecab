package infratest

import (
	"os"
	"strings"
	"testing"

	"steer/base/config"
	"steer/infra"
)

// Case is a situation, most from what the tests of another tool look at, in words of our
// own: a world, a declaration, and what becomes of it.
type Case struct {
	Name string
	From string // tool and what it tests, like "ansible lineinfile"; or "own"
	// Before makes the world, and After must end with 0 when the host is as declared. Both
	// are scripts for sh -eu in the folder World.
	Before, After string
	YAML          string // one resource, "KIND: {…}"
	Diff          string // what differs at first, in one line: "update mode, content"
	Error         string // instead: a part of why it is refused
	// Again is what differs after all, with a command that runs each time.
	Again string
	// Differs says why this comes out otherwise there.
	Differs string
}

// World is the folder in which cases happen; it is new for each.
const World = "/srv/c"

// Cases goes through situations, one after another on this host. What is applied must
// not differ afterwards, neither for who applied it nor for who comes anew, and be the
// same a second time.
func Cases(t *testing.T, kinds infra.Kinds, all []Case) {
	names := map[string]bool{}
	for _, c := range all {
		if names[c.Name] || c.From == "" || c.Diff != "" && c.Error != "" {
			t.Errorf("%s: the case is wrong", c.Name)
		}
		names[c.Name] = true
		t.Run(c.Name, func(t *testing.T) { c.run(t, kinds) })
	}
}

func (c Case) run(t *testing.T, kinds infra.Kinds) {
	if err := os.RemoveAll(World); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(World, 0o755); err != nil {
		t.Fatal(err)
	}
	script := func(text string) {
		t.Helper()
		if out, err := infra.NewHost(t.Context()).RunCommand(t.Context(), infra.Command{Args: []string{"sh", "-euc", text}, Dir: World}); err != nil {
			t.Fatalf("%s\n%s%v", text, out, err)
		}
	}
	script(c.Before)
	r, err := declared(kinds, c.YAML)
	h := infra.NewHost(t.Context())
	var d infra.Diff
	if err == nil {
		d, err = r.Diff(t.Context(), h)
	}
	if err == nil && c.Error == "" && d.String() != c.Diff {
		t.Errorf("differs by %q, want %q: %+v", d, c.Diff, d)
	}
	if err == nil && !d.Empty() {
		err = r.Apply(t.Context(), h, d)
		h.Changed()
	}
	if c.Error != "" {
		if err == nil || !strings.Contains(err.Error(), c.Error) {
			t.Errorf("error %v, want %s", err, c.Error)
		}
		script(c.After)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := declared(kinds, c.YAML)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []infra.Resource{r, fresh} {
		if d, err := r.Diff(t.Context(), h); err != nil || d.String() != c.Again {
			t.Fatalf("afterwards differs by %q, want %q: %+v %v", d, c.Again, d, err)
		}
		h = infra.NewHost(t.Context())
	}
	script(c.After)
}

// declared reads "KIND: body".
func declared(kinds infra.Kinds, text string) (infra.Resource, error) {
	var body map[string]config.Raw
	if err := config.Decode("case.yaml", []byte(text), &body); err != nil {
		return nil, err
	}
	for name, raw := range body {
		kind, ok := kinds.Find(name)
		if !ok {
			continue
		}
		r := kind.New()
		return r, raw.Decode(r)
	}
	return nil, os.ErrInvalid
}
