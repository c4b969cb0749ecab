package app

import (
	"strings"
	"testing"
	"testing/fstest"

	"steer/base/config"
	"steer/infra/role"
	"steer/infra/verify"
)

// TestExamples: what the reference shows can be written so.
func TestExamples(t *testing.T) {
	for _, k := range resourceKinds() {
		text := "description: an example\nresources:\n" + itemOf(k.Example)
		if _, err := role.Load(fstest.MapFS{"roles/example.yaml": {Data: []byte(text)}}, resourceKinds()); err != nil {
			t.Errorf("%s: %v", k.Name, err)
		}
		// A role may write every key beside the name of the kind.
		if keys := string(config.Default(k.New())); k.Key != k.Name && strings.Contains("\n"+keys, "\n"+k.Name+":") {
			t.Errorf("%s: has a key of its own name, besides %s", k.Name, k.Key)
		}
		for _, taken := range []string{"when", "each", "after", "before", "notify", "subscribe", "tags", "heal", "sensitive"} {
			if strings.Contains("\n"+string(config.Default(k.New())), "\n"+taken+":") {
				t.Errorf("%s: the key %s belongs to all kinds", k.Name, taken)
			}
		}
	}
	for _, k := range verify.Kinds() {
		if _, err := verify.Load("example.yaml", []byte("tests:\n"+itemOf(k.Example))); err != nil {
			t.Errorf("test %s: %v", k.Name, err)
		}
	}
}
