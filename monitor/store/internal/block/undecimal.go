package block

import (
	"encoding/binary"
	"math"
)

// undecimal reads the values of a chunk of count from one on, as many as dst has.
// Whatever the bytes are, it ends.
func undecimal(data []byte, count, from int, dst []float64) error {
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
	if exponent > mostExponent || order > 2 || order > count {
		return errChunk
	}
	factor, n := binary.Uvarint(data[2:])
	if n <= 0 || factor == 0 || factor > math.MaxInt64 {
		return errChunk
	}
	data = data[2+n:]
	sums := sums{order: order}
	for i := range order {
		if sums.before[i], n = binary.Varint(data); n <= 0 {
			return errChunk
		}
		data = data[n:]
	}
	power := powers[exponent]
	var ints [groupSize]int64
	sums.first(ints[:order])
	numbers(ints[:order], 0, from, dst, power)
	until := from + len(dst)
	for start := order; start < min(count, until); start += groupSize {
		part := ints[:min(count-start, groupSize)]
		skip := order == 0 && start+len(part) <= from // no later number hangs on these
		var err error
		if data, err = group(part, data, skip); err != nil {
			return err
		}
		if skip {
			continue
		}
		if factor > 1 {
			for i := range part {
				part[i] *= int64(factor)
			}
		}
		sums.add(part)
		numbers(part, start, from, dst, power)
	}
	if len(data) != 0 && until == count {
		return errChunk
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

// group reads up to 64 numbers into dst, unless it is to skip them, and returns
// what follows.
func group(dst []int64, data []byte, skip bool) ([]byte, error) {
	if len(data) == 0 {
		return nil, errChunk
	}
	head := data[0]
	wide := uint(head & groupWidth)
	base, n := binary.Varint(data[1:])
	if n <= 0 {
		return nil, errChunk
	}
	data = data[1+n:]
	size := packed(len(dst), wide)
	if len(data) < size {
		return nil, errChunk
	}
	if !skip {
		unpack(dst, data, wide)
	}
	data = data[size:]
	if head&groupExceptions != 0 {
		if len(data) == 0 {
			return nil, errChunk
		}
		count := int(data[0])
		data = data[1:]
		for range count {
			if len(data) == 0 || int(data[0]) >= len(dst) {
				return nil, errChunk
			}
			high, n := binary.Uvarint(data[1:])
			if n <= 0 {
				return nil, errChunk
			}
			dst[data[0]] |= int64(high << wide)
			data = data[1+n:]
		}
	}
	switch {
	case skip:
	case head&groupFolded != 0:
		for i, v := range dst {
			dst[i] = unzigzag(uint64(v)) + base
		}
	case base != 0:
		for i := range dst {
			dst[i] += base
		}
	}
	return data, nil
}

// sums turn differences back into what they are differences of.
type sums struct {
	order  int
	before [2]int64 // the last number; for order 2 the last difference behind it
}

// first are the numbers that stand before the groups, as many as the order.
func (s *sums) first(dst []int64) {
	for i := range dst {
		if dst[i] = s.before[0]; i > 0 {
			s.before[0] += s.before[1]
			dst[i] = s.before[0]
		}
	}
}

func (s *sums) add(part []int64) {
	number, difference := s.before[0], s.before[1]
	switch s.order {
	case 0:
		return
	case 1:
		for i, d := range part {
			number += d
			part[i] = number
		}
	case 2:
		for i, d := range part {
			difference += d
			number += difference
			part[i] = number
		}
	}
	s.before = [2]int64{number, difference}
}

// numbers puts integers that stand from start on in a chunk into dst, which
// stands from from on, as far as they fall into it.
func numbers(ints []int64, start, from int, dst []float64, power float64) {
	first, last := max(from-start, 0), min(from+len(dst)-start, len(ints))
	if first >= last {
		return
	}
	ints, dst = ints[first:last], dst[start+first-from:]
	dst = dst[:len(ints)]
	if power == 1 {
		for i, m := range ints {
			dst[i] = float64(m)
		}
		return
	}
	for i, m := range ints {
		dst[i] = float64(m) / power
	}
}
