package graphite

import (
	"math"
	"net/http"

	"steer/monitor/query"
)

// writeDygraph answers for the chart library of this name: rows of a time in
// milliseconds and the value of each series. The first series says which times
// there are.
func writeDygraph(w http.ResponseWriter, results []query.Result, p parameters) error {
	out, err := open(w, p)
	if err != nil {
		return err
	}
	if len(results) == 0 {
		out.put("{}")
		return out.end()
	}
	out.put(`{"labels" : ["Time"`)
	for _, r := range results {
		out.put(", ")
		out.text(r.Name)
	}
	out.put(`], "data" : [`)
	for i := range results[0].Values {
		if i > 0 {
			out.put(", ")
		}
		out.put("[")
		out.integer((results[0].Start + int64(i)*results[0].Step) * 1000)
		for _, r := range results {
			v := math.NaN()
			if i < len(r.Values) {
				v = r.Values[i]
			}
			out.put(", ")
			out.value(v)
		}
		out.put("]")
	}
	out.put("]}")
	return out.end()
}

// writeRickshaw answers for the chart library of this name.
func writeRickshaw(w http.ResponseWriter, results []query.Result, p parameters) error {
	out, err := open(w, p)
	if err != nil {
		return err
	}
	out.put("[")
	for i, r := range results {
		if i > 0 {
			out.put(", ")
		}
		out.put(`{"target": `)
		out.text(r.Name)
		out.put(`, "datapoints": [`)
		for j, v := range r.Values {
			if j > 0 {
				out.put(", ")
			}
			out.put(`{"x": `)
			out.integer(r.Start + int64(j)*r.Step)
			out.put(`, "y": `)
			out.value(v)
			out.put("}")
		}
		out.put("]}")
	}
	out.put("]")
	return out.end()
}
