package block

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"steer/monitor/store/internal/decimal"
)

// floats are the values that bytes stand for, eight each. Small integers and decimals
// come of bytes that a fuzzer finds at once.
func floats(b []byte) (values []float64) {
	for ; len(b) >= 9; b = b[9:] {
		n := binary.LittleEndian.Uint64(b[1:])
		switch b[0] % 4 {
		case 0:
			values = append(values, math.Float64frombits(n))
		case 1:
			values = append(values, float64(int16(n)))
		case 2:
			values = append(values, float64(int32(n))/decimal.Power(int(n>>32%16)))
		case 3:
			values = append(values, math.NaN())
		}
	}
	return values
}

// trim leaves out missing values at both ends, as a Writer does.
func trim(values []float64) []float64 {
	for len(values) > 0 && values[0] != values[0] {
		values = values[1:]
	}
	for n := len(values); n > 0 && values[n-1] != values[n-1]; n-- {
		values = values[:n-1]
	}
	return values
}

// chunkAgain encodes values and wants them back.
func chunkAgain(t *testing.T, values []float64) []byte {
	t.Helper()
	b := appendChunk(nil, values, &encoder{})
	got := make([]float64, len(values))
	if err := decodeChunk(b, got); err != nil || !equal(got, values) {
		t.Fatalf("%v\ngot  %v\nwant %v\nof   %x", err, got, values, b)
	}
	return b
}

// FuzzChunk decodes any bytes; values that come of them are encoded and decoded again.
func FuzzChunk(f *testing.F) {
	for _, values := range [][]float64{
		{1, 2, math.NaN(), 3}, {1, 1, 1}, {0.25, 0.5, math.NaN(), math.NaN(), 17.75}, {1.5, math.Inf(1), 2.5},
		{math.Pi, math.E, math.Sqrt2}, {1 << 53, 1<<53 - 1, 0}, {math.Copysign(0, -1), 0},
	} {
		f.Add(appendChunk(nil, values, &encoder{}), len(values))
	}
	for _, values := range kinds(130) {
		f.Add(appendChunk(nil, values, &encoder{}), len(values))
	}
	f.Add([]byte{valuesXOR | knownRuns, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff}, 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > 1000 {
			return
		}
		values := make([]float64, n)
		if decodeChunk(b, values) != nil {
			for from := 0; from < n; from += 1 + n/3 {
				decodePart(b, n, from, make([]float64, (n-from+1)/2)) //nolint:errcheck // must not panic
			}
			return
		}
		for from := 0; from < n; from += 1 + n/3 {
			part := make([]float64, (n-from+1)/2)
			if ok, err := decodePart(b, n, from, part); err != nil || ok && !equal(part, values[from:][:len(part)]) {
				t.Fatalf("from %d of %d: %v\ngot  %v\nwant %v", from, n, err, part, values)
			}
		}
		if values = trim(values); len(values) > 0 {
			chunkAgain(t, values)
		}
	})
}

// FuzzValues encodes any values.
func FuzzValues(f *testing.F) {
	f.Add([]byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0})
	f.Add(bytes.Repeat([]byte{2, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0, 0, 0, 0, 0, 0, 0, 0}, 70))
	f.Add(bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 1, 2, 3, 4, 5, 6, 0xf0, 0x3f}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		values := trim(floats(b))
		if len(values) == 0 {
			return
		}
		data := chunkAgain(t, values)
		if len(values) > 30 {
			return // each part of it would take long
		}
		for n := range data { // a part of it is never taken for the whole
			if decodeChunk(data[:n], make([]float64, len(values))) == nil {
				t.Fatalf("%d of %d bytes decode", n, len(data))
			}
		}
	})
}

// FuzzPage hands the decoder of index pages bytes whose checksums are right.
func FuzzPage(f *testing.F) {
	f.Add([]byte{0, 9, 0, 1, 1, 2, 3, 4}, uint32(1))
	f.Add([]byte{0, 9, 0, 1, 1, 2, 3, 4, 5, 20, 3, 200, 1, 1, 2, 3, 4}, uint32(math.MaxUint32))
	f.Fuzz(func(t *testing.T, index []byte, first uint32) {
		p := page{first: first, chunk: headSize, count: min(len(index)/8, pageSeries)}
		items, err := parseItems(nil, index, p, meta)
		if err != nil {
			return
		}
		var again []byte
		id := first
		for _, it := range items {
			if it.first < 0 || it.count < 1 || it.first+it.count > meta.Slots || it.length < 0 {
				t.Fatalf("%+v", it)
			}
			for _, v := range []uint64{uint64(it.id - id), uint64(it.length), uint64(it.first), uint64(it.count)} {
				again = binary.AppendUvarint(again, v)
			}
			again = binary.LittleEndian.AppendUint32(again, it.sum)
			id = it.id
		}
		second, err := parseItems(nil, again, p, meta)
		if err != nil || !slices.Equal(second, items) {
			t.Fatalf("%v\ngot  %+v\nwant %+v", err, second, items)
		}
	})
}

// FuzzBlock reads any bytes, and a file with right checksums around any chunk, index
// page, directory entry and header.
func FuzzBlock(f *testing.F) {
	data := build(f, meta, map[uint32][]float64{1: {1, 2, 3}, 7: {5}, 300: {1, math.NaN(), 2}})
	r, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		f.Fatal(err)
	}
	p := r.pages[0]
	f.Add(data, []byte{}, []byte{}, uint32(0), int64(0), int64(0), uint32(0), int64(0), uint32(1))
	f.Add([]byte{}, data[headSize:p.offset], data[p.offset:][:p.length], p.first, p.chunk, p.offset, uint32(p.count), meta.Start, uint32(meta.Slots))
	f.Add([]byte{}, data[headSize:p.offset], data[p.offset:][:p.length], p.first, int64(math.MaxInt64), p.offset, uint32(p.count), int64(math.MinInt64), uint32(MaxSlots))
	f.Fuzz(func(t *testing.T, whole, chunks, index []byte, first uint32, chunk, offset int64, count uint32, start int64, slots uint32) {
		read(t, whole)
		le := binary.LittleEndian
		m := meta
		m.Start, m.Slots = start, int(slots)
		file := append(m.append(nil), chunks...)
		file = append(file, index...)
		at := len(file)
		dir := page{first, chunk, offset, len(index), checksum(index), int(count)}.append(nil)
		tail := le.AppendUint32(le.AppendUint64(nil, uint64(at)), 1)
		tail = append(le.AppendUint32(tail, checksum(dir, tail)), endMagic...)
		read(t, append(append(file, dir...), tail...))
	})
}

// read does with a file whatever the store does.
func read(t *testing.T, data []byte) {
	t.Helper()
	r, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return
	}
	n := 0
	for e, err := range r.All() {
		if n++; err == nil && (e.First < 0 || e.First+len(e.Values) > r.Slots) {
			t.Fatalf("series %d: slots %d+%d of %d", e.ID, e.First, len(e.Values), r.Slots)
		}
	}
	if n > r.Series() {
		t.Fatalf("%d of %d series", n, r.Series())
	}
	r.MaxID() //nolint:errcheck // must not panic
	c := r.Cursor(100)
	dst := make([]float64, 20)
	for id, err := range r.IDs() {
		if err == nil {
			Missing(dst)
			c.Fill(id, r.Start-3, dst) //nolint:errcheck // must not panic
		}
	}
}
