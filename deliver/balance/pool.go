package balance

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"

	"steer/base/fault"
	"steer/base/id"
)

// pool is the set of backends of one frontend. Picking a backend and counting
// the request on it are one step under the lock, and so is replacing the set:
// hence a backend that was seen idle after the switch stays idle.
type pool struct {
	key     key
	mu      sync.Mutex
	current []*backend
	leaving map[*backend]bool // replaced, with requests under way
	idle    chan struct{}     // closed and replaced when a leaving one becomes idle
}

type backend struct {
	Backend
	names     *names
	transport *http.Transport
	stop      context.CancelFunc // ends the probing

	requests, errors atomic.Int64

	// Guarded by pool.mu.
	inFlight int
	failures int    // probes in a row
	down     string // why it gets no requests; "" when healthy
}

func newPool(k key) *pool {
	return &pool{key: k, leaving: map[*backend]bool{}, idle: make(chan struct{})}
}

func (b *backend) weight() float64 { return float64(max(b.Weight, 1)) }

var (
	errNoBackend = errors.New("no healthy node")
	errNoNode    = errors.New("no node is deployed")
)

// pick takes the less busy of two random healthy backends that serve the port
// and are not in tried, and counts a request on it.
func (p *pool) pick(port string, tried []*backend) (*backend, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var fit [8]*backend
	able, total := fit[:0], 0.0
	for _, b := range p.current {
		if b.down == "" && b.Address[port] != "" && !contains(tried, b) {
			able, total = append(able, b), total+b.weight()
		}
	}
	if len(able) == 0 {
		if len(p.current) == 0 {
			return nil, errNoNode
		}
		return nil, errNoBackend
	}
	chosen := draw(able, total)
	if other := draw(able, total); float64(other.inFlight)/other.weight() < float64(chosen.inFlight)/chosen.weight() {
		chosen = other
	}
	chosen.inFlight++
	return chosen, nil
}

func contains(l []*backend, b *backend) bool {
	for _, e := range l {
		if e == b {
			return true
		}
	}
	return false
}

// draw takes one by weight.
func draw(from []*backend, total float64) *backend {
	at := rand.Float64() * total
	for _, b := range from {
		if at -= b.weight(); at < 0 {
			return b
		}
	}
	return from[len(from)-1]
}

// release ends a request that pick counted.
func (p *pool) release(b *backend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.inFlight--; b.inFlight == 0 && p.leaving[b] {
		p.gone(b)
	}
}

func (p *pool) gone(b *backend) {
	delete(p.leaving, b)
	b.transport.CloseIdleConnections()
	close(p.idle)
	p.idle = make(chan struct{})
}

// replace makes next the set. Backends that stay with the same addresses keep
// their state; make builds the others.
func (p *pool) replace(next []Backend, build func(Backend) *backend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := map[string]*backend{}
	for _, b := range p.current {
		before[b.ID] = b
	}
	set := make([]*backend, 0, len(next))
	for _, n := range next {
		if b := before[n.ID]; b != nil && b.Version == n.Version && maps.Equal(b.Address, n.Address) {
			b.Weight = n.Weight
			delete(before, n.ID)
			set = append(set, b)
			continue
		}
		set = append(set, build(n))
	}
	p.current = set
	for _, b := range before {
		b.stop()
		p.leaving[b] = true
		if b.inFlight == 0 {
			p.gone(b)
		}
	}
}

// mark records why a backend gets no requests, or with "" that it does again. It
// says whether that is news.
func (p *pool) mark(b *backend, why string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := (b.down == "") != (why == "")
	b.down = why
	if why == "" {
		b.failures = 0
	}
	return news
}

// failed counts a failed probe and says how many there were in a row.
func (p *pool) failed(b *backend) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.failures++
	return b.failures
}

// wanted is the version that should have answered.
func (p *pool) wanted() id.Version {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.current) == 0 {
		return "none"
	}
	return p.current[0].Version
}

// drained waits until no request is under way on replaced backends with these ids.
func (p *pool) drained(ctx context.Context, ids map[string]bool) error {
	for {
		p.mu.Lock()
		left := 0
		for b := range p.leaving {
			if ids[b.ID] {
				left += b.inFlight
			}
		}
		idle := p.idle
		p.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return fault.New(fault.Unavailable, "drain %s: %d requests still under way", p.key, left)
		}
	}
}
