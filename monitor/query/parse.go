package query

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds on one target. They are far above what people and dashboards write,
// and low enough that a hostile target costs nothing.
const (
	maxLength = 64 << 10
	maxDepth  = 64
)

// Characters that end a path unless a backslash stands before them.
const pathEnds = "(),'\"| \t\r\n"

// Parse reads one target of the Graphite language. An error is of kind Invalid
// and wraps a *TargetError that names the character.
func Parse(target string) (*Expr, error) {
	x, err := parse(target)
	if err != nil {
		return nil, within("parse", target, err)
	}
	return x, nil
}

func parse(target string) (*Expr, error) {
	if len(target) > maxLength {
		return nil, at(maxLength, "it has %d bytes, the limit is %d", len(target), maxLength)
	}
	if !utf8.ValidString(target) {
		i := 0
		for i < len(target) {
			r, n := utf8.DecodeRuneInString(target[i:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			i += n
		}
		return nil, at(i, "it is not valid UTF-8")
	}
	p := parser{in: target}
	p.space()
	if p.end() {
		return nil, at(0, "it is empty; write a metric path or a function call")
	}
	x, err := p.expression(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if !p.end() {
		return nil, at(p.pos, "unexpected %s behind the end of the expression", p.next())
	}
	return x, nil
}

type parser struct {
	in  string
	pos int
}

func (p *parser) end() bool { return p.pos >= len(p.in) }

func (p *parser) peek() byte {
	if p.end() {
		return 0
	}
	return p.in[p.pos]
}

func (p *parser) space() {
	for !p.end() && strings.IndexByte(" \t\r\n", p.in[p.pos]) >= 0 {
		p.pos++
	}
}

// next describes the character that stands at the position.
func (p *parser) next() string {
	if p.end() {
		return "end of the target"
	}
	r, _ := utf8.DecodeRuneInString(p.in[p.pos:])
	return strconv.Quote(string(r))
}

// expression is a path or call, and the calls it is piped into.
func (p *parser) expression(depth int) (*Expr, error) {
	x, err := p.operand(depth)
	if err != nil {
		return nil, err
	}
	for {
		before := p.pos
		p.space()
		if p.peek() != '|' {
			p.pos = before
			return x, nil
		}
		if x.Kind != Path && x.Kind != Call {
			return nil, at(p.pos, "only series can be piped into a function, not %s", x)
		}
		p.pos++
		p.space()
		if depth++; depth > maxDepth {
			return nil, at(p.pos, "more than %d functions around each other", maxDepth)
		}
		start := p.pos
		name := p.identifier()
		if name == "" {
			return nil, at(p.pos, "expected a function call behind \"|\", found %s", p.next())
		}
		p.space()
		if p.peek() != '(' {
			return nil, at(p.pos, "expected \"(\" behind the function %s, found %s", name, p.next())
		}
		call, err := p.call(name, start, depth)
		if err != nil {
			return nil, err
		}
		call.Args = append([]*Expr{x}, call.Args...)
		x = call
	}
}

// operand is one path or call.
func (p *parser) operand(depth int) (*Expr, error) {
	if depth > maxDepth {
		return nil, at(p.pos, "more than %d functions around each other", maxDepth)
	}
	start := p.pos
	if name := p.identifier(); name != "" {
		end := p.pos
		p.space()
		if p.peek() == '(' {
			return p.call(name, start, depth)
		}
		p.pos = end
	}
	p.pos = start
	return p.path()
}

func (p *parser) identifier() string {
	start := p.pos
	for !p.end() {
		c := p.in[p.pos]
		if c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || p.pos > start && '0' <= c && c <= '9' {
			p.pos++
			continue
		}
		break
	}
	return p.in[start:p.pos]
}

// path reads a metric path: nodes with globs, lists in braces (commas belong to
// them), tags behind semicolons.
func (p *parser) path() (*Expr, error) {
	start, brace, escaped := p.pos, -1, false
	for !p.end() {
		c := p.in[p.pos]
		switch {
		case c == '\\':
			if p.pos+1 >= len(p.in) {
				return nil, at(p.pos, "a backslash needs a character behind it")
			}
			escaped = true
			_, n := utf8.DecodeRuneInString(p.in[p.pos+1:])
			p.pos += 1 + n
			continue
		case c == '{':
			if brace >= 0 {
				return nil, at(p.pos, "\"{\" inside of \"{\"; lists cannot be nested")
			}
			brace = p.pos
		case c == '}':
			if brace < 0 {
				return nil, at(p.pos, "\"}\" without \"{\"")
			}
			brace = -1
		case c == ',' && brace >= 0:
		case strings.IndexByte(pathEnds, c) >= 0:
			if brace >= 0 {
				return nil, at(p.pos, "expected \"}\" to close the list from character %d, found %s", p.character(brace), p.next())
			}
			return p.made(start, escaped)
		}
		p.pos++
	}
	if brace >= 0 {
		return nil, at(p.pos, "expected \"}\" to close the list from character %d, found %s", p.character(brace), p.next())
	}
	return p.made(start, escaped)
}

func (p *parser) made(start int, escaped bool) (*Expr, error) {
	text := p.in[start:p.pos]
	if text == "" {
		return nil, at(p.pos, "expected a metric path or a function call, found %s", p.next())
	}
	source := text
	if escaped {
		var b strings.Builder
		for i := 0; i < len(text); i++ {
			if text[i] == '\\' {
				i++
			}
			b.WriteByte(text[i])
		}
		text = b.String()
	}
	return &Expr{Kind: Path, Pos: start, End: p.pos, Text: text, source: source}, nil
}

func (p *parser) character(offset int) int { return utf8.RuneCountInString(p.in[:offset]) + 1 }

// call reads the arguments of a function; the position is at its "(".
func (p *parser) call(name string, start, depth int) (*Expr, error) {
	x := &Expr{Kind: Call, Pos: start, Text: name}
	p.pos++
	p.space()
	if p.peek() == ')' {
		p.pos++
		x.End, x.source = p.pos, p.in[start:p.pos]
		return x, nil
	}
	for {
		p.space()
		if err := p.argument(x, depth+1); err != nil {
			return nil, err
		}
		p.space()
		switch p.peek() {
		case ',':
			p.pos++
		case ')':
			p.pos++
			x.End, x.source = p.pos, p.in[start:p.pos]
			return x, nil
		default:
			return nil, at(p.pos, "expected \",\" or \")\" in the arguments of %s, found %s", name, p.next())
		}
	}
}

func (p *parser) argument(x *Expr, depth int) error {
	start := p.pos
	if name := p.identifier(); name != "" {
		p.space()
		if p.peek() == '=' {
			p.pos++
			p.space()
			v, err := p.value(depth)
			if err != nil {
				return err
			}
			for _, n := range x.Named {
				if n.Name == name {
					return at(start, "the argument %s of %s is given twice", name, x.Text)
				}
			}
			x.Named = append(x.Named, Named{name, start, v})
			return nil
		}
	}
	p.pos = start
	if len(x.Named) > 0 {
		return at(start, "an argument by position cannot follow the named argument %s", x.Named[len(x.Named)-1].Name)
	}
	v, err := p.value(depth)
	if err != nil {
		return err
	}
	x.Args = append(x.Args, v)
	return nil
}

// value is one argument: a text, number, boolean, none, or an expression.
func (p *parser) value(depth int) (*Expr, error) {
	start := p.pos
	if c := p.peek(); c == '"' || c == '\'' {
		return p.text(c)
	}
	// A word is a number or boolean only as a whole: 10.0.0.1 and true.count are paths.
	for !p.end() && strings.IndexByte(pathEnds, p.in[p.pos]) < 0 {
		p.pos++
	}
	word := p.in[start:p.pos]
	after := p.pos
	p.space()
	if c := p.peek(); c == ',' || c == ')' || c == 0 {
		if x := literal(word); x != nil {
			x.Pos, x.End, p.pos = start, after, after
			return x, nil
		}
	}
	p.pos = start
	return p.expression(depth)
}

func literal(word string) *Expr {
	switch strings.ToLower(word) {
	case "true", "false":
		return &Expr{Kind: Boolean, Text: word, Bool: len(word) == 4}
	case "none":
		return &Expr{Kind: None, Text: word}
	case "inf":
		return &Expr{Kind: Number, Text: word, Number: math.Inf(1)}
	}
	if word == "" || strings.IndexByte("0123456789-+.", word[0]) < 0 || strings.Trim(word, "0123456789-+.eE") != "" {
		return nil
	}
	n, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return nil
	}
	return &Expr{Kind: Number, Text: word, Number: n + 0, Integer: strings.Trim(word, "0123456789-+") == ""}
}

// text reads a quoted text. A backslash protects the quote and is kept before
// everything else, as regular expressions need it.
func (p *parser) text(quote byte) (*Expr, error) {
	start := p.pos
	var b strings.Builder
	for p.pos++; !p.end(); p.pos++ {
		c := p.in[p.pos]
		if c == quote {
			p.pos++
			return &Expr{Kind: Text, Pos: start, End: p.pos, Text: b.String()}, nil
		}
		if c == '\\' && p.pos+1 < len(p.in) {
			p.pos++
			if p.in[p.pos] != quote {
				b.WriteByte('\\')
			}
			c = p.in[p.pos]
		}
		b.WriteByte(c)
	}
	return nil, at(start, "the text that starts here has no closing %c", quote)
}
