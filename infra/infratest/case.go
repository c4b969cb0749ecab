package infratest

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/infra"
)

// Case is a situation in which tools that look after hosts went wrong, or might: what
// is declared in it has to come true once, and then to stay.
type Case struct {
	Name     string
	Source   string // the tool and the kind of its resource whose tests have it
	Before   string // shell: how the host is
	Declared string // YAML: a list of items like those of a role, applied one after another
	// Want is how each differs at first, its action and fields, with "; " between the
	// items. What does not differ is "same".
	Want  string
	Fails string // text of the error, instead of coming true
	After string // shell, with the code 0 when the host is as it should be
	Why   string // where Steer does on purpose not what the source does
}

// Cases tries all cases on this host, each by its name.
func Cases(t *testing.T, kinds infra.Kinds, all []Case) {
	t.Helper()
	for _, c := range all {
		t.Run(c.Name, func(t *testing.T) { c.try(t, kinds) })
	}
}

func (c Case) try(t *testing.T, kinds infra.Kinds) {
	Shell(t, c.Before)
	h := infra.NewHost(t.Context())
	declared, err := decode(kinds, c.Declared)
	var found []string
	for i := 0; err == nil && i < len(declared); i++ {
		var d infra.Diff
		if d, err = declared[i].Diff(t.Context(), h); err != nil {
			break
		}
		found = append(found, shape(d))
		if !d.Empty() {
			err = declared[i].Apply(t.Context(), h, d)
		}
	}
	if got := strings.Join(found, "; "); got != c.Want && c.Fails == "" {
		t.Errorf("differs by %q, want %q", got, c.Want)
	}
	switch {
	case c.Fails == "" && err != nil:
		t.Fatal(err)
	case c.Fails != "" && (err == nil || !strings.Contains(err.Error(), c.Fails)):
		t.Errorf("the error is %v, want %s", err, c.Fails)
	case c.Fails == "":
		for _, h := range []*infra.Host{h, infra.NewHost(t.Context())} { // what is remembered is what is there
			for _, r := range declared {
				Same(t, h, r)
			}
		}
	}
	Shell(t, c.After)
}

// shape is what kind of difference it is, without the values.
func shape(d infra.Diff) string {
	if d.Empty() {
		return "same"
	}
	words := []string{string(d.Action)}
	for _, f := range d.Fields {
		words = append(words, f.Name)
	}
	return strings.Join(words, " ")
}

// decode reads items of one key each, the name of their kind.
func decode(kinds infra.Kinds, text string) ([]infra.Resource, error) {
	var items []map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(text), &items); err != nil {
		return nil, err
	}
	var all []infra.Resource
	for _, item := range items {
		for name, body := range item {
			b, err := yaml.Marshal(&body)
			if err != nil {
				return nil, err
			}
			kind, ok := kinds.Find(name)
			if !ok {
				return nil, infra.CheckRef(name+":x", kinds)
			}
			r := kind.New()
			if err := config.Decode("case.yaml", b, r); err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	return all, nil
}
