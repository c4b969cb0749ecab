package app

import (
	"context"
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
