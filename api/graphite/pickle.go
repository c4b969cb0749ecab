package graphite

import (
	"bufio"
	"encoding/binary"
	"math"
)

// pickle writes Python's protocol 2, which all versions since 2.3 read.
//
// Source: https://github.com/python/cpython/blob/main/Lib/pickletools.py
type pickle struct{ *bufio.Writer }

// Codes of pickle.
const (
	pickleProtocol  = "\x80\x02"
	pickleMark      = '('
	pickleEmptyList = ']'
	pickleAppends   = 'e' // everything behind the mark to the list before it
	pickleEmptyDict = '}'
	pickleSetItems  = 'u'
	pickleUnicode   = 'X' // 4 bytes of length, UTF-8
	pickleInt       = 'J' // 4 bytes
	pickleLong      = '\x8a'
	pickleFloat     = 'G' // 8 bytes, big-endian
	pickleNone      = 'N'
	pickleTrue      = '\x88'
	pickleFalse     = '\x89'
	pickleStop      = '.'
)

func newPickle(w *bufio.Writer) *pickle {
	_, _ = w.WriteString(pickleProtocol)
	return &pickle{w}
}

func (p *pickle) code(c byte) { _ = p.WriteByte(c) }

func (p *pickle) list(int) { p.code(pickleEmptyList); p.code(pickleMark) }
func (p *pickle) endList() { p.code(pickleAppends) }
func (p *pickle) dict(int) { p.code(pickleEmptyDict); p.code(pickleMark) }
func (p *pickle) endDict() { p.code(pickleSetItems) }

func (p *pickle) text(s string) {
	s = valid(s)
	p.code(pickleUnicode)
	_, _ = p.Write(binary.LittleEndian.AppendUint32(p.AvailableBuffer(), uint32(len(s))))
	_, _ = p.WriteString(s)
}

func (p *pickle) integer(n int64) {
	if n == int64(int32(n)) {
		p.code(pickleInt)
		_, _ = p.Write(binary.LittleEndian.AppendUint32(p.AvailableBuffer(), uint32(n)))
		return
	}
	p.code(pickleLong)
	p.code(8)
	_, _ = p.Write(binary.LittleEndian.AppendUint64(p.AvailableBuffer(), uint64(n)))
}

func (p *pickle) number(v float64) {
	if v != v {
		p.code(pickleNone)
		return
	}
	p.code(pickleFloat)
	_, _ = p.Write(binary.BigEndian.AppendUint64(p.AvailableBuffer(), math.Float64bits(v)))
}

func (p *pickle) truth(b bool) {
	if b {
		p.code(pickleTrue)
	} else {
		p.code(pickleFalse)
	}
}

func (p *pickle) end() {
	p.code(pickleStop)
	_ = p.Flush() // that the client has gone is not our error
}
