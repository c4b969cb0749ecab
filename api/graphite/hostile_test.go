package graphite

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/metric"
	"steer/monitor/query"
	"steer/monitor/store"
)

// Requests that would cost too much are refused within the limits, and while they
// keep coming, an ordinary one is answered as ever.
func TestHostileRequests(t *testing.T) {
	const end, names = 1_767_355_200, 12_000
	clock := func() time.Time { return time.Unix(end, 0) }
	s, err := store.Open(store.Options{
		Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Now: clock,
		Rules: store.Rules{Schemas: store.File{Name: "storage.yaml", Data: []byte("[{name: all, pattern: '', retentions: '1s:11y'}]")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	points := make([]metric.Point, names)
	for i := range points {
		points[i] = metric.Point{Name: fmt.Appendf(nil, "servers.dc%d.web-%05d.cpu", i%5, i), Time: end, Value: float64(i)}
	}
	if err := s.Write(t.Context(), points); err != nil {
		t.Fatal(err)
	}
	engine, err := query.New(query.Options{Source: stored{s}})
	if err != nil {
		t.Fatal(err)
	}
	h := New(Options{Engine: engine, Now: clock})
	ask := func(target, from string) (status int, said string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/render?format=json&from="+from+"&target="+url.QueryEscape(target), nil))
		return w.Code, w.Body.String()
	}
	const ordinary = "movingAverage(servers.dc1.web-00001.cpu,'1min')"
	hostile := []struct {
		target, from string
		status       int
		said         string
	}{
		{strings.Repeat("abs(", 200) + "servers.*.*.cpu" + strings.Repeat(")", 200), "-1h", 400, "more than 64 functions around each other"},
		{"servers.dc1.web-00001.cpu" + strings.Repeat("|abs()", 200), "-1h", 400, "more than 64 functions around each other"},
		{"**", "-1h", 429, "it matches more than 10000 series"},
		{"sumSeries(*.*.*.*)", "-1h", 429, "it matches more than 10000 series"},
		{"group(servers.dc[0-2].*.cpu,servers.dc[0-2].*.cpu)", "-10s", 429, "it gives 14400 series, the limit is 10000"},
		{"servers.dc1.web-00001.cpu", "-10y", 429, "50000000"},
		{"movingAverage(servers.dc1.web-00001.cpu,'10y')", "-1h", 429, "50000000"},
		{"summarize(randomWalk('x',86400),'1s')", "-100y", 429, "50000000"},
	}
	for _, c := range hostile {
		began := time.Now()
		status, said := ask(c.target, c.from)
		if took := time.Since(began); status != c.status || !strings.Contains(said, c.said) || took > 5*time.Second {
			t.Errorf("%.50s from %s: %d after %s, %.300s", c.target, c.from, status, took, said)
		}
	}

	// All of them over and over, from as many clients.
	done := make(chan struct{})
	var clients sync.WaitGroup
	for _, c := range hostile {
		clients.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if status, said := ask(c.target, c.from); status == http.StatusOK || status == http.StatusInternalServerError {
					t.Errorf("%.50s from %s: %d %.300s", c.target, c.from, status, said)
					return
				}
			}
		})
	}
	var took []time.Duration
	for range 200 {
		began := time.Now()
		if status, said := ask(ordinary, "-1h"); status != http.StatusOK || !strings.Contains(said, "movingAverage") {
			t.Errorf("%s: %d %.300s", ordinary, status, said)
		}
		took = append(took, time.Since(began))
	}
	close(done)
	clients.Wait()
	slices.Sort(took)
	t.Logf("ordinary requests meanwhile: half within %s, the slowest %s", took[100], took[199])
	if took[100] > time.Second {
		t.Errorf("half of the ordinary requests took longer than %s", took[100])
	}
}
