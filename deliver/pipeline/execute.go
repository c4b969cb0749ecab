package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"steer/base/fault"
	"steer/base/work"
)

// workFolder holds the checkout of the stage that runs, in the run's folder.
const workFolder = "work"

func (p *Pipeline) folder(run int64) string { return filepath.Join(p.Dir, fmt.Sprint(run)) }

func (p *Pipeline) logFile(run int64, stage string) string {
	return filepath.Join(p.folder(run), stage+".log")
}

// outcome is what the commands of a stage came to.
type outcome struct {
	exit    *int
	tests   *Tests
	reason  string // "" when all passed
	digest  string
	broken  bool // the reason is no fault of the commit
	stopped error
}

// execute runs a stage's commands in a clean checkout and records the outcome.
func (p *Pipeline) execute(ctx context.Context, r Run, d Decision) error {
	release, ok := p.Slot()
	if !ok {
		return work.Snooze(pauseSlot)
	}
	defer release()
	begun, err := p.attempt(ctx, r, d, 1)
	if err != nil || !begun {
		return err
	}
	r.Stages[d.Stage].Attempt++

	commands, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p.watch(commands, r.ID, cancel)
	defer p.unwatch(r.ID)
	out := p.commands(commands, r, d)

	if out.stopped != nil {
		if errors.Is(out.stopped, errCanceled) {
			return nil // the record says so already
		}
		// Steer shuts down: this attempt does not count.
		if _, err := p.attempt(context.WithoutCancel(ctx), r, d, -1); err != nil {
			return err
		}
		return out.stopped
	}
	return p.settle(context.WithoutCancel(ctx), r, d, out)
}

// attempt counts an attempt, before it begins, or takes it back.
func (p *Pipeline) attempt(ctx context.Context, r Run, d Decision, n int) (done bool, err error) {
	_, err = p.change(ctx, r.ID, func(c *change) error {
		done = false
		s := &c.Stages[d.Stage]
		if c.State != Running || s.State != Running || s.Attempt != r.Stages[d.Stage].Attempt {
			return nil
		}
		s.Attempt += n
		done = true
		return nil
	})
	return done, err
}

// settle records what the commands came to.
func (p *Pipeline) settle(ctx context.Context, r Run, d Decision, out outcome) error {
	_, err := p.change(ctx, r.ID, func(c *change) error {
		s := &c.Stages[d.Stage]
		if c.State != Running || s.State != Running {
			return nil
		}
		s.ExitCode, s.Tests, s.Attempt = out.exit, out.tests, 0
		if out.digest != "" {
			c.Digest = out.digest
		}
		if out.reason != "" {
			c.Broken = out.broken
			c.close(d.Stage, Failed, out.reason)
			return nil
		}
		if d.Command || s.Deploy == "" {
			s.Ran = true
		}
		return nil
	})
	return err
}

// commands makes the checkout, builds, runs and packs, as far as it goes.
func (p *Pipeline) commands(ctx context.Context, r Run, d Decision) (out outcome) {
	fail := func(what string, err error) outcome {
		if ctx.Err() != nil {
			out.stopped = context.Cause(ctx)
			return out
		}
		out.reason, out.broken = err.Error(), fault.Of(err) == fault.Internal
		if what != "" {
			out.reason = what + ": " + out.reason
		}
		return out
	}
	s := r.Stages[d.Stage]
	if d.Pack {
		// Packed before Steer was killed: all that comes before the packing passed.
		digest, err := p.Artifact(ctx, r.Service, r.Version)
		if err == nil {
			out.digest = digest
			return out
		}
		if fault.Of(err) != fault.NotFound {
			return fail("look for the artifact", err)
		}
	}
	dir := filepath.Join(p.folder(r.ID), workFolder)
	src, tmp := filepath.Join(dir, "src"), filepath.Join(dir, "tmp")
	defer func() {
		if err := removeAll(dir); err != nil {
			p.Options.Log.Error("remove checkout", "folder", dir, "error", err)
		}
	}()
	err := removeAll(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil && s.Attempt > 1 {
		err = p.note(r, d, fmt.Sprintf("attempt %d, in a clean checkout", s.Attempt))
	}
	if err == nil {
		err = p.Checkout(ctx, r.Repo, r.Commit, src)
	}
	if err != nil {
		return fail("check out "+fmt.Sprintf("%.12s", r.Commit), err)
	}
	job := Job{
		Service: r.Service, Version: r.Version, Repo: r.Repo, Commit: r.Commit, Stage: s.Name, Dir: src, Temp: tmp,
		Log: p.logFile(r.ID, s.Name), Timeout: s.Timeout.Std(),
	}
	if s.Deploy != "" {
		job.Env = append(job.Env, "STEER_ENVIRONMENT="+string(s.Deploy))
		if s.Deployed {
			address, err := p.Address(ctx, r.Service, s.Deploy)
			if err != nil {
				return fail("find the balancer of "+string(s.Deploy), err)
			}
			if address != "" {
				job.Env = append(job.Env, "STEER_URL=http://"+address)
			}
		}
	}
	began := p.Now()
	if build := r.Manifest.Artifact.Build; d.Pack && build != "" {
		job.Command = build
		res, err := p.Execute(ctx, job)
		if err != nil {
			return fail("", err)
		}
		if out.exit = &res.ExitCode; res.ExitCode != 0 {
			out.reason = "build: " + res.Reason
			return out
		}
		// Build and command share the stage's time.
		job.Timeout = max(job.Timeout-p.Now().Sub(began), time.Second)
	}
	if d.Command {
		job.Command = s.Command
		res, err := p.Execute(ctx, job)
		if err != nil {
			return fail("", err)
		}
		out.exit, out.tests = &res.ExitCode, res.Tests
		if res.ExitCode != 0 {
			out.reason = res.Reason
			return out
		}
	}
	if d.Pack {
		now := p.Now()
		done := &r.Stages[d.Stage]
		done.ExitCode, done.Tests, done.Finished = out.exit, out.tests, &now
		if d.Command || s.Deploy == "" {
			done.State = Passed
		}
		if out.digest, err = p.Package(ctx, r, src); err != nil {
			return fail("", err)
		}
		if err := p.note(r, d, "artifact "+out.digest); err != nil {
			return fail("", err)
		}
	}
	return out
}

// note writes a line of Steer's own into a stage's log.
func (p *Pipeline) note(r Run, d Decision, text string) error {
	f, err := os.OpenFile(p.logFile(r.ID, r.Stages[d.Stage].Name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "[%s]\n", text)
	return err
}

// errCanceled is the cause when a person cancels a run.
var errCanceled = errors.New("the run was canceled")

// watch lets Cancel stop the commands of a run: at once in this process, and
// soon when another process on the same database was asked.
func (p *Pipeline) watch(ctx context.Context, run int64, cancel context.CancelCauseFunc) {
	p.mu.Lock()
	p.running[run] = cancel
	p.mu.Unlock()
	go func() {
		tick := time.NewTicker(2 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if r, err := load(ctx, p.DB.Read(), run); err == nil && r.State == Canceled {
				cancel(errCanceled)
			}
		}
	}()
}

func (p *Pipeline) unwatch(run int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, run)
}
