package umpire

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/query"
	"steer/monitor/query/querytest"
)

type broken struct {
	querytest.Memory
	err error
}

func (b *broken) Fetch(context.Context, []string, int64, int64, int, func(int) []float64) ([]metric.Series, error) {
	return nil, b.err
}

func handler(t *testing.T, source query.Source, authorized func(string) bool) http.Handler {
	t.Helper()
	engine, err := query.New(query.Options{Source: source})
	if err != nil {
		t.Fatal(err)
	}
	return New(Options{Engine: engine, Authorized: authorized, Now: func() time.Time { return time.Unix(1767312000, 0) }})
}

func TestCheck(t *testing.T) {
	memory := &querytest.Memory{}
	memory.Add("web.one", 1767311760, 60, 1, 2, math.NaN(), 4, 5)
	memory.Add("web.two", 1767311760, 60, 10, 20, 30, 40, 50)
	memory.Add("web.empty", 1767311760, 60, math.NaN())
	h := handler(t, memory, nil)
	for _, c := range []struct {
		query, state string
		status       int
		body         string
	}{
		{"metric=web.one&range=300&max=3", InRange, 200, `{"value":3,"min":null,"max":3,"num_points":4,"request_id":"r1"}`},
		{"metric=+web.one+&range=300&min=3&max=9", InRange, 200, `{"value":3,"min":3,"max":9,"num_points":4,"request_id":"r1"}`},
		{"metric=web.one&range=300&max=2.5", Breach, 500, `{"value":3,"min":null,"max":2.5,"num_points":4,"request_id":"r1"}`},
		{"metric=web.one&range=300&min=3.5", Breach, 500, `{"value":3,"min":3.5,"max":null,"num_points":4,"request_id":"r1"}`},
		{"metric=web.one&range=300&max=5&aggregate=max", InRange, 200, `{"value":5,"min":null,"max":5,"num_points":4,"request_id":"r1"}`},
		{"metric=web.one&range=300&min=1&aggregate=min", InRange, 200, `{"value":1,"min":1,"max":null,"num_points":4,"request_id":"r1"}`},
		{"metric=web.one&range=300&max=12&aggregate=sum", InRange, 200, `{"value":12,"min":null,"max":12,"num_points":4,"request_id":"r1"}`},
		{"metric=web.one&range=300&max=3&aggregate=p99", InRange, 200, `{"value":3,"min":null,"max":3,"num_points":4,"request_id":"r1"}`},
		{"metric=web.{one,two}&range=120&max=30", InRange, 200, `{"value":24.75,"min":null,"max":30,"num_points":4,"request_id":"r1"}`},
		{"metric=sumSeries(web.*)&range=60&max=1", Breach, 500, `{"value":55,"min":null,"max":1,"num_points":1,"request_id":"r1"}`},
		{"metric=web.empty&range=300&max=3", NoData, 404, `{"error":"no values for metric in range","request_id":"r1"}`},
		{"metric=web.empty&range=300&max=3&empty_ok=Yes", NoData, 200, `{"error":"no values for metric in range","request_id":"r1"}`},
		{"metric=nope&range=300&max=3&empty_ok=1", NotFound, 404, `{"error":"metric not found","request_id":"r1"}`},
		{"metric=web.one&range=300&max=3&empty_ok=maybe", Failed, 400, `{"error":"empty_ok must be one of yes/y/1/true","request_id":"r1"}`},
		{"", Failed, 400, `{"error":"metric is required, range is required, one of min or max is required","request_id":"r1"}`},
		{"metric=web.one&range=5m&max=x", Failed, 400, `{"error":"range must be a number of seconds from 1 to 315360000, max must be a number","request_id":"r1"}`},
		{"metric=web.one&range=300&max=3&compose=sum", Failed, 400, `{"error":"compose is for the backend librato, which is not supported","request_id":"r1"}`},
		{"metric=sum(web.one&range=300&max=3", Failed, 400, `{"error":"parse target \"sum(web.one\" at character 12: expected \",\" or \")\" in the arguments of sum, found end of the target","request_id":"r1"}`},
	} {
		r := httptest.NewRequest("GET", "/check?"+c.query, nil)
		r.Header.Set("X-Request-Id", "r1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.status || w.Header().Get(Header) != c.state || w.Body.String() != c.body+"\n" || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s\n%swant %d %s\n%s", c.query, w.Code, w.Header().Get(Header), w.Body, c.status, c.state, c.body)
		}
	}
}

func TestKey(t *testing.T) {
	h := handler(t, &querytest.Memory{}, func(password string) bool { return password == "secret" })
	for password, status := range map[string]int{"secret": 400, "wrong": 401, "": 401} {
		r := httptest.NewRequest("GET", "/check", nil)
		if password != "" {
			r.SetBasicAuth("anyone", password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("password %q: %d", password, w.Code)
		}
		if status == 401 && w.Body.String() != "{\"error\":\"not authorized\"}\n" {
			t.Errorf("body %s", w.Body)
		}
	}
}

func TestBrokenSource(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		text   string
	}{
		{fault.New(fault.Unavailable, "the store is closed"), 503, "connecting to backend"},
		{errors.New("index out of range"), 500, "internal server error"},
	} {
		source := &broken{err: c.err}
		source.Add("a", 0, 60, 1)
		w := httptest.NewRecorder()
		handler(t, source, nil).ServeHTTP(w, httptest.NewRequest("GET", "/check?metric=a&range=60&max=1", nil))
		var body struct{ Error, RequestID string }
		_ = json.Unmarshal(w.Body.Bytes(), &body)
		if w.Code != c.status || !strings.Contains(body.Error, c.text) || w.Header().Get(Header) != Failed {
			t.Errorf("%v: %d %s", c.err, w.Code, w.Body)
		}
	}
}
