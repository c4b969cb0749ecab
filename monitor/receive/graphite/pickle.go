package graphite

import (
	"encoding/binary"
	"fmt"
	"math"

	"steer/base/metric"
	"steer/monitor/receive"
)

// unpickler reads messages of Carbon's pickle protocol: a list of (path, (timestamp,
// value)). Of Python's pickle language, protocols 0 to 5, it knows what such lists
// are made of: numbers, texts, tuples, lists and the memo. All else makes a bad
// message, above all the opcodes that call something, so that a message is data
// and never a program. Its memory is kept from one message to the next.
//
// Protocol: https://graphite.readthedocs.io/en/latest/feeding-carbon.html
// Language: https://github.com/python/cpython/blob/main/Lib/pickletools.py
type unpickler struct {
	data  []byte
	at    int    // the next byte of data
	extra []byte // texts that don't stand in data as they are
	stack []item
	marks []int  // where on the stack
	memo  []item // by number
	parts []item // of tuples
	lists [][]item
	used  int // items made
}

// mostItems bounds what one message of a megabyte may make of itself, 24 bytes
// each; one with the shortest points there are has 95,000 points of five items.
const mostItems = 1 << 19

// item is one value.
type item struct {
	kind  kind
	value float64 // number
	at, n int     // text: in data; decoded: in extra; tuple: in parts; list: at in lists
}

type kind uint8

const (
	nothing kind = iota // None
	numeric
	text
	decoded
	tuple
	list
)

// points reads one message and appends its points to dst, as Parse does; of a
// message that cannot be read come none, and bad is 1.
func (u *unpickler) points(dst []metric.Point, data []byte, now int64) (points []metric.Point, bad int, err error) {
	u.reset(data)
	all, err := u.run()
	if err != nil {
		return dst, 1, fmt.Errorf("pickle message of %d bytes, before byte %d: %w", len(data), u.at, err)
	}
	elements, ok := u.elements(all)
	if !ok {
		return dst, 1, fmt.Errorf("pickle message of %d bytes: it is no list of (path, (timestamp, value))", len(data))
	}
	for _, e := range elements {
		p, name, reason := u.point(e, now)
		if reason == "" {
			dst = append(dst, p)
			continue
		}
		bad++
		if err == nil {
			err = receive.NewLineError("pickle", name, reason)
		}
	}
	return dst, bad, err
}

// reset forgets the last message, and memory that only a huge one needs.
func (u *unpickler) reset(data []byte) {
	const usual = 1 << 16
	if u.used > usual {
		*u = unpickler{}
	}
	*u = unpickler{
		data: data, extra: u.extra[:0], stack: u.stack[:0], marks: u.marks[:0], memo: u.memo[:0], parts: u.parts[:0], lists: u.lists[:0],
	}
}

func (u *unpickler) elements(i item) ([]item, bool) {
	switch i.kind {
	case tuple:
		return u.parts[i.at : i.at+i.n], true
	case list:
		return u.lists[i.at], true
	}
	return nil, false
}

func (u *unpickler) bytes(i item) ([]byte, bool) {
	switch i.kind {
	case text:
		return u.data[i.at : i.at+i.n : i.at+i.n], true
	case decoded:
		return u.extra[i.at : i.at+i.n : i.at+i.n], true
	}
	return nil, false
}

// point makes a point of (path, (timestamp, value)); name is for messages.
func (u *unpickler) point(i item, now int64) (p metric.Point, name []byte, reason string) {
	const form = "it is not (path, (timestamp, value))"
	pair, ok := u.elements(i)
	if !ok || len(pair) != 2 {
		return p, nil, form
	}
	if name, ok = u.bytes(pair[0]); !ok {
		return p, nil, form
	}
	sample, ok := u.elements(pair[1])
	if !ok || len(sample) != 2 {
		return p, name, form
	}
	if len(name) == 0 {
		return p, name, "the path is empty"
	}
	tidied, reason := check(name)
	if reason != "" {
		return p, name, reason
	}
	for _, c := range name {
		if c == ' ' {
			return p, name, "the path has a blank"
		}
	}
	if p.Time, ok = u.seconds(sample[0], now); !ok {
		return p, name, "the timestamp is not seconds since 1970"
	}
	if p.Value, ok = u.float(sample[1]); !ok || math.IsNaN(p.Value) {
		return p, name, "the value is no number"
	}
	if p.Name = name; !tidied {
		// Points may share a text, and tidy changes it.
		start := len(u.extra)
		u.extra = append(u.extra, name...)
		p.Name = tidy(u.extra[start:len(u.extra):len(u.extra)])
	}
	return p, name, ""
}

// float takes numbers, and texts of numbers as Carbon does.
func (u *unpickler) float(i item) (float64, bool) {
	if b, ok := u.bytes(i); ok {
		if b = trim(b); len(b) == 0 {
			return 0, false
		}
		return number(b)
	}
	return i.value, i.kind == numeric
}

func (u *unpickler) seconds(i item, now int64) (int64, bool) {
	t, ok := u.float(i)
	if t == -1 {
		return now, ok
	}
	return int64(t), ok && t >= 0 && t <= latest
}

// need returns the next n bytes.
func (u *unpickler) need(n uint64) ([]byte, error) {
	if n > uint64(len(u.data)-u.at) {
		return nil, fmt.Errorf("it ends too early")
	}
	b := u.data[u.at : u.at+int(n)]
	u.at += int(n)
	return b, nil
}

// line returns what comes before the next newline.
func (u *unpickler) line() ([]byte, error) {
	for i := u.at; i < len(u.data); i++ {
		if u.data[i] == '\n' {
			b := u.data[u.at:i]
			u.at = i + 1
			return b, nil
		}
	}
	return nil, fmt.Errorf("it ends too early")
}

// size reads the length of a text: one byte, or four or eight, little-endian.
func (u *unpickler) size(n uint64) (uint64, error) {
	b, err := u.need(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}
