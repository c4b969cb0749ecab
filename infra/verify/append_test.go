package verify

import (
	"strings"
	"testing"
)

// TestAppend: a test is added behind those of a role, whose other lines stay as they are.
func TestAppend(t *testing.T) {
	const more = "tests:\n  - port:\n      port: 80\n      process: [nginx]\n"
	const item = "- port:\n    port: 80\n    process: [nginx]\n"
	deep := "  " + strings.ReplaceAll(strings.TrimSuffix(item, "\n"), "\n", "\n  ") + "\n"
	for _, c := range []struct{ text, want string }{
		{"", more},
		{"description: d # why\n", "description: d # why\n" + more},
		{"description: d", "description: d\n" + more},
		{"tests:\n  - file: /a\n", "tests:\n  - file: /a\n" + deep},
		{"tests:\n  - file: /a", "tests:\n  - file: /a\n" + deep},
		{"tests:\n- file: /a\nresources: []\n", "tests:\n- file: /a\n" + item + "resources: []\n"},
		{"tests:\n  - file: /a\n    skip: |\n      two\n\n      lines\n\n# The rest.\nchecks: []\n", "tests:\n  - file: /a\n    skip: |\n      two\n\n      lines\n" + deep + "\n# The rest.\nchecks: []\n"},
		{"tests: []\nchecks: []\n", "tests:\n" + deep + "checks: []\n"},
		{"tests: [] # none yet\n", "tests: # none yet\n" + deep},
		{"tests:\nchecks: []\n", "tests:\n" + deep + "checks: []\n"},
	} {
		got, err := Append("r.yaml", []byte(c.text), []byte(more))
		if err != nil || string(got) != c.want {
			t.Errorf("%q: %v, got\n%s\nwant\n%s", c.text, err, got, c.want)
		}
		if strings.Contains(c.want, "description") || strings.Contains(c.want, "checks") || strings.Contains(c.want, "resources") {
			continue
		}
		if _, err := Load("r.yaml", got); err != nil {
			t.Errorf("%q: %v", c.text, err)
		}
	}
	for text, want := range map[string]string{
		"tests: [{file: /a}]\n": "r.yaml:1: its tests are no list with a line for each",
		"tests: x\n":            "r.yaml:1: its tests are no list with a line for each",
		"- a\n":                 "r.yaml is neither a role nor a file of tests",
		"a: [\n":                "r.yaml: ",
	} {
		if got, err := Append("r.yaml", []byte(text), []byte(more)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v %s", text, err, got)
		}
	}
}
