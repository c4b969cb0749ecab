package store

import (
	"context"
	"math"
	"testing"
	"time"

	"steer/base/metric"
)

func BenchmarkWrite(b *testing.B) {
	o := testOptions(b)
	s := mustOpen(b, o)
	points := testBatch(100_000)
	at := int64(testNow - 20000)
	n := 0
	for b.Loop() {
		for i := range points {
			points[i].Time = at
			points[i].Value = math.Round(1000*math.Sin(float64(i)+float64(at)/1000)) / 100
		}
		at += 10
		for part := points; len(part) > 0; part = part[min(len(part), 1000):] {
			if err := s.Write(context.Background(), part[:min(len(part), 1000)]); err != nil {
				b.Fatal(err)
			}
			n += min(len(part), 1000)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/point")
}

func BenchmarkFlush(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := mustOpen(b, testOptions(b))
		points := testBatch(100_000)
		for step := range int64(60) {
			for i := range points {
				points[i].Time = testNow - 600 + step*10
				points[i].Value = math.Round(1000*math.Sin(float64(i)+float64(step)/100)) / 100
			}
			if err := s.Write(context.Background(), points); err != nil {
				b.Fatal(err)
			}
		}
		start := time.Now()
		b.StartTimer()
		if err := s.flush(); err != nil {
			b.Fatal(err)
		}
		st := s.Stats()
		b.ReportMetric(float64(st.BlockBytes)/6e6, "bytes/point")
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/6e6, "ns/point")
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}

func BenchmarkFetch(b *testing.B) {
	s := mustOpen(b, testOptions(b))
	points := testBatch(1000)
	var names []string
	for _, p := range points {
		names = append(names, string(p.Name))
	}
	for step := range int64(2000) {
		for i := range points {
			points[i].Time = testNow - 20000 + step*10
			points[i].Value = math.Round(1e4*math.Sin(float64(i)+float64(step)/100)) / 100
		}
		if err := s.Write(context.Background(), points); err != nil {
			b.Fatal(err)
		}
		if step%100 == 99 {
			if err := s.flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	run := func(names []string, seconds int64) func(*testing.B) {
		return func(b *testing.B) {
			var got []metric.Series
			for b.Loop() {
				var err error
				if got, err = s.Fetch(context.Background(), Request{Names: names, From: testNow - seconds, Until: testNow}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(got)*len(got[0].Values)), "ns/value")
		}
	}
	b.Run("1 x 1h", run(names[:1], 3600))
	b.Run("1 x 24h", run(names[:1], 86400))
	b.Run("1000 x 1h", run(names, 3600))
	b.Run("1000 x 5h", run(names, 18000))
	b.Run("1000 x 24h", run(names, 86400))
}
