package query

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"steer/base/fault"
)

// TargetError is a mistake in a target, with its place. The error that Parse and
// Eval return wraps it, so that a user interface can mark the character.
type TargetError struct {
	Action string // "parse" or "evaluate"
	Target string // as the caller wrote it
	Offset int    // byte offset of the mistake
	Text   string // what is wrong, and the way out
	cause  error
}

const shown = 60 // characters of a target that an error repeats

// Character is the place of the mistake, counted in characters from 1.
func (e *TargetError) Character() int { return utf8.RuneCountInString(e.Target[:e.Offset]) + 1 }

// Error tells the place in one line; the part of the target around it and a
// caret under the character follow on two more.
func (e *TargetError) Error() string {
	whole := []rune(printable(e.Target))
	at := e.Character() - 1
	start, end := 0, len(whole)
	if end > shown {
		start = max(0, at-shown/2)
		end = min(len(whole), start+shown)
	}
	line := string(whole[start:end])
	before, after := "", ""
	if start > 0 {
		before = "…"
	}
	if end < len(whole) {
		after = "…"
	}
	return fmt.Sprintf("%s target %q at character %d: %s\n  %s%s%s\n  %s^",
		e.Action, before+line+after, at+1, e.Text, before, line, after,
		strings.Repeat(" ", utf8.RuneCountInString(before)+at-start))
}

// Unwrap gives the reason, where there is one.
func (e *TargetError) Unwrap() error { return e.cause }

// Summary is the error without the lines that show the place.
func (e *TargetError) Summary() string {
	first, _, _ := strings.Cut(e.Error(), "\n")
	return first
}

// printable keeps the caret in place: one column for each character.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}

// mistake is an error at an offset of a target that the caller knows.
type mistake struct {
	offset int
	text   string
	kind   fault.Kind
	cause  error
}

func (m *mistake) Error() string { return m.text }
func (m *mistake) Unwrap() error { return m.cause }

func at(offset int, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &mistake{offset, err.Error(), fault.Invalid, errors.Unwrap(err)}
}

// within turns a mistake into the error of a whole target; other errors pass.
func within(action, target string, err error) error {
	var m *mistake
	if !errors.As(err, &m) {
		return err
	}
	offset := min(max(m.offset, 0), len(target))
	for offset > 0 && offset < len(target) && !utf8.RuneStart(target[offset]) {
		offset--
	}
	return fault.New(m.kind, "%w", &TargetError{action, target, offset, m.text, m.cause})
}
