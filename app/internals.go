package app

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"runtime/metrics"
	"sort"
	"strings"
	"time"

	"steer/base/metric"
)

// figures are Steer's own: names below "steer.", and their values now. Counters
// grow for ever.
func (a *App) figures() map[string]float64 {
	m := &a.monitor
	f := map[string]float64{
		"receive.graphite.bytes":       float64(m.lines.Bytes.Load()),
		"receive.graphite.points":      float64(m.lines.Accepted.Load()),
		"receive.graphite.bad":         float64(m.lines.Bad.Load()),
		"receive.graphite.refused":     float64(m.lines.Refused.Load()),
		"receive.graphite.connections": float64(m.lines.Connections.Load()),
		"receive.statsd.bytes":         float64(m.samples.Bytes.Load()),
		"receive.statsd.packets":       float64(m.samples.Packets.Load()),
		"receive.statsd.samples":       float64(m.samples.Accepted.Load()),
		"receive.statsd.bad":           float64(m.samples.Bad.Load()),
		"receive.statsd.refused":       float64(m.samples.Refused.Load()),
		"route.points":                 float64(m.router.Points.Load()),
		"route.dropped":                float64(m.router.Dropped.Load()),
		"route.refused":                float64(m.router.Refused.Load()),
		"aggregate.samples":            float64(m.statistic.Samples.Load()),
		"aggregate.refused":            float64(m.statistic.Refused.Load()),
		"balance.samples_lost":         float64(a.deliver.balancer.Lost()),
		"process.goroutines":           float64(runtime.NumGoroutine()),
	}
	for name, value := range m.figures() {
		f["store."+name] = value
	}
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	f["process.heap_bytes"] = float64(samples[0].Value.Uint64())
	f["process.memory_bytes"] = float64(samples[1].Value.Uint64())
	f["process.gc_cycles"] = float64(samples[2].Value.Uint64())
	checks := map[string]float64{"ok": 0, "warn": 0, "critical": 0, "nodata": 0}
	if m.checks != nil {
		for _, s := range m.checks.Statuses() {
			checks[strings.ToLower(s.State)]++
		}
	}
	for state, n := range checks {
		f["checks."+state] = n
	}
	if hosts := a.hostCounts.Load(); hosts != nil {
		for name, n := range *hosts {
			f[strings.TrimPrefix(name, "steer.")] = n
		}
	}
	return f
}

// report stores Steer's own figures every 10 s.
func (a *App) report(ctx context.Context) error {
	const interval = 10 * time.Second
	for {
		now := time.Now()
		next := now.Truncate(interval).Add(interval)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(next.Sub(now)):
		}
		figures := a.figures()
		points := make([]metric.Point, 0, len(figures))
		for name, value := range figures {
			points = append(points, metric.Point{Name: []byte("steer." + name), Time: next.Unix(), Value: value})
		}
		if err := a.monitor.router.Write("steer", points); err != nil {
			a.log.Warn("report own figures", "error", err)
		}
	}
}

// metrics shows Steer's own figures in Prometheus' text format.
func (a *App) metrics(w http.ResponseWriter, _ *http.Request) {
	figures := a.figures()
	names := make([]string, 0, len(figures))
	for name := range figures {
		names = append(names, name)
	}
	sort.Strings(names)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	for _, name := range names {
		fmt.Fprintf(w, "steer_%s %v\n", strings.ReplaceAll(name, ".", "_"), figures[name])
	}
}
