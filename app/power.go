package app

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"steer/base/fault"
	"steer/infra/fleet"
	"steer/infra/host"
)

// switchOn starts a host again, and makes it if it is not there.
func switchOn(ctx context.Context, h host.Host, offFirst bool) error {
	var err error
	if offFirst {
		err = host.SwitchOff(ctx, h, host.Off)
	}
	if err == nil {
		err = host.SwitchOn(ctx, h)
	}
	if fault.Of(err) == fault.NotFound {
		_, err = host.Create(ctx, h)
	}
	return err
}

// destroy destroys a host that no definition has any more, by what was known of it.
func (k *keeper) destroy(ctx context.Context, t fleet.Task) error {
	commit, _ := k.definitions.Current()
	d, err := k.at(ctx, commit)
	if err != nil {
		return err
	}
	if h, ok := d.host(t.Host); ok && len(host.Lasting([]host.Host{h}, time.Now())) > 0 {
		return fault.New(fault.Invalid, "hosts.yaml has %s again", t.Host)
	}
	if t.How == nil {
		return host.DestroyMade(ctx, t.Host)
	}
	var h host.Host
	if err := json.Unmarshal(t.How, &h); err != nil {
		return fmt.Errorf("read how %s was made: %w", t.Host, err)
	}
	return host.Destroy(ctx, h)
}
