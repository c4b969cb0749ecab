package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// carbonKeys maps Carbon's keys, in lower case as its parser reads them, to
// the YAML ones. Priority is from old versions and has no effect any more.
func carbonKey(key string) (string, bool) {
	switch key {
	case "pattern", "retentions", "priority":
		return key, true
	case "xfilesfactor":
		return "x_files_factor", true
	case "aggregationmethod":
		return "method", true
	}
	return "", false
}

func carbonName(key string) string {
	switch key {
	case "x_files_factor":
		return "xFilesFactor"
	case "method":
		return "aggregationMethod"
	}
	return key
}

// parseCarbon reads the INI form: [section], key = value, lines that start with
// # or ; are comments, " ;" ends a value.
func parseCarbon(data []byte, keys []string) (entries []entry, err error) {
	var errs []error
	seen := map[string]int{}
	for i, line := range strings.Split(string(data), "\n") {
		n := i + 1
		fail := func(format string, args ...any) { errs = append(errs, &placed{n, fmt.Errorf(format, args...)}) }
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			name, _, ok := strings.Cut(line[1:], "]")
			if !ok || name == "" {
				fail("section %q has no name in brackets", line)
				name = line
			} else if first, ok := seen[name]; ok {
				fail("section %q stands in line %d already", name, first)
			}
			seen[name] = n
			e := newEntry(n)
			e.name = name
			entries = append(entries, e)
			continue
		}
		at := strings.IndexAny(line, "=:")
		if at < 0 {
			fail("%q is neither [section] nor key = value", line)
			continue
		}
		if len(entries) == 0 {
			fail("%q stands before the first [section]", line)
			continue
		}
		spelled := strings.TrimSpace(line[:at])
		value, _, _ := strings.Cut(strings.TrimSpace(line[at+1:]), " ;")
		key, ok := carbonKey(strings.ToLower(spelled))
		if key == "priority" {
			continue
		}
		if !ok || !slices.Contains(keys, key) {
			known := make([]string, len(keys))
			for i, k := range keys {
				known[i] = carbonName(k)
			}
			fail("unknown key %q (use %s)", spelled, strings.Join(known, " "))
			continue
		}
		e := entries[len(entries)-1]
		e.text[key], e.pos[key], e.as[key] = strings.TrimSpace(value), n, spelled
	}
	return entries, errors.Join(errs...)
}

// parseYAML reads a list of mappings of scalars.
func parseYAML(data []byte, keys []string) (entries []entry, err error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.SequenceNode {
		return nil, &placed{root.Line, fmt.Errorf("not a list (write one \"- {name: …, %s: …}\" per entry)", strings.Join(keys, ": …, "))}
	}
	var errs []error
	for _, item := range root.Content {
		e := newEntry(item.Line)
		fail := func(n *yaml.Node, format string, args ...any) {
			errs = append(errs, &placed{n.Line, fmt.Errorf(format, args...)})
		}
		if item.Kind != yaml.MappingNode {
			fail(item, "not a mapping (write {name: …, %s: …})", strings.Join(keys, ": …, "))
			continue
		}
		for i := 0; i+1 < len(item.Content); i += 2 {
			key, value := item.Content[i], item.Content[i+1]
			switch {
			case key.Value != "name" && !slices.Contains(keys, key.Value):
				fail(key, "unknown key %q (use name %s)", key.Value, strings.Join(keys, " "))
			case value.Kind != yaml.ScalarNode:
				fail(value, "%s is not a text", key.Value)
			case key.Value == "name":
				e.name = value.Value
			default:
				e.text[key.Value], e.pos[key.Value], e.as[key.Value] = value.Value, value.Line, key.Value
			}
		}
		entries = append(entries, e)
	}
	return entries, errors.Join(errs...)
}
