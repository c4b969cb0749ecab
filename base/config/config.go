// Package config reads what operators write: strict YAML with the place and a
// way out in every error, defaults, environment variables and flags.
//
// A configuration is a struct. Its fields carry tags: yaml:"name" is the key
// (fields without it, or with "-", are not configuration; ",inline" lifts the
// fields of a nested struct), doc:"…" explains it to operators, default:"…" is
// its value when the key is absent, written as in YAML. A key without a value
// counts as absent.
//
// Field types are strings, numbers, booleans, whatever reads itself from text
// (Duration) or from any shape (see Reader), and structs, slices, pointers and maps with text keys of these.
// Names of package id are checked as such.
//
// A value with a method Check() error is asked once everything in it was read
// without errors, inner values first; the method may also fill in what depends
// on other keys. Several errors may be joined. An error whose text starts with
// "KEY: ", where KEY is a key below the value like pipeline[2].deploy, is
// reported where that key stands; any other where the value stands.
package config

import (
	"errors"
	"reflect"

	"steer/base/fault"
)

// Decode reads a YAML file into the struct or map that into points to. The error
// has kind Invalid and tells everything that is wrong, a line each:
//
//	server.yaml:12:3: receive.graphite.tpc: unknown key (did you mean "tcp"?)
//
// The name file is for such texts only. An empty file sets the defaults.
func Decode(file string, data []byte, into any) error {
	_, err := Read(file, data, into)
	return err
}

// DecodeUpTo is Decode for what a program wrote, which may have more bytes than a
// file that people write.
func DecodeUpTo(file string, data []byte, most int, into any) error {
	d := newDecoder(file)
	d.most = most
	d.decode(data, into)
	return d.err()
}

// Document remembers where each key of a decoded file stands, for checks that
// need to see more than one file.
type Document struct {
	file   string
	places map[string]place
}

// Read is Decode for files that are checked against others afterwards. The
// document is nil only with an error.
func Read(file string, data []byte, into any) (*Document, error) {
	d := newDecoder(file)
	d.decode(data, into)
	if err := d.err(); err != nil {
		return nil, err
	}
	return &Document{file, d.places}, nil
}

// Problem returns an error about a key, as Decode would have worded and placed
// it. Of a key that the file lacks, the place is that of what would contain it.
func (d *Document) Problem(key, text string) error {
	return find(d.places, d.file, key).problem(key, text)
}

// Join makes one error of kind Invalid of all the problems in errs, which may be
// nil or joined themselves, in order of file and line; nil without any.
func Join(errs ...error) error {
	all := Problems(errors.Join(errs...))
	if len(all) == 0 {
		return nil
	}
	return failure(all)
}

func failure(all []Problem) error {
	all = ordered(all)
	more := len(all) - most
	if more > 0 {
		all = all[:most]
	}
	var errs []error
	for _, p := range all {
		errs = append(errs, p)
	}
	if more > 0 {
		errs = append(errs, fault.New(fault.Invalid, "… and %d more", more))
	}
	return fault.New(fault.Invalid, "%w", errors.Join(errs...))
}

// pointee returns what into points to. Anything else is a mistake in the program.
func pointee(into any) reflect.Value {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic("BUG: configuration is decoded into a pointer, not " + v.Kind().String())
	}
	return v.Elem()
}
