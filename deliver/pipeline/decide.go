package pipeline

import (
	"context"
	"fmt"
	"strings"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
)

// Approve lets a stage that waits go on, with exactly this run's version. Older
// runs that wait at the same stage are skipped there, since going back to them
// would undo this one.
func (p *Pipeline) Approve(ctx context.Context, run int64, stage string, who id.Person, reason string) (Run, error) {
	return p.decide(ctx, "approve", run, stage, who, func(c *change, i int) error {
		s := &c.Stages[i]
		s.State, s.ApprovedBy, s.ApprovedReason = Pending, who, reason
		c.State, c.goesOn = Queued, true
		c.closeApproval(i, who, "approved", reason)
		older, err := selected(ctx, c.tx, "service = $1 AND state = 'waiting' AND id < $2 ORDER BY id DESC", c.Service, c.ID)
		if err != nil {
			return err
		}
		for _, r := range older {
			o := &change{record: r, p: p, ctx: ctx, tx: c.tx}
			j := o.stage(stage)
			if j < 0 || o.Stages[j].State != Waiting {
				continue
			}
			why := fmt.Sprintf("superseded by %s", c.Version)
			o.Stages[j].State, o.Stages[j].Reason = Skipped, why
			o.closeApproval(j, event.Steer, "superseded", why)
			o.finish(Passed, fmt.Sprintf("%s: %s", stage, why))
			c.others = append(c.others, o)
		}
		return nil
	})
}

// Reject fails a stage that waits. A reason is needed.
func (p *Pipeline) Reject(ctx context.Context, run int64, stage string, who id.Person, reason string) (Run, error) {
	if strings.TrimSpace(reason) == "" {
		return Run{}, fault.New(fault.Invalid, "reject stage %s of run %d: give a reason", stage, run)
	}
	return p.decide(ctx, "reject", run, stage, who, func(c *change, i int) error {
		s := &c.Stages[i]
		s.State, s.Reason, s.Finished = Failed, fmt.Sprintf("rejected by %s: %s", who, reason), c.now()
		c.closeApproval(i, who, "rejected", reason)
		c.finish(Failed, fmt.Sprintf("%s: %s", s.Name, s.Reason))
		return nil
	})
}

func (p *Pipeline) decide(ctx context.Context, verb string, run int64, stage string, who id.Person, f func(*change, int) error) (Run, error) {
	if _, err := id.Parse[id.Person]("person", string(who)); err != nil {
		return Run{}, fault.New(fault.Invalid, "%s stage %s of run %d: %w", verb, stage, run, err)
	}
	return p.change(ctx, run, func(c *change) error {
		i := c.stage(stage)
		if i < 0 {
			return fault.New(fault.NotFound, "%s stage %q of run %d: %s %s has no such stage (it has: %s)", verb, stage, run, c.Service, c.Version, names(c.Run))
		}
		s := c.Stages[i]
		if s.State != Waiting {
			return fault.New(fault.Conflict, "%s stage %s of run %d: it is %s, not waiting for an approval", verb, stage, run, s.State)
		}
		if err := p.May(who, s.Approvers, s.Deploy); err != nil {
			return fmt.Errorf("%s stage %s of run %d: %w", verb, stage, run, err)
		}
		return f(c, i)
	})
}

func names(r Run) string {
	list := make([]string, len(r.Stages))
	for i, s := range r.Stages {
		list[i] = s.Name
	}
	return strings.Join(list, ", ")
}

func (c *change) closeApproval(i int, who id.Person, decision, reason string) {
	d := c.data(i)
	d.Decision = decision
	c.tell(event.ApprovalClosed, who, reason, fmt.Sprintf("%s %s: stage %s %s", c.Service, c.Version, d.Stage, decision), d)
}

// Retry takes a run that failed or was canceled on from the stage where it
// stopped, with the artifact that it has. It refuses to take an old version
// where a newer one has been already.
func (p *Pipeline) Retry(ctx context.Context, run int64, who id.Person) (Run, error) {
	return p.change(ctx, run, func(c *change) error {
		if c.State != Failed && c.State != Canceled {
			return fault.New(fault.Conflict, "retry run %d: it is %s, only a run that failed or was canceled can be tried again", run, c.State)
		}
		newer, err := selected(ctx, c.tx, "service = $1 AND id > $2 ORDER BY id DESC LIMIT 200", c.Service, c.ID)
		if err != nil {
			return err
		}
		from := -1
		for i := range c.Stages {
			s := &c.Stages[i]
			if s.State == Passed {
				continue
			}
			if from < 0 {
				from = i
			}
			for _, n := range newer {
				if j := n.stage(s.Name); j >= 0 && s.Deploy != "" && n.Stages[j].Deployed {
					return fault.New(fault.Conflict, "retry run %d: %s has been deployed by stage %s since, and %s is older (use rollback or deploy to go back)", run, n.Version, s.Name, c.Version)
				}
			}
			again := Stage{Name: s.Name, State: Pending, Manual: s.Manual, Approvers: s.Approvers, Deploy: s.Deploy, Strategy: s.Strategy, Command: s.Command, Timeout: s.Timeout, Log: s.Log}
			if i == from && s.Manual && s.ApprovedBy != "" { // to try again is to approve again
				if err := p.May(who, s.Approvers, s.Deploy); err != nil {
					return fmt.Errorf("retry stage %s of run %d: %w", s.Name, run, err)
				}
				again.ApprovedBy, again.ApprovedReason = who, s.ApprovedReason
			}
			*s = again
		}
		c.State, c.Reason, c.Finished, c.Broken, c.InLine, c.goesOn = Queued, "", nil, false, false, true
		at := ""
		if from >= 0 {
			at = " from stage " + c.Stages[from].Name
		}
		c.tell(event.RunQueued, who, "retry", fmt.Sprintf("%s %s: run %d again%s", c.Service, c.Version, c.ID, at),
			RunData{Run: c.ID, Commit: c.Commit, Branch: c.Branch, Author: c.Author, Message: c.Message})
		return nil
	})
}

// Cancel ends a run that is not over. Its command is stopped; a deploy that is
// on its way goes on, and the reason says so.
func (p *Pipeline) Cancel(ctx context.Context, run int64, who id.Person, reason string) (Run, error) {
	r, err := p.change(ctx, run, func(c *change) error {
		if c.Over() {
			return fault.New(fault.Conflict, "cancel run %d: it is over (%s)", run, c.State)
		}
		why := fmt.Sprintf("canceled by %s", who)
		if reason != "" {
			why += ": " + reason
		}
		for i := range c.Stages {
			s := &c.Stages[i]
			switch s.State {
			case Waiting:
				c.closeApproval(i, who, "canceled", reason)
			case Running:
				if s.DeployID != 0 && !s.Deployed {
					why += fmt.Sprintf(" (deploy %d to %s goes on)", s.DeployID, s.Deploy)
				}
			default:
				continue
			}
			s.State, s.Reason, s.Finished = Skipped, why, c.now()
		}
		c.finish(Canceled, why)
		return nil
	})
	if err != nil {
		return r, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if stop := p.running[run]; stop != nil {
		stop(errCanceled)
	}
	return r, nil
}
