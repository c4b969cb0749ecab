// Package graphite receives Carbon's plaintext protocol: one point per line,
// "path value timestamp", over TCP and UDP.
package graphite

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"unsafe"

	"steer/base/metric"
	"steer/monitor/receive"
)

// Parse reads whole lines of data and appends their points to dst. The names in
// the points alias data; one whose tags are not in order is put in order there. A
// timestamp may be left out or be -1 or N; then it is
// now (seconds since 1970). Bad counts the lines that could not be read; the
// first of them and what is wrong with it are in err, for a log line, not to
// stop.
//
// Protocol: https://graphite.readthedocs.io/en/latest/feeding-carbon.html
func Parse(dst []metric.Point, data []byte, now int64) (points []metric.Point, bad int, err error) {
	for len(data) > 0 {
		if p, length := plain(data); length > 0 {
			dst = append(dst, p)
			data = data[length:]
			continue
		}
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		p, reason := parseLine(line, now)
		switch reason {
		case "":
			dst = append(dst, p)
		case blank:
		default:
			bad++
			if err == nil {
				err = receive.NewLineError("graphite", line, reason)
			}
		}
	}
	return dst, bad, err
}

const blank = "blank"

// plain reads a line as nearly all are: a name, a decimal, whole seconds, single
// spaces between them. Length is 0 when it is not one; then parseLine looks at it.
func plain(data []byte) (p metric.Point, length int) {
	end := bytes.IndexByte(data, ' ')
	if end <= 0 || end > longestName {
		return p, 0
	}
	tidied, reason := check(data[:end])
	if reason != "" {
		return p, 0
	}
	i := end + 1
	negative := i < len(data) && data[i] == '-'
	if negative {
		i++
	}
	start := i
	mantissa := uint64(0)
	for i < len(data) && data[i]-'0' < 10 {
		mantissa = mantissa*10 + uint64(data[i]-'0')
		i++
	}
	digits, fraction := i-start, 0
	if i < len(data) && data[i] == '.' {
		i++
		start = i
		for i < len(data) && data[i]-'0' < 10 {
			mantissa = mantissa*10 + uint64(data[i]-'0')
			i++
		}
		fraction = i - start
		digits += fraction
	}
	if digits == 0 || digits > 15 || i >= len(data) || data[i] != ' ' {
		return p, 0
	}
	i++
	start = i
	t := int64(0)
	for i < len(data) && data[i]-'0' < 10 {
		t = t*10 + int64(data[i]-'0')
		i++
	}
	if i == start || i-start > 12 || i >= len(data) || data[i] != '\n' || t > latest {
		return p, 0
	}
	p.Value = float64(mantissa)
	if fraction > 0 {
		p.Value /= tens[fraction]
	}
	if negative {
		p.Value = -p.Value
	}
	p.Name, p.Time = data[:end], t
	if !tidied {
		p.Name = tidy(p.Name)
	}
	return p, i + 1
}

// latest is the highest timestamp.
const latest = 1 << 40

func parseLine(line []byte, now int64) (metric.Point, string) {
	line = trim(line)
	if len(line) == 0 {
		return metric.Point{}, blank
	}
	end := bytes.IndexByte(line, ' ')
	tidied, reason := false, "it has no value (write: path value timestamp)"
	if end > 0 {
		tidied, reason = check(line[:end])
	}
	if reason != "" { // tabs, perhaps
		if end = bytes.IndexAny(line, " \t\r"); end < 0 {
			return metric.Point{}, reason
		}
		if tidied, reason = check(line[:end]); reason != "" {
			return metric.Point{}, reason
		}
	}
	name, rest := line[:end], line[end+1:]
	value, rest := field(rest)
	stamp, rest := field(rest)
	if extra, _ := field(rest); len(extra) > 0 {
		return metric.Point{}, "it has more than three fields (write: path value timestamp)"
	}
	v, ok := number(value)
	if !ok || math.IsNaN(v) {
		return metric.Point{}, "the value is no number"
	}
	t := now
	if len(stamp) > 0 && !(len(stamp) == 1 && stamp[0] == 'N') && string(stamp) != "-1" {
		if t, ok = seconds(stamp); !ok {
			return metric.Point{}, "the timestamp is not seconds since 1970"
		}
	}
	if !tidied {
		name = tidy(name)
	}
	return metric.Point{Name: name, Time: t, Value: v}, ""
}

// seconds reads a timestamp; fractions are cut off.
func seconds(b []byte) (int64, bool) {
	t := int64(0)
	for i, c := range b {
		if c < '0' || c > '9' || i == 12 {
			f, ok := number(b)
			return int64(f), ok && f >= 0 && f <= latest
		}
		t = t*10 + int64(c-'0')
	}
	return t, t <= latest
}

// trim takes blanks off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }

// field cuts the first run of non-blanks off.
func field(b []byte) (f, rest []byte) {
	i := 0
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	b = b[i:]
	for j, c := range b {
		if isBlank(c) {
			return b[:j], b[j:]
		}
	}
	return b, nil
}

const longestName = 4096

const tooLong = "the path is longer than 4096 bytes"

func checkName(name []byte) string {
	if len(name) > longestName {
		return tooLong
	}
	if name[0] == '.' || name[len(name)-1] == '.' {
		return emptyPart
	}
	if len(name) < 8 {
		return look(name)
	}
	// Eight bytes at a time: the high bit of a byte is set where it is below ' ' or
	// DEL, or a dot. A last word that would reach beyond the end starts earlier.
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	dot := uint64(0) // the high bit of byte 0, if the byte before is a dot
	for i := 0; ; {
		x := binary.LittleEndian.Uint64(name[i:])
		del := x ^ 0x7f*ones
		d := x ^ '.'*ones
		dots := (d - ones) &^ d & highs
		if ((x-0x20*ones)&^x|(del-ones)&^del)&highs|dots&(dots<<8|dot) != 0 {
			return look(name) // the bits may come from a borrow of the byte below
		}
		switch dot = dots >> 56; {
		case i+16 <= len(name):
			i += 8
		case i+8 < len(name):
			i, dot = len(name)-8, 0
		default:
			return ""
		}
	}
}

const emptyPart = "the path has an empty part"

// look goes byte by byte.
func look(name []byte) string {
	for i, c := range name {
		if c < ' ' || c == 0x7f {
			return "the path has a control character"
		}
		if c == '.' && i > 0 && name[i-1] == '.' {
			return emptyPart
		}
	}
	return ""
}

// number reads a decimal. Plain ones, nearly all that are sent, are put together
// from their digits, which is exact below 2^53 and 10^22 (Clinger's fast path).
func number(b []byte) (float64, bool) {
	i, negative := 0, false
	if b[0] == '-' || b[0] == '+' {
		negative = b[0] == '-'
		i++
	}
	var mantissa uint64
	digits, fraction, dot := 0, 0, false
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9' && digits < 15:
			mantissa = mantissa*10 + uint64(c-'0')
			digits++
			if dot {
				fraction++
			}
		case c == '.' && !dot:
			dot = true
		default:
			return slowNumber(b)
		}
	}
	if digits == 0 {
		return 0, false
	}
	v := float64(mantissa) / tens[fraction]
	if negative {
		v = -v
	}
	return v, true
}

var tens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

func slowNumber(b []byte) (float64, bool) {
	// ParseFloat keeps no reference to its argument, and it takes underscores and
	// hexadecimal, which no sender means.
	if bytes.ContainsAny(b, "_xX") {
		return 0, false
	}
	v, err := strconv.ParseFloat(unsafe.String(&b[0], len(b)), 64)
	return v, err == nil
}
