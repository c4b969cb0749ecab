// Package statsd receives the StatsD line protocol over UDP, with DogStatsD's
// tags and packed values.
package statsd

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"steer/base/metric"
	"steer/monitor/receive"
)

// Parser reads datagrams. It owns the buffers for names that need rewriting, so
// each reader has its own.
type Parser struct {
	samples []metric.Sample
	names   []byte
	tags    [][]byte
}

// Parse reads the lines of one datagram: name:value|type[|@rate][|#tags]. Names
// and texts in the result alias data or the parser and live until the next call.
// Bad counts the lines or values that could not be read; err describes the first.
//
// As in statsd, "a:1|c:2|c" is two counts; as in DogStatsD, "a:1:2|ms" is two
// values of one type, and h and d are timers. Tags become Graphite tags.
func (p *Parser) Parse(data []byte) (samples []metric.Sample, bad int, err error) {
	p.samples, p.names = p.samples[:0], p.names[:0]
	for len(data) > 0 {
		line := data
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			line, data = data[:i], data[i+1:]
		} else {
			data = nil
		}
		line = bytes.TrimRight(line, "\r ")
		if len(line) == 0 || bytes.HasPrefix(line, event) || bytes.HasPrefix(line, serviceCheck) {
			continue // DogStatsD events and service checks are no metrics
		}
		n, reason := p.line(line)
		if reason != "" {
			bad += n
			if err == nil {
				err = receive.NewLineError("statsd", line, reason)
			}
		}
	}
	return p.samples, bad, err
}

var (
	event        = []byte("_e{")
	serviceCheck = []byte("_sc|")
)

// line reads one line and returns how many values of it were bad and why.
func (p *Parser) line(line []byte) (bad int, reason string) {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return 1, "it has no value (write: name:value|type)"
	}
	name := p.clean(line[:colon])
	if len(name) == 0 {
		return 1, "it has no name (write: name:value|type)"
	}
	rest := line[colon+1:]
	if i := bytes.Index(rest, tagMark); i >= 0 { // tags may hold colons, so they go first
		tags := rest[i+2:]
		rest = rest[:i]
		if j := bytes.IndexByte(tags, '|'); j >= 0 {
			tags = tags[:j]
		}
		name = p.tagged(name, tags)
	}
	if len(rest) == 0 {
		return 1, "it has no value (write: name:value|type)"
	}
	first := len(p.samples) // values that wait for the type behind a later one
	for len(rest) > 0 {
		part := rest
		if i := bytes.IndexByte(rest, ':'); i >= 0 {
			part, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		bar := bytes.IndexByte(part, '|')
		if bar < 0 {
			p.samples = append(p.samples, metric.Sample{Name: name, Text: part})
			continue
		}
		p.samples = append(p.samples, metric.Sample{Name: name, Text: part[:bar]})
		kind, rate, why := describe(part[bar+1:])
		kept := first
		for _, s := range p.samples[first:] {
			r := why
			if r == "" {
				r = fill(&s, kind, rate)
			}
			if r != "" {
				bad, reason = bad+1, r
				continue
			}
			p.samples[kept] = s
			kept++
		}
		p.samples, first = p.samples[:kept], kept
	}
	if untyped := len(p.samples) - first; untyped > 0 {
		p.samples = p.samples[:first]
		return bad + untyped, "it has no type (write: name:value|type)"
	}
	return bad, reason
}

var tagMark = []byte("|#")

// describe reads what stands behind a value: type, rate and fields that Steer
// has no use for (container, timestamp).
func describe(b []byte) (kind []byte, rate float64, reason string) {
	rate = 1
	kind, rest, _ := bytes.Cut(b, bar)
	for len(rest) > 0 {
		var f []byte
		f, rest, _ = bytes.Cut(rest, bar)
		if len(f) > 1 && f[0] == '@' {
			v, err := strconv.ParseFloat(unsafe.String(&f[1], len(f)-1), 64)
			if err != nil || !(v > 0 && v <= 1) {
				return kind, 0, "the sample rate is not above 0 and at most 1"
			}
			rate = v
		}
	}
	return kind, rate, ""
}

var bar = []byte("|")

// fill turns the value's text into the sample of its kind.
func fill(s *metric.Sample, kind []byte, rate float64) (reason string) {
	s.Rate = rate
	switch string(kind) {
	case "c":
		s.Kind = metric.Counter
	case "ms", "h", "d":
		s.Kind = metric.Timer
	case "g":
		s.Kind = metric.Gauge
		if len(s.Text) > 0 && (s.Text[0] == '+' || s.Text[0] == '-') {
			s.Kind = metric.GaugeDelta
		}
	case "s":
		s.Kind = metric.Set
		if len(s.Text) == 0 {
			return "the set member is empty"
		}
		return ""
	default:
		return "the type is not one of c, ms, g, s, h, d"
	}
	v, ok := number(s.Text)
	if !ok {
		return "the value is no number"
	}
	s.Value, s.Text = v, nil
	return ""
}

func number(b []byte) (float64, bool) {
	if len(b) == 0 {
		return 0, false
	}
	if len(b) <= 15 { // whole numbers, nearly all that are sent
		n, i := int64(0), 0
		for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
			n = n*10 + int64(b[i]-'0')
		}
		if i == len(b) {
			return float64(n), true
		}
	}
	if bytes.ContainsAny(b, "_xX") {
		return 0, false
	}
	v, err := strconv.ParseFloat(unsafe.String(&b[0], len(b)), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// clean makes a name fit for Graphite as statsd does: blanks become "_", "/"
// becomes "-", anything but letters, digits and _ - . ; = goes.
func (p *Parser) clean(name []byte) []byte {
	for _, c := range name {
		if !plain(c) {
			return p.rewrite(name)
		}
	}
	return trimDots(name)
}

func (p *Parser) rewrite(name []byte) []byte {
	start := len(p.names)
	for i, c := range name {
		switch {
		case plain(c):
			p.names = append(p.names, c)
		case c == ' ' || c == '\t':
			if i > 0 && (name[i-1] == ' ' || name[i-1] == '\t') {
				continue
			}
			p.names = append(p.names, '_')
		case c == '/':
			p.names = append(p.names, '-')
		}
	}
	return trimDots(p.names[start:len(p.names):len(p.names)])
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '_' || c == '-' || c == '.' || c == ';' || c == '='
}

// trimDots removes what would make empty parts at the ends of a path.
func trimDots(name []byte) []byte { return bytes.Trim(name, ".") }

// tagged returns name;tag=value;… sorted by tag. A tag without a value gets
// "true".
func (p *Parser) tagged(name, tags []byte) []byte {
	p.tags = p.tags[:0]
	for len(tags) > 0 {
		var t []byte
		t, tags, _ = bytes.Cut(tags, comma)
		if len(t) > 0 {
			p.tags = append(p.tags, t)
		}
	}
	if len(p.tags) == 0 {
		return name
	}
	slices.SortFunc(p.tags, bytes.Compare)
	start := len(p.names)
	p.names = append(p.names, name...)
	for _, t := range p.tags {
		key, value, ok := bytes.Cut(t, colon)
		if !ok {
			value = []byte("true")
		}
		p.names = append(p.names, ';')
		p.names = appendTag(p.names, key)
		p.names = append(p.names, '=')
		p.names = appendTag(p.names, value)
	}
	return p.names[start:len(p.names):len(p.names)]
}

func appendTag(dst, s []byte) []byte {
	for _, c := range s {
		if c == ';' || c == '=' || c <= ' ' || c == 0x7f || c == '~' {
			c = '_'
		}
		dst = append(dst, c)
	}
	return dst
}

var (
	comma = []byte(",")
	colon = []byte(":")
)
