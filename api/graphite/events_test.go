package graphite

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steer/base/database/databasetest"
	"steer/base/event"
	"steer/base/journal"
	"steer/base/metric"
	"steer/listen/annotate"
	"steer/monitor/query"
	"steer/monitor/query/querytest"
	"steer/monitor/store"
)

// whole is a handler with everything, over a store with some series.
func whole(t *testing.T) (http.Handler, *journal.Journal) {
	t.Helper()
	j, err := journal.New(t.Context(), databasetest.SQLite(t))
	if err != nil {
		t.Fatal(err)
	}
	events, err := annotate.New(annotate.Options{Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return time.Unix(now, 0) }
	s, err := store.Open(store.Options{Dir: filepath.Join(t.TempDir(), "store"), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	var points []metric.Point
	for _, name := range []string{"disk.used;host=a;rack=1", "disk.used;host=b;rack=1", "disk.used", "disk.free;host=a", "cpu;host=a;name2=x"} {
		points = append(points, metric.Point{Name: []byte(name), Time: now - 60, Value: 1})
	}
	if err := s.Write(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	engine, err := query.New(query.Options{Source: &querytest.Memory{}})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Engine: engine, Tags: s, Events: events, Now: clock}), j
}

// send sends a request that changes something, as somebody; who "" is nobody.
func send(t *testing.T, h http.Handler, who, method, address, kind, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, address, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	if who != "" {
		r = r.WithContext(As(context.Background(), "ada"))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const form = "application/x-www-form-urlencoded"

func TestEvents(t *testing.T) {
	h, j := whole(t)
	deployed := event.Event{Type: event.Upgraded, Subject: "deploy/1", Summary: "shop b2 serves in production", Service: "shop", Environment: "production",
		Actor: "olga", Time: time.Unix(now-100, 999_000_000)}
	if _, err := j.Record(t.Context(), deployed); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ kind, body string }{
		{"application/json", `{"what": "sale", "tags": ["shop", "sale"], "when": 1767355000, "data": "50 %"}`},
		{form, `{"what": "power", "tags": "rack power", "when": 1767355100.7}`}, // as curl -d sends it
		{"text/plain", ` {"what": "now", "data": {"a": [1, 2]}, "when": null, "tags": null, "other": 1}`},
		{"application/json", `{"what": "text", "when": "1767355101", "data": null}`},
	} {
		if w := send(t, h, "ada", "POST", "/events/", c.kind, c.body); w.Code != 200 || w.Body.Len() > 0 {
			t.Errorf("%s: %d %s", c.body, w.Code, w.Body)
		}
	}
	const (
		sale   = `{"when": 1767355000, "what": "sale", "data": "50 %", "tags": ["shop", "sale"], "id": 2}`
		power  = `{"when": 1767355100, "what": "power", "data": "", "tags": ["rack", "power"], "id": 3}`
		deploy = `{"when": 1767355100, "what": "shop b2 serves in production", "data": "by olga", "tags": ["deploy", "shop", "production"], "id": 1}`
		text   = `{"when": 1767355101, "what": "text", "data": "", "tags": [], "id": 5}`
		last   = `{"when": 1767355200, "what": "now", "data": "{\"a\":[1,2]}", "tags": [], "id": 4}`
		kind   = "application/json"
	)
	all := func(events ...string) string { return "[" + strings.Join(events, ", ") + "]" }
	for _, c := range []struct {
		address string
		status  int
		kind    string
		want    string
	}{
		{"/events/get_data", 200, kind, all(sale, deploy, power, text, last)},
		{"/events", 200, kind, all(sale, deploy, power, text, last)},
		{"/events/?tags=shop&from=-150s", 200, kind, all(deploy)},
		{"/events/get_data?tags=shop", 200, kind, all(sale, deploy)},
		{"/events/get_data?tags=shop%20sale&until=1767355000", 200, kind, all(sale)},
		{"/events/get_data?tags=sale+power&set=union", 200, kind, all(sale, power)},
		{"/events/get_data?tags=sale+power&set=intersection", 200, kind, "[]"},
		{"/events/get_data?from=1767355101&until=1767355101", 200, kind, all(text)},
		{"/events/get_data?from=12:00_20260102&until=now%2B1d&tags=&jsonp=f", 200, "text/javascript; charset=utf-8", "f(" + all(last) + ")"},
		{"/events/3", 200, kind, strings.Replace(power, "1767355100", `"2026-01-02T11:58:20Z"`, 1)},
		{"/events/get_data?from=soon", 400, kind, `{"error":"find events: parameter from: parse time …`},
		{"/events/get_data?set=all", 400, kind, `{"error":"find events: set is \"all\"…`},
		{"/events/99", 404, kind, `{"error":"read event 99: there is none of this number"}` + "\n"},
		{"/events/x", 404, kind, `{"error":"read event \"x\": events have numbers"}` + "\n"},
	} {
		w := get(t, h, c.address)
		want, begins := strings.CutSuffix(c.want, "…")
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || w.Body.String() != want && !(begins && strings.HasPrefix(w.Body.String(), want)) {
			t.Errorf("%s: %d %s %s\nwant %s", c.address, w.Code, w.Header().Get("Content-Type"), w.Body, c.want)
		}
	}
	if w := send(t, h, "", "POST", "/events/get_data", form, "tags=power"); w.Body.String() != all(power) {
		t.Errorf("POST of get_data: %d %s", w.Code, w.Body)
	}
	for want, body := range map[string]string{
		"add event: unexpected end of JSON": "", "add event: json: cannot unmarshal array": "[]", `\"what\" is missing`: "{}",
		`\"tags\" is neither`: `{"what": "x", "tags": 5}`, `is neither a list`: `{"what": "x", "tags": [5]}`,
		`\"when\" is 0; give`: `{"what": "x", "when": 0}`, `\"when\" is 1e99; give`: `{"what": "x", "when": 1e99}`, "invalid number literal": `{"what": "x", "when": "soon"}`,
		"larger than 1048576 bytes": `{"what": "` + strings.Repeat("x", maxBody) + `"}`,
	} {
		if w := send(t, h, "ada", "POST", "/events", "application/json", body); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.60s: %d %s, want %s", body, w.Code, w.Body, want)
		}
	}
	// Whoever is let in without a name changes nothing.
	if w := send(t, h, "", "POST", "/events/", "application/json", `{"what": "x"}`); w.Code != 401 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, method := range []string{"PUT", "DELETE"} {
		if w := send(t, h, "ada", method, "/events/", "application/json", `{"what": "x"}`); w.Code != 405 {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
}

func TestNamesOfSeries(t *testing.T) {
	h, _ := whole(t)
	for _, c := range []struct {
		address, body string
		status        int
		want          string
	}{
		{"/tags/tagSeries", "path=disk.used%3Brack%3D1%3Bhost%3Da", 200, `"disk.used;host=a;rack=1"`},
		{"/tags/tagSeries?path=not.there;b=1;a=2", "", 200, `"not.there;a=2;b=1"`},
		{"/tags/tagSeries/?path=plain.name&pretty=1", "", 200, `"plain.name"`},
		{"/tags/tagMultiSeries", "path=a%3Bc%3D1%3Bb%3D2&path=d", 200, `["a;b=2;c=1", "d"]`},
		{"/tags/tagMultiSeries", "path[]=a%3Bc%3D1", 200, `["a;c=1"]`},
		{"/tags/delSeries", "path=not.there%3Ba%3D1&path=disk.used%3Bhost%3Da", 200, "true"},
		{"/tags/delSeries?path=disk.used;rack=1;host=a", "", 409, `{"error":"/tags/delSeries: the series \"disk.used;host=a;rack=1\" has points…`},
		{"/tags/delSeries?path=disk.used", "", 409, `{"error":"/tags/delSeries: the series \"disk.used\" has points…`},
		{"/tags/tagSeries", "", 400, `{"error":"/tags/tagSeries: 0 names in the parameter path…`},
		{"/tags/tagSeries?path=a;b", "", 400, `{"error":"/tags/tagSeries: series \"a;b\": a tag has no value…`},
		{"/tags/tagMultiSeries?path=", "", 400, `{"error":"/tags/tagMultiSeries: series \"\": it has no name"}` + "\n"},
	} {
		w := send(t, h, "ada", "POST", c.address, form, c.body)
		want, begins := strings.CutSuffix(c.want, "…")
		if w.Code != c.status || w.Body.String() != want && !(begins && strings.HasPrefix(w.Body.String(), want)) {
			t.Errorf("%s %s: %d %s\nwant %d %s", c.address, c.body, w.Code, w.Body, c.status, c.want)
		}
		if w := send(t, h, "", "POST", c.address, form, c.body); w.Code != 401 {
			t.Errorf("%s by nobody: %d", c.address, w.Code)
		}
	}
	if w := get(t, h, "/tags/tagSeries?path=a"); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET: %d %s", w.Code, w.Body)
	}
	if w := get(t, h, "/tags/findSeries?expr=name=not.there"); w.Body.String() != "[]" {
		t.Errorf("a name was made: %s", w.Body)
	}
}

func TestTags(t *testing.T) {
	h, _ := whole(t)
	for address, want := range map[string]string{
		"/tags":               `[{"tag": "host"}, {"tag": "name"}, {"tag": "name2"}, {"tag": "rack"}]`,
		"/tags/host":          `{"tag": "host", "values": [{"count": 3, "value": "a"}, {"count": 1, "value": "b"}]}`,
		"/tags/name":          `{"tag": "name", "values": [{"count": 1, "value": "cpu"}, {"count": 1, "value": "disk.free"}, {"count": 3, "value": "disk.used"}]}`,
		"/tags/none":          `null`,
		"/tags/rack?pretty=1": "{\n  \"tag\": \"rack\",\n  \"values\": [\n    {\n      \"count\": 2,\n      \"value\": \"1\"\n    }\n  ]\n}",
		// Grafana asks for more than Graphite's usual hundred.
		"/tags/autoComplete/values?tag=host&limit=10000": `["a", "b"]`,
	} {
		if w := get(t, h, address); w.Code != 200 || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s\nwant %s", address, w.Code, w.Body, want)
		}
	}
	if w := get(t, h, "/tags/findSeries?expr=x"); w.Code != 400 || !strings.HasPrefix(w.Body.String(), `{"error":"tag expression \"x\"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestWhatIsAWrite(t *testing.T) {
	for request, want := range map[string][2]bool{
		"POST /events": {true, false}, "POST /events/": {true, false}, "PUT /events": {true, false}, "GET /events": {}, "HEAD /events": {},
		"POST /events/get_data": {}, "POST /tags/findSeries": {}, "POST /render": {}, "GET /tags/tagSeries": {},
		"POST /tags/tagSeries": {false, true}, "POST /tags/tagMultiSeries/": {false, true}, "POST /tags/del%53eries": {false, true},
	} {
		method, path, _ := strings.Cut(request, " ")
		events, tags := IsWrite(httptest.NewRequest(method, path, nil))
		if [2]bool{events, tags} != want {
			t.Errorf("%s: %v %v", request, events, tags)
		}
	}
}
