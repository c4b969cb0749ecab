package app

import (
	"context"

	"steer/base/id"
	"steer/deliver/balance"
	"steer/deliver/deploy"
)

// balancer is the load balancer as deploys want it.
type balancer struct{ *balance.Balancer }

func (b balancer) Set(ctx context.Context, f deploy.Frontend) error {
	to := balance.Frontend{
		Environment: f.Environment, Service: f.Service, Ports: map[string]balance.Port{},
		Health: balance.Health{Path: f.Health.Path, Port: f.Health.Port},
	}
	for name, p := range f.Ports {
		to.Ports[name] = balance.Port{Protocol: p.Protocol, Fixed: p.Fixed}
	}
	for _, backend := range f.Backends {
		to.Backends = append(to.Backends, balance.Backend{ID: backend.ID, Version: backend.Version, Address: backend.Address})
	}
	return b.Balancer.Set(ctx, to)
}

// Serving lists the nodes that get requests.
func (b balancer) Serving(e id.Environment, s id.Service) (nodes []string) {
	for _, status := range b.Status() {
		if status.Environment == e && status.Service == s {
			for _, backend := range status.Backends {
				nodes = append(nodes, backend.ID)
			}
		}
	}
	return nodes
}
