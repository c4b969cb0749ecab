package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/base/fault"
	"steer/base/id"
	"steer/infra"
	"steer/infra/fleet"
	"steer/infra/host"
)

// InfraConfig is the part of server.yaml about hosts.
type InfraConfig struct {
	Networks []string  `yaml:"networks" doc:"Networks to look for hosts that nobody manages, like 10.0.0.0/24: whoever answers at port 22 and is in no hosts.yaml. Together at most 4096 addresses, once an hour."`
	Teams    []id.Team `yaml:"teams" doc:"Teams that own the infrastructure, for steer signs: what people get done without them. Empty: whoever agrees to a request is compared with the team of who asked."`
}

// mostAddresses bounds the networks that are looked through.
const mostAddresses = 4096

// Check says what is wrong with the configuration.
func (c InfraConfig) Check() error {
	_, err := c.addresses()
	return err
}

// addresses are all that there may be in the networks.
func (c InfraConfig) addresses() ([]netip.Addr, error) {
	var all []netip.Addr
	for _, text := range c.Networks {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, "networks: %q is no network (write it like 10.0.0.0/24)", text)
		}
		if p.Addr().BitLen()-p.Bits() > 12 {
			return nil, fault.New(fault.Invalid, "networks: %s has more than %d addresses", text, mostAddresses)
		}
		for a := p.Masked().Addr(); p.Contains(a); a = a.Next() {
			all = append(all, a)
		}
	}
	if len(all) > mostAddresses {
		return nil, fault.New(fault.Invalid, "networks: together they have more than %d addresses", mostAddresses)
	}
	return all, nil
}

// unmanaged looks for hosts that no definition has: what Steer made once, and who
// answers in the declared networks.
func (k *keeper) unmanaged(ctx context.Context, managed []fleet.Declared) ([]fleet.Unmanaged, error) {
	var found []fleet.Unmanaged
	now := time.Now().UTC()
	made, err := host.Made(ctx)
	for _, address := range made {
		kind, name, _ := strings.Cut(address, "://")
		if !slices.ContainsFunc(managed, func(d fleet.Declared) bool { return d.Name == name }) {
			found = append(found, fleet.Unmanaged{Address: address, Name: name, Found: kind, What: "made by Steer, and in no hosts.yaml any more", Seen: now})
		}
	}
	addresses, _ := k.o.Infra.addresses()
	known := k.addresses(ctx)
	var mu sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, 64)
	for _, a := range addresses {
		if known[a] || ctx.Err() != nil {
			continue
		}
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			d := net.Dialer{Timeout: time.Second}
			c, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(a, 22).String())
			if err != nil {
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Second))
			b := make([]byte, 100)
			n, _ := c.Read(b)
			mu.Lock()
			defer mu.Unlock()
			found = append(found, fleet.Unmanaged{Address: a.String(), Found: "network", What: fmt.Sprintf("%.60q at port 22", b[:n]), Seen: now})
		})
	}
	wg.Wait()
	slices.SortFunc(found, func(a, b fleet.Unmanaged) int {
		if a.Address < b.Address {
			return -1
		}
		return 1
	})
	return found, err
}

// addresses are those of the hosts that are managed: what they tell of themselves.
func (k *keeper) addresses(ctx context.Context) map[netip.Addr]bool {
	known := map[netip.Addr]bool{}
	add := func(facts json.RawMessage) {
		var f infra.Facts
		if json.Unmarshal(facts, &f) == nil {
			for _, text := range f.Addresses {
				if a, err := netip.ParseAddr(text); err == nil {
					known[a] = true
				}
			}
		}
	}
	all, err := k.fleet.Facts(ctx)
	if err != nil {
		k.log.Warn("read the addresses of hosts", "error", err)
	}
	for _, facts := range all {
		add(facts)
	}
	if b, err := json.Marshal(infra.NewHost(ctx).Facts); err == nil {
		add(b) // this machine
	}
	return known
}
