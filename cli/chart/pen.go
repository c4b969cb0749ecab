package chart

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Codes of a terminal. Hues differ in lightness too, and red comes late: it is
// the colour of what is bad.
const dim, red, green, reset = "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[0m"

func hues() []string {
	return []string{"\x1b[36m", "\x1b[33m", "\x1b[35m", "\x1b[32m", "\x1b[94m", "\x1b[91m", "\x1b[96m", "\x1b[93m"}
}

// pen knows what the terminal can show.
type pen struct{ ascii, colour bool }

func (p pen) hue(i int) string { h := hues(); return h[i%len(h)] }

func (p pen) paint(code, text string) string {
	if !p.colour || code == "" || text == "" {
		return text
	}
	return code + text + reset
}

// glyph chooses between a character and the nearest one of ASCII.
func (p pen) glyph(fine, plain string) string {
	if p.ascii {
		return plain
	}
	return fine
}

// mark is a moment on the axis: what is bad differs in shape too.
func (p pen) mark(m Mark) string {
	if m.Bad {
		return p.paint(red, p.glyph("▼", "!"))
	}
	return p.paint(green, p.glyph("▲", "^"))
}

// merge joins characters; those without a colour of their own are dim.
func (p pen) merge(cells []string) string {
	var b, plain strings.Builder
	for _, c := range cells {
		if strings.HasPrefix(c, "\x1b") {
			b.WriteString(p.paint(dim, plain.String()) + c)
			plain.Reset()
			continue
		}
		plain.WriteString(c)
	}
	return b.String() + p.paint(dim, plain.String())
}

// pad puts text at the right of a column.
func pad(text string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text))) + text
}

// plain makes one line of a text and keeps it from steering the terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return '?'
		}
		return r
	}, strings.Join(strings.Fields(text), " "))
}

// shorten cuts the middle out of a long text, since names differ at both ends.
func (p pen) shorten(text string, width int) string {
	r := []rune(text)
	if len(r) <= width {
		return text
	}
	gap := []rune(p.glyph("…", ".."))
	if width <= len(gap) {
		return string(r[:width])
	}
	left := (width - len(gap)) / 2
	return string(r[:left]) + string(gap) + string(r[len(r)-(width-len(gap)-left):])
}
