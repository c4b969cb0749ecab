package graphite

import (
	"encoding/binary"
	"math/bits"
	"strconv"
)

// stamp is a time as text that goes on step by step: adding to the digits is
// several times as fast as making them anew for every point. Times of ten digits,
// until the year 2286, have their last eight in one word, to which steps are added.
type stamp struct {
	at, step int64 // epoch seconds, seconds

	until  int64  // times before it have the first digits of at; 0 if at has no ten
	first  uint64 // ", " and the first two digits
	digits uint64 // the others, one a byte, the last in the lowest
	add    uint64 // the digits of step, each with sixes above
}

const (
	each  = 0x0101010101010101
	eight = 100_000_000 // numbers below it have eight digits
	rest  = "], ["      // after a point, before the next
)

func newStamp(at, step int64) *stamp {
	s := &stamp{at: at, step: step}
	s.begin()
	return s
}

func (s *stamp) begin() {
	if s.until = 0; s.at < 1e9 || s.at >= 1e10 || s.step <= 0 || s.step >= eight {
		return
	}
	s.until = s.at - s.at%eight + eight
	s.first = ',' | ' '<<8 | uint64('0'+s.at/1e9)<<16 | uint64('0'+s.at/eight%10)<<24
	s.digits = spread(s.at % eight)
	// Adding 246 to a byte carries when its digits come to ten.
	s.add = spread(s.step) + 246*each
}

// spread puts the digits of a number of eight into a byte each.
func spread(n int64) (d uint64) {
	for i := 0; i < 64; i += 8 {
		d |= uint64(n%10) << i
		n /= 10
	}
	return d
}

func (s *stamp) next() {
	if s.at += s.step; s.at >= s.until {
		s.begin()
		return
	}
	d := s.digits + s.add
	s.digits = d - d>>7&each*246 // where nothing was carried
}

// append appends the time of a point, and what stands around it.
func (s *stamp) append(b []byte) []byte {
	if s.until == 0 {
		b = append(b, ", "...)
		b = strconv.AppendInt(b, s.at, 10)
		return append(b, rest...)
	}
	text := bits.ReverseBytes64(s.digits | '0'*each)
	b = binary.LittleEndian.AppendUint64(b, s.first|text<<32)
	return binary.LittleEndian.AppendUint64(b, text>>32|(']'|','<<8|' '<<16|'['<<24)<<32)
}
