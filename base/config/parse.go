package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Bounds on what is read. A file of definitions has some hundred lines; the
// bounds keep a pushed file from eating the server.
const (
	maxBytes  = 1 << 20
	maxDepth  = 50
	maxValues = 100_000 // counted after aliases are followed
)

// parse returns the top value of the file, nil when it is empty.
func parse(file string, data []byte) (*yaml.Node, error) { return parseUpTo(file, data, maxBytes) }

func parseUpTo(file string, data []byte, most int) (*yaml.Node, error) {
	start := place{file, 1, 1}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	if len(data) > most {
		return nil, start.problem("", fmt.Sprintf("the file has %d bytes, at most %d are read", len(data), most))
	}
	if !utf8.Valid(data) {
		line, column := 1, 1
		for rest := data; len(rest) > 0; {
			r, n := utf8.DecodeRune(rest)
			if r == utf8.RuneError && n == 1 {
				break
			}
			if column++; r == '\n' {
				line, column = line+1, 1
			}
			rest = rest[n:]
		}
		return nil, place{file, line, column}.problem("", "this is not UTF-8 text")
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		return nil, syntax(start, err)
	}
	var first, second yaml.Node
	switch err := loader.Load(&first); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntax(start, err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, at(file, &second).problem("", "a second YAML document starts here; put everything into one, without a line ---")
	case !errors.Is(err, io.EOF):
		return nil, syntax(start, err)
	}
	if len(first.Content) == 0 {
		return nil, nil
	}
	return first.Content[0], nil
}

// syntax words an error of the YAML library.
func syntax(start place, err error) Problem {
	text := err.Error()
	var one *yaml.LoadError
	var many *yaml.LoadErrors
	if errors.As(err, &many) && len(many.Errors) > 0 {
		one = many.Errors[0]
	}
	if one != nil || errors.As(err, &one) {
		text = one.Message
		if one.Mark.Line > 0 {
			start.line, start.column = one.Mark.Line, max(1, one.Mark.Column)
		}
		if one.ContextMsg != "" {
			text = fmt.Sprintf("%s, %s", text, one.ContextMsg)
			if one.ContextMark.Line > 0 && one.ContextMark.Line != start.line {
				text += fmt.Sprintf(" that starts at line %d", one.ContextMark.Line)
			}
		}
	}
	text = strings.TrimPrefix(text, "yaml: ")
	switch {
	case strings.Contains(text, "cannot start any token"):
		text = "this character cannot start a value (indent with spaces, not tabs; put texts with special characters in quotes)"
	case strings.Contains(text, "mapping values are not allowed"):
		text = "a second \": \" on one line (put a text that contains one in quotes), or an indentation that does not match"
	case strings.Contains(text, "did not find expected key"), strings.Contains(text, "did not find expected '-' indicator"):
		text = "the indentation does not match the lines above"
	}
	return start.problem("", "not YAML: "+text)
}

func at(file string, n *yaml.Node) place { return place{file, max(1, n.Line), max(1, n.Column)} }
