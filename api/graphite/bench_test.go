package graphite

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"steer/base/metric"
	"steer/monitor/query"
	"steer/monitor/store"
)

// stored is a store as queries see it.
type stored struct{ *store.Store }

func (s stored) Select(ctx context.Context, expressions []string, limit int) ([]string, error) {
	match, err := store.ParseTagMatches(expressions)
	if err != nil {
		return nil, err
	}
	return s.Store.Select(ctx, match, limit)
}

func (s stored) Fetch(ctx context.Context, names []string, from, until int64, most int, room func(n int) []float64) ([]metric.Series, error) {
	return s.Store.Fetch(ctx, store.Request{Names: names, From: from, Until: until, Most: max(most, 1), Room: room})
}

// blank is an answer that nobody reads.
type blank struct {
	header http.Header
	status int
	bytes  int64
}

func (b *blank) Header() http.Header    { return b.header }
func (b *blank) WriteHeader(status int) { b.status = status }
func (b *blank) Write(p []byte) (int, error) {
	b.bytes += int64(len(p))
	return len(p), nil
}

// BenchmarkRender answers what make bench-render compares with other systems,
// without the network: a day of 1,000 series at 10 s, all in blocks.
func BenchmarkRender(b *testing.B) {
	const step, end = 10, 1_767_355_200
	clock := func() time.Time { return time.Unix(end, 0) }
	o := store.Options{
		Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler), Now: clock,
		Rules: store.Rules{Schemas: store.File{Name: "storage.yaml", Data: []byte("[{name: all, pattern: '', retentions: '10s:30d'}]")}},
	}
	s, err := store.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	points := make([]metric.Point, 1000)
	means := make([]int, len(points))
	for i := range points {
		points[i].Name = fmt.Appendf(nil, "servers.dc%d.web-%03d.cpu.usage", i%5+1, i)
		means[i] = 500 + i*7919%9000
	}
	noise := uint64(1)
	for at := int64(end - 86400 + step); at <= end; at += step {
		for i := range points {
			noise = noise*6364136223846793005 + 1442695040888963407
			if noise>>58 == 0 {
				means[i] = min(max(means[i]+int(noise>>40&0xff)-128, 200), 9800)
			}
			points[i].Time, points[i].Value = at, float64(means[i]+int(noise>>32&0xff)-128)/100
		}
		if err := s.Write(b.Context(), points); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil { // that moves all to blocks
		b.Fatal(err)
	}
	if s, err = store.Open(o); err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	engine, err := query.New(query.Options{Source: stored{s}})
	if err != nil {
		b.Fatal(err)
	}
	h := New(Options{Engine: engine, Now: clock})
	const all = "servers.dc*.web-*.cpu.usage"
	for _, q := range []struct{ name, target, from string }{
		{"one series 24h", "servers.dc2.web-001.cpu.usage", "-24h"},
		{"sum of 1000 1h", "sumSeries(" + all + ")", "-1h"},
		{"average of 1000 24h", "averageSeries(" + all + ")", "-24h"},
		{"moving average of 1000 by node 6h", "groupByNode(movingAverage(" + all + ",'5min'),1,'sum')", "-6h"},
	} {
		b.Run(strings.ReplaceAll(q.name, " ", "_"), func(b *testing.B) {
			address := "/render?format=json&from=" + q.from + "&target=" + url.QueryEscape(q.target)
			b.ReportAllocs()
			var before, after syscall.Rusage
			syscall.Getrusage(syscall.RUSAGE_SELF, &before) //nolint:errcheck // it has no way to fail
			for b.Loop() {
				w := &blank{header: http.Header{}}
				if h.ServeHTTP(w, httptest.NewRequest("GET", address, nil)); w.status != 0 && w.status != 200 || w.bytes < 1000 {
					b.Fatalf("status %d, %d bytes", w.status, w.bytes)
				}
			}
			syscall.Getrusage(syscall.RUSAGE_SELF, &after) //nolint:errcheck
			cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(cpu)/1e6/float64(b.N), "cpu-ms/op")
		})
	}
}

// BenchmarkPoints prints a day at 10 s, of the kinds of numbers that senders send.
func BenchmarkPoints(b *testing.B) {
	s := &server{quads: newQuads()}
	for _, k := range []struct {
		name  string
		value func(noise uint64) float64
	}{
		{"percent", func(n uint64) float64 { return float64(n%10_000) / 100 }},
		{"milliseconds", func(n uint64) float64 { return float64(n%2_000_000) / 1000 }},
		{"bytes", func(n uint64) float64 { return float64(n % (1 << 26)) }},
		{"gigabytes", func(n uint64) float64 { return float64(n % (1 << 38)) }},
		{"quotient", func(n uint64) float64 { return float64(n%10_000) / 7 }},
	} {
		b.Run(k.name, func(b *testing.B) {
			r := query.Result{Series: metric.Series{Start: 1_767_268_800, Step: 10, Values: make([]float64, 8640)}, End: math.MaxInt64}
			noise := uint64(1)
			for i := range r.Values {
				noise = noise*6364136223846793005 + 1442695040888963407
				r.Values[i] = k.value(noise >> 20)
			}
			out := s.writer(&blank{header: http.Header{}})
			for b.Loop() {
				out.buf = out.buf[:0]
				out.points(r, false)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(r.Values)), "ns/point")
		})
	}
}
