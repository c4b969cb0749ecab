package journal

import (
	"context"
	"log/slog"
	"time"

	"steer/base/event"
)

const (
	pollEvery = 50 * time.Millisecond
	batch     = 100 // events read at once, at most 25 MiB of Data
)

// Subscribe calls f for every event after Seq after, in order and one at a time,
// until ctx ends (it then returns nil) or f returns an error (it then returns
// that error). It sees a committed event within 100 ms, also one of another
// process on the same database. While the database does not answer it waits and
// tries again.
//
// Each subscriber reads the table from its own position, so a slow one delays
// nobody and nothing is buffered for it. What tells them that there is news is
// one poller for all, which runs while there are subscribers.
func (j *Journal) Subscribe(ctx context.Context, after int64, f func(event.Event) error) error {
	j.join()
	defer j.leave()
	for {
		events, err := j.Read(ctx, Query{After: after, Limit: batch})
		if err != nil {
			if !pause(ctx, time.Second) {
				return nil
			}
			continue // the poller reports that the database is away
		}
		for _, e := range events {
			if ctx.Err() != nil {
				return nil
			}
			if err := f(e); err != nil {
				return err
			}
			after = e.Seq
		}
		if len(events) < batch && !j.wait(ctx, after) {
			return nil
		}
	}
}

// wait returns true when there is an event after Seq after, false when ctx ends.
func (j *Journal) wait(ctx context.Context, after int64) bool {
	for {
		j.mu.Lock()
		newest, changed := j.newest, j.changed
		j.mu.Unlock()
		if newest > after {
			return ctx.Err() == nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// advance tells all subscribers that there are events up to Seq to.
func (j *Journal) advance(to int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if to > j.newest {
		j.newest = to
		close(j.changed)
		j.changed = make(chan struct{})
	}
}

// join counts a subscriber and starts the poller for the first one.
func (j *Journal) join() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.subscribers++; j.subscribers == 1 {
		ctx, stop := context.WithCancel(context.Background())
		j.stop = stop
		go j.poll(ctx)
	}
}

func (j *Journal) leave() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.subscribers--; j.subscribers == 0 {
		j.stop()
	}
}

// poll looks for the newest number until ctx ends. Asking is one look-up by
// primary key, which costs less than a channel of notifications that would have
// to be watched, repaired and polled beside it anyway.
func (j *Journal) poll(ctx context.Context) {
	away := false
	for pause(ctx, pollEvery) {
		n, err := j.Last(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !away:
			slog.Warn("journal: subscribers wait for the database", "error", err)
			away = true
		case err == nil && away:
			slog.Info("journal: the database answers again")
			away = false
		}
		if err == nil {
			j.advance(n)
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
