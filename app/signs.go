package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"steer/base/id"
	"steer/catalog"
	"steer/improve/signs"
	"steer/monitor/state"
)

// ImproveConfig is the part improve of server.yaml.
type ImproveConfig struct {
	Hours catalog.Hours `yaml:"hours"`
}

// signsFacts are what the journal does not tell the signs of doing well.
func (a *App) signsFacts(ctx context.Context) (f signs.Facts, err error) {
	c := a.catalog.Load()
	f = signs.Facts{Services: map[id.Service]id.Team{}, Teams: c.Teams, Hours: a.o.Improve.Hours, Infrastructure: a.o.Infra.Teams}
	for name := range c.Environments {
		f.Environments = append(f.Environments, name)
	}
	for _, s := range c.Services {
		f.Services[s.Artifact] = s.Team
	}
	manifests, err := a.deliver.pipelines.Manifests(ctx)
	if err != nil {
		return f, err
	}
	for _, m := range manifests {
		if m.Team != "" || f.Services[m.Service] == "" {
			f.Services[m.Service] = m.Team
		}
	}
	open, err := a.monitor.checks.Incidents(ctx, state.Filter{State: state.Active, Limit: 1000})
	if err != nil {
		return f, err
	}
	for _, i := range open {
		f.Open = append(f.Open, signs.Open{
			Ref: fmt.Sprintf("incident/%d", i.ID), Event: i.Event, Check: i.Check, Severity: i.Severity, Title: i.Title,
			Service: i.Service, Environment: i.Environment, Team: i.Team, Opened: i.Opened,
		})
	}
	f.Hosts, err = a.signsHosts(ctx)
	return f, err
}

// signsHosts are the hosts that are declared, by name.
func (a *App) signsHosts(ctx context.Context) (all []signs.Host, err error) {
	hosts, err := a.keeper.fleet.Hosts(ctx)
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		h := hosts[name]
		all = append(all, signs.Host{
			Name: h.Name, Group: h.Group, Owner: h.Owner, Environment: h.Environment, Made: h.Made, Seen: h.Seen, Rebuilt: h.Rebuilt,
			Updates: h.Updates, Security: h.Security, Insecure: h.Insecure, Reboot: h.Reboot,
		})
	}
	return all, err
}

// countHosts keeps the counts of hosts by the state of their patches, which become
// metrics with Steer's other figures. Once a minute is enough for what hosts tell every
// few hours.
func (a *App) countHosts(ctx context.Context) error {
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	for {
		hosts, err := a.signsHosts(ctx)
		if err == nil {
			counts := signs.Counts(hosts)
			a.hostCounts.Store(&counts)
		} else if ctx.Err() == nil {
			a.log.Warn("count hosts by the state of their patches", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
