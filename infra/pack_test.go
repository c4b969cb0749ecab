package infra_test

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"steer/infra"
)

// thing has a field of each shape that resources have.
type thing struct {
	Name  string
	Text  *string
	On    *bool
	Count int
	Size  uint32
	Share float64
	List  []string
	Pairs map[string]string
	Deep  []struct{ A, B string }
	part
	seen bool
	Last []string
}

type part struct{ Mode int }

func (t *thing) ID() string                                          { return t.Name }
func (*thing) Diff(context.Context, *infra.Host) (infra.Diff, error) { return infra.Diff{}, nil }
func (*thing) Apply(context.Context, *infra.Host, infra.Diff) error  { return nil }
func things() infra.Kinds {
	return infra.Kinds{{Name: "thing", Class: "things", New: func() infra.Resource { return &thing{} }}}
}

func TestPackAndUnpack(t *testing.T) {
	empty, yes := "", true
	all := []infra.Declared{
		{Kind: "thing", ID: "a", Resource: &thing{Name: "a"}, Class: "things"},
		{Kind: "thing", ID: "b", Role: "r", Place: "roles/r.yaml:3", After: []string{"thing:a"}, Notify: []string{"thing:c", "x"}, Tags: []string{}, Heal: infra.AskDrift, Class: "things",
			Resource: &thing{Name: "b", Text: &empty, On: &yes, Count: -300, Size: 1 << 31, Share: -0.1, List: []string{"", "ü"}, Pairs: map[string]string{"k": "v", "": "w"},
				Deep: []struct{ A, B string }{{"1", strings.Repeat("x", 1000)}, {}}, part: part{0o644}, Last: []string{"", ""}}},
		{Kind: "thing", ID: "c", Resource: &thing{Name: "c", List: []string{}, Pairs: map[string]string{}, Last: []string{"", "", ""}}, Class: "things"},
	}
	b, err := infra.Pack(all)
	if err != nil {
		t.Fatal(err)
	}
	got, err := infra.Unpack(things(), string(b))
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range len(b) { // whatever is cut off is noticed
		if got, err := infra.Unpack(things(), string(b[:n])); err == nil {
			t.Fatalf("%d of %d bytes: %+v", n, len(b), got)
		}
	}
	if _, err := infra.Unpack(things(), string(b)+"\x00"); err == nil {
		t.Error("there is more than was packed, and nobody notices")
	}
}

func TestPackRefuses(t *testing.T) {
	for why, d := range map[string]infra.Declared{
		"it uses a secret": {Kind: "thing", Resource: &thing{}, Sensitive: true},
		"seen is set":      {Kind: "thing", Resource: &thing{seen: true}},
	} {
		if _, err := infra.Pack([]infra.Declared{d}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want: %s", err, why)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	b, _ := infra.Pack([]infra.Declared{{Kind: "thing", Resource: &thing{Name: "a", List: []string{"x"}, Pairs: map[string]string{"k": "v"}}}})
	f.Add(string(b))
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, text string) {
		if all, err := infra.Unpack(things(), text); err == nil && len(all) > len(text) {
			t.Errorf("%d resources of %d bytes", len(all), len(text))
		}
	})
}
