// Package aggregate turns irregular samples into one value per interval: StatsD's
// counters, timers, gauges and sets.
package aggregate

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/metric"
)

// Config is the StatsD part of the server's configuration.
type Config struct {
	Flush       config.Duration `yaml:"flush" default:"10s" doc:"Interval of the statistics; whole seconds. The store's finest step for stats.* should be the same."`
	Percentiles []float64       `yaml:"percentiles" doc:"Percentiles of timers (default 90); negative ones count from the top."`
	Legacy      bool            `yaml:"legacy_namespace" default:"true" doc:"statsd's default names: stats.NAME and stats_counts.NAME for counters. false: stats.counters.NAME.rate and .count."`
	DeleteIdle  bool            `yaml:"delete_idle" default:"false" doc:"Send nothing for counters, timers and sets that had no samples in an interval, and forget them."`
	MaxNames    int             `yaml:"max_names" default:"1000000" doc:"Different names kept at a time; samples of further ones are refused and counted."`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	d := c.Flush.Std()
	if d < time.Second || d%time.Second != 0 {
		return fault.New(fault.Invalid, "flush: %s is not a whole number of seconds", c.Flush)
	}
	for _, p := range c.Percentiles {
		if p == 0 || p < -100 || p > 100 {
			return fault.New(fault.Invalid, "percentiles: %v is not between -100 and 100, or it is 0", p)
		}
	}
	return nil
}

// Sink takes the points of a flush, as the router does.
type Sink func(points []metric.Point) error

// Options is what the server hands in.
type Options struct {
	Config
	Sink Sink
	Log  *slog.Logger
}

// Aggregator holds the samples of the running interval.
type Aggregator struct {
	Samples atomic.Int64 // taken in
	Refused atomic.Int64 // not taken in: too many names

	flush       time.Duration
	percentiles []float64
	legacy      bool
	deleteIdle  bool
	most        int
	sink        Sink
	log         *slog.Logger

	mu       sync.Mutex
	counters map[string]*counter
	timers   map[string]*timer
	gauges   map[string]*gauge
	sets     map[string]*set

	flushing sync.Mutex
	batch    []metric.Point // owned by flushing
}

type counter struct {
	rate, count []byte
	value       float64
	used        bool
}

type gauge struct {
	name  []byte
	value float64
}

type set struct {
	name    []byte
	members map[string]struct{}
}

// New checks the options.
func New(o Options) (*Aggregator, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if len(o.Percentiles) == 0 {
		o.Percentiles = []float64{90}
	}
	return &Aggregator{
		flush: o.Flush.Std(), percentiles: o.Percentiles, legacy: o.Legacy, deleteIdle: o.DeleteIdle,
		most: cmp.Or(o.MaxNames, 1_000_000), sink: o.Sink, log: cmp.Or(o.Log, slog.Default()),
		counters: map[string]*counter{}, timers: map[string]*timer{}, gauges: map[string]*gauge{}, sets: map[string]*set{},
	}, nil
}

// Interval is the flush interval in seconds.
func (a *Aggregator) Interval() int64 { return int64(a.flush / time.Second) }

// Add takes samples into the running interval. It keeps nothing of the slice.
func (a *Aggregator) Add(samples []metric.Sample) error {
	a.mu.Lock()
	refused := 0
	for i := range samples {
		if !a.add(&samples[i]) {
			refused++
		}
	}
	a.mu.Unlock()
	a.Samples.Add(int64(len(samples) - refused))
	if refused > 0 {
		a.Refused.Add(int64(refused))
		return fault.New(fault.TooMuch, "aggregate statsd: %d samples refused, there are already %d different names (aggregate.max_names)", refused, a.most)
	}
	return nil
}

func (a *Aggregator) full() bool {
	return len(a.counters)+len(a.timers)+len(a.gauges)+len(a.sets) >= a.most
}

func (a *Aggregator) add(s *metric.Sample) bool {
	switch s.Kind {
	case metric.Counter:
		c := a.counters[string(s.Name)]
		if c == nil {
			if a.full() {
				return false
			}
			c = a.newCounter(string(s.Name))
			a.counters[string(s.Name)] = c
		}
		c.value += s.Value / s.Rate
		c.used = true
	case metric.Timer:
		t := a.timers[string(s.Name)]
		if t == nil {
			if a.full() {
				return false
			}
			t = &timer{names: newTimerNames("stats.timers.", string(s.Name), a.percentiles)}
			a.timers[string(s.Name)] = t
		}
		t.values = append(t.values, s.Value)
		t.count += 1 / s.Rate
	case metric.Gauge, metric.GaugeDelta:
		g := a.gauges[string(s.Name)]
		if g == nil {
			if a.full() {
				return false
			}
			g = &gauge{name: []byte("stats.gauges." + string(s.Name))}
			a.gauges[string(s.Name)] = g
		}
		if s.Kind == metric.Gauge {
			g.value = s.Value
		} else {
			g.value += s.Value
		}
	case metric.Set:
		m := a.sets[string(s.Name)]
		if m == nil {
			if a.full() {
				return false
			}
			base, tags := splitTags(string(s.Name))
			m = &set{[]byte("stats.sets." + base + ".count" + tags), map[string]struct{}{}}
			a.sets[string(s.Name)] = m
		}
		if _, ok := m.members[string(s.Text)]; !ok {
			if len(m.members) >= a.most {
				return false
			}
			m.members[string(s.Text)] = struct{}{}
		}
	default:
		panic(fmt.Sprintf("BUG: sample of kind %d", s.Kind))
	}
	return true
}

func (a *Aggregator) newCounter(name string) *counter {
	if a.legacy {
		return &counter{rate: []byte("stats." + name), count: []byte("stats_counts." + name)}
	}
	base, tags := splitTags(name)
	return &counter{rate: []byte("stats.counters." + base + ".rate" + tags), count: []byte("stats.counters." + base + ".count" + tags)}
}

// Run flushes at every multiple of the interval since 1970, and once more when
// ctx ends.
func (a *Aggregator) Run(ctx context.Context) error {
	for {
		now := time.Now()
		next := now.Truncate(a.flush).Add(a.flush)
		select {
		case <-ctx.Done():
			a.Flush(time.Now())
			return nil
		case <-time.After(next.Sub(now)):
			a.Flush(next)
		}
	}
}

// most points that are handed on at once.
const batchSize = 4096

// Flush ends the running interval: its statistics are handed on with the time
// now, cut to the interval.
func (a *Aggregator) Flush(now time.Time) {
	a.flushing.Lock()
	defer a.flushing.Unlock()
	stamp := now.Truncate(a.flush).Unix()
	seconds := a.flush.Seconds()
	a.batch = a.batch[:0]
	emit := func(name []byte, value float64) {
		a.batch = append(a.batch, metric.Point{Name: name, Time: stamp, Value: value})
	}
	a.mu.Lock()
	for key, c := range a.counters {
		if a.deleteIdle && !c.used {
			delete(a.counters, key)
			continue
		}
		emit(c.rate, c.value/seconds)
		emit(c.count, c.value)
		c.value, c.used = 0, false
	}
	for key, t := range a.timers {
		if a.deleteIdle && t.count == 0 {
			delete(a.timers, key)
			continue
		}
		t.flush(emit, seconds, a.percentiles)
	}
	for _, g := range a.gauges {
		emit(g.name, g.value)
	}
	for key, s := range a.sets {
		if a.deleteIdle && len(s.members) == 0 {
			delete(a.sets, key)
			continue
		}
		emit(s.name, float64(len(s.members)))
		clear(s.members)
	}
	emit(numStats, float64(len(a.counters)+len(a.timers)+len(a.gauges)+len(a.sets)))
	a.mu.Unlock()
	for b := a.batch; len(b) > 0; {
		n := min(len(b), batchSize)
		if err := a.sink(b[:n]); err != nil {
			a.log.Warn("flush statistics", "points", n, "error", err)
		}
		b = b[n:]
	}
}

var numStats = []byte("statsd.numStats")
