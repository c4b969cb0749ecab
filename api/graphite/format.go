package graphite

import (
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"steer/base/fault"
	"steer/monitor/query"
)

// callback is what jsonp may be: the name of a function, perhaps a member.
func callback(p parameters) (string, error) {
	name := p.Get("jsonp")
	if name != "" && (len(name) > 200 || !regexp.MustCompile(`^[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*|\[\d+\])*$`).MatchString(name)) {
		return "", fault.New(fault.Invalid, "jsonp %q is not the name of a function", name)
	}
	return name, nil
}

// text writes a JSON string that is also safe within a script.
func (w *writer) text(s string) {
	const hex = "0123456789abcdef"
	w.put(`"`)
	start := 0
	for i, r := range s {
		var escape string
		size := utf8.RuneLen(r)
		switch {
		case r == '"' || r == '\\':
			escape = `\` + string(r)
		case r == '\n':
			escape = `\n`
		case r == '\t':
			escape = `\t`
		case r < ' ' || r == '<' || r == '>' || r == '&' || r == 0x7f:
			escape = `\u00` + string([]byte{hex[r>>4], hex[r&15]})
		case r == 0x2028 || r == 0x2029:
			escape = `\u202` + string(hex[r&15])
		case r == utf8.RuneError:
			if _, n := utf8.DecodeRuneInString(s[i:]); n > 1 {
				continue
			}
			escape, size = `\ufffd`, 1
		default:
			continue
		}
		w.put(s[start:i])
		w.put(escape)
		start = i + size
	}
	w.put(s[start:])
	w.put(`"`)
}

func writeJSON(out *writer, w http.ResponseWriter, results []query.Result, p parameters) error {
	if err := out.open(w, p); err != nil {
		return err
	}
	dense := p.has("noNullPoints")
	// As in Graphite, nothing is listed where no series has a point.
	if !slices.ContainsFunc(results, func(r query.Result) bool { return len(r.Values) > 0 }) {
		results = nil
	}
	out.put("[")
	first := true
	for _, r := range results {
		if dense && !slices.ContainsFunc(r.Values, func(v float64) bool { return v == v }) {
			continue
		}
		if !first {
			out.put(", ")
		}
		first = false
		out.put(`{"target": `)
		if r.Nameless() {
			out.put("null")
		} else {
			out.text(r.Name)
		}
		out.put(`, "tags": {`)
		for i, k := range sortedKeys(r.Tags) {
			if i > 0 {
				out.put(", ")
			}
			out.text(k)
			out.put(": ")
			out.text(r.Tags[k])
		}
		out.put(`}, "datapoints": [`)
		out.points(r, dense)
		out.put("]}")
	}
	out.put("]")
	return out.end()
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func writeCSV(out *writer, results []query.Result, tz *time.Location) error {
	for _, r := range results {
		name := r.Name
		if strings.ContainsAny(name, "\",\r\n") {
			name = `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
		for i, v := range r.Values {
			out.put(name)
			out.put(",")
			out.room(longest)
			out.buf = time.Unix(r.Start+int64(i)*r.Step, 0).In(tz).AppendFormat(out.buf, time.DateTime)
			out.put(",")
			out.plain(v, "")
			out.put("\r\n")
		}
	}
	return out.end()
}

// plain is a number outside of JSON.
func (w *writer) plain(v float64, null string) {
	switch {
	case v != v:
		w.put(null)
	case math.IsInf(v, 1):
		w.put("inf")
	case math.IsInf(v, -1):
		w.put("-inf")
	default:
		w.number(v)
	}
}

func writeRaw(out *writer, results []query.Result) error {
	for _, r := range results {
		out.put(r.Name)
		for i, n := range [...]int64{r.Start, r.End, r.Step} {
			out.put(",")
			out.integer(n)
			if i == 2 {
				out.put("|")
			}
		}
		for i, v := range r.Values {
			if i > 0 {
				out.put(",")
			}
			out.plain(v, "None")
		}
		out.put("\n")
	}
	return out.end()
}
