// Package graphite receives Carbon's plaintext protocol: one point per line,
// "path value timestamp", over TCP and UDP.
package graphite

import (
	"bytes"
	"math"
	"strconv"
	"unsafe"

	"steer/base/metric"
	"steer/monitor/receive"
)

// Parse reads whole lines of data and appends their points to dst. The names in
// the points alias data. A timestamp may be left out or be -1 or N; then it is
// now (seconds since 1970). Bad counts the lines that could not be read; the
// first of them and what is wrong with it are in err, for a log line, not to
// stop.
//
// Protocol: https://graphite.readthedocs.io/en/latest/feeding-carbon.html
func Parse(dst []metric.Point, data []byte, now int64) (points []metric.Point, bad int, err error) {
	for len(data) > 0 {
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

func parseLine(line []byte, now int64) (metric.Point, string) {
	name, rest := field(line)
	if len(name) == 0 {
		return metric.Point{}, blank
	}
	value, rest := field(rest)
	if len(value) == 0 {
		return metric.Point{}, "it has no value (write: path value timestamp)"
	}
	stamp, rest := field(rest)
	if extra, _ := field(rest); len(extra) > 0 {
		return metric.Point{}, "it has more than three fields (write: path value timestamp)"
	}
	if reason := checkName(name); reason != "" {
		return metric.Point{}, reason
	}
	v, ok := number(value)
	if !ok || math.IsNaN(v) {
		return metric.Point{}, "the value is no number"
	}
	t := now
	if len(stamp) > 0 && !(len(stamp) == 1 && stamp[0] == 'N') && string(stamp) != "-1" {
		ts, ok := number(stamp)
		if !ok || ts < 0 || ts > 1<<40 {
			return metric.Point{}, "the timestamp is not seconds since 1970"
		}
		t = int64(ts)
	}
	return metric.Point{Name: name, Time: t, Value: v}, ""
}

// field cuts the first run of non-blanks off.
func field(b []byte) (f, rest []byte) {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	j := i
	for j < len(b) && b[j] != ' ' && b[j] != '\t' && b[j] != '\r' {
		j++
	}
	return b[i:j], b[j:]
}

const longestName = 4096

func checkName(name []byte) string {
	if len(name) > longestName {
		return "the path is longer than 4096 bytes"
	}
	if name[0] == '.' || name[len(name)-1] == '.' || bytes.Contains(name, dots) {
		return "the path has an empty part"
	}
	for _, c := range name {
		if c < ' ' || c == 0x7f {
			return "the path has a control character"
		}
	}
	return ""
}

var dots = []byte("..")

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
