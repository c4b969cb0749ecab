package block

// bitWriter appends bits, the highest first.
type bitWriter struct {
	buf  []byte
	free uint // unused low bits of the last byte
}

func (w *bitWriter) write(v uint64, n uint) {
	for n > 0 {
		if w.free == 0 {
			w.buf = append(w.buf, 0)
			w.free = 8
		}
		k := min(n, w.free)
		part := byte(v >> (n - k) & (1<<k - 1))
		w.buf[len(w.buf)-1] |= part << (w.free - k)
		w.free -= k
		n -= k
	}
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
	var v uint64
	for n > 0 {
		have := 8 - r.pos&7
		k := min(n, have)
		part := uint64(r.buf[r.pos>>3]) >> (have - k) & (1<<k - 1)
		v = v<<k | part
		r.pos += k
		n -= k
	}
	return v
}
