package graphite

import "strconv"

// stamp is a time as text that goes on step by step: adding to the digits is
// several times as fast as making them anew for every point.
type stamp struct {
	at, step int64 // epoch seconds, seconds
	text     []byte

	zeros int    // at the end of step: so many digits never change
	rest  uint64 // of step before them
}

func newStamp(at, step int64) *stamp {
	s := &stamp{at: at, step: step, text: strconv.AppendInt(make([]byte, 0, 20), at, 10)}
	for s.rest = uint64(max(step, 0)); s.rest > 0 && s.rest%10 == 0; s.rest /= 10 {
		s.zeros++
	}
	return s
}

func (s *stamp) next() {
	i := len(s.text) - 1 - s.zeros
	before := s.at
	s.at += s.step
	if before < 0 || s.step < 0 || i < 0 {
		s.text = strconv.AppendInt(s.text[:0], s.at, 10)
		return
	}
	for carry := s.rest; carry > 0; i-- {
		if i < 0 { // one digit more
			s.text = strconv.AppendInt(s.text[:0], s.at, 10)
			return
		}
		n := carry + uint64(s.text[i]-'0')
		if n < 10 {
			s.text[i] = byte('0' + n)
			return
		}
		carry = n / 10
		s.text[i] = byte('0' + n - carry*10)
	}
}
