package config

import "testing"

func TestSuggest(t *testing.T) {
	for _, c := range []struct {
		name  string
		known []string
		want  string
	}{
		{"productoin", []string{"ci", "production"}, ` (did you mean "production"?)`},
		{"nope", []string{"production", "ci", "production"}, " (known: ci, production)"},
		{"nope", nil, ""},
	} {
		if got := Suggest(c.name, c.known); got != c.want {
			t.Errorf("Suggest(%q, %q) = %q, want %q", c.name, c.known, got, c.want)
		}
	}
}
