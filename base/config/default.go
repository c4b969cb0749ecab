package config

import (
	"bytes"
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Default writes the defaults of a struct (or of what a pointer points to) as
// YAML with every key and its explanation. Keys that are unset by default stand
// as comments. What it writes decodes to the defaults.
func Default(of any) []byte {
	t := reflect.TypeOf(of)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	v := reflect.New(t).Elem()
	d := newDecoder("default")
	d.unasked = true
	d.value(nil, v, "", place{file: "default"}, 0)
	if err := d.err(); err != nil {
		panic("BUG: defaults of " + t.String() + ": " + err.Error())
	}
	p := printer{}
	p.structure(v, "")
	return p.Bytes()
}

type printer struct{ bytes.Buffer }

func (p *printer) structure(v reflect.Value, indent string) {
	for i, f := range fields(v.Type()) {
		in := v.FieldByIndex(f.index)
		nested := in.Kind() == reflect.Struct && !readsText(f.typ)
		if indent == "" && i > 0 {
			p.WriteByte('\n')
		}
		p.comment(indent, f.doc)
		switch {
		case nested:
			fmt.Fprintf(p, "%s%s:\n", indent, f.name)
			p.structure(in, indent+"  ")
		case in.Kind() == reflect.Pointer && in.IsNil(), readsRaw(f.typ) && in.IsZero():
			fmt.Fprintf(p, "%s# %s:\n", indent, f.name)
		default:
			fmt.Fprintf(p, "%s%s: %s\n", indent, f.name, value(in))
			p.element(f.typ, indent)
		}
	}
}

// element shows in comments what a list or map of structs takes.
func (p *printer) element(t reflect.Type, indent string) {
	list := t.Kind() == reflect.Slice
	if !list && t.Kind() != reflect.Map {
		return
	}
	if t = t.Elem(); t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || readsText(t) {
		return
	}
	mark := indent + "#  - "
	if !list {
		fmt.Fprintf(p, "%s#  NAME:\n", indent)
		mark = indent + "#    "
	}
	for i, f := range fields(t) {
		if i == 1 {
			mark = strings.Replace(mark, "- ", "  ", 1)
		}
		line := fmt.Sprintf("%s%s: %s", mark, f.name, f.def)
		fmt.Fprintf(p, "%s  # %s\n", strings.TrimRight(line, " "), f.doc)
	}
}

// comment breaks text into lines of about 80 characters.
func (p *printer) comment(indent, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(indent)+len(line)+len(word) > 78 {
			fmt.Fprintf(p, "%s# %s\n", indent, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		fmt.Fprintf(p, "%s# %s\n", indent, line)
	}
}

// value writes v on one line.
func value(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok && v.Kind() != reflect.String {
		text, err := m.MarshalText()
		if err != nil {
			panic("BUG: default of " + v.Type().String() + ": " + err.Error())
		}
		return quote(string(text))
	}
	switch v.Kind() {
	case reflect.String:
		return quote(v.String())
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, value(v.Index(i)))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.Map:
		var items []string
		for _, k := range sorted(v) {
			items = append(items, quote(k.String())+": "+value(v.MapIndex(k)))
		}
		return "{" + strings.Join(items, ", ") + "}"
	case reflect.Struct:
		var items []string
		for _, f := range fields(v.Type()) {
			if in := v.FieldByIndex(f.index); in.Kind() != reflect.Pointer || !in.IsNil() {
				items = append(items, f.name+": "+value(in))
			}
		}
		return "{" + strings.Join(items, ", ") + "}"
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	}
	return fmt.Sprint(v.Interface())
}

// quote leaves a text bare where YAML reads it back as the same text, also in a
// flow list.
func quote(s string) string {
	var back []string
	if err := yaml.Load([]byte("["+s+"]"), &back); err == nil && len(back) == 1 && back[0] == s && !strings.ContainsAny(s, "\"'{}[]#,") && s != "" {
		return s
	}
	return strconv.Quote(s)
}

func sorted(v reflect.Value) []reflect.Value {
	all := v.MapKeys()
	slices.SortFunc(all, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return all
}
