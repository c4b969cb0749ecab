package verify

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"steer/base/config"
)

// Value is what a property is expected to be: a list of conditions, all of which have
// to hold. It is written as
//
//	root                  this text, number or truth value; in contents: contains it
//	""                    nothing: an empty text, empty contents
//	"!root"               not this
//	/^user .*;$/          a text, or a line of contents, that the RE2 expression matches
//	"!/debug/"            none that it matches
//	[a, /b/, "!c"]        each of these: a list has to contain it
//	{is: "/srv/"}         this text, also if it starts with ! or stands between slashes
//	{matches: "^1[.]2"}   as between slashes
//	{above: 1, below: 5}  a number greater, and less
//	{not: {above: 5}}     not that
//	{any: [80, 8080]}     one of these
//	{only: [a, b]}        a list that contains these and nothing else
//
// Of a property that is a list, one element has to be so, or with not, none. What is
// not there at all meets no condition.
type Value []condition

// Text is a Value of something that is no number.
type Text Value

// Number is a Value of a number.
type Number Value

type (
	condition interface {
		// holds compares with what was found: a bool, a number, a text and so on, as in
		// Found, but no note and nothing that is missing.
		holds(found any) (bool, error)
		String() string
	}
	is      string
	matches struct{ *regexp.Regexp }
	above   float64
	below   float64
	not     struct{ Value }
	anyOf   []Value
	only    []Value
)

// ReadRaw reads the value of a key.
func (v *Value) ReadRaw(r config.Raw) (err error) {
	*v, err = (&reading{}).value(r, 0)
	return err
}

// ReadRaw reads the value of a key, and refuses bounds of numbers.
func (t *Text) ReadRaw(r config.Raw) error {
	v := (*Value)(t)
	if err := v.ReadRaw(r); err != nil {
		return err
	}
	return v.each(func(c condition) error {
		switch c.(type) {
		case above, below:
			return errors.New("this is no number that could be above or below another")
		}
		return nil
	})
}

// ReadRaw reads the value of a key, and refuses what is no number.
func (n *Number) ReadRaw(r config.Raw) error {
	v := (*Value)(n)
	if err := v.ReadRaw(r); err != nil {
		return err
	}
	return v.each(func(c condition) error {
		switch c := c.(type) {
		case is:
			_, err := number(string(c))
			return err
		case matches:
			return errors.New("this is a number: compare it with one, or with {above: 1, below: 5}")
		}
		return nil
	})
}

// each asks f about the innermost conditions.
func (v Value) each(f func(condition) error) error {
	var all []error
	for _, c := range v {
		switch c := c.(type) {
		case not:
			all = append(all, c.each(f))
		case anyOf:
			for _, one := range c {
				all = append(all, one.each(f))
			}
		case only:
			for _, one := range c {
				all = append(all, one.each(f))
			}
		default:
			all = append(all, f(c))
		}
	}
	return errors.Join(all...)
}

// reading bounds what aliases can blow up.
type reading struct{ count int }

func (d *reading) value(r config.Raw, depth int) (Value, error) {
	if d.count++; d.count > 1000 || depth > 8 {
		return nil, r.Problem("has more than 1000 conditions, or they are nested more than 8 deep")
	}
	if text, ok := r.Text(); ok {
		if v, err := r.Value(); err == nil && v == nil {
			return nil, r.Problem("a condition without a value")
		}
		c, err := plain(text)
		if err != nil {
			return nil, r.Problem(err.Error())
		}
		return Value{c}, nil
	}
	var all Value
	if keys := r.Keys(); len(keys) > 0 {
		for i, key := range keys {
			if strings.Contains("\n"+strings.Join(keys[:i], "\n")+"\n", "\n"+key+"\n") {
				return nil, r.Problem(key + " stands twice")
			}
			c, err := d.keyed(r, key, depth)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		return all, nil
	}
	items := r.Items()
	if len(items) == 0 {
		return nil, r.Problem("expects nothing (to say that there is none, write {only: []})")
	}
	for _, item := range items {
		v, err := d.value(item, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, v...)
	}
	return all, nil
}

// keyed reads one key of a condition that is written with keys.
func (d *reading) keyed(r config.Raw, key string, depth int) (condition, error) {
	field := r.Field(key)
	text, scalar := field.Text()
	list := func() ([]Value, error) {
		if len(field.Keys()) > 0 || scalar || field.IsZero() {
			return nil, r.Problem(key + " takes a list")
		}
		var all []Value
		for _, item := range field.Items() {
			v, err := d.value(item, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, v)
		}
		return all, nil
	}
	switch key {
	case "not":
		if field.IsZero() {
			return nil, r.Problem("not has no value")
		}
		v, err := d.value(field, depth+1)
		return not{v}, err
	case "any":
		all, err := list()
		if err == nil && len(all) == 0 {
			err = field.Problem("nothing is one of none")
		}
		return anyOf(all), err
	case "only":
		all, err := list()
		return only(all), err
	case "is", "matches", "above", "below":
		if !scalar {
			return nil, r.Problem(key + " takes one text or number")
		}
	default:
		return nil, r.Problem(fmt.Sprintf("%q is no condition%s", key, config.Suggest(key, []string{"is", "not", "matches", "above", "below", "any", "only"})))
	}
	if key == "is" {
		return is(text), nil
	}
	if key == "matches" {
		m, err := expression(text)
		if err != nil {
			return nil, field.Problem(err.Error())
		}
		return m, nil
	}
	n, err := number(text)
	if err != nil {
		return nil, field.Problem(err.Error())
	}
	if key == "above" {
		return above(n), nil
	}
	return below(n), nil
}

// plain reads a condition that is one text.
func plain(text string) (condition, error) {
	if rest, ok := strings.CutPrefix(text, "!"); ok && rest != "" {
		c, err := plainOne(rest)
		return not{Value{c}}, err
	}
	return plainOne(text)
}

func plainOne(text string) (condition, error) {
	if len(text) > 2 && text[0] == '/' && text[len(text)-1] == '/' {
		return expression(text[1 : len(text)-1])
	}
	return is(text), nil
}

func expression(text string) (condition, error) {
	re, err := regexp.Compile("(?m)" + text) // ^ and $ are those of lines
	if err != nil {
		return nil, fmt.Errorf("%s (a text between slashes is an expression; write {is: \"…\"} for one that is not)", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return matches{re}, nil
}

func number(text string) (float64, error) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return n, nil
}
