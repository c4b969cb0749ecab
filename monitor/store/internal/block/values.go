package block

import (
	"encoding/binary"
	"errors"
	"math"
	"math/bits"

	"steer/monitor/store/internal/decimal"
)

// A chunk is the values of one series in one block, from its first known slot
// to its last. One byte says how it is written: the low four bits how the known
// values are, the high ones how it is told which slots are known.
const (
	valuesConstant = 0 // one value, 8 bytes
	valuesXOR      = 1 // differences of neighbours' bits
	valuesRaw      = 2 // 8 bytes each
	valuesDecimal  = 3 // integers over a power of ten, see decimal.go; since format 2
	valuesThirds   = 4 // thirds of such, since format 2

	knownAll    = 0 << 4 // every slot
	knownBitmap = 1 << 4 // one bit per slot, low bit first
	knownRuns   = 2 << 4 // lengths of runs as uvarints: known, missing, known, …
)

var errChunk = errors.New("chunk does not decode")

// appendChunk encodes values, whose first and last are known; NaN is missing.
func appendChunk(dst []byte, values []float64, scratch *encoder) []byte {
	known := scratch.known[:0]
	runs := scratch.runs[:0]
	run, is := 0, true
	for _, v := range values {
		if (v == v) != is {
			runs = binary.AppendUvarint(runs, uint64(run))
			run, is = 0, !is
		}
		run++
		if is {
			known = append(known, v)
		}
	}
	scratch.known, scratch.runs = known, runs

	kind := scratch.encode(known)
	switch bitmap := (len(values) + 7) / 8; {
	case len(known) == len(values):
		dst = append(dst, kind|knownAll)
	case len(runs)+2 < bitmap:
		dst = append(dst, kind|knownRuns)
		dst = append(dst, runs...)
		dst = binary.AppendUvarint(dst, uint64(run))
	default:
		dst = append(dst, kind|knownBitmap)
		at := len(dst)
		dst = append(dst, make([]byte, bitmap)...)
		for i, v := range values {
			if v == v {
				dst[at+i/8] |= 1 << (i % 8)
			}
		}
	}
	return append(dst, scratch.out...)
}

// encode writes the known values to s.out in the shortest way and says which.
func (s *encoder) encode(known []float64) byte {
	constant := true
	first := math.Float64bits(known[0])
	for _, v := range known[1:] {
		constant = constant && math.Float64bits(v) == first
	}
	if constant {
		s.out = binary.LittleEndian.AppendUint64(s.out[:0], first)
		return valuesConstant
	}
	if s.decimals(known, decimal.Of) {
		return valuesDecimal
	}
	if s.decimals(known, decimal.OfThird) {
		return valuesThirds
	}
	s.bits = bitWriter{buf: s.out[:0]}
	xor(&s.bits, known)
	s.bits.flush()
	s.out = s.bits.buf
	if len(s.out) < 8*len(known) {
		return valuesXOR
	}
	s.out = s.out[:0]
	for _, v := range known {
		s.out = binary.LittleEndian.AppendUint64(s.out, math.Float64bits(v))
	}
	return valuesRaw
}

// decimals writes the values to s.out as decimals, if they are.
func (s *encoder) decimals(known []float64, of func(v float64, least int) (int64, int)) bool {
	ints, odd, exponent, ok := decimals(s.ints[:0], s.odd[:0], known, of)
	s.ints, s.odd = ints, odd
	if !ok {
		return false
	}
	s.out = binary.AppendUvarint(s.out[:0], uint64(len(odd)))
	at := 0
	for _, i := range odd {
		s.out = binary.AppendUvarint(s.out, uint64(i-at))
		s.out = binary.LittleEndian.AppendUint64(s.out, math.Float64bits(known[i]))
		at = i
	}
	s.out = s.appendDecimals(s.out, ints, exponent)
	return true
}

// encoder is memory that appendChunk uses again.
type encoder struct {
	known []float64
	runs  []byte
	ints  []int64
	odd   []int
	out   []byte
	bits  bitWriter
}

// xor writes the first value whole and of each further one the exclusive or
// with its predecessor: bit 0 for the same value; 10 and the meaningful bits
// when they fit where the last ones stood; 11, 5 bits of leading zeros, 6 bits
// of length - 1, and the meaningful bits otherwise.
func xor(w *bitWriter, values []float64) {
	last := math.Float64bits(values[0])
	w.write(last, 64)
	lead, trail := uint(65), uint(0) // of the last window; 65: none yet
	for _, v := range values[1:] {
		b := math.Float64bits(v)
		d := b ^ last
		last = b
		if d == 0 {
			w.write(0, 1)
			continue
		}
		l, t := min(uint(bits.LeadingZeros64(d)), 31), uint(bits.TrailingZeros64(d))
		if lead <= l && trail <= t {
			w.write(0b10, 2)
			w.write(d>>trail, 64-lead-trail)
			continue
		}
		lead, trail = l, t
		n := 64 - l - t
		w.write(0b11, 2)
		w.write(uint64(l), 5)
		w.write(uint64(n-1), 6)
		w.write(d>>t, n)
	}
}

// decodeChunk writes the count values of a chunk into dst, which has that
// length; missing ones become NaN.
func decodeChunk(data []byte, dst []float64) error {
	if len(data) == 0 || len(dst) == 0 {
		return errChunk
	}
	kind := data[0]
	data = data[1:]
	present := len(dst)
	var bitmap, runs []byte
	switch kind &^ 0xf {
	case knownAll:
	case knownBitmap:
		n := (len(dst) + 7) / 8
		if len(data) < n {
			return errChunk
		}
		bitmap, data = data[:n], data[n:]
		present = 0
		for _, b := range bitmap[:n-1] {
			present += bits.OnesCount8(b)
		}
		present += bits.OnesCount8(bitmap[n-1] << (n*8 - len(dst)))
	case knownRuns:
		runs = data
		present = 0
		is := true
		for left := len(dst); left > 0; is = !is {
			run, n := binary.Uvarint(data)
			if n <= 0 || run == 0 || run > uint64(left) {
				return errChunk
			}
			data = data[n:]
			left -= int(run)
			if is {
				present += int(run)
			}
		}
	default:
		return errChunk
	}
	if present == 0 {
		return errChunk
	}
	// The values stand close together at the end of dst until they are spread.
	values := dst[len(dst)-present:]
	if err := decodeValues(kind&0xf, data, len(values), 0, values); err != nil {
		return err
	}
	nan := math.NaN()
	if bitmap != nil {
		for i := range dst {
			if bitmap[i/8]>>(i%8)&1 == 0 {
				dst[i] = nan
			} else {
				dst[i], values = values[0], values[1:]
			}
		}
	}
	is := true
	for at := 0; runs != nil && at < len(dst); is = !is {
		run, n := binary.Uvarint(runs)
		runs = runs[n:]
		part := dst[at : at+int(run)]
		if is {
			copy(part, values)
			values = values[run:]
		} else {
			for i := range part {
				part[i] = nan
			}
		}
		at += int(run)
	}
	return nil
}

// decodePart writes some of the count values of a chunk into dst, from one on. It
// is false, and nothing is written, for a chunk in which slots are missing.
func decodePart(data []byte, count, from int, dst []float64) (bool, error) {
	if len(data) == 0 {
		return false, errChunk
	}
	if data[0]&^0xf != knownAll {
		return false, nil
	}
	return true, decodeValues(data[0]&0xf, data[1:], count, from, dst)
}

// decodeValues fills dst with some of count values, from one on. All of data has
// to be used when dst reaches to the last one.
func decodeValues(kind byte, data []byte, count, from int, dst []float64) error {
	switch kind {
	case valuesConstant:
		if len(data) != 8 {
			return errChunk
		}
		v := math.Float64frombits(binary.LittleEndian.Uint64(data))
		for i := range dst {
			dst[i] = v
		}
	case valuesRaw:
		if len(data) != 8*count {
			return errChunk
		}
		data = data[8*from:]
		for i := range dst {
			dst[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		}
	case valuesXOR:
		return unxor(&bitReader{buf: data}, count, from, dst)
	case valuesDecimal, valuesThirds:
		return undecimal(data, count, from, dst, kind == valuesThirds)
	default:
		return errChunk
	}
	return nil
}

func unxor(r *bitReader, count, from int, dst []float64) error {
	last := r.read(64)
	var trail, n uint
	for i := range from + len(dst) {
		if i > 0 {
			switch next := r.peek(); { // all bits of a difference but those that are meaningful
			case next>>63 == 0:
				r.pos++
			case next>>62 == 0b10 && n > 0:
				r.pos += 2
				last ^= r.read(n) << trail
			case next>>62 == 0b11:
				lead := uint(next >> 57 & 0x1f)
				if n = uint(next>>51&0x3f) + 1; lead+n > 64 {
					return errChunk
				}
				trail = 64 - lead - n
				r.pos += 2 + 5 + 6
				last ^= r.read(n) << trail
			default:
				return errChunk
			}
		}
		if r.short || r.pos > uint(len(r.buf))*8 {
			return errChunk
		}
		if i >= from {
			dst[i-from] = math.Float64frombits(last)
		}
	}
	if from+len(dst) == count && uint(len(r.buf))*8-r.pos >= 8 {
		return errChunk
	}
	return nil
}
