package verify

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"steer/infra"
)

// Subject is what a test looks at. It is a pointer to a struct with the tags of
// base/config. Its fields of the types *bool, Text, Number, Value and
// map[string]Text are properties: what may be expected; the others say what to look
// at, and how.
type Subject interface {
	// ID tells it from others of its kind: a path, a name.
	ID() string
	// Look finds out the properties, at least those that are expected. It only reads,
	// but for what a command does. An error means that none of them can be judged.
	Look(ctx context.Context, h *infra.Host) (Found, error)
}

// Found are the properties of a subject by the names of their keys, those of a map
// as headers.Server. One that is missing is not there: a file that does not exist has
// no owner. Values are bool, int, float64, string, []string, Findings, Mode, Content,
// Noted, Nothing, or an error for a property that can't be found out.
type Found map[string]any

// Kind is one kind of test.
type Kind struct {
	Name string // as in YAML
	Doc  string // one paragraph for operators
	// Key is the field that may be written alone: "- service: nginx".
	Key     string
	Example string // YAML of one item of tests
	// Stable are properties that stay as they are while the host is well: Add writes
	// these. The first says whether the subject exists.
	Stable []string
	New    func() Subject
}

// Kinds are all kinds of tests.
func Kinds() []Kind {
	return []Kind{
		fileKind, packageKind, serviceKind, portKind, httpKind, commandKind, userKind, groupKind,
		processKind, dnsKind, interfaceKind, addressKind, mountKind, sysctlKind, matchingKind,
		hardwareKind, stuckKind, oomKind,
	}
}

// Find returns the kind of a name.
func Find(name string) (Kind, bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		return Kind{}, false
	}
	return kinds[i], true
}

// property is one thing that is expected of a subject.
type property struct {
	name string
	want Value
}

// properties lists what is expected of a subject, in the order of its fields.
func properties(s Subject) []property {
	var all []property
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("yaml")
		if name == "" {
			continue
		}
		switch f := v.Field(i).Interface().(type) {
		case *bool:
			if f != nil {
				all = append(all, property{name, Value{is(strconv.FormatBool(*f))}})
			}
		case Text:
			all = append(all, property{name, Value(f)})
		case Number:
			all = append(all, property{name, Value(f)})
		case Value:
			all = append(all, property{name, f})
		case map[string]Text:
			for _, key := range slices.Sorted(maps.Keys(f)) {
				all = append(all, property{name + "." + key, Value(f[key])})
			}
		}
	}
	return slices.DeleteFunc(all, func(p property) bool { return len(p.want) == 0 })
}
