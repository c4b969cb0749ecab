package config

import (
	"reflect"
	"strings"
)

type checker interface{ Check() error }

// check asks a value, and the inline structs in it, whether they make sense.
func (d *decoder) check(v reflect.Value, key string) {
	if v.Kind() == reflect.Struct && !readsText(v.Type()) {
		for _, in := range inlined(v) {
			d.ask(in, key)
		}
	}
	d.ask(v, key)
}

func (d *decoder) ask(v reflect.Value, key string) {
	if !v.CanAddr() || !v.Addr().CanInterface() {
		return
	}
	c, ok := v.Addr().Interface().(checker)
	if !ok {
		return
	}
	for _, err := range leaves(c.Check()) {
		path, text := key, err.Error()
		if k, rest, ok := strings.Cut(text, ": "); ok && d.has(v, key, k) {
			path, text = join(key, k), rest
		}
		d.problems = append(d.problems, find(d.places, d.file, path).problem(path, text))
	}
}

// has tells whether k, which a check's error starts with, is a key below v.
func (d *decoder) has(v reflect.Value, key, k string) bool {
	if _, ok := d.places[join(key, k)]; ok {
		return true
	}
	if v.Kind() != reflect.Struct {
		return false
	}
	first := k
	if i := strings.IndexAny(k, ".["); i >= 0 {
		first = k[:i]
	}
	for _, f := range fields(v.Type()) {
		if f.name == first {
			return true
		}
	}
	return false
}

// join is within for keys that may start with the index of a list.
func join(key, k string) string {
	if strings.HasPrefix(k, "[") {
		return key + k
	}
	return within(key, k)
}
