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
	whole, part := uint64(n)/unit, uint64(n)%unit
	switch {
	case whole < 10:
		b = append(b, byte('0'+whole))
	case whole < 100:
		b = append(b, two[2*whole], two[2*whole+1])
	default:
		b = strconv.AppendUint(b, whole, 10)
	}
	high, low := part/100, part%100
	b = append(b, '.', two[2*high], two[2*high+1])
	if low > 0 {
		b = append(b, two[2*low], two[2*low+1])
	}
	if b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b, true
}

// two are the numbers below a hundred in two digits each.
const two = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"
