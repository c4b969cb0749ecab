package prometheus_test

import (
	"fmt"
	"math"
	"syscall"
	"testing"
	"time"

	"steer/base/metric"
	"steer/monitor/store/prometheus/prometheustest"
)

// cpu is the time that this process has worked.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The whole way from Write through the spool until VictoriaMetrics has taken all.
func BenchmarkWrite(b *testing.B) {
	server := prometheustest.Start(b, prometheustest.VictoriaMetrics)
	o := options(b, server.URL, b.TempDir())
	o.Store.Sync = "1s"
	s := run(b, o)
	defer s.Close()
	points := make([]metric.Point, 100_000)
	for i := range points {
		points[i].Name = fmt.Appendf(nil, "t.servers.host%d.cpu%d.%d.usage", i/100, i/10%10, i%10)
	}
	at := time.Now().Unix()/10*10 - 86400
	begin, theirs, start := cpu(), server.CPU(), time.Now()
	for b.Loop() {
		for i := range points {
			points[i].Time = at
			points[i].Value = math.Round(1000*math.Sin(float64(i)+float64(at)/1000)) / 100
		}
		at += 10
		for part := points; len(part) > 0; part = part[min(len(part), 1000):] {
			if err := s.Write(b.Context(), part[:min(len(part), 1000)]); err != nil {
				b.Fatal(err)
			}
		}
		// No further ahead than a sender that is not to fill the spool.
		for s.Stats().Waiting > 64<<20 {
			time.Sleep(time.Millisecond)
		}
	}
	if err := s.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	for s.Stats().Waiting > 0 {
		time.Sleep(time.Millisecond)
	}
	n := s.Stats().Sent
	b.ReportMetric(float64(n)/time.Since(start).Seconds(), "points/s")
	b.ReportMetric((cpu()-begin).Seconds()/float64(n)*1e6, "cpu-s/Mpoint")
	b.ReportMetric((server.CPU()-theirs).Seconds()/float64(n)*1e6, "their-cpu-s/Mpoint")
}

func BenchmarkFetch(b *testing.B) {
	for _, kind := range []string{prometheustest.VictoriaMetrics, prometheustest.Prometheus} {
		server := prometheustest.Start(b, kind)
		s := run(b, options(b, server.URL, b.TempDir()))
		defer s.Close()
		at := time.Now().Unix()/10*10 - 3600
		var names []string
		var points []metric.Point
		for i := range 1000 {
			names = append(names, fmt.Sprintf("t.servers.host%d.cpu%d.usage", i/10, i%10))
			points = append(points, metric.Point{Name: []byte(names[i])})
		}
		for step := range int64(360) {
			for i := range points {
				points[i].Time, points[i].Value = at+step*10, math.Sin(float64(i)+float64(step)/100)
			}
			if err := s.Write(b.Context(), points); err != nil {
				b.Fatal(err)
			}
		}
		for s.Stats().Sent < 360_000 {
			time.Sleep(time.Millisecond)
		}
		for len(fetch(b, s, at-1, at+3599, names...)) < len(names) {
			server.Searchable()
		}
		for _, count := range []int{1, 1000} {
			b.Run(fmt.Sprintf("%s/%dx1h", kind, count), func(b *testing.B) {
				begin := cpu()
				for b.Loop() {
					fetch(b, s, at-1, at+3599, names[:count]...)
				}
				b.ReportMetric((cpu()-begin).Seconds()/float64(b.N)*1e3, "own-cpu-ms")
			})
		}
		b.Run(kind+"/find", func(b *testing.B) {
			for b.Loop() {
				if got, err := s.Find(b.Context(), "t.servers.*.cpu0.usage", 0); err != nil || len(got) != 100 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}
