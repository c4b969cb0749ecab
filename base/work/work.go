// Package work runs durable jobs. A job is added in the transaction of the
// change that needs it, so it exists exactly if the change does; it survives
// restarts, is retried with growing pauses, and is given up loudly.
//
// A job may run more than once: its handler can die after the effect and before
// the record of it. Handlers must be idempotent.
package work

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"steer/base/database"
)

// Item is what a caller wants done.
type Item struct {
	Kind string    // names the handler: "deploy.step"
	Key  string    // "" or what the job is about: at most one unfinished job per Kind and Key
	Body any       // what the handler needs, stored as JSON; at most 256 KiB
	At   time.Time // not before this time; zero is now
}

// Job is what a handler gets.
type Job struct {
	Kind    string
	Key     string
	Body    json.RawMessage
	Attempt int // 1 is the first
}

// Decode reads the body into the value that into points at.
func (j Job) Decode(into any) error {
	if err := json.Unmarshal(j.Body, into); err != nil {
		return Stop(fmt.Errorf("decode body of job %s %s: %w", j.Kind, j.Key, err))
	}
	return nil
}

// Handler says how to run the jobs of one kind.
type Handler struct {
	MaxAttempts int                             // then it is given up; default 10
	Timeout     time.Duration                   // of one attempt; 0 is none
	Backoff     func(attempt int) time.Duration // pause after a failed attempt; default 1 s, doubling up to 5 min, with jitter

	// Do runs the job. Its context ends when the queue shuts down; the job is
	// then due again and the attempt is not counted.
	Do func(ctx context.Context, j Job) error
	// Dead is called when the job is given up, with the last error.
	Dead func(ctx context.Context, j Job, err error)
}

// Options are what a queue needs.
type Options struct {
	DB       *database.DB
	Workers  int    // jobs that run at the same time; default 8
	Instance string // stable name of this installation, unique among those that share DB
	Log      *slog.Logger
}

// Queue runs the jobs of a database. It is safe for concurrent use.
type Queue struct {
	handlers map[string]Handler
}

// New makes the queue's table where it is missing.
func New(ctx context.Context, o Options) (*Queue, error) {
	return &Queue{handlers: map[string]Handler{}}, nil
}

// Handle sets the handler of a kind, before Run. It panics if the kind has one.
func (q *Queue) Handle(kind string, h Handler) {
	if _, ok := q.handlers[kind]; ok {
		panic("BUG: two handlers for jobs of kind " + kind)
	}
	q.handlers[kind] = h
}

// Add adds a job in the caller's transaction.
func (q *Queue) Add(ctx context.Context, tx *sql.Tx, n Item) error {
	return errors.New("not built yet")
}

// Run runs jobs until ctx ends.
func (q *Queue) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

type snooze struct{ d time.Duration }

func (s snooze) Error() string { return fmt.Sprintf("run again in %s", s.d) }

// Snooze, returned by Do, runs the job again after d; the attempt is not counted.
func Snooze(d time.Duration) error { return snooze{d} }

type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// Stop, returned by Do, gives the job up with err at once.
func Stop(err error) error { return stop{err} }
