// Package wal is the format of Steer's append-only files, the write-ahead log
// of the metric store and its list of names: frames with checksums, and the
// records within.
//
// A file is a sequence of frames:
//
//	frame  mark 0xD7 0x5E, length of the payload u32, CRC32C u32 of the frame's
//	       own offset in the file (u64), the length and the payload; then the
//	       payload (all little endian)
//
// The offset makes a frame valid in its place only, so that neither remains of
// older data nor bytes that a sender chose can be taken for one when a reader
// looks for the next frame behind a damaged one.
package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	mark0, mark1 = 0xD7, 0x5E
	frameHead    = 2 + 4 + 4

	// MaxPayload is the longest payload that Scan accepts.
	MaxPayload = 64 << 20
)

func frameSum(offset int64, length, payload []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(offset))
	sum := crc32.Update(0, table, at[:])
	sum = crc32.Update(sum, table, length)
	return crc32.Update(sum, table, payload)
}

// AppendFrame appends a frame that will stand at offset of its file.
func AppendFrame(dst []byte, offset int64, payload []byte) []byte {
	at := len(dst)
	dst = append(dst, mark0, mark1)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(payload)))
	dst = binary.LittleEndian.AppendUint32(dst, frameSum(offset, dst[at+2:at+6], payload))
	return append(dst, payload...)
}

// Frame returns the payload of the frame that data starts with, and the length
// of the frame. The frame stands at offset of its file. A payload of nil means
// that there is no whole and sound frame.
func Frame(data []byte, offset int64) (payload []byte, size int) {
	if len(data) < frameHead || data[0] != mark0 || data[1] != mark1 {
		return nil, 0
	}
	length := data[2:6]
	n := binary.LittleEndian.Uint32(length)
	if n == 0 || n > MaxPayload || int(n) > len(data)-frameHead {
		return nil, 0
	}
	payload = data[frameHead:][:n:n]
	if frameSum(offset, length, payload) != binary.LittleEndian.Uint32(data[6:]) {
		return nil, 0
	}
	return payload, frameHead + int(n)
}

// Report says what Scan found besides good frames.
type Report struct {
	Frames  int
	Good    int64 // end of the last good frame: what follows is a torn tail
	Tail    int64 // bytes behind Good
	Broken  bool  // the tail is not what an interrupted write leaves
	Damaged int   // places before Good where bytes are no frame
	Lost    int64 // bytes in those places
}

// Scan hands the payload of every good frame of a whole file to take, in order.
// Bytes that are no frame are skipped up to the next good one. It fails only
// when take does.
func Scan(data []byte, take func(payload []byte) error) (r Report, err error) {
	for off := 0; off < len(data); {
		payload, size := Frame(data[off:], int64(off))
		if payload == nil {
			next := off + 1
			for ; next < len(data); next++ {
				i := bytes.IndexByte(data[next:], mark0)
				if i < 0 {
					next = len(data)
					break
				}
				next += i
				if found, _ := Frame(data[next:], int64(next)); found != nil {
					break
				}
			}
			if next >= len(data) {
				break
			}
			r.Damaged++
			r.Lost += int64(next - off)
			off = next
			continue
		}
		if err := take(payload); err != nil {
			return r, err
		}
		r.Frames++
		off += size
		r.Good = int64(off)
	}
	r.Tail = int64(len(data)) - r.Good
	r.Broken = r.Tail > 0 && !torn(data[r.Good:])
	return r, nil
}

// torn says whether bytes are what an interrupted write leaves: the beginning of a
// frame, or zeros that the file system did not fill any more.
func torn(tail []byte) bool {
	if known := bytes.TrimRight(tail, "\x00"); len(tail)-len(known) >= 64 {
		return true
	}
	if len(tail) < 6 {
		return bytes.HasPrefix([]byte{mark0, mark1}, tail[:min(len(tail), 2)])
	}
	n := binary.LittleEndian.Uint32(tail[2:])
	return tail[0] == mark0 && tail[1] == mark1 && n > 0 && n <= MaxPayload && int(n) > len(tail)-frameHead
}
