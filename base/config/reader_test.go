package config

import (
	"errors"
	"slices"
	"testing"
)

// words are written as one text, or as a list of texts.
type words []string

func (w *words) ReadRaw(r Raw) error {
	if text, ok := r.Text(); ok {
		if text == "bad" {
			return errors.New("is bad")
		}
		*w = words{text}
		return nil
	}
	var all []error
	for _, item := range r.Items() {
		text, ok := item.Text()
		if !ok {
			all = append(all, item.Problem("expected a text"))
		}
		*w = append(*w, text)
	}
	return errors.Join(all...)
}

func TestReader(t *testing.T) {
	type file struct {
		One  words            `yaml:"one" default:"[a, b]"`
		Two  words            `yaml:"two"`
		Many map[string]words `yaml:"many"`
	}
	var f file
	if err := Decode("x.yaml", []byte("two: x\nmany: {k: [y, z]}\n"), &f); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.One, words{"a", "b"}) || !slices.Equal(f.Two, words{"x"}) || !slices.Equal(f.Many["k"], words{"y", "z"}) {
		t.Errorf("%+v", f)
	}
	err := Decode("x.yaml", []byte("one: bad\ntwo:\n  - ok\n  - {}\n  - {}\n"), &f)
	want := "x.yaml:1:6: one: is bad\nx.yaml:4:5: two[1]: expected a text\nx.yaml:5:5: two[2]: expected a text"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestDefaultOfAReader(t *testing.T) {
	type file struct {
		One words `yaml:"one" doc:"First." default:"a"`
		Two words `yaml:"two" doc:"Second."`
	}
	if got, want := string(Default(file{})), "# First.\none: [a]\n\n# Second.\n# two:\n"; got != want {
		t.Errorf("%q", got)
	}
}
