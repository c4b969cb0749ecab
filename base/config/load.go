package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"steer/base/fault"
)

const (
	flag        = "--set "
	environment = "environment "
	prefix      = "STEER_"
)

// Sources are where a program's configuration comes from; each wins over those
// before it, and all over the defaults.
type Sources struct {
	File string   // YAML file; empty: none
	Env  []string // as from os.Environ; STEER_RECEIVE_GRAPHITE_TCP is receive.graphite.tcp; empty ones count as absent
	Set  []string // flags KEY=VALUE: receive.graphite.tcp=127.0.0.1:2003

	// Ignore lists environment variables STEER_… that are no configuration,
	// beside those that every program of Steer knows; NAME* means all that
	// start so.
	Ignore []string
}

// Load reads the sources into the struct that into points to. A value for a list
// or for keys with values is YAML: --set percentiles='[90, 99]'.
func Load(into any, s Sources) error {
	var data []byte
	if s.File != "" {
		var err error
		if data, err = os.ReadFile(s.File); errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.NotFound, "read configuration %s: there is no such file", s.File)
		} else if err != nil {
			return fault.New(fault.Invalid, "read configuration: %w", err)
		}
	}
	d := newDecoder(s.File)
	d.over = map[string]setting{}
	known := keysOf(pointee(into).Type())
	d.environment(known, s)
	d.flags(known, s.Set)
	d.decode(data, into)
	return d.err()
}

// known are the keys of a configuration, in order, and their types.
type known struct {
	keys  []string
	types map[string]reflect.Type
}

func keysOf(t reflect.Type) known {
	k := known{types: map[string]reflect.Type{}}
	keys(t, "", func(key string, t reflect.Type) {
		k.keys = append(k.keys, key)
		k.types[key] = t
	})
	return k
}

// variable is the name of the environment variable of a key.
func variable(key string) string {
	return prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// ignored are variables that Steer's commands and tests use.
func ignored(name string, more []string) bool {
	return slices.ContainsFunc(append([]string{"STEER_TEST_*", "STEER_REQUIRE_ALL", "STEER_TOKEN", "STEER_SERVER"}, more...), func(pattern string) bool {
		start, ok := strings.CutSuffix(pattern, "*")
		return name == pattern || ok && strings.HasPrefix(name, start)
	})
}

func (d *decoder) environment(known known, s Sources) {
	byName, all := map[string][]string{}, []string{}
	for _, key := range known.keys {
		name := variable(key)
		byName[name] = append(byName[name], key)
		all = append(all, name)
	}
	for _, assignment := range s.Env {
		name, value, _ := strings.Cut(assignment, "=")
		if !strings.HasPrefix(name, prefix) || value == "" || ignored(name, s.Ignore) {
			continue
		}
		source := place{file: environment + name}
		switch keys := byName[name]; len(keys) {
		case 0:
			d.wrong(source, "", "no configuration key has this name%s", Suggest(name, all))
		case 1:
			d.over[keys[0]] = setting{source.file, value}
		default:
			d.wrong(source, "", "the name means %s; use --set", strings.Join(keys, " as well as "))
		}
	}
}

func (d *decoder) flags(known known, set []string) {
	for _, s := range set {
		key, value, ok := strings.Cut(s, "=")
		source := place{file: flag + key + "=…"} // the value may be secret
		switch {
		case !ok:
			d.wrong(place{file: flag + s}, "", "the value is missing, write KEY=VALUE")
			continue
		case !known.has(key):
			d.wrong(source, key, "unknown key%s", known.suggest(key))
			continue
		}
		for other := range d.over { // a part that the environment gave loses against the whole
			if strings.HasPrefix(other, key+".") {
				delete(d.over, other)
			}
		}
		d.over[key] = setting{source.file, value}
	}
}

// has tells whether a key exists, also one in a map.
func (k known) has(key string) bool {
	if k.types[key] != nil {
		return true
	}
	for end := strings.LastIndexByte(key, '.'); end > 0; end = strings.LastIndexByte(key[:end], '.') {
		if t := k.types[key[:end]]; t != nil {
			return t.Kind() == reflect.Map
		}
	}
	return false
}

// suggest prefers a neighbour of the key in the same group, as the file's errors do.
func (k known) suggest(key string) string {
	group := ""
	if end := strings.LastIndexByte(key, '.'); end > 0 && k.types[key[:end]] != nil {
		group = key[:end+1]
	}
	var near []string
	for _, one := range k.keys {
		if rest, ok := strings.CutPrefix(one, group); ok && rest != "" && (group == "" || !strings.Contains(rest, ".")) {
			near = append(near, rest)
		}
	}
	if text := Suggest(strings.TrimPrefix(key, group), near); text != "" {
		return text
	}
	return fmt.Sprintf(" (see them all with %q)", "steer config default")
}
