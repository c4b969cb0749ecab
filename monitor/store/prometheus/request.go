package prometheus

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// Fields of the messages of remote write 1.0, each as the byte it starts with:
//
//	WriteRequest {1: repeated TimeSeries}
//	TimeSeries   {1: repeated Label, 2: repeated Sample}
//	Label        {1: string name, 2: string value}
//	Sample       {1: double value, 2: int64 milliseconds}
const (
	first  = 1<<3 | 2 // length and bytes
	second = 2<<3 | 2

	sampleValue = 1<<3 | 1 // 8 bytes
	sampleTime  = 2<<3 | 0 // varint
)

func appendText(dst []byte, field byte, s string) []byte {
	dst = binary.AppendUvarint(append(dst, field), uint64(len(s)))
	return append(dst, s...)
}

func textSize(s string) int {
	n := 1 + 1 + len(s)
	for l := len(s); l >= 0x80; l >>= 7 {
		n++
	}
	return n
}

func appendLabel(dst []byte, l label) []byte {
	dst = binary.AppendUvarint(append(dst, first), uint64(textSize(l.name)+textSize(l.value)))
	return appendText(appendText(dst, first, l.name), second, l.value)
}

func appendSample(dst []byte, time int64, value float64) []byte {
	var b [20]byte
	s := binary.LittleEndian.AppendUint64(append(b[:0], sampleValue), math.Float64bits(value))
	s = binary.AppendUvarint(append(s, sampleTime), uint64(time*1000))
	return append(append(dst, second, byte(len(s))), s...)
}

// encoder makes requests. Its buffers serve again.
type encoder struct {
	metric label

	series  map[string]int // number of the first point of a series
	next    []int          // number of the next point of the same series, or 0
	last    []int          // of the first point of a series its last one, else -1
	chain   []int
	body    []byte
	message []byte
	compressor
}

func newEncoder(metric string) *encoder {
	return &encoder{metric: label{nameLabel, metric}, series: map[string]int{}}
}

// request is a WriteRequest in snappy's block format. It is a new slice: HTTP may
// go on reading it after an early answer. Each series stands there once, with rising times; of points with the same time
// the last one counts.
func (e *encoder) request(points []point) []byte {
	clear(e.series)
	e.next = append(e.next[:0], make([]int, len(points))...)
	e.last = append(e.last[:0], make([]int, len(points))...)
	e.message = e.message[:0]
	for i := range points {
		head, known := e.series[points[i].name]
		if !known {
			e.series[points[i].name] = i
			e.last[i] = i
			continue
		}
		e.next[e.last[head]] = i
		e.last[head] = i
		e.last[i] = -1
	}
	for i := range points {
		if e.last[i] < 0 {
			continue
		}
		e.appendSeries(points, i)
		e.message = binary.AppendUvarint(append(e.message, first), uint64(len(e.body)))
		e.message = append(e.message, e.body...)
	}
	return bytes.Clone(e.compress(e.message))
}

// appendSeries makes body the TimeSeries whose first point has number i.
func (e *encoder) appendSeries(points []point, i int) {
	e.body = e.body[:0]
	if name := points[i].name; strings.IndexByte(name, ';') < 0 {
		e.body = appendLabel(appendLabel(e.body, e.metric), label{pathLabel, toValue(name)})
	} else {
		for _, l := range labels(name, e.metric) {
			e.body = appendLabel(e.body, l)
		}
	}
	if e.next[i] == 0 {
		e.body = appendSample(e.body, points[i].time, points[i].value)
		return
	}
	e.chain = e.chain[:0]
	for j := i; ; j = e.next[j] {
		e.chain = append(e.chain, j)
		if e.next[j] == 0 {
			break
		}
	}
	slices.SortStableFunc(e.chain, func(a, b int) int { return cmp.Compare(points[a].time, points[b].time) })
	for at, j := range e.chain {
		if at+1 < len(e.chain) && points[e.chain[at+1]].time == points[j].time {
			continue
		}
		e.body = appendSample(e.body, points[j].time, points[j].value)
	}
}
