package graphite

import (
	"bufio"
	"encoding/binary"
	"math"
	"strings"
)

// msgpack writes MessagePack: https://github.com/msgpack/msgpack/blob/master/spec.md
type msgpack struct{ *bufio.Writer }

// size writes how long a list, dictionary or text is: in the first byte up to small,
// else in one, two or four more. Lists and dictionaries have no form with one.
func (m *msgpack) size(n int, fixed byte, small int, one, two, four byte) {
	b := m.AvailableBuffer()
	switch {
	case n <= small:
		b = append(b, fixed|byte(n))
	case n <= math.MaxUint8 && one != 0:
		b = append(b, one, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, two), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, four), uint32(n))
	}
	_, _ = m.Write(b)
}

func (m *msgpack) list(n int) { m.size(n, 0x90, 15, 0, 0xdc, 0xdd) }
func (m *msgpack) endList()   {}
func (m *msgpack) dict(n int) { m.size(n, 0x80, 15, 0, 0xde, 0xdf) }
func (m *msgpack) endDict()   {}

func (m *msgpack) text(s string) {
	s = valid(s)
	m.size(len(s), 0xa0, 31, 0xd9, 0xda, 0xdb)
	_, _ = m.WriteString(s)
}

func (m *msgpack) integer(n int64) {
	b := m.AvailableBuffer()
	switch {
	case n >= 0 && n <= math.MaxInt8:
		b = append(b, byte(n))
	case n >= 0 && n <= math.MaxUint32:
		b = binary.BigEndian.AppendUint32(append(b, 0xce), uint32(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(n))
	}
	_, _ = m.Write(b)
}

func (m *msgpack) number(v float64) {
	if v != v {
		_ = m.WriteByte(0xc0)
		return
	}
	_, _ = m.Write(binary.BigEndian.AppendUint64(append(m.AvailableBuffer(), 0xcb), math.Float64bits(v)))
}

func (m *msgpack) truth(b bool) {
	if b {
		_ = m.WriteByte(0xc3)
	} else {
		_ = m.WriteByte(0xc2)
	}
}

func (m *msgpack) end() { _ = m.Flush() }

// valid is a text that every reader takes: names may have any bytes.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
