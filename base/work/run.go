package work

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// An attempt is one job that runs here.
type attempt struct {
	id    string
	claim string
	job   Job
	stop  context.CancelCauseFunc
}

var (
	errLost    = errors.New("another process took the job over, since this one did not renew its lease in time")
	errTimeout = errors.New("the attempt took too long")
)

// patience is how long one statement may take while the queue shuts down or
// records an outcome.
const patience = 30 * time.Second

// Run runs jobs until ctx ends. It then ends the contexts of the handlers and
// returns when all have returned and their outcome is recorded.
func (q *Queue) Run(ctx context.Context) error {
	q.mu.Lock()
	if q.started {
		q.mu.Unlock()
		return errors.New("run work queue: it was started before")
	}
	q.started = true
	q.mu.Unlock()

	n, err := q.take(ctx, "owner = $2", q.o.Instance)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	if n > 0 {
		q.log.Info("work: jobs that ran when the process died run again", "jobs", n)
	}
	if err := q.forget(ctx, time.Now().AddDate(0, 0, -30)); err != nil {
		return ignoreEnd(ctx, err)
	}

	var attempts, renewal sync.WaitGroup
	alive, end := context.WithCancel(context.WithoutCancel(ctx)) // leases are renewed until the last handler returned
	renewal.Go(func() { q.keep(alive) })
	q.fetch(ctx, &attempts)
	for _, s := range q.looks {
		s.Close()
	}
	attempts.Wait()
	end()
	renewal.Wait()
	return nil
}

func ignoreEnd(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// fetch starts jobs that are due until ctx ends.
func (q *Queue) fetch(ctx context.Context, attempts *sync.WaitGroup) {
	tick := time.NewTicker(q.o.Poll)
	defer tick.Stop()
	away := outage{log: q.log, what: "start jobs"}
	for {
		for ctx.Err() == nil {
			kinds := q.free()
			if len(kinds) == 0 {
				break
			}
			// Not ctx: a claim that commits as ctx ends must be known here.
			one, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
			a, err := q.claim(one, kinds)
			cancel()
			away.is(err)
			if err != nil {
				pause(ctx, time.Second)
			}
			if a == nil {
				break
			}
			q.begin(ctx, a, attempts)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-q.wake:
		}
	}
}

// free returns the kinds of which another job may start now.
func (q *Queue) free() []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.running) >= q.o.Workers {
		return nil
	}
	var kinds []string
	for kind, h := range q.handlers {
		if h.Limit == 0 || q.perKind[kind] < h.Limit {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds) // one text for each set, for the cache of prepared statements
	return kinds
}

// begin runs the attempt in a goroutine of its own.
func (q *Queue) begin(ctx context.Context, a *attempt, attempts *sync.WaitGroup) {
	ctx, a.stop = context.WithCancelCause(ctx)
	q.mu.Lock()
	q.running[a.claim] = a
	q.perKind[a.job.Kind]++
	q.mu.Unlock()
	attempts.Go(func() {
		h := q.handlers[a.job.Kind]
		q.record(ctx, a, q.judge(ctx, a, h, do(ctx, a.job, h)))
		a.stop(nil)
		q.mu.Lock()
		delete(q.running, a.claim)
		q.perKind[a.job.Kind]--
		q.mu.Unlock()
		q.Wake() // a worker is free, and what the job added is committed
	})
}

// do calls the handler.
func do(ctx context.Context, j Job, h Handler) (err error) {
	if j.Attempt > h.MaxAttempts {
		return Stop(fmt.Errorf("the process died in each of %d attempts", h.MaxAttempts))
	}
	if h.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, h.Timeout, fmt.Errorf("%w: more than %s", errTimeout, h.Timeout))
		defer cancel()
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		} else if cause := context.Cause(ctx); err != nil && errors.Is(cause, errTimeout) {
			err = fmt.Errorf("%w: %w", cause, err)
		}
	}()
	return h.Do(ctx, j)
}

// judge turns what the handler returned into what becomes of the job.
func (q *Queue) judge(ctx context.Context, a *attempt, h Handler, err error) outcome {
	log := q.log.With("kind", a.job.Kind, "key", a.job.Key, "attempt", a.job.Attempt)
	var again snooze
	var final stop
	switch {
	case err == nil:
		return outcome{state: "done"}
	case errors.As(err, &again):
		return outcome{state: "due", due: time.Now().Add(again.d), merge: true}
	case ctx.Err() != nil:
		return outcome{state: "due", due: time.Now(), err: err} // the queue ends, or the job is no longer ours
	case errors.As(err, &final), a.job.Attempt >= h.MaxAttempts:
		log.Error("work: job given up", "error", err)
		q.bury(ctx, a.job, h, err, log)
		return outcome{state: "dead", err: err}
	}
	d := h.Backoff(a.job.Attempt)
	log.Warn("work: attempt failed", "error", err, "again_in", d)
	return outcome{state: "due", due: time.Now().Add(d), counted: true, err: err}
}

// bury calls Dead before the death is recorded, so that it is called at least
// once. It gets time of its own, also while the queue shuts down.
func (q *Queue) bury(ctx context.Context, j Job, h Handler, err error, log *slog.Logger) {
	if h.Dead == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			log.Error("work: panic while a job was given up", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	var final stop
	if errors.As(err, &final) {
		err = final.error
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	h.Dead(ctx, j, err)
}

// record stores the outcome, and waits for a database that does not answer
// unless the queue shuts down: then the lease or the next start frees the job.
func (q *Queue) record(ctx context.Context, a *attempt, o outcome) {
	away := outage{log: q.log, what: "record the outcome of job " + a.job.Kind + " " + a.job.Key}
	for {
		one, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		err := q.finish(one, a, o)
		cancel()
		away.is(err)
		if err == nil || !pause(ctx, time.Second) {
			return
		}
	}
}

// keep renews the leases of running jobs, stops those that were lost, and takes
// over those of silent machines.
func (q *Queue) keep(ctx context.Context) {
	away := outage{log: q.log, what: "renew leases"}
	for pause(ctx, q.o.Lease/3) {
		q.mu.Lock()
		mine := make([]string, 0, len(q.running))
		for c := range q.running {
			mine = append(mine, c)
		}
		q.mu.Unlock()
		one, cancel := context.WithTimeout(ctx, q.o.Lease)
		err := q.keepOnce(one, mine)
		cancel()
		if ctx.Err() == nil {
			away.is(err)
		}
	}
}

func (q *Queue) keepOnce(ctx context.Context, mine []string) error {
	if len(mine) > 0 {
		kept, err := q.renew(ctx, mine)
		if err != nil {
			return err // and take nothing: our own leases may have passed
		}
		q.mu.Lock()
		for _, c := range mine {
			if a := q.running[c]; a != nil && !kept[c] {
				a.stop(errLost) // or it has just finished
			}
		}
		q.mu.Unlock()
	}
	n, err := q.take(ctx, "lease < $2", now())
	if n > 0 {
		q.log.Warn("work: took over jobs whose machine is silent", "jobs", n)
		q.Wake()
	}
	return err
}

// An outage is reported when it begins and when it ends, not each second.
type outage struct {
	log  *slog.Logger
	what string
	on   bool
}

func (o *outage) is(err error) {
	if on := err != nil; on != o.on {
		o.on = on
		if on {
			o.log.Error("work: cannot "+o.what+", trying again each second", "error", err)
		} else {
			o.log.Info("work: can " + o.what + " again")
		}
	}
}

// pause returns true after d, false when ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
