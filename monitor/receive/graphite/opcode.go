package graphite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

var (
	errShort = errors.New("it takes more values than there are")
	errMany  = fmt.Errorf("it has more than %d values", mostItems)
)

// run executes the opcodes up to the one that stops, and returns what they have
// built.
func (u *unpickler) run() (item, error) {
	for {
		op, err := u.need(1)
		if err != nil {
			return item{}, err
		}
		if op[0] == '.' {
			return u.pop()
		}
		if err := u.step(op[0]); err != nil {
			return item{}, err
		}
	}
}

// step executes one opcode.
func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // protocol
		version, err := u.need(1)
		if err == nil && version[0] > 5 {
			err = fmt.Errorf("it is of protocol %d, and the newest known is 5", version[0])
		}
		return err
	case 0x95: // a frame within the message; where it ends does not matter
		_, err := u.need(8)
		return err
	case '(':
		if len(u.marks) >= mostItems {
			return errMany
		}
		u.marks = append(u.marks, len(u.stack))
		return nil
	case '0':
		_, err := u.pop()
		return err
	case '1':
		_, err := u.marked()
		return err
	case '2':
		if len(u.stack) == 0 {
			return errShort
		}
		return u.push(u.stack[len(u.stack)-1])
	case 'N':
		return u.push(item{})
	case 'I', 'J', 'K', 'M', 'L', 0x8a, 0x8b, 'F', 'G', 0x88, 0x89:
		return u.numeric(op)
	case 'S', 'V', 'T', 'U', 'X', 'B', 'C', 0x8c, 0x8d, 0x8e, 0x96:
		return u.text(op)
	case ')', 't', 0x85, 0x86, 0x87, ']', 'l', 'a', 'e':
		return u.group(op)
	case 'p', 'q', 'r', 0x94, 'g', 'h', 'j':
		return u.remember(op)
	}
	return fmt.Errorf("opcode 0x%02x is none that lists of metrics need", op)
}

func (u *unpickler) push(i item) error {
	if u.used++; u.used > mostItems {
		return errMany
	}
	u.stack = append(u.stack, i)
	return nil
}

// floor is how far down the stack the innermost group may take from.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

// top takes the n last values; they are good until the next push.
func (u *unpickler) top(n int) ([]item, error) {
	start := len(u.stack) - n
	if start < u.floor() {
		return nil, errShort
	}
	items := u.stack[start:]
	u.stack = u.stack[:start]
	return items, nil
}

func (u *unpickler) pop() (item, error) {
	last, err := u.top(1)
	if err != nil {
		return item{}, err
	}
	return last[0], nil
}

// marked takes all values behind the last mark, and the mark.
func (u *unpickler) marked() ([]item, error) {
	if len(u.marks) == 0 {
		return nil, errShort
	}
	start := u.floor()
	u.marks = u.marks[:len(u.marks)-1]
	items := u.stack[start:]
	u.stack = u.stack[:start]
	return items, nil
}

func (u *unpickler) numeric(op byte) (err error) {
	var v float64
	var b []byte
	switch op {
	case 0x88, 0x89: // true, false
		v = float64(0x89 - op)
	case 'K':
		if b, err = u.need(1); err == nil {
			v = float64(b[0])
		}
	case 'M':
		if b, err = u.need(2); err == nil {
			v = float64(binary.LittleEndian.Uint16(b))
		}
	case 'J':
		if b, err = u.need(4); err == nil {
			v = float64(int32(binary.LittleEndian.Uint32(b)))
		}
	case 'G':
		if b, err = u.need(8); err == nil {
			v = math.Float64frombits(binary.BigEndian.Uint64(b))
		}
	case 0x8a, 0x8b:
		length := uint64(1)
		if op == 0x8b {
			length = 4
		}
		if length, err = u.size(length); err == nil {
			if b, err = u.need(length); err == nil {
				v = long(b)
			}
		}
	default: // I, L, F: a line of text
		if b, err = u.line(); err != nil {
			return err
		}
		if op == 'L' && len(b) > 1 && b[len(b)-1] == 'L' {
			b = b[:len(b)-1]
		}
		var ok bool
		if len(b) > 0 {
			v, ok = number(b)
		}
		if !ok {
			return fmt.Errorf("%.40q is no number", b)
		}
	}
	if err != nil {
		return err
	}
	return u.push(item{kind: numeric, value: v})
}

// long is a whole number of any length, little-endian in two's complement.
func long(b []byte) float64 {
	if len(b) <= 8 {
		var full [8]byte
		copy(full[:], b)
		if len(b) > 0 && b[len(b)-1] >= 0x80 {
			for i := len(b); i < 8; i++ {
				full[i] = 0xff
			}
		}
		return float64(int64(binary.LittleEndian.Uint64(full[:])))
	}
	v := float64(int8(b[len(b)-1]))
	for i := len(b) - 2; i >= 0; i-- {
		v = v*256 + float64(b[i])
	}
	return v
}

func (u *unpickler) group(op byte) (err error) {
	var items []item
	switch op {
	case ')', ']':
	case 0x85, 0x86, 0x87:
		items, err = u.top(int(op - 0x84))
	case 'a':
		items, err = u.top(1)
	default: // t, l, e
		items, err = u.marked()
	}
	if err != nil {
		return err
	}
	if u.used += len(items); u.used > mostItems {
		return errMany
	}
	switch op {
	case ')', 't', 0x85, 0x86, 0x87:
		u.parts = append(u.parts, items...)
		return u.push(item{kind: tuple, at: len(u.parts) - len(items), n: len(items)})
	case ']', 'l':
		n := len(u.lists)
		if n < cap(u.lists) {
			u.lists = u.lists[:n+1] // with the memory of a list of an earlier message
		} else {
			u.lists = append(u.lists, nil)
		}
		u.lists[n] = append(u.lists[n][:0], items...)
		return u.push(item{kind: list, at: n})
	}
	if n := len(u.stack); n <= u.floor() || u.stack[n-1].kind != list {
		return errors.New("it appends to something that is no list")
	}
	at := u.stack[len(u.stack)-1].at
	u.lists[at] = append(u.lists[at], items...)
	return nil
}

// remember puts the last value into the memo, or gets one from there.
func (u *unpickler) remember(op byte) error {
	number, err := uint64(len(u.memo)), error(nil)
	switch op {
	case 'p', 'g':
		number, err = u.decimal()
	case 'q', 'h':
		number, err = u.size(1)
	case 'r', 'j':
		number, err = u.size(4)
	}
	if err != nil {
		return err
	}
	switch op {
	case 'g', 'h', 'j':
		if number >= uint64(len(u.memo)) {
			return fmt.Errorf("it recalls value %d, which it has not memorized", number)
		}
		return u.push(u.memo[number])
	}
	if len(u.stack) <= u.floor() {
		return errShort
	}
	if number >= mostItems {
		return errMany
	}
	if more := int(number) + 1 - len(u.memo); more > 0 {
		if u.used += more; u.used > mostItems {
			return errMany
		}
		u.memo = slices.Grow(u.memo, more)[:number+1]
		clear(u.memo[len(u.memo)-more:])
	}
	u.memo[number] = u.stack[len(u.stack)-1]
	return nil
}

func (u *unpickler) decimal() (n uint64, err error) {
	b, err := u.line()
	if err == nil && (len(b) == 0 || len(b) > 9) {
		err = fmt.Errorf("%.40q is no number of the memo", b)
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%.40q is no number of the memo", b)
		}
		n = n*10 + uint64(c-'0')
	}
	return n, err
}
