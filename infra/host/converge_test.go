package host

import (
	"strings"
	"testing"
	"testing/fstest"
)

// TestConverge: how a group is kept is read, and what makes no sense is refused with
// what to write.
func TestConverge(t *testing.T) {
	read := func(converge string) (Converge, error) {
		all, err := ReadInventory(fstest.MapFS{InventoryFile: {Data: []byte("web:\n  roles: [web]\n  make: {docker: {image: debian}}\n  converge: {" + converge + "}\n")}})
		if err != nil {
			return Converge{}, err
		}
		return all[0].Converge, nil
	}
	for _, c := range []struct{ text, every, within, severity string }{
		{"", "0s", "0s", ""},
		{"drill: 7d", "168h", "0s", ""},
		{"drill: {every: 7d, within: 5m}, severity: page", "168h", "5m", "page"},
	} {
		if got, err := read(c.text); err != nil || got.Drill.Every.String() != c.every || got.Drill.Within.String() != c.within || got.Severity != c.severity {
			t.Errorf("%s: %+v %v", c.text, got, err)
		}
	}
	for text, want := range map[string]string{
		"drill: often":                      `"often"`,
		"drill: 1s":                         "drill: 1s is too often",
		"drill: {every: 7d, under: 5m}":     "under",
		"drill: {every: 7d, within: -5m}":   "within: -5m",
		"severity: pge":                     `severity: "pge" is none`,
		"drill: {every: 7d}, severity: low": `severity: "low" is none`,
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
