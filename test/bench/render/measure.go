package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// result is what one system did with one query.
type result struct {
	system  string
	latency []time.Duration
	wall    time.Duration
	cpu     float64 // seconds
	bytes   int64   // of answers
	peak    int64   // bytes of memory
	failed  int     // of the requests of a lenient result, which goes on then
	lenient bool
}

// figure is a row of the report. NaN means that there is no such figure.
type figure struct {
	title, format string
	ratio         bool // Steer / peer says something
	of            func(*result) float64
}

func figures() []figure {
	return []figure{
		{"requests", "%.0f", false, func(r *result) float64 { return float64(len(r.latency)) }},
		{"latency p50, ms", "%.2f", true, func(r *result) float64 { return r.quantile(0.50) }},
		{"latency p99, ms", "%.2f", true, func(r *result) float64 { return r.quantile(0.99) }},
		{"requests per second", "%.1f", true, func(r *result) float64 { return float64(len(r.latency)) / r.wall.Seconds() }},
		{"CPU ms per request", "%.2f", true, func(r *result) float64 { return known(r.cpu * 1e3 / float64(len(r.latency))) }},
		{"peak memory, MB", "%.0f", true, func(r *result) float64 { return known(float64(r.peak) / 1e6) }},
		{"KB per answer", "%.1f", false, func(r *result) float64 { return float64(r.bytes) / 1e3 / float64(len(r.latency)) }},
	}
}

// known is NaN for what was not measured.
func known(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}

// quantile is a latency in milliseconds.
func (r *result) quantile(share float64) float64 {
	if len(r.latency) == 0 {
		return math.NaN()
	}
	slices.Sort(r.latency)
	at := int(math.Ceil(share*float64(len(r.latency)))) - 1
	return float64(r.latency[max(at, 0)]) / 1e6
}

// load lets some clients ask queries in turn for a time, each at least once, and
// adds to a result.
func (r *run) load(ctx context.Context, queries []*query, d *data, clients int, length time.Duration, into *result) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients, DisableCompression: true}}
	defer client.CloseIdleConnections()
	var cpu float64
	if r.proc != nil {
		cpu = r.proc.CPU()
	}
	var mu sync.Mutex
	var first error
	var number atomic.Int64
	begin := time.Now()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				n := int(number.Add(1))
				sent := time.Now()
				bytes, err := ask(ctx, client, queries[n%len(queries)].address(r.base, d, n*7))
				took := time.Since(sent)
				mu.Lock()
				into.latency, into.bytes = append(into.latency, took), into.bytes+bytes
				switch {
				case err != nil && into.lenient:
					into.failed++
				case err != nil && first == nil:
					first = err
				}
				stop := first != nil
				mu.Unlock()
				if stop || time.Since(begin) >= length {
					return
				}
			}
		})
	}
	wg.Wait()
	into.wall += time.Since(begin)
	if r.proc != nil {
		into.cpu += r.proc.CPU() - cpu
		into.peak = r.proc.Peak()
	}
	return first
}

// ask reads an answer to its end.
func ask(ctx context.Context, client *http.Client, url string) (bytes int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
		return 0, fmt.Errorf("get %.200s: %s: %s", url, res.Status, strings.TrimSpace(string(b)))
	}
	return io.Copy(io.Discard, res.Body)
}
