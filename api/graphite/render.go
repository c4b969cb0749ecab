package graphite

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"steer/base/fault"
	"steer/monitor/query"
	"steer/monitor/query/draw"
)

// render answers targets in one of Graphite's formats.
func (s *server) render(w http.ResponseWriter, r *http.Request, p parameters) error {
	format := p.Get("format")
	switch { // what senders wrote before there was format
	case format != "":
	case p.has("rawData"):
		format = "raw"
	case p.has("pickle"):
		format = "pickle"
	}
	switch format {
	case "":
		format = "png"
	case "json", "csv", "raw", "pickle", "msgpack", "dygraph", "rickshaw", "svg", "png":
	default:
		return fault.New(fault.Invalid, "render: unknown format %q (known: json, csv, raw, pickle, msgpack, dygraph, rickshaw, svg, png)", format)
	}
	now, from, until, err := s.times(p)
	if err != nil {
		return err
	}
	request := query.Request{
		Targets: targets(p), From: from.Unix(), Until: until.Unix(), Now: now.Unix(), TZ: s.zone(p),
		Template: map[string]string{},
	}
	if request.From == request.Until {
		return fault.New(fault.Invalid, "render: from and until are the same second (%d); give a range", request.From)
	}
	for name, values := range p.Values {
		if key, ok := strings.CutPrefix(name, "template["); ok && strings.HasSuffix(key, "]") {
			request.Template[strings.TrimSuffix(key, "]")] = values[len(values)-1]
		}
	}
	if text := p.Get("xFilesFactor"); text != "" {
		if request.XFiles, err = strconv.ParseFloat(text, 64); err != nil {
			return fault.New(fault.Invalid, "render: xFilesFactor %q is no number", text)
		}
	}
	picture := draw.Options{}
	switch format {
	case "json":
		if n, ok := p.whole("maxDataPoints"); ok {
			request.MaxPoints = n
		}
	case "svg", "png":
		if picture, err = drawing(p); err != nil {
			return err
		}
		picture.From, picture.Until, picture.TZ = min(request.From, request.Until), max(request.From, request.Until), request.TZ
		request.MaxPoints = points(p, picture)
	}
	a := answer{server: s, format: format, parameters: p, picture: picture, tz: request.TZ}
	return s.Engine.Serve(r.Context(), request, func(results []query.Result) error { return a.write(w, results) })
}

// answer is how results are shown.
type answer struct {
	*server
	parameters
	format  string
	picture draw.Options
	tz      *time.Location
}

func (a answer) write(w http.ResponseWriter, results []query.Result) (err error) {
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	out := a.writer(w)
	defer a.release(out)
	switch a.format {
	case "json":
		// As Graphite does: series without a point are listed only beside others.
		if !slices.ContainsFunc(results, func(r query.Result) bool { return len(r.Values) > 0 }) {
			results = nil
		}
		return writeJSON(out, w, results, a.parameters)
	case "csv":
		h.Set("Content-Type", "text/csv")
		return writeCSV(out, results, a.tz)
	case "raw":
		h.Set("Content-Type", "text/plain; charset=utf-8")
		return writeRaw(out, results)
	case "pickle", "msgpack":
		return packSeries(packed(w, a.format), results)
	case "dygraph":
		return writeDygraph(w, results, a.parameters)
	case "rickshaw":
		return writeRickshaw(w, results, a.parameters)
	}
	var b bytes.Buffer
	if a.format == "svg" {
		h.Set("Content-Type", "image/svg+xml")
		// A picture opened by itself must not run anything either.
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		err = draw.SVG(&b, results, a.picture)
	} else {
		h.Set("Content-Type", "image/png")
		err = draw.PNG(&b, results, a.picture)
	}
	if err != nil {
		return err
	}
	if a.format == "svg" && a.has("jsonp") {
		out, err := open(w, a.parameters)
		if err != nil {
			return err
		}
		out.text(b.String())
		return out.end()
	}
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes())
	return nil
}

// targets are those that say something, in the order of the request.
func targets(p parameters) []string {
	given := p.Values["target"]
	if len(given) == 0 {
		given = p.Values["target[]"]
	}
	var out []string
	for _, t := range given {
		if strings.TrimSpace(t) != "" {
			out = append(out, t)
		}
	}
	return out
}
