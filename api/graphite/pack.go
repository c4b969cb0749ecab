package graphite

import (
	"bufio"
	"net/http"

	"steer/base/metric"
	"steer/monitor/query"
)

// packer writes values in a binary format. Lists and dictionaries say how many
// elements follow, and are ended after them.
type packer interface {
	list(n int)
	endList()
	dict(n int)
	endDict()
	text(s string)
	integer(n int64)
	number(v float64) // NaN is nothing at all
	truth(b bool)
	end() // of everything
}

// packed opens an answer in pickle or msgpack, and tells its type.
func packed(w http.ResponseWriter, format string) packer {
	out := bufio.NewWriterSize(w, 32<<10)
	if format == "msgpack" {
		w.Header().Set("Content-Type", "application/x-msgpack")
		return &msgpack{Writer: out}
	}
	w.Header().Set("Content-Type", "application/pickle")
	return newPickle(out)
}

// packSeries writes series as graphite-web exchanges them with others of its kind.
func packSeries(out packer, results []query.Result) error {
	out.list(len(results))
	for _, r := range results {
		out.dict(9)
		for _, field := range [...]struct{ key, text string }{
			{"name", r.Name}, {"pathExpression", r.PathExpression}, {"consolidationFunc", r.Consolidate},
		} {
			out.text(field.key)
			out.text(field.text)
		}
		for _, field := range [...]struct {
			key string
			n   int64
		}{{"start", r.Start}, {"end", r.End}, {"step", r.Step}, {"valuesPerPoint", 1}} {
			out.text(field.key)
			out.integer(field.n)
		}
		out.text("xFilesFactor")
		out.number(r.XFiles)
		out.text("values")
		out.list(len(r.Values))
		for _, v := range r.Values {
			out.number(v)
		}
		out.endList()
		out.endDict()
	}
	out.endList()
	out.end()
	return nil
}

// packNodes writes nodes of the name tree. Series are said to have data of all
// time up to now.
func packNodes(out packer, matches []metric.Match, now int64) error {
	out.list(len(matches))
	for _, m := range matches {
		out.dict(map[bool]int{false: 2, true: 3}[m.Leaf])
		out.text("path")
		out.text(m.Path)
		out.text("is_leaf")
		out.truth(m.Leaf)
		if m.Leaf {
			out.text("intervals")
			out.list(1)
			out.list(2)
			out.integer(0)
			out.integer(now)
			out.endList()
			out.endList()
		}
		out.endDict()
	}
	out.endList()
	out.end()
	return nil
}
