package balance

import (
	"cmp"
	"maps"
	"slices"

	"steer/base/id"
)

// Status is what a frontend does right now.
type Status struct {
	Environment id.Environment  `json:"environment"`
	Service     id.Service      `json:"service"`
	Ports       []PortStatus    `json:"ports"`
	Backends    []BackendStatus `json:"backends"`
	Healthy     int             `json:"healthy"` // backends that get requests
	InFlight    int             `json:"in_flight"`
	Requests    int64           `json:"requests"` // tries on the backends listed
	Errors      int64           `json:"errors"`   // of those: broken, or status 5xx
}

// PortStatus is one address of a frontend.
type PortStatus struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	Address  string `json:"address"`           // host:port
	Problem  string `json:"problem,omitempty"` // why it does not listen
}

// BackendStatus is one node as the balancer sees it.
type BackendStatus struct {
	Backend
	Healthy  bool   `json:"healthy"`
	Reason   string `json:"reason,omitempty"`  // why it is not
	Leaving  bool   `json:"leaving,omitempty"` // replaced, and still has requests under way
	InFlight int    `json:"in_flight"`
	Requests int64  `json:"requests"`
	Errors   int64  `json:"errors"`
}

// Status lists all frontends, by environment and service.
func (b *Balancer) Status() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := []Status{}
	for k, f := range b.fronts {
		s := Status{Environment: k.environment, Service: k.service, Ports: []PortStatus{}}
		for _, name := range slices.Sorted(maps.Keys(f.Ports)) {
			s.Ports = append(s.Ports, PortStatus{Name: name, Protocol: f.Ports[name].Protocol,
				Address: b.reachable(b.ports[portKey{k, name}]), Problem: f.problems[name]})
		}
		s.Backends = f.pool.status()
		for _, n := range s.Backends {
			if n.Healthy && !n.Leaving {
				s.Healthy++
			}
			s.InFlight += n.InFlight
			s.Requests += n.Requests
			s.Errors += n.Errors
		}
		r = append(r, s)
	}
	slices.SortFunc(r, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Service, b.Service))
	})
	return r
}

// Lost is how many samples nobody took.
func (b *Balancer) Lost() int64 { return b.lost.Load() }

func (p *pool) status() []BackendStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := []BackendStatus{}
	add := func(b *backend, leaving bool) {
		r = append(r, BackendStatus{Backend: b.Backend, Healthy: b.down == "", Reason: b.down, Leaving: leaving,
			InFlight: b.inFlight, Requests: b.requests.Load(), Errors: b.errors.Load()})
	}
	for _, b := range p.current {
		add(b, false)
	}
	for b := range p.leaving {
		add(b, true)
	}
	return r
}
