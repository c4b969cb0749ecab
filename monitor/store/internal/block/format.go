// Package block is the format of Steer's block files: what one flush wrote of
// one archive and one stretch of time, columnar per series, immutable.
//
// All numbers are little endian, checksums CRC32C.
//
//	header     magic "STEERBLK", version u32 (2), step u32 (seconds),
//	           keep u64 (seconds), start i64 (first slot: time / step),
//	           slots u32, checksum of the header u32
//	chunks     one per series, by ascending series id, see values.go
//	pages      the index, 128 series each: per series uvarints of id (less the
//	           id before; the first one less the page's), chunk length, first
//	           slot (from the block's start), count of slots, then the checksum
//	           of the chunk u32
//	directory  per page: first id u32, offset of its first chunk u64, offset
//	           u64, length u32, checksum u32, count of series u32
//	trailer    directory offset u64, pages u32, checksum of the directory and
//	           of the two numbers before u32, magic "STEEREND"
//
// docs/formats/metrics.md has all of it with an example; a change here is a new
// version there.
package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	headMagic  = "STEERBLK"
	endMagic   = "STEEREND"
	version    = 2 // 1 had no decimals
	headSize   = 8 + 4 + 4 + 8 + 8 + 4 + 4
	dirEntry   = 4 + 8 + 8 + 4 + 4 + 4
	trailSize  = 8 + 4 + 4 + 8
	pageSeries = 128

	// MaxSlots is the most slots that a block may span.
	MaxSlots = 1 << 20
)

// ErrDamaged marks bytes that are not what was written.
var ErrDamaged = errors.New("damaged")

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrDamaged, fmt.Sprintf(format, args...))
}

// Meta is what all series of a block share.
type Meta struct {
	Step, Keep int64 // of the archive, seconds
	Start      int64 // first slot: its time is Start * Step
	Slots      int
}

// End is the slot behind the last.
func (m Meta) End() int64 { return m.Start + int64(m.Slots) }

func checksum(parts ...[]byte) (sum uint32) {
	table := crc32.MakeTable(crc32.Castagnoli)
	for _, p := range parts {
		sum = crc32.Update(sum, table, p)
	}
	return sum
}

func (m Meta) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, headMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(m.Step))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.Keep))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(m.Start))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(m.Slots))
	return binary.LittleEndian.AppendUint32(dst, checksum(dst[at:]))
}

func parseMeta(b []byte) (m Meta, err error) {
	if len(b) < headSize || string(b[:8]) != headMagic {
		return m, damaged("no block header")
	}
	le := binary.LittleEndian
	if checksum(b[:headSize-4]) != le.Uint32(b[headSize-4:]) {
		return m, damaged("header checksum")
	}
	if v := le.Uint32(b[8:]); v < 1 || v > version {
		return m, fmt.Errorf("block format %d is not known to this version of Steer (it knows %d)", v, version)
	}
	m = Meta{Step: int64(le.Uint32(b[12:])), Keep: int64(le.Uint64(b[16:])), Start: int64(le.Uint64(b[24:])), Slots: int(le.Uint32(b[32:]))}
	if m.Step < 1 || m.Keep < m.Step || m.Slots < 1 || m.Slots > MaxSlots {
		return m, damaged("header values")
	}
	return m, nil
}

type page struct {
	first  uint32 // id of its first series
	chunk  int64  // offset of that series' chunk
	offset int64
	length int
	sum    uint32
	count  int
}

func (p page) append(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, p.first)
	dst = le.AppendUint64(dst, uint64(p.chunk))
	dst = le.AppendUint64(dst, uint64(p.offset))
	dst = le.AppendUint32(dst, uint32(p.length))
	dst = le.AppendUint32(dst, p.sum)
	return le.AppendUint32(dst, uint32(p.count))
}

func parsePage(b []byte) page {
	le := binary.LittleEndian
	return page{le.Uint32(b), int64(le.Uint64(b[4:])), int64(le.Uint64(b[12:])), int(le.Uint32(b[20:])), le.Uint32(b[24:]), int(le.Uint32(b[28:]))}
}

// item is one series in a page.
type item struct {
	id     uint32
	offset int64 // of the chunk
	length int
	first  int // slot from the block's start
	count  int // slots
	sum    uint32
}

// parseItems reads a page whose checksum was right.
func parseItems(items []item, b []byte, p page, m Meta) ([]item, error) {
	id, offset := uint64(p.first), p.chunk
	for range p.count {
		var n [4]uint64
		for i := range n {
			v, size := binary.Uvarint(b)
			if size <= 0 {
				return nil, damaged("index page")
			}
			n[i], b = v, b[size:]
		}
		if len(b) < 4 || n[0] > 1<<32 || n[1] > 16*MaxSlots || n[2] >= uint64(m.Slots) || n[3] == 0 || n[3] > uint64(m.Slots)-n[2] {
			return nil, damaged("index page")
		}
		if id += n[0]; id >= 1<<32 {
			return nil, damaged("index page")
		}
		items = append(items, item{uint32(id), offset, int(n[1]), int(n[2]), int(n[3]), binary.LittleEndian.Uint32(b)})
		offset += int64(n[1])
		b = b[4:]
	}
	if len(b) != 0 {
		return nil, damaged("index page")
	}
	return items, nil
}
