package verify

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"steer/base/fault"
	"steer/infra"
)

// Add writes a test of something as it is on this host now: a file of tests, in YAML,
// with what stays so while the host is well. The name is the value of the kind's key.
// The error is NotFound when the host does not have it, and Invalid for what can't be
// tested so.
func Add(ctx context.Context, h *infra.Host, kind, name string) ([]byte, error) {
	k, ok := Find(kind)
	if !ok || len(k.Stable) == 0 {
		var names []string
		for _, k := range Kinds() {
			if len(k.Stable) > 0 {
				names = append(names, k.Name)
			}
		}
		return nil, fault.New(fault.Invalid, "add a test of %q: hosts have no such thing to look at (known: %s)", kind, strings.Join(names, ", "))
	}
	subject := k.New()
	if err := named(k, name, subject); err != nil {
		return nil, fault.New(fault.Invalid, "add a test of %s %s: %w", kind, name, err)
	}
	found, err := lookAtAll(ctx, anew(h), k, subject)
	if err != nil {
		return nil, fmt.Errorf("add a test of %s %s: look at it: %w", kind, name, err)
	}
	// Numbers that packages gave differ on equal hosts.
	for _, key := range []string{"uid", "gid"} {
		if n, ok := found[key].(int); ok && n >= 100 && n < 1000 {
			delete(found, key)
		}
	}
	body := &yaml.Node{Kind: yaml.MappingNode}
	put(body, k.Key, scalar(name))
	if n, err := strconv.Atoi(name); err == nil && strconv.Itoa(n) == name {
		body.Content[1] = written(n)
	}
	for i, key := range k.Stable {
		v := bare(found[key])
		if exists, yes := v.(bool); i == 0 && yes && !exists {
			return nil, fault.New(fault.NotFound, "add a test of %s %s: the host has none; if that is what the test should say, write \"%s: false\" by hand", kind, name, key)
		}
		if i == 0 && v == nil {
			return nil, fault.New(fault.NotFound, "add a test of %s %s: its %s cannot be told: %v", kind, name, key, found[key])
		}
		if n := written(v); n != nil {
			put(body, key, n)
		}
	}
	item, file := &yaml.Node{Kind: yaml.MappingNode}, &yaml.Node{Kind: yaml.MappingNode}
	put(item, kind, body)
	put(file, "tests", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{item}})
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(file); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}

// lookAtAll also finds out those stable properties that a Look leaves out unless they
// are expected.
func lookAtAll(ctx context.Context, h *infra.Host, k Kind, s Subject) (Found, error) {
	if p, ok := s.(*port); ok {
		p.Process = Text{is("")}
	}
	return s.Look(ctx, h)
}

// bare is a value without its note; nil for what is not there or can't be found out.
func bare(found any) any {
	switch v := found.(type) {
	case Noted:
		return v.Value
	case Nothing, error:
		return nil
	}
	return found
}

// written is a found value as a condition that it meets.
func written(found any) *yaml.Node {
	switch v := found.(type) {
	case nil:
		return nil
	case []string:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, s := range slices.Sorted(slices.Values(v)) {
			n.Content = append(n.Content, written(s))
		}
		if len(v) == 0 {
			return nil
		}
		return n
	case string:
		if c, err := plain(v); err == nil && c == condition(is(v)) {
			return scalar(v)
		}
		n := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		put(n, "is", scalar(v))
		return n
	case Mode:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: v.String()}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(found)}
}

func put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, scalar(key), value)
}

// scalar is a text, in quotes where YAML would read something else.
func scalar(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if !plainYAML(s) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func plainYAML(s string) bool {
	var back any
	err := yaml.Load([]byte(s), &back)
	text, ok := back.(string)
	return err == nil && ok && text == s && !strings.ContainsAny(s, "\n,[]{}#\"'")
}
