// Package work runs durable jobs. A job is added in the transaction of the
// change that needs it, so it exists exactly if the change does; it survives
// restarts, is retried with growing pauses, and is given up loudly.
//
// A job may run more than once: its process can die after the effect and before
// the record of it. So handlers must be idempotent.
//
// A job that runs holds a lease in its row, which its process renews. A process
// that starts takes back at once what it ran when it died; what a machine ran
// that never comes back is taken over by the others when the leases have passed.
package work

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"steer/base/database"
	"steer/base/fault"
)

//go:embed migrations
var migrations embed.FS

const maxBody = 256 << 10 // bytes of JSON

// Item is what a caller wants done.
type Item struct {
	Kind string    // names the handler: "deploy.step"
	Key  string    // "" or what the job is about: at most one unfinished job per Kind and Key
	Body any       // what the handler needs, stored as JSON of at most 256 KiB
	At   time.Time // not before this time; zero is now
}

// Job is what a handler gets.
type Job struct {
	Kind    string
	Key     string
	Body    json.RawMessage
	Attempt int // 1 is the first
}

// Decode reads the body into the value that into points at. A body that does not
// fit will not fit next time either, so the error is a Stop.
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
	Limit       int                             // jobs of this kind at the same time here, so that long ones leave workers to others; 0 is no limit of its own
	Backoff     func(attempt int) time.Duration // pause after a failed attempt; default 1 s, doubling up to 5 min, with jitter

	// Do runs the job. Its context ends when the queue shuts down: whatever error
	// Do then returns, the job is due again after the restart and the attempt is
	// not counted. A panic is a failed attempt.
	Do func(ctx context.Context, j Job) error
	// Dead, if set, is called when the job is given up, with the last error. It
	// may be called again when the process dies in it.
	Dead func(ctx context.Context, j Job, err error)
}

// Options are what a queue needs.
type Options struct {
	DB       *database.DB
	Workers  int           // jobs that run at the same time; default 16
	Instance string        // stable name of this installation; no two processes that share DB may have the same
	Poll     time.Duration // how often to look for jobs that are due; default 50 ms
	Lease    time.Duration // how long a silent machine keeps its jobs, more than clocks may differ; default 30 s
	Log      *slog.Logger
}

// Queue runs the jobs of a database. It is safe for concurrent use.
type Queue struct {
	o        Options
	log      *slog.Logger
	handlers map[string]Handler
	wake     chan struct{}
	looks    map[string]*sql.Stmt // see look

	mu      sync.Mutex
	started bool
	running map[string]*attempt // by claim
	perKind map[string]int      // how many of running
}

// New makes the queue's table where it is missing.
func New(ctx context.Context, o Options) (*Queue, error) {
	if o.Instance == "" {
		return nil, fault.New(fault.Invalid, "open work queue: it has no instance name")
	}
	if err := o.DB.Migrate(ctx, "work", migrations); err != nil {
		return nil, err
	}
	o.Workers = cmp.Or(o.Workers, 16)
	o.Poll = cmp.Or(o.Poll, 50*time.Millisecond)
	o.Lease = cmp.Or(o.Lease, 30*time.Second)
	return &Queue{
		o: o, log: cmp.Or(o.Log, slog.Default()), handlers: map[string]Handler{}, wake: make(chan struct{}, 1), looks: map[string]*sql.Stmt{},
		running: map[string]*attempt{}, perKind: map[string]int{},
	}, nil
}

// Handle sets the handler of a kind, before Run. It panics if the kind has one.
func (q *Queue) Handle(kind string, h Handler) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, ok := q.handlers[kind]; ok || q.started || h.Do == nil {
		panic("BUG: handler for jobs of kind " + kind + ": there is one, or it has no Do, or the queue runs")
	}
	h.MaxAttempts = cmp.Or(h.MaxAttempts, 10)
	if h.Backoff == nil {
		h.Backoff = backoff
	}
	q.handlers[kind] = h
}

// backoff is 1 s after the first attempt, twice that after each further one, at
// most 5 min, and varies by a fifth so that jobs that failed together do not
// come back together.
func backoff(attempt int) time.Duration {
	d := 5 * time.Minute
	if attempt < 10 {
		d = min(d, time.Second<<(attempt-1))
	}
	return d - d/5 + rand.N(2*d/5)
}

// Wake makes the queue look for jobs now. Callers may use it after a commit
// that added one; otherwise Poll finds it.
func (q *Queue) Wake() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Add adds a job in the caller's transaction; it starts within Poll of the
// commit if a worker is free.
//
// While a job with the same Kind and Key (not "") is unfinished there is no
// second one, but no wish is lost either: the newest Body counts; if the job
// waits, it runs at the earlier of both times (but a pause after a failure
// stays); if it runs right now, it runs once more afterwards.
func (q *Queue) Add(ctx context.Context, tx *sql.Tx, n Item) error {
	q.mu.Lock()
	_, known := q.handlers[n.Kind]
	started := q.started
	q.mu.Unlock()
	if started && !known {
		return fmt.Errorf("add job %s %s: no handler for this kind", n.Kind, n.Key)
	}
	body, err := json.Marshal(n.Body)
	if err != nil {
		return fault.New(fault.Invalid, "add job %s %s: %w", n.Kind, n.Key, err)
	}
	if len(body) > maxBody {
		return fault.New(fault.Invalid, "add job %s %s: its body has %d bytes, at most %d are allowed", n.Kind, n.Key, len(body), maxBody)
	}
	return insert(ctx, tx, n, body)
}

type snooze struct{ d time.Duration }

func (s snooze) Error() string { return fmt.Sprintf("run again in %s", s.d) }

// Snooze, returned by Do, runs the job again after d; the attempt is not counted.
func Snooze(d time.Duration) error { return snooze{d} }

type stop struct{ error }

func (s stop) Unwrap() error { return s.error }

// Stop, returned by Do, gives the job up with err at once.
func Stop(err error) error {
	if err == nil {
		err = errors.New("stopped without a reason")
	}
	return stop{err}
}
