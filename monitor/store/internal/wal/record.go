package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A payload is a sequence of records. Each starts with a uvarint:
//
//	id > 0  a point of series id: varint of clock - time (seconds), value 8 bytes
//	0       a byte follows: 1 sets the clock (varint, seconds since 1970), 2
//	        names a series (uvarint id, uvarint length, name), 3 names one whose
//	        name starts like that before it in the payload (uvarint id, uvarint
//	        count of the bytes they share, uvarint length of the rest, the rest)
//
// The clock is when the points were written. It stands at the head of every
// payload that has points, so that a frame can be read alone.
const (
	opClock  = 1
	opSeries = 2
	opShared = 3
)

// AppendClock appends a record that sets the clock.
func AppendClock(dst []byte, now int64) []byte {
	return binary.AppendVarint(append(dst, 0, opClock), now)
}

// AppendSeries appends a record that names a series.
func AppendSeries(dst []byte, id uint32, name string) []byte {
	dst = binary.AppendUvarint(append(dst, 0, opSeries), uint64(id))
	dst = binary.AppendUvarint(dst, uint64(len(name)))
	return append(dst, name...)
}

// AppendShared appends a record that names a series by what differs from the
// name of the record before; both are in one payload.
func AppendShared(dst []byte, id uint32, before, name string) []byte {
	n := 0
	for n < len(before) && n < len(name) && before[n] == name[n] {
		n++
	}
	dst = binary.AppendUvarint(append(dst, 0, opShared), uint64(id))
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendUvarint(dst, uint64(len(name)-n))
	return append(dst, name[n:]...)
}

// AppendPoint appends a point; clock is what the last AppendClock set.
func AppendPoint(dst []byte, id uint32, clock, time int64, value float64) []byte {
	dst = binary.AppendUvarint(dst, uint64(id))
	dst = binary.AppendVarint(dst, clock-time)
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(value))
}

// ErrRecord says that a payload with a right checksum makes no sense: it was
// written by mistake.
var ErrRecord = errors.New("write-ahead log record does not decode")

// ErrNewer says that a payload with a right checksum has a record of a kind that
// came after this version: what it says must not be lost.
var ErrNewer = errors.New("kind of record is not known to this version of Steer (start the version that wrote it)")

// Reader is what Decode hands records to. Name is valid during the call.
type Reader interface {
	Series(id uint32, name []byte)
	Point(id uint32, clock, time int64, value float64)
}

// Decode reads one payload.
func Decode(b []byte, r Reader) error {
	var clock int64
	clocked := false
	var name []byte
	for len(b) > 0 {
		id, n := binary.Uvarint(b)
		if n <= 0 || id > math.MaxUint32 {
			return ErrRecord
		}
		b = b[n:]
		if id > 0 {
			back, n := binary.Varint(b)
			if n <= 0 || len(b) < n+8 || !clocked {
				return ErrRecord
			}
			value := math.Float64frombits(binary.LittleEndian.Uint64(b[n:]))
			b = b[n+8:]
			r.Point(uint32(id), clock, clock-back, value)
			continue
		}
		if len(b) == 0 {
			return ErrRecord
		}
		op := b[0]
		b = b[1:]
		switch op {
		case opClock:
			if clock, n = binary.Varint(b); n <= 0 {
				return ErrRecord
			}
			clocked = true
			b = b[n:]
		case opSeries, opShared:
			id, n := binary.Uvarint(b)
			if n <= 0 || id == 0 || id > math.MaxUint32 {
				return ErrRecord
			}
			b = b[n:]
			shared := uint64(0)
			if op == opShared {
				if shared, n = binary.Uvarint(b); n <= 0 || shared > uint64(len(name)) {
					return ErrRecord
				}
				b = b[n:]
			}
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) || shared+length == 0 {
				return ErrRecord
			}
			name = append(name[:shared], b[n:][:length]...)
			r.Series(uint32(id), name)
			b = b[n+int(length):]
		default:
			return fmt.Errorf("%w: %d", ErrNewer, op)
		}
	}
	return nil
}
