package config

import (
	"fmt"
	"reflect"
	"slices"

	"go.yaml.in/yaml/v4"
)

// Raw is a value that is decoded later: when its type is known, or after the
// texts in it were filled in. Its problems are placed where it stood. The zero Raw
// is an absent value.
type Raw struct {
	node  *yaml.Node
	key   string
	place place
}

var rawType = reflect.TypeFor[Raw]()

// Reader is a value that reads itself, for what may be written in several shapes: a
// text or a list, say. Its errors are placed where the value stands, unless they come
// from the methods of Raw, which know better.
type Reader interface{ ReadRaw(Raw) error }

var rawReader = reflect.TypeFor[Reader]()

func readsRaw(t reflect.Type) bool { return reflect.PointerTo(t).Implements(rawReader) }

func (d *decoder) read(r Raw, v reflect.Value) {
	for _, err := range leaves(v.Addr().Interface().(Reader).ReadRaw(r)) {
		if p := Problems(err); len(p) > 0 {
			d.problems = append(d.problems, p...)
		} else {
			d.wrong(r.place, r.key, "%v", err)
		}
	}
}

// IsZero tells whether the value is absent.
func (r Raw) IsZero() bool { return r.node == nil }

// Place is where the value stands, like roles/web.yaml:12.
func (r Raw) Place() string {
	if r.place.line == 0 {
		return r.place.file
	}
	return fmt.Sprintf("%s:%d", r.place.file, r.place.line)
}

// Text is the value when it is one text, number or truth value.
func (r Raw) Text() (string, bool) {
	if r.node == nil || r.node.Kind != yaml.ScalarNode {
		return "", false
	}
	return r.node.Value, true
}

// Keys lists the keys of a mapping in the order in which they are written.
func (r Raw) Keys() []string {
	var all []string
	if r.node != nil && r.node.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(r.node.Content); i += 2 {
			all = append(all, r.node.Content[i].Value)
		}
	}
	return all
}

// Field is the value of a key of a mapping, absent if there is none.
func (r Raw) Field(name string) Raw {
	if r.node == nil || r.node.Kind != yaml.MappingNode {
		return Raw{}
	}
	for i := 0; i+1 < len(r.node.Content); i += 2 {
		if k, v := r.node.Content[i], followed(r.node.Content[i+1]); k.Value == name && v.ShortTag() != "!!null" {
			return Raw{v, within(r.key, name), r.place.of(pair{name, k, v})}
		}
	}
	return Raw{}
}

// Without is the mapping less some keys.
func (r Raw) Without(names ...string) Raw {
	if r.node == nil || r.node.Kind != yaml.MappingNode {
		return r
	}
	n := *r.node
	n.Content = nil
	for i := 0; i+1 < len(r.node.Content); i += 2 {
		keep := true
		for _, name := range names {
			keep = keep && r.node.Content[i].Value != name
		}
		if keep {
			n.Content = append(n.Content, r.node.Content[i], r.node.Content[i+1])
		}
	}
	return Raw{&n, r.key, r.place}
}

// Rename is the mapping with another name for a key.
func (r Raw) Rename(from, to string) Raw {
	if r.node == nil || r.node.Kind != yaml.MappingNode {
		return r
	}
	n := *r.node
	n.Content = slices.Clone(n.Content)
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == from {
			k := *n.Content[i]
			k.Value = to
			n.Content[i] = &k
			break
		}
	}
	return Raw{&n, r.key, r.place}
}

// As is a mapping with the value under one key, where the value stands.
func (r Raw) As(key string) Raw {
	if r.node == nil {
		return r
	}
	k := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key, Line: r.node.Line, Column: r.node.Column}
	return Raw{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{k, r.node}, Line: r.node.Line, Column: r.node.Column}, r.key, r.place}
}

// Items lists the values of a list.
func (r Raw) Items() []Raw {
	var all []Raw
	if r.node != nil && r.node.Kind == yaml.SequenceNode {
		for i, n := range r.node.Content {
			all = append(all, Raw{followed(n), item(r.key, i), r.place.sibling(n)})
		}
	}
	return all
}

// Value is the value as maps, lists, texts, numbers and truth values, as YAML
// understands what is written without quotes.
func (r Raw) Value() (any, error) {
	if r.node == nil {
		return nil, nil
	}
	var v any
	if err := r.node.Decode(&v); err != nil {
		return nil, r.Problem(err.Error())
	}
	return v, nil
}

// YAML writes the value.
func (r Raw) YAML() ([]byte, error) {
	if r.node == nil {
		return nil, nil
	}
	return yaml.Marshal(r.node)
}

// Decode is the function Decode for this value alone.
func (r Raw) Decode(into any) error {
	d := newDecoder(r.place.file)
	d.places[""] = place{r.place.file, 1, 1}
	d.value(r.node, pointee(into), r.key, r.place, 0)
	return d.err()
}

// Problem is an error about the value, as Decode would have worded and placed it.
func (r Raw) Problem(text string) error { return r.place.problem(r.key, text) }

// Expand returns a copy in which fill has replaced every text. Where fill says that
// its result is YAML, that is taken as if it were written there; a number that a
// text became is one also when the text was in quotes.
func (r Raw) Expand(fill func(text string) (result string, isYAML bool, err error)) (Raw, error) {
	count := 0
	var copied func(n *yaml.Node, depth int) (*yaml.Node, error)
	copied = func(n *yaml.Node, depth int) (*yaml.Node, error) {
		n = followed(n)
		if count++; count > maxValues || depth > maxDepth {
			return nil, r.Problem(fmt.Sprintf("more than %d values, or nested more than %d deep", maxValues, maxDepth))
		}
		c := *n
		c.Anchor = ""
		if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
			text, isYAML, err := fill(n.Value)
			if err != nil {
				return nil, r.place.sibling(n).problem(r.key, err.Error())
			}
			if isYAML {
				inner, err := parse(r.place.file, []byte(text))
				if err != nil {
					return nil, r.place.sibling(n).problem(r.key, err.Error())
				}
				if inner == nil {
					inner = absentNode()
				}
				return moved(inner, n), nil
			}
			if text != n.Value {
				c.Value, c.Style = text, 0
				c.Tag = "!!str"
			}
			return &c, nil
		}
		c.Content = make([]*yaml.Node, len(n.Content))
		for i, in := range n.Content {
			one, err := copied(in, depth+1)
			if err != nil {
				return nil, err
			}
			c.Content[i] = one
		}
		return &c, nil
	}
	if r.node == nil {
		return r, nil
	}
	n, err := copied(r.node, 0)
	if err != nil {
		return Raw{}, err
	}
	return Raw{n, r.key, r.place}, nil
}

// moved gives n and what is in it the place of at.
func moved(n, at *yaml.Node) *yaml.Node {
	n.Line, n.Column = at.Line, at.Column
	for _, in := range n.Content {
		moved(in, at)
	}
	return n
}

func followed(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}
