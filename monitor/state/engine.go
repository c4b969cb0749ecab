package state

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/metric"
	"steer/catalog"
)

//go:embed migrations
var migrations embed.FS

const source = "/steer/state"

// Query returns the series of a Graphite target with points in (from, until].
type Query func(ctx context.Context, target string, from, until time.Time) ([]metric.Series, error)

// Options are what an engine needs.
type Options struct {
	Config
	DB      *database.DB
	Journal *journal.Journal
	Query   Query
	Checks  func() []catalog.Check // what is to be watched now; asked before each round

	// Changes returns what changed before a time, newest first: deploys and
	// definitions. An empty environment is all of them. May be nil.
	Changes func(ctx context.Context, service id.Service, environment id.Environment, before time.Time) ([]event.Event, error)
	// Watch is how long after a deploy an incident is blamed on it; nil: 10 minutes.
	Watch func(environment id.Environment) time.Duration
	// Intake counts the points that the store has taken; nil: total blindness is
	// not looked for.
	Intake func() (points int64)

	// Opened and Closed act on an incident in the transaction that opens or
	// resolves it: notifications, rollback. They must not call the engine and do
	// no other I/O. An error undoes the transaction, and the engine tries again at
	// the next reading; so what is refused for a reason that lasts, like a
	// rollback while a deploy runs, must be no error here, or nobody ever hears of
	// the incident.
	Opened func(ctx context.Context, tx *sql.Tx, i Incident) error
	Closed func(ctx context.Context, tx *sql.Tx, i Incident) error

	Log *slog.Logger
	Now func() time.Time
}

// Engine compares checks with their bounds. It is safe for concurrent use. One
// engine runs on a database at a time.
type Engine struct {
	o       Options
	db      *database.DB
	journal *journal.Journal
	log     *slog.Logger
	now     func() time.Time

	mu     sync.Mutex
	checks map[string]*tracked // by key

	// Of the gate, under mu; see gate.go.
	blind   int64     // number of the incident about total blindness; 0: none
	mark    int64     // points taken in until it was opened
	ignored bool      // a person resolved it while nothing arrived
	seeing  time.Time // when measurements arrived again

	overload bool // of Run: it said that rounds take too long
}

// New makes the tables where they are missing and reads the states that the last
// process left.
func New(ctx context.Context, o Options) (*Engine, error) {
	if o.DB == nil || o.Journal == nil || o.Query == nil || o.Checks == nil {
		return nil, fault.New(fault.Invalid, "make state engine: DB, Journal, Query and Checks are required")
	}
	o.Interval = cmp.Or(o.Interval, usualInterval)
	o.Timeout = cmp.Or(o.Timeout, usualTimeout)
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	if err := o.DB.Migrate(ctx, "state", migrations); err != nil {
		return nil, err
	}
	e := &Engine{o: o, db: o.DB, journal: o.Journal, log: cmp.Or(o.Log, slog.Default()), now: o.Now, checks: map[string]*tracked{}}
	if e.now == nil {
		e.now = time.Now
	}
	if err := e.load(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *Engine) opened(ctx context.Context, tx *sql.Tx, i Incident) error {
	if e.o.Opened == nil {
		return nil
	}
	return e.o.Opened(ctx, tx, i)
}

func (e *Engine) closed(ctx context.Context, tx *sql.Tx, i Incident) error {
	if e.o.Closed == nil {
		return nil
	}
	return e.o.Closed(ctx, tx, i)
}

func (e *Engine) lookup(key string) *tracked {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.checks[key]
}

// all returns the tracked checks by key.
func (e *Engine) all() []*tracked {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*tracked, 0, len(e.checks))
	for _, t := range e.checks {
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b *tracked) int { return strings.Compare(a.key, b.key) })
	return list
}

// Run compares until ctx ends. In each interval every check has its turn, spread
// evenly, so that many checks make a steady load and not a burst.
func (e *Engine) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, atOnce)
	for ctx.Err() == nil {
		start := time.Now()
		e.reconcile(ctx)
		list := slices.DeleteFunc(e.all(), func(t *tracked) bool { return !t.ready() })
		for n, t := range list {
			turn := start.Add(e.o.Interval.Std() * time.Duration(n) / time.Duration(len(list)))
			if !pause(ctx, time.Until(turn)) {
				return nil
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			if !t.take() {
				<-slots
				continue // its last query still runs
			}
			running.Go(func() {
				defer func() { t.release(); <-slots }()
				e.evaluate(ctx, t)
			})
		}
		e.watchBlindness(ctx)
		late := time.Since(start) > 2*e.o.Interval.Std()
		if late && !e.overload {
			e.log.Warn("checks are compared less often than configured, since their queries take long", "interval", e.o.Interval, "round", time.Since(start), "checks", len(list))
		}
		e.overload = late
		if !pause(ctx, e.o.Interval.Std()-time.Since(start)) {
			return nil
		}
	}
	return nil
}

// pause returns true after d, false when ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
