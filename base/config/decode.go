package config

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// decoder walks the YAML tree and the Go value side by side.
type decoder struct {
	file     string
	places   map[string]place
	problems []Problem
	over     map[string]setting // values from outside of the file, by key
	values   int
	unasked  bool // leave out checks
	most     int  // bytes, 0: as many as a file of definitions may have
}

// setting is a value from an environment variable or a flag.
type setting struct {
	source string
	text   string
}

func newDecoder(file string) *decoder {
	return &decoder{file: file, places: map[string]place{}}
}

func (d *decoder) decode(data []byte, into any) {
	top, err := parseUpTo(d.file, data, cmp.Or(d.most, maxBytes))
	if err != nil {
		d.problems = append(d.problems, Problems(err)...)
		return
	}
	d.places[""] = place{d.file, 1, 1}
	d.value(top, pointee(into), "", d.places[""], 0)
}

func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	return failure(d.problems)
}

func (d *decoder) wrong(p place, key, format string, args ...any) {
	d.problems = append(d.problems, p.problem(key, fmt.Sprintf(format, args...)))
}

// value decodes n, nil when the key is absent, into v, and asks v's check.
func (d *decoder) value(n *yaml.Node, v reflect.Value, key string, p place, depth int) {
	before := len(d.problems)
	if d.values++; d.values > maxValues {
		if d.values == maxValues+1 {
			d.wrong(p, key, "the file has more than %d values", maxValues)
		}
		return
	}
	if s, ok := d.over[key]; ok && key != "" {
		p = place{file: s.source}
		var err error
		if n, err = s.node(v.Type()); err != nil {
			d.wrong(p, key, "%s", Problems(err)[0].Text)
			return
		}
	}
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if depth > maxDepth {
		d.wrong(p, key, "values are nested more than %d deep", maxDepth)
		return
	}
	d.places[key] = p
	if n != nil && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		n = nil
	}
	switch {
	case v.Type() == rawType:
		if n != nil {
			v.Set(reflect.ValueOf(Raw{n, key, p}))
		}
		return
	case readsRaw(v.Type()):
		if n != nil {
			d.read(Raw{n, key, p}, v)
		}
		return
	case v.Kind() == reflect.Pointer:
		if n == nil && !d.below(key) {
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(n, v.Elem(), key, p, depth)
		return // checked inside
	case readsText(v.Type()):
		d.scalar(n, v, key, p)
	case v.Kind() == reflect.Struct:
		d.structure(n, v, key, p, depth)
	case v.Kind() == reflect.Map:
		d.mapping(n, v, key, p, depth)
	case v.Kind() == reflect.Slice:
		d.list(n, v, key, p, depth)
	default:
		d.scalar(n, v, key, p)
	}
	if len(d.problems) == before && !d.unasked {
		d.check(v, key)
	}
}

// below tells whether a setting from outside is for something below key.
func (d *decoder) below(key string) bool {
	for k := range d.over {
		if strings.HasPrefix(k, within(key, "")) {
			return true
		}
	}
	return false
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, key string, p place, depth int) {
	all := fields(v.Type())
	given := map[string]pair{}
	for _, one := range d.pairs(n, key, p) {
		given[one.name] = one
		known := false
		for _, f := range all {
			known = known || f.name == one.name
		}
		if !known {
			d.wrong(p.sibling(one.key), within(key, one.name), "unknown key%s", Suggest(one.name, names(all)))
		}
	}
	for _, f := range all {
		in, path := v.FieldByIndex(f.index), within(key, f.name)
		one, ok := given[f.name]
		if ok {
			d.value(one.value, in, path, p.of(one), depth+1)
		}
		empty := !ok || one.value.Kind == yaml.ScalarNode && one.value.ShortTag() == "!!null"
		if _, set := d.over[path]; !empty || set {
			if !ok {
				d.value(nil, in, path, p, depth+1)
			}
			continue
		}
		if f.defaults && in.IsZero() {
			d.standard(f, in)
		}
		if !ok {
			d.absent(in, path, p, depth+1)
		}
	}
}

// absent gives a key that the file lacks the defaults of its parts.
func (d *decoder) absent(v reflect.Value, key string, p place, depth int) {
	missing, known := d.places[key]
	d.value(nil, v, key, p, depth)
	if known {
		d.places[key] = missing
	} else {
		delete(d.places, key) // so that problems are placed where it would stand
	}
}

// standard sets a default. A default that does not decode is a mistake in the
// program, and found by its first test.
func (d *decoder) standard(f field, v reflect.Value) {
	n, err := setting{"default", f.def}.node(v.Type())
	inner := &decoder{file: "default", places: map[string]place{}, unasked: true}
	if err == nil {
		inner.value(n, v, f.name, place{file: "default"}, 0)
		err = inner.err()
	}
	if err != nil {
		panic(fmt.Sprintf("BUG: default of key %s: %v", f.name, err))
	}
}

// pair is one key of a mapping with its value.
type pair struct {
	name       string
	key, value *yaml.Node
}

// of is where a problem with the value of a pair is shown: at the value if it is
// on one line, else at its key.
func (p place) of(one pair) place {
	if one.value.Kind == yaml.ScalarNode && one.value.ShortTag() != "!!null" || one.value.Kind == yaml.AliasNode {
		return p.sibling(one.value)
	}
	return p.sibling(one.key)
}

// sibling is the place of n in the same source. Text from a flag has no lines.
func (p place) sibling(n *yaml.Node) place {
	if p.line == 0 {
		return p
	}
	return at(p.file, n)
}

// pairs lists the keys of a mapping, those merged with << last. Each name comes
// once; a key written twice is a problem.
func (d *decoder) pairs(n *yaml.Node, key string, p place) []pair {
	if n == nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.wrong(p, key, "%s, expected keys with values, each on a line like \"key: value\"", kind(n))
		return nil
	}
	var all []pair
	seen := map[string]*yaml.Node{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		for k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		switch {
		case k.ShortTag() == "!!merge":
			merged = append(merged, v)
		case k.Kind != yaml.ScalarNode:
			d.wrong(p.sibling(k), key, "%s as a key, expected a text", kind(k))
		case seen[k.Value] != nil:
			d.wrong(p.sibling(k), within(key, k.Value), "stands twice, first at line %d", seen[k.Value].Line)
		default:
			seen[k.Value] = k
			all = append(all, pair{k.Value, k, v})
		}
	}
	for _, m := range merged {
		all = d.merge(all, m, key, p, seen)
	}
	return all
}

// merge adds what "<<" names: one mapping or a list of them. Keys that are there
// already win. Merged mappings are not merged further, which keeps this bounded.
func (d *decoder) merge(all []pair, m *yaml.Node, key string, p place, seen map[string]*yaml.Node) []pair {
	from := p.sibling(m)
	for m.Kind == yaml.AliasNode {
		m = m.Alias
	}
	sources := []*yaml.Node{m}
	if m.Kind == yaml.SequenceNode {
		sources = m.Content
	}
	for _, s := range sources {
		for s.Kind == yaml.AliasNode {
			s = s.Alias
		}
		if s.Kind != yaml.MappingNode {
			d.wrong(from, within(key, "<<"), "%s, expected an alias of keys with values", kind(s))
			return all
		}
		for i := 0; i+1 < len(s.Content); i += 2 {
			k := s.Content[i]
			if k.Kind == yaml.ScalarNode && k.ShortTag() != "!!merge" && seen[k.Value] == nil {
				seen[k.Value] = k
				all = append(all, pair{k.Value, k, s.Content[i+1]})
			}
		}
	}
	return all
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, key string, p place, depth int) {
	all := d.pairs(n, key, p)
	for k := range d.over { // keys that only a flag has
		name, ok := strings.CutPrefix(k, within(key, ""))
		name, _, _ = strings.Cut(name, ".")
		if !ok || key == "" || contains(all, name) {
			continue
		}
		all = append(all, pair{name, absentNode(), absentNode()})
	}
	if len(all) > 0 && v.IsNil() || n != nil && v.IsNil() {
		v.Set(reflect.MakeMapWithSize(v.Type(), len(all)))
	}
	for _, one := range all {
		name := reflect.New(v.Type().Key()).Elem()
		if name.Kind() != reflect.String {
			panic("BUG: configuration has a map whose keys are no texts: " + v.Type().String())
		}
		name.SetString(one.name)
		if err := checkName(name); err != nil {
			d.wrong(p.sibling(one.key), within(key, one.name), "%v", err)
			continue
		}
		in := reflect.New(v.Type().Elem()).Elem()
		d.value(one.value, in, within(key, one.name), p.of(one), depth+1)
		v.SetMapIndex(name, in)
	}
}

func absentNode() *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"} }

func contains(all []pair, name string) bool {
	for _, one := range all {
		if one.name == name {
			return true
		}
	}
	return false
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, key string, p place, depth int) {
	if n == nil {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.wrong(p, key, "%s, expected a list, like [a, b] or lines that start with \"- \"", kind(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, one := range n.Content {
		d.value(one, v.Index(i), item(key, i), p.sibling(one), depth+1)
	}
}
