package graphite

import (
	"math"

	"steer/monitor/query"
)

// points writes pairs of value and time, dense ones without nulls.
func (w *writer) points(r query.Result, dense bool) {
	at := newStamp(r.Start, r.Step)
	w.room(longest)
	b := append(w.buf, '[')
	none := true
	for _, v := range r.Values {
		if at.at > r.End {
			break
		}
		if dense && v != v {
			at.next()
			continue
		}
		none = false
		if cap(b)-len(b) < longest {
			w.buf = b
			w.flush()
			b = w.buf
		}
		if n := w.quads.decimal((*[longest]byte)(b[len(b):cap(b)]), v); n > 0 {
			b = b[:len(b)+n]
		} else {
			b = appendValue(b, v)
		}
		b = at.append(b)
		at.next()
	}
	if none {
		w.buf = b[:len(b)-len("[")]
		return
	}
	w.buf = b[:len(b)-len(", [")]
}

// appendValue appends a number in JSON, or null. JSON has no infinities.
func appendValue(b []byte, v float64) []byte {
	switch {
	case v != v:
		return append(b, "null"...)
	case v > math.MaxFloat64:
		return append(b, "1e9999"...)
	case v < -math.MaxFloat64:
		return append(b, "-1e9999"...)
	}
	return query.AppendFloat(b, v)
}

// value is a number in JSON, or null.
func (w *writer) value(v float64) {
	w.room(longest)
	w.buf = appendValue(w.buf, v)
}
