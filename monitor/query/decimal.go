package query

import "strconv"

// appendDecimal appends a number of at most four decimals and fifteen digits, as
// most that senders print are, and says whether v is one. So few digits are the
// shortest text that reads back the same, since no two numbers with them share a
// float64; and finding them takes one division instead of a search.
func appendDecimal(b []byte, v float64) ([]byte, bool) {
	const unit, most = 10_000, 1e15
	scaled := v * unit
	if !(scaled < most && scaled > -most) {
		return b, false
	}
	half := 0.5
	if v < 0 {
		half = -half
	}
	n := int64(scaled + half)
	if float64(n)/unit != v {
		return b, false
	}
	if n < 0 {
		b = append(b, '-')
		n = -n
	}
	b = strconv.AppendUint(b, uint64(n)/unit, 10)
	switch part := uint64(n) % unit; {
	case part == 0:
		return append(b, '.', '0'), true
	case part%100 == 0:
		b = appendTwo(append(b, '.'), part/100)
	default:
		b = appendTwo(appendTwo(append(b, '.'), part/100), part%100)
	}
	if b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b, true
}

func appendTwo(b []byte, n uint64) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }
