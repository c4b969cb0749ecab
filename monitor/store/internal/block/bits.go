package block

import (
	"encoding/binary"
	"math/bits"
)

// bitWriter appends bits, the highest first. What is in acc has to be flushed.
type bitWriter struct {
	buf  []byte
	acc  uint64 // the last used bits, low
	used uint   // of acc, below 64
}

// write appends the low n bits of v, n up to 64.
func (w *bitWriter) write(v uint64, n uint) {
	if n < 64 {
		v &= 1<<n - 1
	}
	if free := 64 - w.used; n >= free {
		w.buf = binary.BigEndian.AppendUint64(w.buf, w.acc<<free|v>>(n-free))
		n -= free
		w.acc, w.used = v, n
		if n < 64 {
			w.acc &= 1<<n - 1
		}
		return
	}
	w.acc = w.acc<<n | v
	w.used += n
}

// flush fills the last byte with zeros.
func (w *bitWriter) flush() {
	for acc := w.acc << (64 - w.used); w.used > 0; acc <<= 8 {
		w.buf = append(w.buf, byte(acc>>56))
		w.used -= min(w.used, 8)
	}
	w.acc = 0
}

// bitReader reads them again. Past the end it returns zeros and sets short.
type bitReader struct {
	buf   []byte
	pos   uint // in bits
	short bool
}

func (r *bitReader) read(n uint) uint64 {
	if r.pos+n > uint(len(r.buf))*8 {
		r.short = true
		return 0
	}
	if n == 0 {
		return 0
	}
	at, skip := r.pos>>3, r.pos&7
	r.pos += n
	if at+9 <= uint(len(r.buf)) {
		v := binary.BigEndian.Uint64(r.buf[at:]) << skip
		if skip > 0 {
			v |= uint64(r.buf[at+8]) >> (8 - skip)
		}
		return v >> (64 - n)
	}
	var v uint64
	for have := 8 - skip; ; have = 8 {
		b := uint64(r.buf[at]) & (1<<have - 1)
		if n <= have {
			return v<<n | b>>(have-n)
		}
		v = v<<have | b
		n -= have
		at++
	}
}

// peek returns the next bits, highest first, at least 57 of them; past the end
// they are zeros.
func (r *bitReader) peek() uint64 {
	at := r.pos >> 3
	if at+8 <= uint(len(r.buf)) {
		return binary.BigEndian.Uint64(r.buf[at:]) << (r.pos & 7)
	}
	var tail [8]byte
	copy(tail[:], r.buf[min(at, uint(len(r.buf))):])
	return binary.BigEndian.Uint64(tail[:]) << (r.pos & 7)
}

// pack appends the low width bits of each value, the first value lowest, in as
// few bytes as hold them.
func pack(dst []byte, values []uint64, width uint) []byte {
	var acc uint64
	used := uint(0)
	for _, v := range values {
		if width < 64 {
			v &= 1<<width - 1
		}
		acc |= v << used
		if used += width; used >= 64 {
			dst = binary.LittleEndian.AppendUint64(dst, acc)
			used -= 64
			acc = v >> (width - used)
		}
	}
	for ; used > 0; used -= min(used, 8) {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// packed is how many bytes pack needs for n values.
func packed(n int, width uint) int { return (n*int(width) + 7) / 8 }

// unpack reads values that pack wrote; src has at least packed bytes.
func unpack(dst []int64, src []byte, width uint) {
	if width == 0 {
		clear(dst)
		return
	}
	mask := ^uint64(0) >> (64 - width)
	i, bit := 0, uint(0)
	if width <= 57 { // each value lies within the eight bytes where it starts
		near := dst
		if whole := (len(src) - 8) * 8 / int(width); len(src) < 8 {
			near = nil
		} else if len(near) > whole { // eight bytes from there on are not all here
			near = near[:whole]
		}
		for i := range near {
			near[i] = int64(binary.LittleEndian.Uint64(src[bit>>3:]) >> (bit & 7) & mask)
			bit += width
		}
		i = len(near)
	}
	for ; i < len(dst); i++ {
		at, skip := bit>>3, bit&7
		var v uint64
		for got := uint(0); got < width; at++ {
			v |= uint64(src[at]) >> skip << got
			got += 8 - skip
			skip = 0
		}
		dst[i] = int64(v & mask)
		bit += width
	}
}

func zigzag(v int64) uint64   { return uint64(v<<1) ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }
func width(v uint64) int      { return bits.Len64(v) }
