package balance

import (
	"strings"
	"sync"
	"time"

	"steer/base/id"
	"steer/base/metric"
)

// names are the metric names of one version, made once.
type names struct {
	requests, errors, latency []byte
	status                    [6][]byte // by class; 0 is unused
}

func newNames(k key, v id.Version) *names {
	prefix := "balance." + part(string(k.environment)) + "." + part(string(k.service)) + "." + part(string(v)) + "."
	n := &names{requests: []byte(prefix + "requests"), errors: []byte(prefix + "errors"), latency: []byte(prefix + "latency")}
	for i := 1; i < len(n.status); i++ {
		n.status[i] = []byte(prefix + "status." + string(rune('0'+i)) + "xx")
	}
	return n
}

func part(s string) string { return strings.ReplaceAll(s, ".", "_") }

var batches = sync.Pool{New: func() any { return new([4]metric.Sample) }}

// count emits what one answered request adds. A status of 0 is none (TCP, or the
// client left); a negative latency too.
func (b *Balancer) count(n *names, status int, failed bool, latency time.Duration) {
	if b.o.Samples == nil {
		return
	}
	batch := batches.Get().(*[4]metric.Sample)
	defer batches.Put(batch)
	errors := 0.0 // sent too, so that a check of errors has data before the first one
	if failed {
		errors = 1
	}
	s := append(batch[:0], metric.Sample{Name: n.requests, Kind: metric.Counter, Value: 1, Rate: 1},
		metric.Sample{Name: n.errors, Kind: metric.Counter, Value: errors, Rate: 1})
	if latency >= 0 {
		s = append(s, metric.Sample{Name: n.latency, Kind: metric.Timer, Value: float64(latency.Microseconds()) / 1000, Rate: 1})
	}
	if class := status / 100; class >= 1 && class <= 5 {
		s = append(s, metric.Sample{Name: n.status[class], Kind: metric.Counter, Value: 1, Rate: 1})
	}
	b.emit(s)
}

// broken emits the error of a response that ended too early, after count.
func (b *Balancer) broken(n *names) {
	if b.o.Samples != nil {
		b.emit([]metric.Sample{{Name: n.errors, Kind: metric.Counter, Value: 1, Rate: 1}})
	}
}

func (b *Balancer) emit(s []metric.Sample) {
	if err := b.o.Samples(s); err != nil {
		b.lost.Add(int64(len(s)))
	}
}
