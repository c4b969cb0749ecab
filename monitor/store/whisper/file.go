// Package whisper moves series between Steer's store and files of Whisper,
// Graphite's database: it reads and writes the format (file.go, encode.go), knows
// where Carbon keeps the file of a series (name.go), decides what of a file goes
// into which archive of the store (place.go), and takes and makes whole trees of
// files as tar streams (import.go, export.go).
//
// A file holds the archives of one series. All numbers are big endian:
//
//	header   aggregation type, longest retention in seconds (uint32 each),
//	         x-files factor (float32), count of archives (uint32)
//	archive  offset in the file, seconds per point, points (uint32 each); one for
//	         each archive, from fine to coarse
//	points   for each archive, a ring of pairs: time (uint32, seconds since 1970,
//	         0 is none), value (float64)
//
// The first pair of a ring says where all others stand: time t is as many pairs
// behind it as there are steps between them, round and round. A pair with another
// time than its place stands for is left from an earlier round.
//
// Source: https://graphite.readthedocs.io/en/latest/whisper.html
package whisper

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/internal/schema"
)

const (
	headerSize = 16
	infoSize   = 12 // of an archive in the header
	pointSize  = 12
)

// compressed is how files begin that go-carbon writes with "compressed = true".
const compressed = "whisper_compressed"

// File is one Whisper file in memory.
type File struct {
	store.Retention

	rings [][]byte // of each archive
}

// Parse reads a file; data must not change while the File is in use. All errors
// are fault.Invalid and name the file.
func Parse(name string, data []byte) (*File, error) {
	f := &File{}
	if err := f.parse(data); err != nil {
		return nil, fault.New(fault.Invalid, "read Whisper file %q: %w", name, err)
	}
	return f, nil
}

func (f *File) parse(data []byte) error {
	word := func(at int) int64 { return int64(binary.BigEndian.Uint32(data[at:])) }
	switch {
	case bytes.HasPrefix(data, []byte(compressed)):
		return errors.New("it is one of go-carbon's compressed files, which are not supported (convert it to a plain one first)")
	case len(data) < headerSize:
		return fmt.Errorf("it has %d bytes, less than a header", len(data))
	case word(0) < 1 || word(0) > int64(schema.AbsMin)+1: // schema has them in Whisper's order
		return fmt.Errorf("unknown aggregation type %d: it is no Whisper file, or damaged", word(0))
	}
	f.Method = store.Method(word(0) - 1)
	f.XFilesFactor = float64(math.Float32frombits(binary.BigEndian.Uint32(data[8:])))
	if !(f.XFilesFactor >= 0 && f.XFilesFactor <= 1) {
		return fmt.Errorf("an x-files factor of %v is not from 0 to 1", f.XFilesFactor)
	}
	count := word(12)
	end := headerSize + count*infoSize
	if count == 0 || end > int64(len(data)) {
		return fmt.Errorf("its header tells of %d archives, but it has %d bytes", count, len(data))
	}
	for at := headerSize; at < headerSize+int(count)*infoSize; at += infoSize {
		offset, step, points := word(at), word(at+4), word(at+8)
		n := len(f.Archives)
		switch {
		case step == 0 || points == 0:
			return fmt.Errorf("archive %d has %d points of %d s", n+1, points, step)
		case offset != end:
			return fmt.Errorf("archive %d begins at byte %d instead of %d", n+1, offset, end)
		}
		end += points * pointSize
		f.Archives = append(f.Archives, store.Archive{Step: step, Keep: step * points})
		if end <= int64(len(data)) {
			f.rings = append(f.rings, data[offset:end])
		}
	}
	if end != int64(len(data)) {
		return fmt.Errorf("it has %d bytes instead of %d: it was cut off or damaged", len(data), end)
	}
	if err := fit(f.Archives); err != nil {
		return err
	}
	if longest := f.Archives[count-1].Keep; word(4) != longest {
		return fmt.Errorf("its header tells of %d s, but its longest archive holds %d s", word(4), longest)
	}
	return nil
}

// fit says whether archives go together as Whisper demands.
func fit(all []store.Archive) error {
	if len(all) == 0 {
		return errors.New("it has no archives")
	}
	for i, coarse := range all[1:] {
		fine := all[i]
		if coarse.Step <= fine.Step || coarse.Step%fine.Step != 0 || coarse.Keep <= fine.Keep || fine.Keep < coarse.Step {
			return fmt.Errorf("its archives %v and %v don't fit together", fine, coarse)
		}
	}
	return nil
}

// Column is what archive k shows at a time: its values of the interval
// (now-Keep, now], one for each step, NaN where it has none.
func (f *File) Column(k int, now int64) metric.Series {
	a, ring := f.Archives[k], f.rings[k]
	n := a.Keep / a.Step
	s := metric.Series{Step: a.Step, Start: (floor(now, a.Step) - n + 1) * a.Step, Values: make([]float64, n)}
	base := int64(binary.BigEndian.Uint32(ring))
	at := floor(s.Start-base, a.Step) % n
	if at < 0 {
		at += n
	}
	ring, before := ring[at*pointSize:], ring[:at*pointSize]
	for i, t := 0, s.Start; i < len(s.Values); i, t = i+1, t+a.Step {
		if len(ring) == 0 {
			ring = before
		}
		// Without a base the ring is empty, whatever else stands in it.
		s.Values[i] = math.NaN()
		if int64(binary.BigEndian.Uint32(ring)) == t && t != 0 && base != 0 {
			s.Values[i] = math.Float64frombits(binary.BigEndian.Uint64(ring[4:]))
		}
		ring = ring[pointSize:]
	}
	return s
}

// floor is t / step rounded down.
func floor(t, step int64) int64 {
	q := t / step
	if t < 0 && q*step != t {
		q--
	}
	return q
}
