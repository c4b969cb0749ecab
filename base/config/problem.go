package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// most is how many problems one error tells at most: more do not help, and a
// generated file may have thousands.
const most = 50

// Problem is one mistake in what was read.
type Problem struct {
	File   string `json:"file"`             // file, or "environment STEER_…", or "--set KEY=…"
	Line   int    `json:"line,omitempty"`   // from 1; 0 outside of files
	Column int    `json:"column,omitempty"` // from 1, in characters; 0 outside of files
	Key    string `json:"key,omitempty"`    // like pipeline[2].deploy; empty: the file as a whole
	Text   string `json:"text"`             // what is wrong and the way out
}

// Error words the problem as FILE:LINE:COLUMN: KEY: TEXT.
func (p Problem) Error() string {
	var b strings.Builder
	if p.File != "" { // without one, something is missing in the flags and the environment
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Key != "" && !strings.HasPrefix(p.File, flag) {
		b.WriteString(p.Key)
		b.WriteString(": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems lists the problems that err wraps or joins, nil for other errors.
func Problems(err error) []Problem {
	var all []Problem
	for _, e := range leaves(err) {
		var p Problem
		if errors.As(e, &p) {
			all = append(all, p)
		}
	}
	return all
}

// leaves takes joined errors apart, also when a wrapper that adds no text of its
// own (like that of package fault) is around them.
func leaves(err error) []error {
	switch e := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		var all []error
		for _, one := range e.Unwrap() {
			all = append(all, leaves(one)...)
		}
		return all
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil && inner.Error() == err.Error() {
			return leaves(inner)
		}
	}
	return []error{err}
}

// ordered sorts by place, and drops repetitions, which come from values that are
// checked as themselves and as a part of another. What stands outside of files
// stays in its order, after the file.
func ordered(all []Problem) []Problem {
	var out []Problem
	seen := map[Problem]bool{}
	for _, p := range all {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Problem) int {
		if a.Line == 0 || b.Line == 0 {
			return cmp.Compare(min(1, b.Line), min(1, a.Line))
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return out
}

// place is where a key stands.
type place struct {
	file         string
	line, column int
}

func (p place) problem(key, text string) Problem {
	return Problem{File: p.file, Line: p.line, Column: p.column, Key: short(key, 200), Text: short(text, 1000)}
}

// short keeps errors readable when what they quote is not.
func short(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// find returns the place of a key, or of the nearest one around it.
func find(places map[string]place, file, key string) place {
	for {
		if p, ok := places[key]; ok {
			return p
		}
		end := strings.LastIndexAny(key, ".[")
		if end < 0 {
			break
		}
		key = key[:end]
	}
	if p, ok := places[""]; ok {
		return p
	}
	return place{file, 1, 1}
}

// within is the key of name in the mapping at key.
func within(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}

func item(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
