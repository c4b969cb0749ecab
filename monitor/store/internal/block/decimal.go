package block

import (
	"encoding/binary"
	"math"

	"steer/monitor/store/internal/decimal"
)

// Decimal numbers as senders print them are integers over a power of ten, and
// averages of them are often thirds of such. A chunk of them is:
//
//	odd uvarint     count of values that are no such numbers; for each its place,
//	                less the one before, as uvarint and the value, 8 bytes
//	exponent u8     value = integer / 10^exponent, for thirds / 3 again, rounded as
//	                IEEE 754 divides
//	order u8        0: the integers, 1: their differences, 2: differences of those
//	factor uvarint  what all numbers of the order are multiples of
//	order × varint  the first integers, which have no difference
//	groups          64 numbers each, the last one maybe fewer: see appendGroup
const (
	groupSize = 64

	groupWidth      = 0x3f
	groupFolded     = 0x40
	groupExceptions = 0x80
)

// decimals finds an exponent with which the values are exactly integers over a
// power of ten (or thirds of them), and appends the integers to ints. A few values for which there is
// none go to odd by their place, and have the integer of their neighbour. It is
// false if there are many.
func decimals(ints []int64, odd []int, values []float64, of func(v float64, least int) (int64, int)) (_ []int64, _ []int, exponent int, ok bool) {
	from := len(ints)
	largest, last := int64(0), int64(0)
	for i, v := range values {
		m, e := of(v, exponent)
		for grow := e - exponent; e >= 0 && grow > 0; grow-- {
			// A number that was exact with a smaller exponent is so with a larger
			// one, as long as its integer can be held.
			if largest*10 >= decimal.MostInteger {
				e = -1
				break
			}
			for k := range ints[from:] {
				ints[from+k] *= 10
			}
			last *= 10
			largest *= 10
			exponent++
		}
		if e < 0 {
			if odd = append(odd, i); len(odd) > 1+len(values)/16 {
				return ints, odd, 0, false
			}
			ints = append(ints, last)
			continue
		}
		last = m
		largest = max(largest, m, -m)
		ints = append(ints, m)
	}
	return ints, odd, exponent, true
}

// appendDecimals writes what decimals found, at least two integers.
func (s *encoder) appendDecimals(dst []byte, ints []int64, exponent int) []byte {
	order := bestOrder(ints)
	dst = append(dst, byte(exponent), byte(order))
	firsts := append([]int64(nil), ints[:order]...)
	for n := range order { // in place, from behind; the first ones stay out
		last := ints[n]
		for i := n + 1; i < len(ints); i++ {
			last, ints[i] = ints[i], ints[i]-last
		}
		if n == 0 && order == 2 {
			firsts[1] = ints[1]
		}
	}
	ints = ints[order:]
	factor := common(ints)
	dst = binary.AppendUvarint(dst, uint64(factor))
	for _, v := range firsts {
		dst = binary.AppendVarint(dst, v)
	}
	if factor > 1 {
		for i := range ints {
			ints[i] /= factor
		}
	}
	for len(ints) > 0 {
		n := min(len(ints), groupSize)
		dst = s.appendGroup(dst, ints[:n])
		ints = ints[n:]
	}
	return dst
}

// bestOrder guesses which order takes the fewest bits, by the ranges in groups and
// by how often numbers stay the same.
func bestOrder(ints []int64) int {
	var cost [3]int
	var d1, last int64
	for at := 0; at < len(ints); at += groupSize {
		group := ints[at:min(at+groupSize, len(ints))]
		low0, high0 := int64(math.MaxInt64), int64(math.MinInt64)
		low1, high1, low2, high2 := low0, high0, low0, high0
		changes, turns := 0, 0
		for i, v := range group {
			low0, high0 = min(low0, v), max(high0, v)
			if at+i > 0 {
				d := v - last
				low1, high1 = min(low1, d), max(high1, d)
				if d != 0 {
					changes++
				}
				if at+i > 1 {
					d2 := d - d1
					low2, high2 = min(low2, d2), max(high2, d2)
					if d2 != 0 {
						turns++
					}
				}
				d1 = d
			}
			last = v
		}
		for order, r := range [3]struct {
			low, high int64
			odd       int
		}{{low0, high0, len(group)}, {low1, high1, changes}, {low2, high2, turns}} {
			if r.low <= r.high {
				w := width(uint64(r.high - r.low))
				cost[order] += 16 + min(len(group)*w, 8+r.odd*(8+8*((w+6)/7)))
			}
		}
	}
	best := 0
	for order := 1; order < min(3, len(ints)); order++ {
		// The first integers of an order stand before the groups.
		if cost[order]+24*order < cost[best]+24*best {
			best = order
		}
	}
	return best
}

// common is the largest number that divides all, at least 1.
func common(ints []int64) int64 {
	g := uint64(0)
	for _, v := range ints {
		a := uint64(max(v, -v))
		for a > 0 {
			g, a = a, g%a
		}
		if g == 1 {
			break
		}
	}
	return int64(max(g, 1))
}

// appendGroup writes up to 64 numbers as distances from a base, each in width
// bits. A few that need more are exceptions, so that one spike does not make all
// wide. The base is the smallest number, or what most of them are: then
// distances go to both sides and are folded into 0, -1, 1, -2 …
//
//	head u8         width (bits 0-5), bit 6: distances are folded, bit 7: there
//	                are exceptions
//	base varint
//	distances       the low width bits of each, see pack
//	exceptions      count u8, then for each its place u8 and the bits above
//	                width as uvarint
func (s *encoder) appendGroup(dst []byte, ints []int64) []byte {
	low, most, votes := ints[0], ints[0], 0
	for _, v := range ints {
		low = min(low, v)
		switch { // a value that more than half have wins
		case v == most:
			votes++
		case votes == 0:
			most, votes = v, 1
		default:
			votes--
		}
	}
	votes = 0
	for _, v := range ints {
		if v == most {
			votes++
		}
	}
	head, base := byte(0), low
	if votes > len(ints)/2 && most != low {
		head, base = groupFolded, most
	}
	var rests [groupSize]uint64
	var counts [65]int
	widest := 0
	for i, v := range ints {
		rests[i] = uint64(v - base)
		if head != 0 {
			rests[i] = zigzag(v - base)
		}
		n := width(rests[i])
		counts[n]++
		widest = max(widest, n)
	}
	best, least := widest, len(ints)*widest
	beyond := 0
	for w := widest - 1; w >= 0; w-- {
		beyond += counts[w+1]
		if beyond > len(ints)/2 {
			break
		}
		if cost := len(ints)*w + 8 + beyond*(8+8*((widest-w+6)/7)); cost < least {
			best, least = w, cost
		}
	}
	head |= byte(best)
	if best < widest {
		head |= groupExceptions
	}
	dst = append(dst, head)
	dst = binary.AppendVarint(dst, base)
	dst = pack(dst, rests[:len(ints)], uint(best))
	if best == widest {
		return dst
	}
	count := 0
	at := len(dst)
	dst = append(dst, 0)
	for i, r := range rests[:len(ints)] {
		if high := r >> best; high > 0 {
			count++
			dst = append(dst, byte(i))
			dst = binary.AppendUvarint(dst, high)
		}
	}
	dst[at] = byte(count)
	return dst
}
