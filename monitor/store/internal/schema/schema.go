package schema

import (
	"errors"
	"fmt"

	"regexp/syntax"
	"strconv"
	"strings"

	"steer/base/fault"
)

// Schema says how long series are kept whose name its pattern finds.
type Schema struct {
	Name     string
	Pattern  Pattern   // searched anywhere in the name
	Archives []Archive // from fine to coarse
}

// Aggregation says how coarser archives are made of finer ones for series whose
// name its pattern finds.
type Aggregation struct {
	Name         string
	Pattern      Pattern
	XFilesFactor float64 // share of the finer values that must be known, 0 to 1
	Method       Method
}

// Parse reads a file of schemas; the first that matches a name counts. Names
// ending in .yaml, .yml or .json are YAML lists of {name, pattern, retentions},
// all others Carbon's storage-schemas.conf. All mistakes come in one
// fault.Invalid, each with its line.
func Parse(file string, data []byte) ([]Schema, error) {
	var all []Schema
	err := read("schema", file, data, []string{"pattern", "retentions"}, func(e entry) error {
		s := Schema{Name: e.name}
		var err, err2 error
		s.Pattern, err = e.pattern()
		if s.Archives, err2 = ParseRetentions(e.text["retentions"]); err2 != nil {
			err2 = e.at("retentions", err2)
		}
		all = append(all, s)
		return errors.Join(err, err2)
	})
	return all, err
}

// ParseAggregation reads a file of aggregations: a YAML list of {name, pattern,
// x_files_factor, method} or Carbon's storage-aggregation.conf. What a Carbon
// entry leaves out is Carbon's default: average of at least half of the values.
func ParseAggregation(file string, data []byte) ([]Aggregation, error) {
	var all []Aggregation
	err := read("aggregation", file, data, []string{"pattern", "x_files_factor", "method"}, func(e entry) error {
		a := Aggregation{Name: e.name, XFilesFactor: 0.5}
		var err, err2, err3 error
		a.Pattern, err = e.pattern()
		if s, ok := e.text["x_files_factor"]; ok {
			a.XFilesFactor, err2 = strconv.ParseFloat(s, 64)
			if err2 != nil || !(a.XFilesFactor >= 0 && a.XFilesFactor <= 1) {
				err2 = e.at("x_files_factor", fmt.Errorf("%s %q is no number from 0 to 1", e.key("x_files_factor"), s))
			}
		}
		if s, ok := e.text["method"]; ok {
			if a.Method, err3 = ParseMethod(s); err3 != nil {
				err3 = e.at("method", err3)
			}
		}
		all = append(all, a)
		return errors.Join(err, err2, err3)
	})
	return all, err
}

// entry is one section of a Carbon file or one item of a YAML list.
type entry struct {
	name string
	line int
	text map[string]string // by the YAML key
	pos  map[string]int    // line of each
	as   map[string]string // how the file spells the key
}

func newEntry(line int) entry {
	return entry{line: line, text: map[string]string{}, pos: map[string]int{}, as: map[string]string{}}
}

// placed is a mistake on a line.
type placed struct {
	line int
	err  error
}

func (p *placed) Error() string { return p.err.Error() }

func (e entry) at(key string, err error) error {
	line, ok := e.pos[key]
	if !ok {
		line = e.line
	}
	return &placed{line, err}
}

func (e entry) key(key string) string {
	if as, ok := e.as[key]; ok {
		return as
	}
	return key
}

func (e entry) pattern() (Pattern, error) {
	re, err := CompilePattern(e.text["pattern"])
	if err != nil {
		return Pattern{}, e.at("pattern", fmt.Errorf("pattern %q: %w", e.text["pattern"], explain(err)))
	}
	return re, nil
}

// explain names the Python constructs that Go's regular expressions leave out.
func explain(err error) error {
	var e *syntax.Error
	if errors.As(err, &e) && strings.HasPrefix(e.Expr, "(?") {
		return fmt.Errorf("%q is not supported (no look-ahead, look-behind or back references; order the entries instead, the first match counts)", e.Expr)
	}
	return err
}

// read hands every entry of the file to take and joins the mistakes.
func read(what, file string, data []byte, keys []string, take func(entry) error) error {
	parse := parseCarbon
	if strings.HasSuffix(file, ".yaml") || strings.HasSuffix(file, ".yml") || strings.HasSuffix(file, ".json") {
		parse = parseYAML
	}
	entries, err := parse(data, keys)
	errs := split(err)
	for _, e := range entries {
		required := keys[:1]
		if what == "schema" {
			required = keys
		}
		missing := false
		for _, key := range required {
			if _, ok := e.text[key]; !ok {
				missing = true
				errs = append(errs, &placed{e.line, fmt.Errorf("entry %q has no %s", e.name, key)})
			}
		}
		if !missing {
			errs = append(errs, split(take(e))...)
		}
	}
	for i, err := range errs {
		var p *placed
		if errors.As(err, &p) {
			errs[i] = fmt.Errorf("read %s %q line %d: %w", what, file, p.line, p.err)
		} else {
			errs[i] = fmt.Errorf("read %s %q: %w", what, file, err)
		}
	}
	if len(errs) > 0 {
		return fault.New(fault.Invalid, "%w", errors.Join(errs...))
	}
	return nil
}

// split takes errors.Join apart again.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range j.Unwrap() {
			all = append(all, split(e)...)
		}
		return all
	}
	return []error{err}
}
