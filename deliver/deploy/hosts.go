package deploy

import (
	"context"
	"fmt"
	"time"

	"steer/base/fault"
	"steer/base/work"
	"steer/catalog"
)

// lookHosts is how often a deploy of a role looks how far its hosts are.
const lookHosts = 500 * time.Millisecond

// role tells whether what serves there is a role.
func (pl *placement) role() bool { return pl != nil && pl.current != nil && pl.current.Role }

// tellHosts is the first step of a deploy of a role.
func tellHosts(y Deploy, number int) string {
	return fmt.Sprintf("have %s follow %s (definitions %.8s)", count(number, "host"), y.Version, y.release.Commit)
}

// follow deploys a role: its hosts are told which commit to follow, and do so one
// after the other by themselves. No worker waits meanwhile.
func (d *Deployer) follow(ctx context.Context, y *Deploy, pl *placement, env catalog.Environment, number int) error {
	if len(y.Steps) == 0 {
		if err := d.record(ctx, y, tellHosts(*y, number)); err != nil {
			return err
		}
	}
	if err := d.o.Hosts.Follow(ctx, *y, y.release.Commit); err != nil {
		return err
	}
	done, now, err := d.o.Hosts.Followed(ctx, *y, y.release.Commit)
	switch {
	case fault.Of(err) == fault.Conflict:
		return stop(err)
	case err != nil:
		return err
	case !done:
		if now != "" {
			if err := d.record(ctx, y, now); err != nil {
				return err
			}
		}
		return work.Snooze(lookHosts)
	}
	y.endStep(Passed, time.Now())
	if err := d.save(ctx, y); err != nil {
		return err
	}
	return d.finish(ctx, y, pl, env, number, false)
}

// withdraw lets the hosts of a role go back to the version from before.
func (d *Deployer) withdraw(ctx context.Context, p place, pl *placement) error {
	var keep int64
	if pl != nil {
		keep = pl.deploy
	}
	return d.o.Hosts.Withdraw(ctx, p.environment, p.service, keep)
}
