package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/work"
)

// Pauses before a job looks again at what it waits for.
const (
	pauseSlot   = 500 * time.Millisecond
	pauseDeploy = 250 * time.Millisecond
	pauseLock   = time.Second
)

// work takes a run as far as it goes without waiting.
func (p *Pipeline) work(ctx context.Context, j work.Job) error {
	run, err := strconv.ParseInt(j.Key, 10, 64)
	if err != nil {
		return work.Stop(fmt.Errorf("job of run %q: %w", j.Key, err))
	}
	for {
		r, err := load(ctx, p.DB.Read(), run)
		if fault.Of(err) == fault.NotFound {
			return work.Stop(err)
		}
		if err != nil {
			return err
		}
		d := Next(r.Run)
		if d.Action == None || d.Action == Await {
			return nil
		}
		if err := p.perform(ctx, r.Run, d); err != nil {
			return err
		}
	}
}

// errGone ends a change of a run that is no longer where the decision saw it,
// for example because a person canceled it.
var errGone = errors.New("the run went on meanwhile")

// decided changes the run if the decision still stands.
func (p *Pipeline) decided(ctx context.Context, r Run, d Decision, f func(*change) error) error {
	_, err := p.change(ctx, r.ID, func(c *change) error {
		if Next(c.Run) != d {
			return errGone
		}
		return f(c)
	})
	if errors.Is(err, errGone) {
		return nil // the loop decides anew
	}
	return err
}

func (p *Pipeline) perform(ctx context.Context, r Run, d Decision) error {
	switch d.Action {
	case Plan:
		return p.plan(ctx, r, d)
	case Execute:
		return p.execute(ctx, r, d)
	case Deploy:
		return p.deploy(ctx, r, d)
	case AwaitDeploy:
		return p.awaitDeploy(ctx, r, d)
	}
	return p.decided(ctx, r, d, func(c *change) error {
		switch d.Action {
		case Begin:
			c.State = Running
			if c.Started == nil {
				c.Started = c.now()
				c.tellRun(event.RunStarted, "", fmt.Sprintf("%s %s: run %d started", c.Service, c.Version, c.ID))
			}
		case Open:
			c.open(d.Stage)
		case Ask:
			c.ask(d.Stage)
		case Close:
			c.close(d.Stage, d.State, d.Reason)
		case Finish:
			c.finish(d.State, d.Reason)
		default:
			return fmt.Errorf("BUG: nobody performs %q", d.Action)
		}
		return nil
	})
}

// plan reads steer.yaml. One that is missing or wrong fails the run with the
// very error, since only another commit can help.
func (p *Pipeline) plan(ctx context.Context, r Run, d Decision) error {
	m, err := p.Manifest(ctx, r.Service, r.Repo, r.Commit)
	if k := fault.Of(err); err != nil && (ctx.Err() != nil || k == fault.Unavailable) {
		return err
	}
	var list []Stage
	if err == nil {
		list, err = stages(m, r.Service)
	}
	return p.decided(ctx, r, d, func(c *change) error {
		if err != nil {
			c.Broken = fault.Of(err) == fault.Internal
			c.finish(Failed, err.Error())
			return nil
		}
		c.Run.Manifest, c.Stages = &m, list
		return nil
	})
}

// fail ends a running stage with a reason.
func (p *Pipeline) fail(ctx context.Context, r Run, d Decision, reason string, broken bool) error {
	return p.decided(ctx, r, d, func(c *change) error {
		c.Broken = broken
		c.close(d.Stage, Failed, reason)
		return nil
	})
}

// dead ends a run whose job was given up.
func (p *Pipeline) dead(ctx context.Context, j work.Job, err error) {
	run, e := strconv.ParseInt(j.Key, 10, 64)
	if e != nil {
		return
	}
	_, e = p.change(ctx, run, func(c *change) error {
		if c.Over() {
			return nil
		}
		c.Broken = true
		reason := fmt.Sprintf("Steer gave up: %v", err)
		for i, s := range c.Stages {
			if s.State == Running {
				c.close(i, Failed, reason)
			}
		}
		c.finish(Failed, reason)
		return nil
	})
	if e != nil && fault.Of(e) != fault.NotFound {
		p.Options.Log.Error("record that a run was given up", "run", run, "error", e)
	}
}

// title is the first line of a commit's message.
func title(m Commit) string {
	t, _, _ := strings.Cut(strings.TrimSpace(m.Message), "\n")
	if t == "" {
		return fmt.Sprintf("%.12s", m.SHA)
	}
	return t
}
