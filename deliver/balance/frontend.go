package balance

import (
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/id"
)

// The protocols of a port.
const (
	HTTP = "http"
	TCP  = "tcp"
)

// Frontend is a service in an environment as its callers see it, and the nodes
// that do the work.
type Frontend struct {
	Environment id.Environment  `json:"environment"`
	Service     id.Service      `json:"service"`
	Ports       map[string]Port `json:"ports"` // by name
	Backends    []Backend       `json:"backends"`
	Health      Health          `json:"health"`
}

// Port is where callers reach the service.
type Port struct {
	Protocol string `json:"protocol"`        // HTTP or TCP
	Fixed    int    `json:"fixed,omitempty"` // 0: one of the range, which it keeps
}

// Backend is one node.
type Backend struct {
	ID      string            `json:"id"`
	Version id.Version        `json:"version"`
	Address map[string]string `json:"address"`          // host:port by name of the port
	Weight  int               `json:"weight,omitempty"` // share of traffic relative to the others; 0 is 1
}

// Health says how backends are probed.
type Health struct {
	Path     string        `json:"path,omitempty"`     // answers 200 to 399 when healthy; "": a connection is enough
	Port     string        `json:"port,omitempty"`     // name of the port; "": the first HTTP one, else the first
	Interval time.Duration `json:"interval,omitempty"` // 0 is 1 s
	Timeout  time.Duration `json:"timeout,omitempty"`  // 0 is 3 s
}

type key struct {
	environment id.Environment
	service     id.Service
}

func (k key) String() string { return string(k.service) + " in " + string(k.environment) }

func (f Frontend) check() error {
	if f.Environment == "" || f.Service == "" {
		return fault.New(fault.Invalid, "balance: frontend without environment or service")
	}
	for name, p := range f.Ports {
		if p.Protocol != HTTP && p.Protocol != TCP {
			return fault.New(fault.Invalid, "balance %s in %s: port %s: unknown protocol %q (use http or tcp)", f.Service, f.Environment, name, p.Protocol)
		}
		if p.Fixed < 0 || p.Fixed > 65535 {
			return fault.New(fault.Invalid, "balance %s in %s: port %s: %d is no port number", f.Service, f.Environment, name, p.Fixed)
		}
	}
	seen := map[string]bool{}
	for _, b := range f.Backends {
		if b.ID == "" || seen[b.ID] {
			return fault.New(fault.Invalid, "balance %s in %s: backend id %q is empty or there twice", f.Service, f.Environment, b.ID)
		}
		seen[b.ID] = true
		for name, address := range b.Address {
			if _, _, err := net.SplitHostPort(address); err != nil {
				return fault.New(fault.Invalid, "balance %s in %s: backend %s: address of port %s: %w", f.Service, f.Environment, b.ID, name, err)
			}
		}
	}
	return nil
}

// probed is the name of the port that health is asked on, "" if there is none.
func (f Frontend) probed() string {
	if _, ok := f.Ports[f.Health.Port]; ok {
		return f.Health.Port
	}
	names := slices.Sorted(maps.Keys(f.Ports))
	for _, n := range names {
		if f.Ports[n].Protocol == HTTP {
			return n
		}
	}
	return strings.Join(names[:min(1, len(names))], "")
}
