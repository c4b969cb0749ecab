package config

import (
	"reflect"
	"strings"
	"sync"
)

// field is one key of a struct.
type field struct {
	name     string
	index    []int // for reflect's FieldByIndex
	typ      reflect.Type
	doc      string
	def      string
	defaults bool // whether there is a default tag
}

// shape is what the tags of a struct say.
type shape struct {
	fields []field
	inline []int // fields of the struct
}

// shapes are those of types that were asked for: reading tags takes longer than
// decoding a value.
var shapes sync.Map // reflect.Type → *shape

func shapeOf(t reflect.Type) *shape {
	if s, ok := shapes.Load(t); ok {
		return s.(*shape)
	}
	s := &shape{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if options == "inline" {
			s.inline = append(s.inline, i)
			for _, in := range fields(f.Type) {
				in.index = append([]int{i}, in.index...)
				s.fields = append(s.fields, in)
			}
			continue
		}
		if name == "" || name == "-" || !f.IsExported() {
			continue
		}
		def, ok := f.Tag.Lookup("default")
		s.fields = append(s.fields, field{name, []int{i}, f.Type, f.Tag.Get("doc"), def, ok})
	}
	shapes.Store(t, s)
	return s
}

// fields lists the keys of a struct in order of declaration, those of inline
// structs in their place. The list is not the caller's.
func fields(t reflect.Type) []field { return shapeOf(t).fields }

// inlined lists the values of inline structs, whose checks the outer struct may
// hide by one of its own.
func inlined(v reflect.Value) []reflect.Value {
	var all []reflect.Value
	for _, i := range shapeOf(v.Type()).inline {
		all = append(append(all, inlined(v.Field(i))...), v.Field(i))
	}
	return all
}

func names(all []field) []string {
	var out []string
	for _, f := range all {
		out = append(out, f.name)
	}
	return out
}

// keys lists every key that a struct has by its type, with those of nested
// structs, and the type of each. Keys of map and slice elements are not among
// them, since the type does not tell them.
func keys(t reflect.Type, prefix string, add func(key string, t reflect.Type)) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || readsText(t) {
		return
	}
	for _, f := range fields(t) {
		add(within(prefix, f.name), f.typ)
		keys(f.typ, within(prefix, f.name), add)
	}
}
