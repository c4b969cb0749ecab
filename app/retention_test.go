package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestRetentionIsADefinition: storage.yaml is checked by the push and in force
// without a restart.
func TestRetentionIsADefinition(t *testing.T) {
	s := start(t, t.TempDir())
	raw := func(want string) {
		t.Helper()
		s.until("values come with a step of "+want, func() error {
			a := s.as(s.token).do("GET", "/render?target=steer.store.series&from=-60s&format=raw", nil)
			if head, _, _ := strings.Cut(a.body, "|"); !strings.HasSuffix(head, ","+want) {
				return a
			}
			return nil
		})
	}
	raw("10") // Steer's own figures
	s.define(map[string]string{"storage.yaml": "- {name: own, pattern: ^steer, retentions: '30s:1d'}\n"})
	raw("30")
	s.define(map[string]string{"storage.yaml": "- {name: own, pattern: ^steer, retentions: '20s:1d'}\n"})
	raw("20")

	for file, text := range map[string]string{
		"storage.yaml":             "- {name: own, pattern: ^steer, retentions: '30s:6x'}\n",
		"storage-schemas.conf":     "[own]\npattern = .*\nretentions = 10s:1d\n", // beside storage.yaml
		"storage-aggregation.conf": "[own]\npattern = (\nxFilesFactor = 2\n",
	} {
		a := s.as(s.token).do("POST", "/api/v1/definitions", map[string]any{"base": "", "message": "wrong", "files": map[string]string{file: text}})
		if a.code != http.StatusUnprocessableEntity && a.code != http.StatusBadRequest || !strings.Contains(a.body, file) {
			t.Errorf("%s: %v", file, fmt.Sprint(a))
		}
	}
	raw("20")
}
