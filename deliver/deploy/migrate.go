package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
)

const (
	migrateWithin = 10 * time.Minute // when a manifest from before this key says nothing
	migrateLog    = 50               // lines that are kept
	migrateBytes  = 64 << 10
)

// migration is the name of the step.
func migration(y *Deploy) string { return "migrate to " + string(y.Version) }

// migrates says whether a deploy is yet to run the command that brings the
// database to its version. Ways back run none: the version before must work with
// what it left.
func (d *Deployer) migrates(y *Deploy, pl *placement) bool {
	r := y.release
	if y.Kind != KindDeploy || r.Role || strings.TrimSpace(r.Run.Migrate) == "" || pl != nil && pl.current.ID == r.ID {
		return false
	}
	return !slices.ContainsFunc(y.Steps, func(s DeployStep) bool { return s.Name == migration(y) && s.State == Passed })
}

// migrate runs that command. A Steer that died meanwhile runs it again.
func (d *Deployer) migrate(ctx context.Context, y *Deploy) error {
	if err := d.record(ctx, y, migration(y)); err != nil {
		return err
	}
	s := d.spec(place{y.Environment, y.Service}, *y.release, 0)
	s.ID = fmt.Sprintf("%s-%s-%s-migrate-%d", y.Service, y.Environment, y.Version, y.ID)
	s.Command, s.Ports, s.Inside, s.Env["STEER_NODE"] = y.release.Run.Migrate, nil, nil, s.ID
	within := y.release.Run.MigrateWithin.Std()
	if within <= 0 {
		within = migrateWithin
	}
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	over := d.watch(limited, y.ID, cancel)
	out := &Ending{Max: migrateBytes}
	err := d.o.Driver.Task(limited, s, out)
	timeout := errors.Is(limited.Err(), context.DeadlineExceeded)
	cancel()
	if <-over; ctx.Err() != nil {
		return ctx.Err()
	}
	if now, e := d.Get(ctx, y.ID); e != nil {
		return e
	} else if now.Finished != nil {
		return errOver
	}
	lines := d.clean(s, out.Bytes(), migrateLog)
	y.Steps[len(y.Steps)-1].Log = lines
	switch {
	case err == nil:
		y.endStep(Passed, time.Now())
		return d.save(ctx, y)
	case timeout:
		err = fmt.Errorf("it was not done within %s (run.migrate_within)", within)
	case fault.Of(err) == fault.Unavailable:
		return err // the driver, not the command: the job is tried again
	}
	return &stopped{Failure{Message: fmt.Sprintf("%s: %v", migration(y), err), Log: append([]string{}, lines...)}}
}

// watch ends a command whose deploy was ended by another.
func (d *Deployer) watch(ctx context.Context, number int64, end func()) (over chan struct{}) {
	over = make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(lookGap)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if y, err := d.Get(ctx, number); err == nil && y.Finished != nil {
					end()
					return
				}
			}
		}
	}()
	return over
}
