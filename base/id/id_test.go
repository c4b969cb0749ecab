package id

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, good := range []string{"catalog", "catalog-service", "a", "0", "Web_1.x", strings.Repeat("a", 63)} {
		if got, err := Parse[Service]("service", good); err != nil || string(got) != good {
			t.Errorf("Parse(%q) = %q, %v", good, got, err)
		}
	}
	for bad, want := range map[string]string{
		"":                      "empty",
		"-a":                    "position 1",
		"a/b":                   "position 2",
		"..":                    "position 1",
		"a b":                   "position 2",
		strings.Repeat("a", 64): "64 characters",
	} {
		if _, err := Parse[Service]("service", bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): error %v, want one that says %q", bad, err, want)
		}
	}
}

func TestNewIsUniqueAndWellFormed(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := New()
		if len(s) != 36 || s[14] != '7' || seen[s] {
			t.Fatalf("New() = %q", s)
		}
		seen[s] = true
	}
}
