package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"steer/base/id"
)

var textReader = reflect.TypeFor[encoding.TextUnmarshaler]()

// readsText tells whether values of a type read themselves from text.
func readsText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textReader) }

// scalar decodes one text, number or truth value.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, key string, p place) {
	if n == nil {
		return
	}
	if n.Kind != yaml.ScalarNode {
		d.wrong(p, key, "%s, expected %s", kind(n), expected(v.Type()))
		return
	}
	if readsText(v.Type()) {
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)); err != nil {
			d.wrong(p, key, "%v", err)
		}
		return
	}
	if v.Kind() == reflect.String {
		v.SetString(n.Value)
		if n.Value == "" {
			return
		}
		if err := checkName(v); err != nil {
			d.wrong(p, key, "%v", err)
		}
		return
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		d.wrong(p, key, "%q is a text because of its quotes, expected %s", n.Value, expected(v.Type()))
		return
	}
	if !number(n.Value, v) {
		d.wrong(p, key, "%q is not %s", n.Value, expected(v.Type()))
	}
}

// number sets v, of any kind but text, from s.
func number(s string, v reflect.Value) bool {
	switch k := v.Kind(); {
	case k == reflect.Bool:
		switch strings.ToLower(s) {
		case "true", "yes", "on":
			v.SetBool(true)
		case "false", "no", "off":
			v.SetBool(false)
		default:
			return false
		}
		return true
	case v.CanInt():
		n, err := strconv.ParseInt(s, 10, v.Type().Bits())
		v.SetInt(n)
		return err == nil
	case v.CanUint():
		n, err := strconv.ParseUint(s, 10, v.Type().Bits())
		v.SetUint(n)
		return err == nil
	case v.CanFloat():
		f, err := strconv.ParseFloat(s, v.Type().Bits())
		v.SetFloat(f)
		return err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	panic("BUG: configuration cannot hold a " + v.Type().String())
}

// checkName checks texts that are names by their type.
func checkName(v reflect.Value) (err error) {
	if v.String() == "" {
		return fmt.Errorf("the name is empty")
	}
	switch v.Interface().(type) {
	case id.Service:
		_, err = id.Parse[id.Service]("service", v.String())
	case id.Environment:
		_, err = id.Parse[id.Environment]("environment", v.String())
	case id.Team:
		_, err = id.Parse[id.Team]("team", v.String())
	case id.Person:
		_, err = id.Parse[id.Person]("person", v.String())
	case id.Host:
		_, err = id.Parse[id.Host]("host", v.String())
	}
	return err
}

// kind says what was found.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys with values"
	case yaml.SequenceNode:
		return "a list"
	}
	if len(n.Value) > 40 {
		return fmt.Sprintf("the text %.40q…", n.Value)
	}
	return strconv.Quote(n.Value)
}

// expected says what a type takes.
func expected(t reflect.Type) string {
	if t == reflect.TypeFor[Duration]() {
		return "a duration like 90s or 10m"
	}
	v := reflect.Zero(t)
	switch {
	case t.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt() && !readsText(t):
		return "a whole number" + limits(t.Bits(), true)
	case v.CanUint() && !readsText(t):
		return "a whole number from 0" + limits(t.Bits(), false)
	case v.CanFloat() && !readsText(t):
		return "a number"
	}
	return "one text"
}

func limits(bits int, signed bool) string {
	switch {
	case bits == 64:
		return ""
	case signed:
		return fmt.Sprintf(" of at most %d", int64(1)<<(bits-1)-1)
	}
	return fmt.Sprintf(" to %d", uint64(1)<<bits-1)
}

// node is the setting as if it stood in a file: as a plain text where a text or
// number is wanted, else as the YAML that it contains.
func (s setting) node(t reflect.Type) (*yaml.Node, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	composed := t.Kind() == reflect.Struct || t.Kind() == reflect.Map || t.Kind() == reflect.Slice
	if !composed || readsText(t) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s.text}, nil
	}
	return parse(s.source, []byte(s.text))
}
