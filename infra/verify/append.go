package verify

import (
	"bytes"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"steer/base/fault"
)

// Append returns text, a role or a file of tests, with the tests of another file, as Add
// writes one, behind its own. All else in it stays as it is written.
func Append(file string, text, more []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", file, err)
	}
	_, items, ok := bytes.Cut(more, []byte("tests:\n"))
	if !ok {
		return nil, fault.New(fault.Invalid, "what is to be added are no tests")
	}
	if len(text) > 0 && !bytes.HasSuffix(text, []byte("\n")) {
		text = append(slices.Clone(text), '\n')
	}
	if len(doc.Content) == 0 {
		return append(slices.Clone(text), more...), nil
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, fault.New(fault.Invalid, "%s is neither a role nor a file of tests (its keys are missing)", file)
	}
	i := 0
	for ; i < len(top.Content) && top.Content[i].Value != "tests"; i += 2 {
	}
	if i == len(top.Content) {
		return append(slices.Clone(text), more...), nil
	}
	key, list := top.Content[i], top.Content[i+1]
	lines := slices.Collect(strings.Lines(string(text)))
	empty := list.Kind == yaml.ScalarNode && list.Tag == "!!null" || list.Kind == yaml.SequenceNode && len(list.Content) == 0
	switch {
	case empty && (list.Line == key.Line || list.Value == ""):
		comment := ""
		if c := max(list.LineComment, key.LineComment); c != "" {
			comment = " " + c
		}
		lines[key.Line-1] = "tests:" + comment + "\n"
		return []byte(strings.Join(slices.Insert(lines, key.Line, string(items)), "")), nil
	case list.Kind != yaml.SequenceNode || list.Style&yaml.FlowStyle != 0:
		return nil, fault.New(fault.Invalid, "%s:%d: its tests are no list with a line for each (write them so, or print the test without --append)", file, key.Line)
	}
	// The end is behind what is indented at least as deep as the dashes of the list.
	last := list.Content[len(list.Content)-1].Line
	for j := last; j < len(lines); j++ {
		if rest := strings.TrimLeft(lines[j], " "); strings.TrimSpace(rest) != "" {
			if len(lines[j])-len(rest) < list.Column {
				break
			}
			last = j + 1
		}
	}
	indent := strings.Repeat(" ", list.Column-1)
	var added strings.Builder
	for line := range strings.Lines(string(items)) {
		added.WriteString(indent + strings.TrimPrefix(line, "  "))
	}
	return []byte(strings.Join(slices.Insert(lines, last, added.String()), "")), nil
}
