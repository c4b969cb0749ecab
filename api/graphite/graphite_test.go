package graphite

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"steer/monitor/query"
	"steer/monitor/query/querytest"
)

// now is a Friday noon in UTC.
const now = 1767355200

func handler(t *testing.T) http.Handler {
	t.Helper()
	memory := &querytest.Memory{}
	memory.Add("web.one", now-240, 60, 1, 2.5, math.NaN(), math.Inf(1), 1e16)
	memory.Add("web.two", now-240, 60, 4, 5, 6, 7, 8)
	memory.Add("web.deep.er", now-240, 60, 0.1)
	memory.Add("web.two.below", now-240, 60, 1)
	memory.Add("nothing", now-240, 60, math.NaN())
	memory.Add("disk;host=a", now-240, 60, 1, 2, 3, 4, 5)
	engine, err := query.New(query.Options{Source: memory, Limits: query.Limits{Series: 20}})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Engine: engine, Now: func() time.Time { return time.Unix(now, 0) }})
}

func get(t *testing.T, h http.Handler, address string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", address, nil))
	return w
}

func TestAnswers(t *testing.T) {
	h := handler(t)
	for _, c := range []struct {
		address string
		status  int
		kind    string // of the content
		body    string // all of it, or its beginning before …
	}{
		{"/render?target=web.one&from=-4min&format=json", 200, "application/json",
			`[{"target": "web.one", "tags": {"name": "web.one"}, "datapoints": [[2.5, 1767355020], [null, 1767355080], [1e9999, 1767355140], [1e+16, 1767355200]]}]`},
		{"/render?target=web.one&from=-4min&format=json&noNullPoints&jsonp=cb.x", 200, "text/javascript; charset=utf-8",
			`cb.x([{"target": "web.one", "tags": {"name": "web.one"}, "datapoints": [[2.5, 1767355020], [1e9999, 1767355140], [1e+16, 1767355200]]}])`},
		{"/render?target=nothing&from=-4min&format=json&noNullPoints=1", 200, "application/json", `[]`},
		{"/render?target=no.such&from=-4min&format=json", 200, "application/json", `[]`},
		{"/render?from=-4min&format=json", 200, "application/json", `[]`},
		{"/render?target=web.two&from=-4min&format=json&maxDataPoints=1", 200, "application/json",
			`[{"target": "web.two", "tags": {"name": "web.two"}, "datapoints": [[6.5, 1767355020]]}]`},
		{"/render?target=web.two&from=-4min&until=-2min&format=csv&tz=Europe/Berlin", 200, "text/csv",
			"web.two,2026-01-02 12:57:00,5.0\r\nweb.two,2026-01-02 12:58:00,6.0\r\n"},
		{"/render?target=scale(web.one,2)&from=-4min&format=csv&tz=Not/There", 200, "text/csv",
			"\"scale(web.one,2)\",2026-01-02 11:57:00,5.0\r\n\"scale(web.one,2)\",2026-01-02 11:58:00,\r\n…"},
		{"/render?target=web.one&from=-4min&format=raw", 200, "text/plain; charset=utf-8", "web.one,1767355020,1767355260,60|2.5,None,inf,1e+16\n"},
		{"/render?target=web.two&from=-4min&rawData=1", 200, "text/plain; charset=utf-8", "web.two,1767355020,1767355260,60|5.0,6.0,7.0,8.0\n"},
		{"/render?target=disk;host=a&from=-1min&format=json", 200, "application/json",
			`[{"target": "disk;host=a", "tags": {"host": "a", "name": "disk"}, "datapoints": [[5.0, 1767355200]]}]`},
		{"/render?target=template(web.$n)&template[n]=two&from=-1min&format=json", 200, "application/json",
			`[{"target": "web.two", "tags": {"name": "web.two"}, "datapoints": [[8.0, 1767355200]]}]`},
		{"/render/?target[]=web.two&from=-1min&format=json&now=1767355140", 200, "application/json",
			`[{"target": "web.two", "tags": {"name": "web.two"}, "datapoints": [[7.0, 1767355140]]}]`},
		{"/render?target=web.*&from=-4min&format=svg&title=<x>", 200, "image/svg+xml", "<svg …"},
		{"/render?target=web.*&from=-4min&width=200&height=100", 200, "image/png", "\x89PNG…"},

		{"/render?target=sum(web.one&format=json", 400, "text/plain; charset=utf-8",
			"parse target \"sum(web.one\" at character 12: expected \",\" or \")\" in the arguments of sum, found end of the target\n  sum(web.one\n             ^\n"},
		{"/render?target=nope(web.one)&format=json", 400, "text/plain; charset=utf-8", "evaluate target \"nope(web.one)\" at character 1: unknown function nope…"},
		{"/render?target=web.one&from=-5m&format=json", 400, "text/plain; charset=utf-8", "parameter from: parse time \"-5m\": unknown unit \"m\" (use s, min, h, d, w, mon or y)\n"},
		{"/render?target=web.one&from=now&until=now&format=json", 400, "text/plain; charset=utf-8", "render: from and until are the same second (1767355200); give a range\n"},
		{"/render?target=web.one&format=xls", 400, "text/plain; charset=utf-8", "render: unknown format \"xls\"…"},
		{"/render?target=web.one&xFilesFactor=x&format=json", 400, "text/plain; charset=utf-8", "render: xFilesFactor \"x\" is no number\n"},
		{"/render?target=web.one&format=json&jsonp=alert(1)", 400, "text/plain; charset=utf-8", "jsonp \"alert(1)\" is not the name of a function\n"},
		{"/render?target=web.one&width=99999", 400, "text/plain; charset=utf-8", "draw a chart of 99999 by 250 pixels: each side is from 1 to 4096\n"},

		{"/metrics/find?query=web.*", 200, "application/json",
			`[{"text": "deep", "id": "web.deep", "allowChildren": 1, "expandable": 1, "leaf": 0}, {"text": "two", "id": "web.two", "allowChildren": 1, "expandable": 1, "leaf": 0}, {"text": "one", "id": "web.one", "allowChildren": 0, "expandable": 0, "leaf": 1}, {"text": "two", "id": "web.two", "allowChildren": 0, "expandable": 0, "leaf": 1}]`},
		{"/metrics/find/?query=web.d&format=completer", 200, "application/json", `{"metrics": [{"path": "web.deep.", "name": "deep", "is_leaf": "0"}]}`},
		{"/metrics/find?query=web.o*&format=completer&from=-1&until=-1", 200, "application/json", `{"metrics": [{"path": "web.one", "name": "one", "is_leaf": "1"}]}`},
		{"/metrics/find?query=nope.*", 200, "application/json", `[]`},
		{"/metrics/find", 400, "text/plain; charset=utf-8", "find: the parameter query is missing; for example query=servers.*\n"},
		{"/metrics/find?query=a&format=x", 400, "text/plain; charset=utf-8", "find: unknown format \"x\" (known: treejson, completer, json, nodelist, pickle, msgpack)\n"},
		{"/metrics/find?query=a&from=soon", 400, "text/plain; charset=utf-8", "find: parameter from: parse time \"soon\": unknown reference…"},
		{"/metrics/expand?query=web.*&query=not*&leavesOnly=1", 200, "application/json", `{"results": ["nothing", "web.one", "web.two"]}`},
		{"/metrics/expand?query=web.o*&groupByExpr=1", 200, "application/json", `{"results": {"web.o*": ["web.one"]}}`},
		{"/metrics/index.json", 200, "application/json", `["disk;host=a", "nothing", "web.deep.er", "web.one", "web.two", "web.two.below"]`},
		{"/version", 200, "text/plain; charset=utf-8", "1.1.10\n"},
		{"/functions/sum", 200, "application/json",
			`{"name": "sum", "function": "sum(*seriesLists: seriesList)", "description": "Adds all series up at every point; missing values do not count.", "module": "steer.monitor.query", "group": "Combine", "params": [{"name": "seriesLists", "type": "seriesList", "required": true, "multiple": true, "description": "the series to combine"}]}`},
		{"/functions/keepLastValue", 200, "application/json", `{"name": "keepLastValue", "function": "keepLastValue(seriesList: seriesList, limit: intOrInf = inf)", "description": "Fills gaps with the value before them; a gap longer than the limit stays as it is.", "module": "steer.monitor.query", "group": "Transform", "params": [{"name": "seriesList", "type": "seriesList", "required": true, "description": "the series to work on"}, {"name": "limit", "type": "intOrInf", "default": 1e9999…`},
		{"/functions/nope", 404, "text/plain; charset=utf-8", "describe function \"nope\": there is no such function; /functions lists them\n"},
	} {
		w := get(t, h, strings.NewReplacer(" ", "%20", "<", "%3C", ">", "%3E").Replace(c.address))
		want, begins := strings.CutSuffix(c.body, "…")
		ok := w.Body.String() == want || begins && strings.HasPrefix(w.Body.String(), want)
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || !ok {
			t.Errorf("%s: %d %s\n%.2000q\nwant %d %s\n%q", c.address, w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.kind, c.body)
		}
	}
}

func TestPost(t *testing.T) {
	h := handler(t)
	send := func(body, kind string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/render?format=csv&target=web.one", strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	form := url.Values{"target": {"web.two"}, "from": {"-1min"}, "format": {"raw"}}
	if w := send(form.Encode(), "application/x-www-form-urlencoded"); w.Body.String() !=
		"web.one,1767355200,1767355260,60|1e+16\nweb.two,1767355200,1767355260,60|8.0\n" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	multipart := "--x\r\nContent-Disposition: form-data; name=\"from\"\r\n\r\n-1min\r\n--x--\r\n"
	if w := send(multipart, "multipart/form-data; boundary=x"); w.Code != 200 || strings.Count(w.Body.String(), "\n") != 1 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := send("target="+strings.Repeat("a", maxBody), "application/x-www-form-urlencoded"); w.Code != 400 || !strings.Contains(w.Body.String(), "larger than 1048576 bytes") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOnlyOwnPathsAndMethods(t *testing.T) {
	h := handler(t)
	for address, status := range map[string]int{"GET /": 404, "GET /metrics": 404, "POST /functions": 405, "PUT /render": 405, "POST /version": 405} {
		method, path, _ := strings.Cut(address, " ")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		if w.Code != status {
			t.Errorf("%s: %d, want %d", address, w.Code, status)
		}
	}
	if w := get(t, h, "/render?target=**&target=group(**,**,**,**,**)&format=json"); w.Code != 429 {
		t.Errorf("limit: %d %s", w.Code, w.Body)
	}
}

func TestFunctionsAreJSON(t *testing.T) {
	h := handler(t)
	var all map[string]struct{ Name, Function, Description, Group string }
	body := strings.ReplaceAll(get(t, h, "/functions").Body.String(), "1e9999", "1")
	if err := json.Unmarshal([]byte(body), &all); err != nil || len(all) < 30 {
		t.Fatalf("%d functions, %v", len(all), err)
	}
	for name, f := range all {
		if f.Name != name || f.Group == "" || !strings.HasSuffix(f.Description, ".") || !strings.HasPrefix(f.Function, name+"(") {
			t.Errorf("%+v", f)
		}
	}
	var grouped map[string]map[string]any
	body = strings.ReplaceAll(get(t, h, "/functions?grouped=1").Body.String(), "1e9999", "1")
	if err := json.Unmarshal([]byte(body), &grouped); err != nil || grouped["Combine"]["avg"] == nil {
		t.Fatal(err)
	}
	var one map[string]any
	body = strings.ReplaceAll(get(t, h, "/functions?group=Sorting").Body.String(), "1e9999", "1")
	if err := json.Unmarshal([]byte(body), &one); err != nil || one["sum"] != nil || one["sortByName"] == nil {
		t.Fatal(err)
	}
}
