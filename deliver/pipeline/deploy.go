package pipeline

import (
	"cmp"
	"context"
	"fmt"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/work"
)

// deploy asks for the deploy of a stage. The request and its number are one
// transaction, so there is never a second one.
func (p *Pipeline) deploy(ctx context.Context, r Run, d Decision) error {
	s := r.Stages[d.Stage]
	err := p.decided(ctx, r, d, func(c *change) (err error) {
		s := &c.Stages[d.Stage]
		s.Reason = ""
		s.DeployID, err = p.Deploy(ctx, c.tx, DeployRequest{
			Service: r.Service, Environment: s.Deploy, Version: r.Version, Strategy: s.Strategy, Actor: cmp.Or(s.ApprovedBy, event.Steer),
			Reason: cmp.Or(s.ApprovedReason, fmt.Sprintf("stage %s of run %d", s.Name, r.ID)), Chain: r.Chain, Cause: c.Last, Run: r.ID, Stage: s.Name,
		})
		return err
	})
	switch fault.Of(err) {
	case fault.Conflict:
		if s.Started != nil && p.Now().Sub(*s.Started) > s.Timeout.Std() {
			return p.fail(ctx, r, d, fmt.Sprintf("%v (waited %s)", err, s.Timeout), false)
		}
		if s.Reason != err.Error() { // let people see what it waits for
			e := p.decided(ctx, r, d, func(c *change) error {
				c.Stages[d.Stage].Reason = err.Error()
				return nil
			})
			if e != nil {
				return e
			}
		}
		return work.Snooze(pauseLock)
	case fault.NotFound, fault.Invalid, fault.Denied:
		return p.fail(ctx, r, d, err.Error(), false)
	}
	return err
}

// awaitDeploy looks what became of it. No worker waits meanwhile.
func (p *Pipeline) awaitDeploy(ctx context.Context, r Run, d Decision) error {
	s := r.Stages[d.Stage]
	state, reason, err := p.DeployState(ctx, s.DeployID)
	if fault.Of(err) == fault.NotFound {
		return p.fail(ctx, r, d, err.Error(), true)
	}
	if err != nil {
		return err
	}
	switch state {
	case Passed:
		return p.decided(ctx, r, d, func(c *change) error {
			c.Stages[d.Stage].Deployed = true
			return nil
		})
	case Failed:
		return p.fail(ctx, r, d, fmt.Sprintf("deploy %d to %s: %s", s.DeployID, s.Deploy, cmp.Or(reason, "failed")), false)
	}
	return work.Snooze(pauseDeploy)
}
