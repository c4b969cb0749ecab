package graphite

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// text pushes a text, or bytes: Python 2 knows no difference, and names come as
// either.
func (u *unpickler) text(op byte) error {
	length := uint64(1)
	switch op {
	case 'S', 'V':
		return u.written(op)
	case 'T', 'X', 'B':
		length = 4
	case 0x8d, 0x8e, 0x96:
		length = 8
	}
	n, err := u.size(length)
	if err != nil {
		return err
	}
	start := u.at
	if _, err := u.need(n); err != nil {
		return err
	}
	return u.push(item{kind: text, at: start, n: int(n)})
}

// written pushes a text of protocol 0: S is a literal in quotes, V a text whose
// letters above 255, backslashes and newlines are escaped.
func (u *unpickler) written(op byte) error {
	b, err := u.line()
	if err != nil {
		return err
	}
	start := len(u.extra)
	if op == 'S' {
		if n := len(b); n < 2 || b[0] != '\'' && b[0] != '"' || b[n-1] != b[0] {
			return fmt.Errorf("%.40q is no text in quotes", b)
		}
		b = b[1 : len(b)-1]
	}
	for i := 0; i < len(b); {
		if b[i] != '\\' {
			if op == 'S' {
				u.extra = append(u.extra, b[i])
			} else {
				u.extra = utf8.AppendRune(u.extra, rune(b[i])) // Latin-1
			}
			i++
			continue
		}
		n := u.escape(op, b[i:])
		if n == 0 {
			return fmt.Errorf("%.40q has an escape that cannot be read", b)
		}
		i += n
	}
	return u.push(item{kind: decoded, at: start, n: len(u.extra) - start})
}

// escape decodes what begins with a backslash and returns its length, 0 if it
// cannot be read.
func (u *unpickler) escape(op byte, b []byte) int {
	if len(b) < 2 {
		if op == 'V' { // a lone backslash is one
			u.extra = append(u.extra, '\\')
			return 1
		}
		return 0
	}
	digits := map[byte]int{'u': 4, 'U': 8}[b[1]]
	if op == 'S' {
		digits = map[byte]int{'x': 2}[b[1]]
		const plain, meant = `\'"abfnrtv`, "\\'\"\a\b\f\n\r\t\v"
		for i := range len(plain) {
			if b[1] == plain[i] {
				u.extra = append(u.extra, meant[i])
				return 2
			}
		}
	}
	if digits == 0 { // no escape at all, as in Python
		u.extra = append(u.extra, '\\')
		return 1
	}
	if len(b) < 2+digits {
		return 0
	}
	code, err := strconv.ParseUint(string(b[2:2+digits]), 16, 32)
	if err != nil {
		return 0
	}
	if op == 'S' {
		u.extra = append(u.extra, byte(code))
	} else {
		u.extra = utf8.AppendRune(u.extra, rune(code))
	}
	return 2 + digits
}
