package query

import (
	"cmp"
	"strings"
)

// Kind tells the forms of an expression apart.
type Kind uint8

// The kinds of expressions.
const (
	Path    Kind = iota // a metric path or glob: servers.web*.cpu
	Call                // a function call: sumSeries(a.*)
	Number              // 5, -1.5, 1e3
	Text                // "5min"
	Boolean             // true, false
	None                // none: the parameter is left at its default
)

// Expr is one node of a parsed target. Which fields count depends on Kind.
type Expr struct {
	Kind    Kind
	Pos     int     // byte offset of its first character in the target
	End     int     // byte offset behind its last character
	Text    string  // the path, the name of the function, the text without quotes, or a number as it was written
	Number  float64 // Number
	Integer bool    // Number was written without fraction and exponent
	Bool    bool    // Boolean
	source  string  // Path and Call: as it was written
	Args    []*Expr // Call: arguments by position; what came through a pipe is the first
	Named   []Named // Call: arguments by name, in the order in which they were written
}

// Named is an argument given as name=value.
type Named struct {
	Name string
	Pos  int // byte offset of the name
	*Expr
}

// Paths returns the metric paths of the expression, each once, in the order of
// their first use.
func (x *Expr) Paths() []string {
	var paths []string
	seen := map[string]bool{}
	x.walk(func(x *Expr) {
		if x.Kind == Path && !seen[x.Text] {
			seen[x.Text] = true
			paths = append(paths, x.Text)
		}
	})
	return paths
}

func (x *Expr) walk(f func(*Expr)) {
	f(x)
	for _, a := range x.Args {
		a.walk(f)
	}
	for _, n := range x.Named {
		n.walk(f)
	}
}

// String writes the expression in its nested form: pipes become calls, and
// texts get double quotes where they can.
func (x *Expr) String() string {
	var b strings.Builder
	x.write(&b)
	return b.String()
}

func (x *Expr) write(b *strings.Builder) {
	switch x.Kind {
	case Path:
		b.WriteString(cmp.Or(x.source, x.Text))
	case Number:
		b.WriteString(x.Text)
	case Text:
		writeQuoted(b, x.Text)
	case Boolean:
		if x.Bool {
			b.WriteString("true")
		} else {
			b.WriteString("false")
		}
	case None:
		b.WriteString("none")
	case Call:
		b.WriteString(x.Text)
		b.WriteByte('(')
		for i, a := range x.Args {
			if i > 0 {
				b.WriteByte(',')
			}
			a.writeArgument(b)
		}
		for i, n := range x.Named {
			if i > 0 || len(x.Args) > 0 {
				b.WriteByte(',')
			}
			b.WriteString(n.Name)
			b.WriteByte('=')
			n.Expr.write(b)
		}
		b.WriteByte(')')
	}
}

// writeArgument writes an argument by position. A path like a=b was piped into the
// call, and would be a named argument there.
func (x *Expr) writeArgument(b *strings.Builder) {
	if x.Kind == Path {
		text := cmp.Or(x.source, x.Text)
		p := parser{in: text}
		if p.identifier() != "" && p.peek() == '=' {
			b.WriteString(text[:p.pos] + `\` + text[p.pos:])
			return
		}
	}
	x.write(b)
}

func writeQuoted(b *strings.Builder, s string) {
	quote := byte('"')
	if strings.IndexByte(s, '"') >= 0 && strings.IndexByte(s, '\'') < 0 || !quotable(s, '"') && quotable(s, '\'') {
		quote = '\''
	}
	b.WriteByte(quote)
	for i := 0; i < len(s); i++ {
		if s[i] == quote {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte(quote)
}

// quotable tells whether a text can stand between such quotes. A backslash belongs
// to what follows it, so one of two before a quote would take the other's place.
func quotable(s string, quote byte) bool {
	odd := false // backslashes since another character
	for i := 0; i < len(s); i++ {
		if s[i] == quote && odd {
			return false
		}
		odd = s[i] == '\\' && !odd
	}
	return !odd
}
