package block

import (
	"encoding/binary"
	"math"

	"steer/monitor/store/internal/decimal"
)

// undecimal reads the values of a chunk of count from one on, as many as dst has.
// Whatever the bytes are, it ends.
func undecimal(data []byte, count, from int, dst []float64, thirds bool) error {
	odd, n := binary.Uvarint(data)
	if n <= 0 || odd > uint64(count) {
		return errChunk
	}
	data = data[n:]
	patches := data
	at := uint64(0)
	for range odd {
		skip, n := binary.Uvarint(data)
		if n <= 0 || len(data) < n+8 || skip >= uint64(count) || at+skip >= uint64(count) {
			return errChunk
		}
		at += skip
		data = data[n+8:]
	}
	if len(data) < 3 {
		return errChunk
	}
	exponent, order := int(data[0]), int(data[1])
	if exponent > decimal.MostExponent || order > 2 || order > count {
		return errChunk
	}
	factor, n := binary.Uvarint(data[2:])
	if n <= 0 || factor == 0 || factor > math.MaxInt64 {
		return errChunk
	}
	data = data[2+n:]
	r := running{order: order, factor: int64(factor), power: decimal.Power(exponent)}
	var ints [groupSize]int64
	var room [groupSize]float64
	for i, into := range []*int64{&r.number, &r.difference}[:order] {
		if *into, n = binary.Varint(data); n <= 0 {
			return errChunk
		}
		if i > 0 {
			r.number += r.difference
		}
		room[i] = float64(r.number) / r.power
		data = data[n:]
	}
	place(room[:order], 0, from, dst)
	until := from + len(dst)
	for start := order; start < min(count, until); start += groupSize {
		size := min(count-start, groupSize)
		g, rest, err := parseGroup(data, size)
		if err != nil {
			return err
		}
		if order > 0 || start+size > from { // of the integers themselves no later one hangs on an earlier
			part := room[:size]
			if start >= from && start+size <= until {
				part = dst[start-from:][:size]
			}
			if g.plain(order) {
				r.plain(part, g)
			} else {
				g.numbers(ints[:size])
				r.add(part, ints[:size])
			}
			if &part[0] == &room[0] {
				place(part, start, from, dst)
			}
		}
		data = rest
	}
	if len(data) != 0 && until == count {
		return errChunk
	}
	if thirds {
		for i := range dst {
			dst[i] /= 3
		}
	}
	at = 0
	for range odd {
		skip, n := binary.Uvarint(patches)
		at += skip
		if i := int(at) - from; i >= 0 && i < len(dst) {
			dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(patches[n:]))
		}
		patches = patches[n+8:]
	}
	return nil
}

// group is up to 64 numbers as they are written.
type group struct {
	head       byte
	base       int64
	distances  []byte // and some of what follows them
	exceptions []byte // the pairs of place and high bits
}

// parseGroup finds the parts of a group of n numbers, and what follows it.
func parseGroup(data []byte, n int) (g group, rest []byte, err error) {
	if len(data) == 0 {
		return g, nil, errChunk
	}
	g.head = data[0]
	base, length := binary.Varint(data[1:])
	if length <= 0 {
		return g, nil, errChunk
	}
	g.base, data = base, data[1+length:]
	size := packed(n, g.width())
	if len(data) < size {
		return g, nil, errChunk
	}
	g.distances, data = data, data[size:]
	if g.head&groupExceptions == 0 {
		return g, data, nil
	}
	if len(data) == 0 {
		return g, nil, errChunk
	}
	count := data[0]
	data = data[1:]
	g.exceptions = data
	for range count {
		if len(data) == 0 || int(data[0]) >= n {
			return g, nil, errChunk
		}
		_, length := binary.Uvarint(data[1:])
		if length <= 0 {
			return g, nil, errChunk
		}
		data = data[1+length:]
	}
	g.exceptions = g.exceptions[:len(g.exceptions)-len(data)]
	return g, data, nil
}

func (g *group) width() uint { return uint(g.head & groupWidth) }

// plain says whether numbers are their distances from the base and can be read
// eight bytes at a time. Exceptions are only in the way of what is added up.
func (g *group) plain(order int) bool {
	w := g.width()
	return g.head&groupFolded == 0 && (order == 0 || g.exceptions == nil) && w <= 57 && len(g.distances) >= packed(groupSize, w)+8
}

// numbers reads the distances of a group of any kind.
func (g *group) numbers(dst []int64) {
	unpack(dst, g.distances, g.width())
	for e := g.exceptions; len(e) > 0; {
		high, n := binary.Uvarint(e[1:])
		dst[e[0]] |= int64(high << g.width())
		e = e[1+n:]
	}
	if g.head&groupFolded != 0 {
		for i, v := range dst {
			dst[i] = unzigzag(uint64(v))
		}
	}
	if g.base != 0 {
		for i := range dst {
			dst[i] += g.base
		}
	}
}

// running turns the numbers of groups into values, one group after the other.
type running struct {
	order              int
	number, difference int64 // the last ones
	factor             int64
	power              float64
}

// plain reads a plain group.
func (r *running) plain(dst []float64, g group) {
	width, src := g.width(), g.distances
	mask, at := uint64(1)<<width-1, uint(0)
	base, factor, power := g.base*r.factor, r.factor, r.power
	number, difference := r.number, r.difference
	switch r.order {
	case 0:
		for i := range dst {
			v := binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7) & mask
			dst[i] = float64(int64(v)*factor+base) / power
			at += width
		}
		for e := g.exceptions; len(e) > 0; {
			high, n := binary.Uvarint(e[1:])
			at := uint(e[0]) * width
			v := binary.LittleEndian.Uint64(src[at>>3:])>>(at&7)&mask | high<<width
			dst[e[0]] = float64(int64(v)*factor+base) / power
			e = e[1+n:]
		}
	case 1:
		for i := range dst {
			v := binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7) & mask
			number += int64(v)*factor + base
			dst[i] = float64(number) / power
			at += width
		}
	case 2:
		for i := range dst {
			v := binary.LittleEndian.Uint64(src[at>>3:]) >> (at & 7) & mask
			difference += int64(v)*factor + base
			number += difference
			dst[i] = float64(number) / power
			at += width
		}
	}
	r.number, r.difference = number, difference
}

// add makes values of the numbers of a group.
func (r *running) add(dst []float64, numbers []int64) {
	factor, power := r.factor, r.power
	number, difference := r.number, r.difference
	dst = dst[:len(numbers)]
	switch r.order {
	case 0:
		for i, v := range numbers {
			dst[i] = float64(v*factor) / power
		}
	case 1:
		for i, v := range numbers {
			number += v * factor
			dst[i] = float64(number) / power
		}
	case 2:
		for i, v := range numbers {
			difference += v * factor
			number += difference
			dst[i] = float64(number) / power
		}
	}
	r.number, r.difference = number, difference
}

// place writes values that stand from start on in a chunk into dst, which stands
// from from on, as far as they fall into it.
func place(values []float64, start, from int, dst []float64) {
	first, last := max(from-start, 0), min(from+len(dst)-start, len(values))
	if first < last {
		copy(dst[start+first-from:], values[first:last])
	}
}
