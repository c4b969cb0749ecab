package graphite

import (
	"io"
	"net/http"
	"strconv"

	"steer/monitor/query"
)

// writer puts an answer together piece by piece. An answer that fits into its
// memory goes out at once, and says its length; the first error of the network ends
// all writing.
type writer struct {
	to     io.Writer
	buf    []byte
	err    error
	header http.Header // takes the length of the answer; nil if it is not known
	close  string
	quads  *quads
}

// writer has memory that other answers had before it, as large as the answers
// that charts mostly ask for.
func (s *server) writer(w http.ResponseWriter) *writer {
	out, _ := s.writers.Get().(*writer)
	if out == nil {
		out = &writer{buf: make([]byte, 0, 256<<10)}
	}
	*out = writer{to: w, buf: out.buf[:0], header: w.Header(), quads: s.quads}
	return out
}

func (s *server) release(w *writer) {
	*w = writer{buf: w.buf}
	s.writers.Put(w)
}

// open starts an answer in JSON, wrapped into a call where jsonp asks for it, and
// in lines where pretty does.
func open(w http.ResponseWriter, p parameters) (*writer, error) {
	out := &writer{to: w, buf: make([]byte, 0, 32<<10), header: w.Header()}
	return out, out.open(w, p)
}

func (w *writer) open(to http.ResponseWriter, p parameters) error {
	name, err := callback(p)
	if err != nil {
		return err
	}
	to.Header().Set("Content-Type", "application/json")
	if p.Get("pretty") != "" {
		w.to, w.header = &indenter{to: to}, nil
	}
	if name != "" {
		to.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		w.close, w.header = ")", nil
		_, _ = io.WriteString(to, name+"(")
	}
	return nil
}

// end finishes the answer. That the client has gone is not our error.
func (w *writer) end() error {
	w.put(w.close)
	if w.header != nil {
		w.header.Set("Content-Length", strconv.Itoa(len(w.buf)))
	}
	w.flush()
	return nil
}

func (w *writer) flush() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.to.Write(w.buf)
	}
	w.buf, w.header = w.buf[:0], nil
}

// room makes sure that n more bytes fit, which are few.
func (w *writer) room(n int) {
	if cap(w.buf)-len(w.buf) < n {
		w.flush()
	}
}

func (w *writer) put(s string) {
	for len(s) > cap(w.buf)-len(w.buf) {
		n := cap(w.buf) - len(w.buf)
		w.buf, s = append(w.buf, s[:n]...), s[n:]
		w.flush()
	}
	w.buf = append(w.buf, s...)
}

// longest is more bytes than a point takes.
const longest = 64

func (w *writer) number(v float64) {
	w.room(longest)
	w.buf = query.AppendFloat(w.buf, v)
}

func (w *writer) integer(n int64) {
	w.room(longest)
	w.buf = strconv.AppendInt(w.buf, n, 10)
}
