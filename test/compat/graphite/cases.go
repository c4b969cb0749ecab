package graphite

import (
	"embed"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

//go:embed cases
var files embed.FS

// Case is one request.
type Case struct {
	File  string // of the folder cases, without .txt
	Group string // the function or part of the API that it is about
	Line  string // as it stands in the file, with what with says; no two are alike
	Ask   string // path and query
}

// Cases reads the requests of the folder cases, file by file. A line there is
//
//	[GROUP]                   a function, or a part of the API
//	with NAME=VALUE&…         parameters of all lines up to the next with or group
//	TARGET                    a request to /render
//	TARGET @ NAME=VALUE&…     with parameters: texts as they are, not escaped;
//	                          -NAME leaves out a parameter that is there by default
//	/PATH?QUERY               any other request, escaped as in a URL but for spaces
//	# …                       a remark
//
// By default now is Now, format is json and from is -10min.
func Cases() ([]Case, error) {
	var all []Case
	seen := map[string]string{}
	entries, err := files.ReadDir("cases")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		text, err := files.ReadFile("cases/" + e.Name())
		if err != nil {
			return nil, err
		}
		group, with := "", ""
		for n, line := range strings.Split(string(text), "\n") {
			place := fmt.Sprintf("%s:%d", e.Name(), n+1)
			line = strings.TrimRight(line, " ")
			switch {
			case strings.TrimSpace(line) == "" || line[0] == '#':
				continue
			case line[0] == '[' && strings.HasSuffix(line, "]"):
				group, with = strings.Trim(line, "[]"), ""
				continue
			case line == "with" || strings.HasPrefix(line, "with "):
				with = strings.TrimSpace(line[4:])
				continue
			}
			if with != "" && line[0] != '/' {
				target, extra, _ := strings.Cut(line, " @ ")
				line = strings.TrimRight(target+" @ "+with+"&"+extra, "&")
			}
			if before := seen[line]; before != "" {
				return nil, fmt.Errorf("%s: the case %q stands at %s already", place, line, before)
			}
			seen[line] = place
			all = append(all, Case{strings.TrimSuffix(e.Name(), ".txt"), group, line, address(line)})
		}
	}
	return all, nil
}

func address(line string) string {
	if line[0] == '/' {
		return strings.ReplaceAll(line, " ", "%20")
	}
	target, extra, _ := strings.Cut(line, " @ ")
	type pair struct{ name, value string }
	pairs := []pair{{"target", target}, {"format", "json"}, {"now", fmt.Sprint(Now)}, {"from", "-10min"}}
	for _, given := range strings.Split(extra, "&") {
		name, value, _ := strings.Cut(given, "=")
		bare, drop := strings.CutPrefix(name, "-")
		if name == "" {
			continue
		}
		if bare != "target" || drop {
			pairs = slices.DeleteFunc(pairs, func(p pair) bool { return p.name == bare })
		}
		if !drop {
			pairs = append(pairs, pair{bare, value})
		}
	}
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(p.name) + "=" + url.QueryEscape(p.value))
	}
	return "/render?" + b.String()
}

// Golden is what graphite-web answered.
type Golden struct {
	Ask    string          `json:"ask"`
	Status int             `json:"status"`
	Type   string          `json:"type,omitempty"` // media type, where it is no error
	Body   json.RawMessage `json:"body,omitempty"` // JSON as it was, anything else as a text; nothing of errors
}

// Body is an answer as goldens keep it.
func Body(media string, body []byte) json.RawMessage {
	if strings.HasPrefix(media, "image/") { // charts look as each program draws them
		body = nil
	}
	if media == "application/json" && json.Valid(body) {
		return body
	}
	text, err := json.Marshal(string(body))
	if err != nil {
		panic("BUG: " + err.Error()) // a string always has a JSON form
	}
	return text
}
