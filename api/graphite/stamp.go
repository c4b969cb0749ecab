package graphite

import "strconv"

// stamp is a time as text that goes on step by step: adding to the digits is
// several times as fast as making them anew for every point.
type stamp struct {
	at, step int64 // epoch seconds, seconds
	text     []byte
}

func newStamp(at, step int64) *stamp {
	return &stamp{at, step, strconv.AppendInt(make([]byte, 0, 20), at, 10)}
}

func (s *stamp) next() {
	before := s.at
	s.at += s.step
	carry := uint64(s.step)
	if before < 0 || s.step < 0 {
		carry = 0
		s.text = strconv.AppendInt(s.text[:0], s.at, 10)
	}
	for i := len(s.text) - 1; carry > 0; i-- {
		if i < 0 { // one digit more
			s.text = strconv.AppendInt(s.text[:0], s.at, 10)
			return
		}
		carry += uint64(s.text[i] - '0')
		s.text[i] = byte('0' + carry%10)
		carry /= 10
	}
}
