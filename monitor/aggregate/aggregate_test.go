package aggregate

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/metric"
)

// flushed is what a flush hands on, by name.
type flushed map[string]float64

func aggregator(t testing.TB, c Config) (*Aggregator, func() flushed) {
	t.Helper()
	if c.Flush == 0 {
		c.Flush = config.Duration(10 * time.Second)
	}
	var got flushed
	a, err := New(Options{Config: c, Sink: func(points []metric.Point) error {
		for _, p := range points {
			if p.Time != 1_700_000_000 {
				return fmt.Errorf("time %d", p.Time)
			}
			got[string(p.Name)] = p.Value
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return a, func() flushed {
		got = flushed{}
		a.Flush(time.Unix(1_700_000_003, 0))
		return got
	}
}

func (f flushed) want(t *testing.T, want flushed) {
	t.Helper()
	for name, v := range want {
		got, ok := f[name]
		switch {
		case math.IsNaN(v) && ok:
			t.Errorf("%s = %v, want none", name, got)
		case !math.IsNaN(v) && (!ok || math.Abs(got-v) > 0.001):
			t.Errorf("%s = %v (there: %v), want %v", name, got, ok, v)
		}
	}
}

func sample(kind metric.Kind, name string, value, rate float64) metric.Sample {
	return metric.Sample{Kind: kind, Name: []byte(name), Value: value, Rate: rate}
}

var none = math.NaN()

func TestCounters(t *testing.T) {
	a, flush := aggregator(t, Config{Legacy: true})
	a.Add([]metric.Sample{sample(metric.Counter, "gorets", 1, 0.1), sample(metric.Counter, "gorets", 5, 1)})
	flush().want(t, flushed{"stats.gorets": 1.5, "stats_counts.gorets": 15, "statsd.numStats": 1})
	flush().want(t, flushed{"stats.gorets": 0, "stats_counts.gorets": 0})

	a, flush = aggregator(t, Config{DeleteIdle: true})
	a.Add([]metric.Sample{sample(metric.Counter, "k;env=prod", 20, 1)})
	flush().want(t, flushed{"stats.counters.k.rate;env=prod": 2, "stats.counters.k.count;env=prod": 20})
	flush().want(t, flushed{"stats.counters.k.rate;env=prod": none, "statsd.numStats": 0})
}

// The figures are those of the real statsd for these five values.
func TestTimers(t *testing.T) {
	a, flush := aggregator(t, Config{Percentiles: []float64{90, -40, 99.9}})
	for _, v := range []float64{320, 10, 20, 30, 50} {
		a.Add([]metric.Sample{sample(metric.Timer, "x", v, 0.5)})
	}
	flush().want(t, flushed{
		"stats.timers.x.count": 10, "stats.timers.x.count_ps": 1, "stats.timers.x.sum": 430,
		"stats.timers.x.sum_squares": 106300, "stats.timers.x.mean": 86, "stats.timers.x.median": 30,
		"stats.timers.x.std": 117.745, "stats.timers.x.upper": 320, "stats.timers.x.lower": 10,
		"stats.timers.x.count_90": 5, "stats.timers.x.upper_90": 320, "stats.timers.x.mean_90": 86, "stats.timers.x.sum_90": 430, "stats.timers.x.sum_squares_90": 106300,
		"stats.timers.x.count_top40": 2, "stats.timers.x.lower_top40": 50, "stats.timers.x.sum_top40": 370,
		"stats.timers.x.upper_99_9": 320,
	})
	flush().want(t, flushed{"stats.timers.x.count": 0, "stats.timers.x.count_ps": 0, "stats.timers.x.mean": none, "stats.timers.x.upper_90": none})
}

func TestSmallPercentileIsLeftOut(t *testing.T) {
	a, flush := aggregator(t, Config{Percentiles: []float64{10}})
	a.Add([]metric.Sample{sample(metric.Timer, "x", 4, 1)})
	flush().want(t, flushed{"stats.timers.x.upper_10": none, "stats.timers.x.mean": 4})
}

func TestGaugesAreKept(t *testing.T) {
	a, flush := aggregator(t, Config{DeleteIdle: true})
	a.Add([]metric.Sample{sample(metric.Gauge, "g", 333, 1), sample(metric.GaugeDelta, "g", -10, 1), sample(metric.GaugeDelta, "g", 4, 1), sample(metric.GaugeDelta, "n", -5, 1)})
	flush().want(t, flushed{"stats.gauges.g": 327, "stats.gauges.n": -5})
	flush().want(t, flushed{"stats.gauges.g": 327})
}

func TestSets(t *testing.T) {
	a, flush := aggregator(t, Config{})
	for _, m := range []string{"765", "765", "1"} {
		a.Add([]metric.Sample{{Kind: metric.Set, Name: []byte("u"), Text: []byte(m), Rate: 1}})
	}
	flush().want(t, flushed{"stats.sets.u.count": 2})
	flush().want(t, flushed{"stats.sets.u.count": 0})
}

func TestTooManyNames(t *testing.T) {
	a, flush := aggregator(t, Config{MaxNames: 2})
	err := a.Add([]metric.Sample{sample(metric.Counter, "a", 1, 1), sample(metric.Gauge, "b", 1, 1), sample(metric.Timer, "c", 1, 1), sample(metric.Counter, "a", 1, 1)})
	if fault.Of(err) != fault.TooMuch || !strings.Contains(err.Error(), "aggregate.max_names") || a.Refused.Load() != 1 {
		t.Fatal(err)
	}
	flush().want(t, flushed{"stats.counters.a.count": 2, "statsd.numStats": 2})
}

func TestConfigCheck(t *testing.T) {
	for _, c := range []Config{{Flush: config.Duration(time.Millisecond)}, {Flush: config.Duration(1500 * time.Millisecond)},
		{Flush: config.Duration(time.Second), Percentiles: []float64{101}}} {
		if _, err := New(Options{Config: c}); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

func TestRunFlushesOnTheGridAndAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var times []int64
		a, err := New(Options{Config: Config{Flush: config.Duration(10 * time.Second)}, Sink: func(p []metric.Point) error {
			times = append(times, p[0].Time)
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			time.Sleep(25 * time.Second) // the bubble's clock
			cancel()
		}()
		start := time.Now().Truncate(10 * time.Second).Unix()
		a.Run(ctx)
		if fmt.Sprint(times) != fmt.Sprint([]int64{start + 10, start + 20, start + 20}) {
			t.Fatalf("flushes at %v from %d", times, start)
		}
	})
}

func TestAddAndFlushAllocateNothing(t *testing.T) {
	a, flush := aggregator(t, Config{})
	samples := []metric.Sample{sample(metric.Counter, "a", 1, 1), sample(metric.Timer, "b", 1, 1), sample(metric.Gauge, "c", 1, 1)}
	a.Add(samples)
	flush()
	if n := testing.AllocsPerRun(100, func() { a.Add(samples) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}

func BenchmarkAdd(b *testing.B) {
	a, _ := aggregator(b, Config{})
	var samples []metric.Sample
	for i := range 100 {
		samples = append(samples, sample(metric.Counter, fmt.Sprint("catalog.requests.", i), 1, 1))
	}
	for b.Loop() {
		a.Add(samples)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/sample")
}
