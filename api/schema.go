package api

import (
	"path"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"steer/base/config"
	"steer/catalog"
)

// registry names and describes the records of the API.
func registry() huma.Registry {
	names := map[reflect.Type]string{}
	r := huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		if name, ok := names[t]; ok {
			return name
		}
		return schemaName(t, hint)
	})
	// The tags of definitions describe the YAML that people write; their defaults
	// are texts that stand for numbers and times.
	for _, t := range []reflect.Type{reflect.TypeFor[catalog.Manifest](), reflect.TypeFor[catalog.Check](), reflect.TypeFor[catalog.Dashboard](), reflect.TypeFor[catalog.Panel]()} {
		r.RegisterTypeAlias(t, answered(t, names))
	}
	r.RegisterTypeAlias(reflect.TypeFor[config.Duration](), reflect.TypeFor[string]())
	return r
}

// schemaName is a record's own name, behind that of the area that owns it unless
// that says the same (PipelineRun, Deploy).
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	owner := path.Base(t.PkgPath())
	if owner == "." || owner == "api" || strings.HasPrefix(strings.ToLower(name), owner) {
		return name
	}
	return strings.ToUpper(owner[:1]) + owner[1:] + name
}

// answered is the type of an answer that has the JSON form of t: without
// defaults, and with durations as text. It has no name of its own, so names gets one.
func answered(t reflect.Type, names map[reflect.Type]string) reflect.Type {
	switch {
	case t == reflect.TypeFor[config.Duration]():
		return reflect.TypeFor[string]()
	case t.Kind() == reflect.Slice:
		return reflect.SliceOf(answered(t.Elem(), names))
	case t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[catalog.Manifest]().PkgPath():
		return t
	}
	var fields []reflect.StructField
	for _, f := range reflect.VisibleFields(t) {
		if !f.IsExported() {
			continue
		}
		tag := `json:"` + f.Tag.Get("json") + `"`
		if doc := f.Tag.Get("doc"); doc != "" {
			tag += ` doc:"` + strings.ReplaceAll(doc, `"`, `'`) + `"`
		}
		fields = append(fields, reflect.StructField{Name: f.Name, Type: answered(f.Type, names), Tag: reflect.StructTag(tag)})
	}
	made := reflect.StructOf(fields)
	names[made] = "Catalog" + t.Name()
	return made
}
