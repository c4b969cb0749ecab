package block

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Writer writes one block.
type Writer struct {
	meta    Meta
	out     *bufio.Writer
	offset  int64
	index   []byte // pages so far
	pages   []page // offsets counted from the start of index
	last    uint32 // id
	scratch encoder
	chunk   []byte
}

// NewWriter starts a block.
func NewWriter(out io.Writer, m Meta) (*Writer, error) {
	if m.Step < 1 || m.Step >= 1<<32 || m.Slots < 1 || m.Slots > MaxSlots {
		return nil, fmt.Errorf("BUG: block of %d slots of %d s", m.Slots, m.Step)
	}
	w := &Writer{meta: m, out: bufio.NewWriterSize(out, 256<<10), offset: headSize}
	_, err := w.out.Write(m.append(nil))
	return w, err
}

// Add writes one series: values from slot first of the block on, NaN where none
// is known. Series come by ascending id. Nothing known writes nothing.
func (w *Writer) Add(id uint32, first int, values []float64) error {
	for len(values) > 0 && values[0] != values[0] {
		values = values[1:]
		first++
	}
	for n := len(values); n > 0 && values[n-1] != values[n-1]; n-- {
		values = values[:n-1]
	}
	if len(values) == 0 {
		return nil
	}
	if len(w.pages) > 0 && id <= w.last || first < 0 || first+len(values) > w.meta.Slots {
		return fmt.Errorf("BUG: series %d, slots %d+%d after series %d in a block of %d slots", id, first, len(values), w.last, w.meta.Slots)
	}
	w.chunk = appendChunk(w.chunk[:0], values, &w.scratch)
	if n := len(w.pages); n == 0 || w.pages[n-1].count == pageSeries {
		w.pages = append(w.pages, page{first: id, chunk: w.offset, offset: int64(len(w.index))})
		w.last = id
	}
	for _, v := range []uint64{uint64(id - w.last), uint64(len(w.chunk)), uint64(first), uint64(len(values))} {
		w.index = binary.AppendUvarint(w.index, v)
	}
	w.index = binary.LittleEndian.AppendUint32(w.index, checksum(w.chunk))
	w.last = id
	p := &w.pages[len(w.pages)-1]
	p.count++
	p.length = len(w.index) - int(p.offset)
	w.offset += int64(len(w.chunk))
	_, err := w.out.Write(w.chunk)
	return err
}

// Series is how many were added.
func (w *Writer) Series() int {
	n := 0
	for _, p := range w.pages {
		n += p.count
	}
	return n
}

// Close writes the index and everything buffered; the file is the caller's to
// sync and close.
func (w *Writer) Close() error {
	var dir []byte
	for _, p := range w.pages {
		p.sum = checksum(w.index[p.offset:][:p.length])
		p.offset += w.offset
		dir = p.append(dir)
	}
	at := w.offset + int64(len(w.index))
	tail := binary.LittleEndian.AppendUint64(nil, uint64(at))
	tail = binary.LittleEndian.AppendUint32(tail, uint32(len(w.pages)))
	tail = binary.LittleEndian.AppendUint32(tail, checksum(dir, tail))
	tail = append(tail, endMagic...)
	for _, part := range [][]byte{w.index, dir, tail} {
		if _, err := w.out.Write(part); err != nil {
			return err
		}
	}
	return w.out.Flush()
}
