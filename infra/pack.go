package infra

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"

	"steer/base/fault"
)

// packed is what Pack writes of a resource beside the resource itself.
type packed struct {
	Kind, ID, Role, Place string
	After, Notify, Tags   []string
	Heal                  Heal
}

// Pack writes resources for this program alone, to be read again by the very same
// build: values one after the other, without names or types. Resources that use
// secrets are refused, and those that hold more than their exported fields.
func Pack(all []Declared) ([]byte, error) {
	b := binary.AppendUvarint(nil, uint64(len(all)))
	for _, d := range all {
		if d.Sensitive {
			return nil, fault.New(fault.Invalid, "pack %s: it uses a secret", d.Ref())
		}
		var err error
		if b, err = pack(b, reflect.ValueOf(packed{d.Kind, d.ID, d.Role, d.Place, d.After, d.Notify, d.Tags, d.Heal})); err == nil {
			b, err = pack(b, reflect.ValueOf(d.Resource).Elem())
		}
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", d.Ref(), err)
		}
	}
	return b, nil
}

func pack(b []byte, v reflect.Value) ([]byte, error) {
	switch k := v.Kind(); {
	case k == reflect.String:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		return append(b, v.String()...), nil
	case k == reflect.Bool:
		if v.Bool() {
			return append(b, 1), nil
		}
		return append(b, 0), nil
	case v.CanInt():
		return binary.AppendVarint(b, v.Int()), nil
	case v.CanUint():
		return binary.AppendUvarint(b, v.Uint()), nil
	case v.CanFloat():
		return binary.AppendUvarint(b, math.Float64bits(v.Float())), nil
	case k == reflect.Pointer:
		if v.IsNil() {
			return append(b, 0), nil
		}
		return pack(append(b, 1), v.Elem())
	case k == reflect.Struct:
		var err error
		for i := 0; i < v.NumField() && err == nil; i++ {
			if f := v.Type().Field(i); visible(f) {
				b, err = pack(b, v.Field(i))
			} else if !v.Field(i).IsZero() {
				err = fmt.Errorf("%s.%s is set", v.Type(), f.Name)
			}
		}
		return b, err
	case k == reflect.Slice || k == reflect.Map:
		if v.IsNil() {
			return append(b, 0), nil
		}
		b = binary.AppendUvarint(b, uint64(v.Len())+1)
		var err error
		if k == reflect.Slice {
			for i := 0; i < v.Len() && err == nil; i++ {
				b, err = pack(b, v.Index(i))
			}
			return b, err
		}
		for in := v.MapRange(); in.Next() && err == nil; {
			if b, err = pack(b, in.Key()); err == nil {
				b, err = pack(b, in.Value())
			}
		}
		return b, err
	}
	return nil, fmt.Errorf("%s cannot be packed", v.Type())
}

// visible tells whether a field can be set from outside, also that of a struct which is
// embedded by an unexported name.
func visible(f reflect.StructField) bool {
	return f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct
}

// Unpack reads what Pack wrote.
func Unpack(kinds Kinds, text string) ([]Declared, error) {
	u := &unpacker{rest: text}
	all := make([]Declared, u.count())
	for i := range all {
		var p packed
		u.value(reflect.ValueOf(&p).Elem())
		kind, ok := kinds.Find(p.Kind)
		if !ok || u.torn {
			return nil, errTorn
		}
		d := Declared{Kind: p.Kind, ID: p.ID, Resource: kind.New(), Role: p.Role, Place: p.Place, After: p.After, Notify: p.Notify, Tags: p.Tags, Heal: p.Heal, Class: kind.Class}
		u.value(reflect.ValueOf(d.Resource).Elem())
		all[i] = d
	}
	if u.torn || u.rest != "" {
		return nil, errTorn
	}
	return all, nil
}

var errTorn = fault.New(fault.Invalid, "unpack resources: this is not what the same program wrote")

// unpacker reads a text from its beginning. What it lacks is zero, and torn tells.
type unpacker struct {
	rest string
	torn bool
}

func (u *unpacker) number() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		c := u.bytes(1)
		if c == "" {
			return 0
		}
		if n |= uint64(c[0]&0x7f) << shift; c[0] < 0x80 {
			return n
		}
	}
	u.torn = true
	return 0
}

// count is a number of things that follow, at least a byte each.
func (u *unpacker) count() int { return u.atMost(len(u.rest)) }

func (u *unpacker) atMost(most int) int {
	n := u.number()
	if n > uint64(most) {
		u.torn = true
		return 0
	}
	return int(n)
}

func (u *unpacker) bytes(n int) string {
	if n > len(u.rest) {
		u.torn, u.rest = true, ""
		return ""
	}
	s := u.rest[:n]
	u.rest = u.rest[n:]
	return s
}

func (u *unpacker) value(v reflect.Value) {
	switch k := v.Kind(); {
	case k == reflect.String:
		v.SetString(u.bytes(u.count()))
	case k == reflect.Bool:
		v.SetBool(u.number() == 1)
	case v.CanInt():
		n := u.number()
		v.SetInt(int64(n>>1) ^ -int64(n&1))
	case v.CanUint():
		v.SetUint(u.number())
	case v.CanFloat():
		v.SetFloat(math.Float64frombits(u.number()))
	case k == reflect.Pointer:
		if u.number() == 1 {
			v.Set(reflect.New(v.Type().Elem()))
			u.value(v.Elem())
		}
	case k == reflect.Struct:
		for i := range v.NumField() {
			if visible(v.Type().Field(i)) {
				u.value(v.Field(i))
			}
		}
	case k == reflect.Slice:
		if n := u.atMost(len(u.rest) + 1); n > 0 { // 0 is none at all
			v.Set(reflect.MakeSlice(v.Type(), n-1, n-1))
			for i := range n - 1 {
				u.value(v.Index(i))
			}
		}
	case k == reflect.Map:
		if n := u.atMost(len(u.rest) + 1); n > 0 {
			v.Set(reflect.MakeMapWithSize(v.Type(), n-1))
			for range n - 1 {
				key, in := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
				u.value(key)
				u.value(in)
				v.SetMapIndex(key, in)
			}
		}
	default:
		u.torn = true
	}
}
