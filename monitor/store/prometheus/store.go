package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/fault"
	"steer/monitor/store"
	"steer/monitor/store/prometheus/internal/spool"
)

// Store is a store.Driver on a cluster.
type Store struct {
	client   *client
	spool    *spool.Spool
	log      *slog.Logger
	now      func() time.Time
	metric   string
	interval time.Duration // between syncs, 0: always
	most     int64         // bytes in the spool
	backoff  backoff
	grace    time.Duration

	config      store.Config
	grids       atomic.Pointer[store.Grids]
	late, ahead int64 // seconds, late may be 0

	gate    sync.RWMutex // held for reading by whoever works, for writing by Close
	closed  bool
	quit    context.CancelFunc // ends what Run started
	quitted context.Context
	running sync.WaitGroup

	mu      sync.Mutex // guards what waits for the spool
	open    batch
	full    []batch
	tickets uint64 // writes whose points are in open or full, or were

	committing sync.Mutex
	committed  uint64 // tickets up to this one are in the spool, on disk
	compressor compressor

	counters
	failure  atomic.Pointer[string] // why the cluster takes nothing
	lastSent atomic.Int64           // microseconds since 1970
}

var _ store.Driver = (*Store)(nil)

// Open opens the spool and checks the configuration; it does not need the
// cluster. fault.Conflict: another process has the spool open; fault.Invalid: the
// configuration or a file of schemas is wrong.
//
// Run has to work for points to reach the cluster; without it, Sync and Close
// bring them to the spool.
func Open(o Options) (*Store, error) {
	if err := o.Config.Check(); err != nil {
		return nil, fmt.Errorf("open metric store: store.prometheus.%w", err)
	}
	s := &Store{
		config: o.Store, log: cmp.Or(o.Log, slog.Default()), now: o.Now, metric: cmp.Or(o.Metric, "graphite"),
		most: cmp.Or(o.SpoolBytes, 1<<30), backoff: o.backoff, grace: cmp.Or(o.grace, 5*time.Second),
		late: int64(o.Late.Std() / time.Second), ahead: int64(cmp.Or(o.Ahead.Std(), 10*time.Minute) / time.Second),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.backoff == (backoff{}) {
		s.backoff = backoff{100 * time.Millisecond, 30 * time.Second}
	}
	var err error
	if s.interval, err = o.Store.Interval(); err != nil {
		return nil, fmt.Errorf("open metric store: %w", err)
	}
	if err := s.Apply(o.Rules); err != nil {
		return nil, err
	}
	if s.client, err = newClient(o); err != nil {
		return nil, err
	}
	if s.spool, err = spool.Open(spool.Options{Dir: o.Dir, Log: s.log}); err != nil {
		return nil, err
	}
	s.quitted, s.quit = context.WithCancel(context.Background())
	if n := s.spool.Waiting(); n > 0 {
		s.log.Info("points of the last run wait in the spool for the metrics cluster", "bytes", n)
	}
	return s, nil
}

// Apply puts other rules in force; they stand before the files of the
// configuration. Points in the cluster stay where they are and are read on the new
// grid.
func (s *Store) Apply(r store.Rules) error {
	grids, err := store.NewGrids(s.config, r)
	if err == nil {
		s.grids.Store(grids)
	}
	return err
}

// Traits declares what a cluster does not promise; see docs/decisions/0011.
func (s *Store) Traits() store.Traits {
	return store.Traits{Late: s.late, Ahead: s.ahead, Lag: lag}
}

// lag is how long a new series may take to be found: VictoriaMetrics makes what
// came searchable every few seconds and remembers for ten that a search found
// nothing.
const lag = 30 * time.Second

// Run syncs and sends until ctx ends, then syncs once more.
func (s *Store) Run(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	s.running.Add(1)
	s.gate.RUnlock()
	defer s.running.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.quitted, cancel)()

	var sender sync.WaitGroup
	sender.Go(func() { s.deliver(ctx) })
	t := time.NewTicker(cmp.Or(s.interval, spool.Retry))
	defer t.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-t.C:
			s.commit(0, true) //nolint:errcheck // Write and Sync tell
		}
	}
	sender.Wait()
	if s.quitted.Err() != nil {
		return nil // Close syncs
	}
	return s.commit(0, true)
}

// enter keeps Close out until gate.RUnlock.
func (s *Store) enter() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return fault.New(fault.Unavailable, "metric store is closed")
	}
	return nil
}

// Sync returns when everything accepted before is in the spool, on disk.
func (s *Store) Sync(context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.gate.RUnlock()
	return s.commit(0, true)
}

// Close ends Run, syncs, and lets go of the spool. What is in it is sent after
// the next start.
func (s *Store) Close() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.quit()
	s.running.Wait()
	err := s.commit(0, true)
	if e := s.spool.Close(); err == nil {
		err = e
	}
	s.client.http.CloseIdleConnections()
	if err != nil {
		return fmt.Errorf("close metric store: %w", err)
	}
	return nil
}
