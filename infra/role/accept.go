package role

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"steer/base/config"
	"steer/base/fault"
)

// Accept returns the files of the definitions as they have to be so that the resource
// which a role declares at place, FILE:LINE, is what a host was found to be. found is
// the YAML of a resource of its kind (see infra.Captured); fields are those that
// differ. Only that item is written anew. What templates or loops make cannot be
// changed so: the error, of kind Conflict, says what to do by hand.
func (l *Library) Accept(place, kind string, fields []string, found []byte) (map[string][]byte, error) {
	file, line, ok := cutPlace(place)
	var owner *Role
	for _, r := range l.roles {
		if r.File == file {
			owner = r
		}
	}
	if !ok || owner == nil {
		return nil, fault.New(fault.Conflict, "%s is no place in a role any more", place)
	}
	text, err := fs.ReadFile(l.files, file)
	if err != nil {
		return nil, fault.New(fault.NotFound, "read %s: %w", file, err)
	}
	var doc, is yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", file, err)
	}
	if err := yaml.Unmarshal(found, &is); err != nil || len(is.Content) == 0 {
		return nil, fault.New(fault.Invalid, "what the host tells of %s is no YAML", kind)
	}
	by := func(why string) error {
		return fault.New(fault.Conflict, "%s: %s: change it by hand; on the host it is\n%s", place, why, found)
	}
	item := itemAt(&doc, line)
	if item == nil {
		return nil, fault.New(fault.Conflict, "%s declares no resource any more", place)
	}
	if value(item, "each") != nil {
		return nil, by("a loop declares it")
	}
	body := value(item, kind)
	switch {
	case body == nil:
		return nil, fault.New(fault.Conflict, "%s declares no %s any more", place, kind)
	case body.Kind == yaml.ScalarNode: // "- file: /etc/motd", with its keys beside
		body = item
	}
	files := map[string][]byte{}
	have := is.Content[0]
	fields = l.inWords(kind, item, body, have, fields)
	if s := value(have, "state"); s != nil && !slices.Contains(fields, "state") && (s.Value == "absent" || value(body, "state") != nil) {
		fields = []string{"state"}
	}
	for _, name := range fields {
		old, now := value(body, name), value(have, name)
		if from := sourceOf(kind, body); (name == "content" || name == "encoding") && from != nil {
			if kind == "template" || strings.Contains(from.Value, "{{") || value(have, "content") == nil {
				return nil, by("a template makes its content")
			}
			text, err := contentOf(have)
			if err != nil {
				return nil, err
			}
			files[path.Join(folder, owner.Name, path.Clean("/"+from.Value))] = text
			continue
		}
		if old != nil && strings.Contains(inner(old), "{{") || kind == "template" && name == "content" {
			return nil, by("a template makes its " + name)
		}
		switch {
		case now == nil:
			remove(body, name)
		case old == nil:
			body.Content = append(body.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, now)
		default:
			now.LineComment, now.HeadComment, now.FootComment = old.LineComment, old.HeadComment, old.FootComment
			*old = *now
		}
	}
	written, err := replace(text, item)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(written, text) {
		files[file] = written
	}
	if len(files) == 0 {
		return nil, by("nothing that the item says differs")
	}
	return files, nil
}

// inWords names the keys of an item that make the fields which differ. Most fields are
// called like the key that makes them; where one is not (the file that a cron job
// stands in), all keys count of which the host has another value than the item.
func (l *Library) inWords(kind string, item, body, have *yaml.Node, fields []string) []string {
	k, _ := l.kinds.Find(kind)
	var keys []string
	all := false
	for _, name := range fields {
		name, _, _ = strings.Cut(name, ".")
		switch {
		case value(body, name) == nil && value(have, name) == nil:
			all = true
		case name == k.Key && body == item:
			keys = append(keys, kind)
			have.Content = append(have.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: kind}, value(have, name))
		default:
			keys = append(keys, name)
		}
	}
	if slices.Contains(keys, "content") {
		keys = append(keys, "encoding")
	}
	if !all {
		return keys
	}
	var usual yaml.Node
	if err := yaml.Unmarshal(config.Default(k.New()), &usual); err != nil || len(usual.Content) == 0 {
		usual = yaml.Node{Content: []*yaml.Node{{Kind: yaml.MappingNode}}}
	}
	for i := 0; i+1 < len(have.Content); i += 2 {
		name, now := have.Content[i].Value, have.Content[i+1]
		old := value(body, name)
		if old == nil {
			old = value(usual.Content[0], name)
		}
		if name != k.Key && name != kind && (old == nil || !alike(old, now)) {
			keys = append(keys, name)
		}
	}
	for i := 0; i+1 < len(body.Content); i += 2 {
		if name := body.Content[i].Value; value(have, name) == nil && name != k.Key && name != kind && (body != item || !slices.Contains(aboutKeys, name)) {
			keys = append(keys, name)
		}
	}
	return keys
}

// alike says whether two values mean the same, however they are written.
func alike(a, b *yaml.Node) bool {
	var x, y any
	return a.Decode(&x) == nil && b.Decode(&y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

// sourceOf is what stands in an item in place of a content: the name of a file of the
// role.
func sourceOf(kind string, body *yaml.Node) *yaml.Node {
	if kind == "unit" {
		return value(body, "file")
	}
	return value(body, "source")
}

// contentOf is the content that a host has, as bytes.
func contentOf(have *yaml.Node) ([]byte, error) {
	text := value(have, "content").Value
	if e := value(have, "encoding"); e == nil || e.Value != "base64" {
		return []byte(text), nil
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, fault.New(fault.Invalid, "what the host tells of the content is no base64: %w", err)
	}
	return b, nil
}

func cutPlace(place string) (file string, line int, ok bool) {
	i := strings.LastIndexByte(place, ':')
	if i < 0 {
		return "", 0, false
	}
	line, err := strconv.Atoi(place[i+1:])
	return place[:i], line, err == nil
}

// itemAt finds the item of resources that begins at a line.
func itemAt(doc *yaml.Node, line int) *yaml.Node {
	if len(doc.Content) == 0 {
		return nil
	}
	if list := value(doc.Content[0], "resources"); list != nil {
		for _, item := range list.Content {
			if item.Line == line && item.Kind == yaml.MappingNode {
				return item
			}
		}
	}
	return nil
}

// value is what stands behind a key of a mapping.
func value(m *yaml.Node, key string) *yaml.Node {
	for i := 0; m.Kind == yaml.MappingNode && i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			return m.Content[i+1]
		}
	}
	return nil
}

func remove(m *yaml.Node, key string) {
	for i := 0; i+1 < len(m.Content); i += 2 {
		if m.Content[i].Value == key {
			m.Content = slices.Delete(m.Content, i, i+2)
			return
		}
	}
}

// inner is all text of a node.
func inner(n *yaml.Node) string {
	text := n.Value
	for _, c := range n.Content {
		text += inner(c)
	}
	return text
}

// replace writes an item anew in its place, and leaves everything else as it is.
func replace(text []byte, item *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	item.HeadComment, item.FootComment = "", "" // they stand outside of what is replaced
	if len(item.Content) > 0 {
		item.Content[0].HeadComment = ""
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(item); err != nil {
		return nil, fault.New(fault.Invalid, "write the item anew: %w", err)
	}
	e.Close()
	lines := strings.SplitAfter(string(text), "\n")
	first, column := item.Line-1, item.Column-1
	if first >= len(lines) || column > len(lines[first]) {
		return nil, fault.New(fault.Conflict, "the item is not where it was")
	}
	last := first + 1 // behind the item: what is indented as deep as it, and empty lines within
	for i := last; i < len(lines); i++ {
		if trimmed := strings.TrimLeft(lines[i], " "); strings.TrimSpace(trimmed) != "" {
			if len(lines[i])-len(trimmed) < column {
				break
			}
			last = i + 1
		}
	}
	out := strings.Join(lines[:first], "") + lines[first][:column]
	indent := strings.Repeat(" ", column)
	for i, line := range strings.SplitAfter(strings.TrimRight(b.String(), "\n")+"\n", "\n") {
		if i > 0 && strings.TrimSpace(line) != "" {
			line = indent + line
		}
		out += line
	}
	return []byte(out + strings.Join(lines[last:], "")), nil
}
