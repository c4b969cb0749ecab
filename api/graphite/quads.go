package graphite

import (
	"encoding/binary"
	"fmt"
	"math"
)

// quads are the texts of the numbers below 10,000: of four digits, the first in
// the lowest byte, and above them how far to shift those away that are zeros at
// the beginning, how many are left then, and how many without the zeros at the end.
type quads [10_000]uint64

func newQuads() *quads {
	q := new(quads)
	for n := range q {
		text := fmt.Sprintf("%04d", n)
		ahead, behind := 4, 4
		for ahead > 1 && text[4-ahead] == '0' {
			ahead--
		}
		for behind > 1 && text[behind-1] == '0' {
			behind--
		}
		q[n] = uint64(binary.LittleEndian.Uint32([]byte(text))) | uint64(8*(4-ahead))<<32 | uint64(ahead)<<40 | uint64(behind)<<48
	}
	return q
}

// decimal writes a number of at most four decimals and fifteen digits, as most
// that senders print are, as query.AppendFloat does, and says how long its text is; it is
// 0 for other numbers. So few digits are the shortest text that reads back the
// same. Zeros are cut without asking whether there are any: the processor can't
// guess that, and a wrong guess costs it as much as a number.
func (q *quads) decimal(p *[longest]byte, v float64) int {
	const unit, most = 10_000, 1e15
	scaled := v * unit
	if !(scaled < most && scaled > -most) {
		return 0
	}
	n := int64(scaled + math.Copysign(0.5, v))
	if float64(n)/unit != v {
		return 0
	}
	p[0] = '-'
	negative := n >> 63
	size := uint(-negative)
	m := uint64((n ^ negative) - negative)
	whole := m / unit
	part := q[m-whole*unit]
	if whole < unit {
		size = q.first(p, size, whole)
	} else {
		high := whole / unit
		if high < unit {
			size = q.first(p, size, high)
		} else {
			size = q.next(p, q.first(p, size, high/unit), high%unit)
		}
		size = q.next(p, size, whole-high*unit)
	}
	binary.LittleEndian.PutUint64(p[size&31:], '.'|part<<32>>24)
	return int(size + 1 + uint(part>>48))
}

// first writes a number below 10,000 behind size bytes, and says how many there
// are then.
func (q *quads) first(p *[longest]byte, size uint, n uint64) uint {
	text := q[n]
	binary.LittleEndian.PutUint32(p[size&31:], uint32(text)>>(text>>32&31))
	return size + uint(text>>40&7)
}

// next writes four more digits.
func (q *quads) next(p *[longest]byte, size uint, n uint64) uint {
	binary.LittleEndian.PutUint32(p[size&31:], uint32(q[n]))
	return size + 4
}
