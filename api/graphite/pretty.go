package graphite

import (
	"bytes"
	"io"
)

// indenter breaks JSON that is written through it into lines, two blanks for each
// level, as Graphite does for pretty=1. It keeps nothing, so that an answer may be of any size.
type indenter struct {
	to      io.Writer
	line    []byte // what goes out next
	depth   int
	opened  bool // the last letter opened a list or an object
	within  bool // a text
	escaped bool // the letter behind a backslash
}

func (x *indenter) Write(p []byte) (int, error) {
	x.line = x.line[:0]
	for _, c := range p {
		x.add(c)
	}
	_, err := x.to.Write(x.line)
	return len(p), err
}

func (x *indenter) add(c byte) {
	if x.within {
		x.line = append(x.line, c)
		x.within = c != '"' || x.escaped
		x.escaped = c == '\\' && !x.escaped
		return
	}
	closes := c == ']' || c == '}'
	switch {
	case c == ' ' || c == '\n':
		return
	case closes:
		x.depth--
		if !x.opened {
			x.breaks()
		}
	case x.opened:
		x.breaks()
	}
	x.line = append(x.line, c)
	x.opened = c == '[' || c == '{'
	switch {
	case x.opened:
		x.depth++
	case c == ',':
		x.breaks()
	case c == ':':
		x.line = append(x.line, ' ')
	case c == '"':
		x.within = true
	}
}

func (x *indenter) breaks() {
	x.line = append(x.line, '\n')
	x.line = append(x.line, bytes.Repeat([]byte("  "), max(x.depth, 0))...)
}
