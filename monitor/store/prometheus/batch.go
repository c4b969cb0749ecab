package prometheus

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/klauspost/compress/s2"

	"steer/base/metric"
)

// A payload of the spool is a byte for the version of the format, then points in
// snappy's block format. A point is the length of its name (uvarint), the name,
// the seconds since the point before (varint) and the value (8 bytes, little
// endian).
const (
	version = 1

	// enough is the length at which points that wait for a sync become a payload.
	enough = 256 << 10

	// mostRaw is the length that a payload may unfold to.
	mostRaw = 1 << 20
)

// point is a metric.Point with a name that may be kept.
type point struct {
	name  string
	time  int64 // seconds
	value float64
}

// batch collects points for the spool.
type batch struct {
	raw  []byte
	time int64 // of the last point
}

func (b *batch) add(p *metric.Point) {
	b.raw = binary.AppendUvarint(b.raw, uint64(len(p.Name)))
	b.raw = append(b.raw, p.Name...)
	b.raw = binary.AppendVarint(b.raw, p.Time-b.time)
	b.raw = binary.LittleEndian.AppendUint64(b.raw, math.Float64bits(p.Value))
	b.time = p.Time
}

// payload is what the spool takes.
func (b *batch) payload(c *compressor) []byte {
	return append([]byte{version}, c.compress(b.raw)...)
}

// compressor makes blocks in snappy's format.
type compressor struct{ buf []byte }

// compress returns what is valid until the next call.
func (c *compressor) compress(raw []byte) []byte {
	if n := s2.MaxEncodedLen(len(raw)); cap(c.buf) < n {
		c.buf = make([]byte, n+n/4)
	}
	return s2.EncodeSnappy(c.buf[:cap(c.buf)], raw)
}

var errPayload = errors.New("points in the spool do not decode")

// decode appends the points of a payload.
func decode(dst []point, payload []byte) ([]point, error) {
	if len(payload) == 0 || payload[0] != version {
		return dst, errPayload
	}
	if n, err := s2.DecodedLen(payload[1:]); err != nil || n > mostRaw {
		return dst, errPayload
	}
	raw, err := s2.Decode(nil, payload[1:])
	if err != nil {
		return dst, errPayload
	}
	// One text for all names.
	text := string(raw)
	time, at := int64(0), 0
	for at < len(raw) {
		length, n := binary.Uvarint(raw[at:])
		if n <= 0 || length > uint64(len(raw)-at-n) {
			return dst, errPayload
		}
		at += n
		name := text[at : at+int(length)]
		at += int(length)
		since, n := binary.Varint(raw[at:])
		if n <= 0 || len(raw)-at-n < 8 {
			return dst, errPayload
		}
		at += n
		time += since
		dst = append(dst, point{name, time, math.Float64frombits(binary.LittleEndian.Uint64(raw[at:]))})
		at += 8
	}
	return dst, nil
}
