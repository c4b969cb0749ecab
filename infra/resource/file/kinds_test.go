package file_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/infra"
	"steer/infra/resource/file"
)

func TestKinds(t *testing.T) {
	if names := file.Kinds().Names(); !slices.Equal(names, []string{"file", "template", "directory", "symlink", "line", "block", "archive", "git"}) {
		t.Error(names)
	}
	for _, k := range file.Kinds() {
		var items []map[string]any
		if err := yaml.Unmarshal([]byte(k.Example), &items); err != nil || len(items) != 1 {
			t.Errorf("%s: %v", k.Name, err)
			continue
		}
		item := items[0]
		item[k.Key] = item[k.Name]
		delete(item, k.Name)
		delete(item, "notify")
		b, err := yaml.Marshal(item)
		if err != nil {
			t.Fatal(err)
		}
		if err := config.Decode(k.Name, b, k.New()); err != nil {
			t.Errorf("the example of %s: %v", k.Name, err)
		}
		for key := range item {
			if !slices.Contains(documented(reflect.TypeOf(k.New()).Elem()), key) {
				t.Errorf("%s of %s has no explanation", key, k.Name)
			}
		}
		if k.Doc == "" {
			t.Errorf("%s has no explanation", k.Name)
		}
		// Keys that every resource has in a role.
		for _, key := range documented(reflect.TypeOf(k.New()).Elem()) {
			if slices.Contains([]string{k.Name, "kind", "id", "role", "place", "after", "notify", "tags", "heal", "sensitive", "when", "with"}, key) {
				t.Errorf("%s of %s means something else in roles", key, k.Name)
			}
		}
	}
}

// The explanation of templates names every function.
func TestTemplateNamesFunctions(t *testing.T) {
	k, _ := file.Kinds().Find("template")
	for name := range infra.Functions() {
		if !strings.Contains(k.Doc, " "+name+",") && !strings.Contains(k.Doc, " "+name+".") {
			t.Errorf("%s is not named", name)
		}
	}
}

// documented lists the keys of a struct that have a doc tag.
func documented(t reflect.Type) []string {
	all := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Tag.Get("yaml") == ",inline" {
			for _, key := range documented(f.Type) {
				all[key] = true
			}
		}
		if f.Tag.Get("doc") != "" {
			name := f.Tag.Get("yaml")
			if i := slices.Index([]byte(name), ','); i >= 0 {
				name = name[:i]
			}
			all[name] = true
		}
	}
	return slices.Collect(maps.Keys(all))
}
