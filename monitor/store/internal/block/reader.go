package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"sort"
)

// Reader reads a block. It may be used concurrently.
type Reader struct {
	Meta
	in    io.ReaderAt
	size  int64
	end   int64 // of the chunks
	pages []page
}

// Open checks header, trailer and directory; pages and chunks are checked when
// they are read. Errors that are ErrDamaged lie in the bytes, others in the
// reading.
func Open(in io.ReaderAt, size int64) (*Reader, error) {
	if size < headSize+trailSize {
		return nil, damaged("%d bytes are too few for a block", size)
	}
	head, tail := make([]byte, headSize), make([]byte, trailSize)
	if err := readAt(in, head, 0); err != nil {
		return nil, err
	}
	m, err := parseMeta(head)
	if err != nil {
		return nil, err
	}
	if err := readAt(in, tail, size-trailSize); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	at, count := int64(le.Uint64(tail)), int64(le.Uint32(tail[8:]))
	if string(tail[16:]) != endMagic || at < headSize || at+count*dirEntry != size-trailSize {
		return nil, damaged("no block trailer")
	}
	dir := make([]byte, count*dirEntry)
	if err := readAt(in, dir, at); err != nil {
		return nil, err
	}
	if checksum(dir, tail[:12]) != le.Uint32(tail[12:]) {
		return nil, damaged("directory checksum")
	}
	r := &Reader{Meta: m, in: in, size: size, end: at}
	for i := range count {
		p := parsePage(dir[i*dirEntry:])
		if p.chunk < headSize || p.offset < p.chunk || int64(p.length) > at-p.offset || p.count < 1 || p.count > pageSeries ||
			i > 0 && p.first <= r.pages[i-1].first {
			return nil, damaged("directory values")
		}
		r.end = min(r.end, p.offset)
		r.pages = append(r.pages, p)
	}
	return r, nil
}

func readAt(in io.ReaderAt, b []byte, off int64) error {
	n, err := in.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case err == nil:
		return io.ErrNoProgress
	case errors.Is(err, io.EOF):
		return damaged("file ends at %d", off+int64(n))
	}
	return err
}

// Series is how many series the block holds.
func (r *Reader) Series() int {
	n := 0
	for _, p := range r.pages {
		n += p.count
	}
	return n
}

// Cursor reads many series of one block. Ascending ids read the file from front
// to back. It must not be used concurrently.
type Cursor struct {
	r      *Reader
	ahead  int
	window []byte
	at     int64 // offset of window
	page   int   // whose items are held, -1 none
	items  []item
	values []float64
	part   []float64
}

// Cursor returns one that reads at least ahead bytes at once.
func (r *Reader) Cursor(ahead int) *Cursor { return &Cursor{r: r, ahead: ahead, page: -1} }

// read returns n bytes at off, valid until the next read.
func (c *Cursor) read(off int64, n int) ([]byte, error) {
	if off < c.at || off+int64(n) > c.at+int64(len(c.window)) {
		size := int(min(int64(max(n, c.ahead)), c.r.size-off))
		if off < 0 || size < n {
			return nil, damaged("index points outside the file")
		}
		if cap(c.window) < size {
			c.window = make([]byte, size)
		}
		c.window, c.at = c.window[:size], off
		if err := readAt(c.r.in, c.window, off); err != nil {
			c.window = c.window[:0]
			return nil, err
		}
	}
	return c.window[off-c.at:][:n], nil
}

func (c *Cursor) load(i int) error {
	if c.page == i {
		return nil
	}
	c.page = -1
	p := c.r.pages[i]
	// Pages lie far behind the chunks: read one without giving up the window.
	b := make([]byte, p.length)
	if err := readAt(c.r.in, b, p.offset); err != nil {
		return err
	}
	if checksum(b) != p.sum {
		return damaged("checksum of index page %d", i)
	}
	items, err := parseItems(c.items[:0], b, p, c.r.Meta)
	if err != nil {
		return err
	}
	c.items, c.page = items, i
	return nil
}

// bytes are those of a chunk, valid until the next read.
func (c *Cursor) bytes(it item) ([]byte, error) {
	if it.offset+int64(it.length) > c.r.end {
		return nil, damaged("index points behind the chunks")
	}
	b, err := c.read(it.offset, it.length)
	if err != nil {
		return nil, err
	}
	if checksum(b) != it.sum {
		return nil, damaged("checksum of series %d", it.id)
	}
	return b, nil
}

func (c *Cursor) chunk(it item) ([]float64, error) {
	b, err := c.bytes(it)
	if err != nil {
		return nil, err
	}
	return c.decode(it, b)
}

func (c *Cursor) decode(it item, b []byte) ([]float64, error) {
	if cap(c.values) < it.count {
		c.values = make([]float64, it.count)
	}
	c.values = c.values[:it.count]
	if err := decodeChunk(b, c.values); err != nil {
		return nil, damaged("series %d: %v", it.id, err)
	}
	return c.values, nil
}

// Chunk is what a block has of one series: the slots from First to End, not
// included.
type Chunk struct {
	First, End int64
	item       item
}

// Find finds what the block has of a series, if anything.
func (c *Cursor) Find(id uint32) (chunk Chunk, ok bool, err error) {
	i := sort.Search(len(c.r.pages), func(i int) bool { return c.r.pages[i].first > id }) - 1
	if i < 0 {
		return chunk, false, nil
	}
	if err := c.load(i); err != nil {
		return chunk, false, err
	}
	k := sort.Search(len(c.items), func(k int) bool { return c.items[k].id >= id })
	if k == len(c.items) || c.items[k].id != id {
		return chunk, false, nil
	}
	it := c.items[k]
	first := c.r.Start + int64(it.first)
	return Chunk{first, first + int64(it.count), it}, true, nil
}

// Read writes the slots of a chunk from slot at on into dst, whatever stands
// there; they all lie within the chunk. Missing ones become NaN.
func (c *Cursor) Read(chunk Chunk, at int64, dst []float64) error {
	b, err := c.bytes(chunk.item)
	if err != nil {
		return err
	}
	from := int(at - chunk.First)
	if whole, err := decodePart(b, chunk.item.count, from, dst); err != nil {
		return damaged("series %d: %v", chunk.item.id, err)
	} else if whole {
		return nil
	}
	values, err := c.decode(chunk.item, b)
	if err == nil {
		copy(dst, values[from:])
	}
	return err
}

// Fill writes what the block knows of series id into those elements of dst that
// are NaN; dst[0] is the slot at. It says whether the block has the series.
func (c *Cursor) Fill(id uint32, at int64, dst []float64) (bool, error) {
	chunk, ok, err := c.Find(id)
	if err != nil || !ok {
		return ok, err
	}
	from, to := max(chunk.First, at), min(chunk.End, at+int64(len(dst)))
	if from >= to {
		return true, nil
	}
	if cap(c.part) < int(to-from) {
		c.part = make([]float64, to-from)
	}
	part := c.part[:to-from]
	if err := c.Read(chunk, from, part); err != nil {
		return true, err
	}
	dst = dst[from-at:][:len(part)]
	for i, v := range part {
		if dst[i] != dst[i] {
			dst[i] = v
		}
	}
	return true, nil
}

// Entry is one series of a block: values from slot First of the block on, valid
// until the next one.
type Entry struct {
	ID     uint32
	First  int
	Values []float64
}

// All yields every series by ascending id. After an error in one series or one
// page (128 series) it goes on behind it.
func (r *Reader) All() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := r.Cursor(256 << 10)
		for i := range r.pages {
			if err := c.load(i); err != nil {
				if !yield(Entry{ID: r.pages[i].first}, fmt.Errorf("page %d: %w", i, err)) {
					return
				}
				continue
			}
			for _, it := range c.items {
				values, err := c.chunk(it)
				if !yield(Entry{it.id, it.first, values}, err) {
					return
				}
			}
		}
	}
}

// IDs yields the id of every series, ascending. After an error in one page it goes
// on behind it.
func (r *Reader) IDs() iter.Seq2[uint32, error] {
	return func(yield func(uint32, error) bool) {
		c := r.Cursor(0)
		for i := range r.pages {
			if err := c.load(i); err != nil {
				if !yield(0, fmt.Errorf("page %d: %w", i, err)) {
					return
				}
				continue
			}
			for _, it := range c.items {
				if !yield(it.id, nil) {
					return
				}
			}
		}
	}
}

// Extent is what a block holds of one series: slots First to First+Count-1,
// counted from its start, in so many bytes of chunk and index.
type Extent struct {
	ID           uint32
	First, Count int
	Bytes        int64
}

// Extents yields every series by ascending id, from the index alone. After an
// error in one page it goes on behind it.
func (r *Reader) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		c := r.Cursor(0)
		for i, p := range r.pages {
			if err := c.load(i); err != nil {
				if !yield(Extent{ID: p.first}, fmt.Errorf("page %d: %w", i, err)) {
					return
				}
				continue
			}
			index := p.length + dirEntry // in equal shares, the first one with the rest
			for k, it := range c.items {
				share := index / p.count
				if k == 0 {
					share += index % p.count
				}
				if !yield(Extent{it.id, it.first, it.count, int64(it.length + share)}, nil) {
					return
				}
			}
		}
	}
}

// Missing sets every element to NaN.
func Missing(values []float64) {
	nan := math.NaN()
	for i := range values {
		values[i] = nan
	}
}

// MaxID is the highest id of a series in the block, 0 when it is empty.
func (r *Reader) MaxID() (uint32, error) {
	if len(r.pages) == 0 {
		return 0, nil
	}
	c := r.Cursor(0)
	if err := c.load(len(r.pages) - 1); err != nil {
		return r.pages[len(r.pages)-1].first + pageSeries, err
	}
	return c.items[len(c.items)-1].id, nil
}
