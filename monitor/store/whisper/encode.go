package whisper

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
)

// Size is how many bytes a file of that retention has, or why there can be none.
func Size(r store.Retention) (int64, error) {
	size := int64(headerSize + len(r.Archives)*infoSize)
	for _, a := range r.Archives {
		size += a.Keep / a.Step * pointSize
	}
	if err := fit(r.Archives); err != nil {
		return 0, fault.New(fault.Invalid, "make Whisper file of %v: %w", r, err)
	}
	if longest := r.Archives[len(r.Archives)-1].Keep; size > math.MaxUint32 || longest > math.MaxUint32 {
		return 0, fault.New(fault.Invalid, "make Whisper file of %v: the format ends at 4 GiB and 136 years", r)
	}
	return size, nil
}

// Encode writes a file of that retention. Columns[k] are the values of archive k,
// with its step and at most as many as it holds; NaN is none.
func Encode(w io.Writer, r store.Retention, columns []metric.Series) error {
	offset, err := Size(r)
	if err != nil {
		return err
	}
	for k, a := range r.Archives {
		c := columns[k]
		points := a.Keep / a.Step
		if c.Step != a.Step || c.Start%a.Step != 0 || int64(len(c.Values)) > points || c.Start < 0 || c.Start+points*a.Step > math.MaxUint32 {
			return fault.New(fault.Invalid, "make Whisper file: %d values from %d on, one per %d s, don't go into archive %v", len(c.Values), c.Start, c.Step, a)
		}
		offset -= points * pointSize
	}
	out := bufio.NewWriterSize(w, 64<<10)
	put := func(words ...uint32) {
		for _, n := range words {
			out.Write(binary.BigEndian.AppendUint32(out.AvailableBuffer(), n)) //nolint:errcheck // Flush tells
		}
	}
	put(uint32(r.Method)+1, uint32(r.Archives[len(r.Archives)-1].Keep), math.Float32bits(float32(r.XFilesFactor)), uint32(len(r.Archives)))
	for _, a := range r.Archives {
		put(uint32(offset), uint32(a.Step), uint32(a.Keep/a.Step))
		offset += a.Keep / a.Step * pointSize
	}
	for k, a := range r.Archives {
		ring(out, columns[k], int(a.Keep/a.Step))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write Whisper file: %w", err)
	}
	return nil
}

// ring writes a column so that its first value, from which the places of all
// others follow, is the first pair.
func ring(out *bufio.Writer, c metric.Series, points int) {
	first := 0
	for first < len(c.Values) && c.Values[first] != c.Values[first] {
		first++
	}
	t := c.Start + int64(first)*c.Step
	for _, v := range c.Values[first:] {
		var pair [pointSize]byte
		if v == v {
			binary.BigEndian.PutUint32(pair[:], uint32(t))
			binary.BigEndian.PutUint64(pair[4:], math.Float64bits(v))
		}
		out.Write(append(out.AvailableBuffer(), pair[:]...)) //nolint:errcheck // Flush tells
		t += c.Step
	}
	var none [pointSize]byte
	for range points - (len(c.Values) - first) {
		out.Write(none[:]) //nolint:errcheck // Flush tells
	}
}
