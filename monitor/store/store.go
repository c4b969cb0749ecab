package store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"steer/base/fault"
	"steer/monitor/store/internal/block"
	"steer/monitor/store/internal/index"
)

const shardBits = 6

// Store is Steer's own metric store, a Driver on local disk.
type Store struct {
	dir       string
	disk      disk
	log       *slog.Logger
	now       func() time.Time
	interval  time.Duration // between syncs, 0: always
	flushEach time.Duration
	maxSeries int64
	newSeries int64 // of one sender in an hour
	limit     limits
	lock      *os.File

	gate   sync.RWMutex // held for reading by whoever works, for writing by Close
	closed bool

	seeds   seeds
	shards  [1 << shardBits]shard
	batches sync.Pool
	readers sync.Pool     // of *reader
	tickets atomic.Uint64 // writes whose records stand in the shards' buffers
	full    atomic.Bool   // a buffer wants to be written
	count   atomic.Int64  // series
	lastID  atomic.Uint32
	index   index.Index
	journal *journal
	blocks  *blockSet

	applying sync.Mutex // one change of the rules at a time; guards the next three
	config   Config
	rules    Rules      // that Apply gave
	tried    Rules      // together with the files of config, at the last try
	plans    sync.Mutex // guards planner
	planner  *planner

	maintain flusher
	counters counters
	births   births
	counting chan struct{} // holds one value while somebody counts, see Usage
}

var _ Driver = (*Store)(nil)

// Open opens the store in o.Dir, making it if needed, and repairs what an
// interrupted write left behind. fault.Conflict: another process has it open;
// fault.Invalid: the configuration or a file of schemas is wrong.
//
// Run has to work for points to reach the disk in time; without it, Sync and
// Close bring them there.
func Open(o Options) (_ *Store, err error) {
	interval, err := o.interval()
	if err != nil {
		return nil, fmt.Errorf("open metric store: %w", err)
	}
	rules, err := o.rules(o.Rules)
	if err != nil {
		return nil, err
	}
	planner, err := newPlanner(rules)
	if err != nil {
		return nil, err
	}
	s := &Store{
		dir: o.Dir, disk: o.disk, log: cmp.Or(o.Log, slog.Default()), now: o.Now, interval: interval,
		flushEach: cmp.Or(o.Flush.Std(), 10*time.Minute), maxSeries: int64(cmp.Or(o.MaxSeries, 2_000_000)), newSeries: int64(cmp.Or(o.NewSeries, 1_000_000)),
		limit: o.limit.or(limits{segment: 64 << 20, log: 1 << 30, memory: 32 << 20, loose: 4096, forget: 6 * time.Hour}), counting: make(chan struct{}, 1),
		maintain: flusher{wake: make(chan struct{}, 1)},
		seeds:    newSeeds(), planner: planner, config: o.Config, rules: o.Rules, tried: rules,
	}
	s.batches.New = func() any { return new(batch) }
	if s.disk == nil {
		s.disk = osDisk{}
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.disk.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("open metric store: %w", err)
	}
	if s.lock, err = lock(o.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	for _, name := range []string{"names.tmp", "retentions.json.tmp"} {
		s.disk.Remove(filepath.Join(o.Dir, name)) //nolint:errcheck // it is there after interrupted work only
	}
	if s.blocks, err = openBlocks(s.disk, filepath.Join(o.Dir, "blocks"), s.log); err != nil {
		return nil, err
	}
	r := &recovery{s: s}
	s.maintain.gen = s.blocks.lastGen()
	if err := s.remember(planner, s.maintain.gen); err != nil {
		return nil, err
	}
	if s.maintain.names, err = openNames(s.disk, filepath.Join(o.Dir, "names"), s.log, r); err != nil {
		return nil, err
	}
	r.log = true
	if s.journal, err = openJournal(s.disk, filepath.Join(o.Dir, "wal"), s.limit.segment, s.log, r); err != nil {
		return nil, err
	}
	s.lastID.Store(max(s.lastID.Load(), s.blocks.maxID()))
	if err := s.disk.SyncDir(o.Dir); err != nil {
		return nil, fmt.Errorf("open metric store: %w", err)
	}
	for i := range s.shards {
		s.maintain.bytes.Add(s.shards[i].pages.inUse * pageSize)
	}
	if r.points+r.unknown+r.expired > 0 {
		s.log.Info("points taken over from the write-ahead log", "points", r.points, "series", s.count.Load(), "unknown", r.unknown, "expired", r.expired)
	}
	s.maintain.last = s.now()
	s.maintain.forgot = s.maintain.last
	return s, nil
}

// recovery takes what the list of names and the log say when the store opens.
type recovery struct {
	s       *Store
	log     bool // the log is read, no longer the list of names
	byID    byID
	points  int
	unknown int // points of series whose name was lost
	expired int
}

func (r *recovery) Series(id uint32, name []byte) {
	s := r.s
	k := s.seeds.key(name)
	sh := &s.shards[k.shard()]
	ser := sh.series.get(k)
	if ser == nil {
		ser = s.enter(sh, k, id, name, s.plan(name))
		if r.log {
			sh.fresh = append(sh.fresh, ser)
		}
	} else if ser.id != id {
		// It was forgotten when it had no points any more, and came again.
		ser.id = id
		if r.log {
			sh.fresh = append(sh.fresh, ser)
		}
	}
	r.byID.set(id, ser)
	s.lastID.Store(max(s.lastID.Load(), id))
}

func (r *recovery) Point(id uint32, clock, t int64, v float64) {
	ser := r.byID.get(id)
	if ser == nil {
		s := r.s // nobody else must get this id as long as its points are in the log
		s.lastID.Store(max(s.lastID.Load(), id))
		r.unknown++
		return
	}
	k, slot, ok := ser.plan.place(t, clock)
	if !ok {
		r.expired++ // the schema was changed since
		return
	}
	r.s.shards[ser.key.shard()].put(ser, k, slot, v)
	r.points++
}

// byID finds series by their ids, of which most may be gone: it has memory for 64
// neighbours of each one.
type byID []*[64]*series

func (x *byID) set(id uint32, ser *series) {
	page := int(id / 64)
	if page >= len(*x) {
		*x = append(*x, make([]*[64]*series, page+1-len(*x)+page/2)...)
	}
	if (*x)[page] == nil {
		(*x)[page] = new([64]*series)
	}
	(*x)[page][id%64] = ser
}

func (x byID) get(id uint32) *series {
	if page := int(id / 64); page < len(x) && x[page] != nil {
		return x[page][id%64]
	}
	return nil
}

func (s *Store) plan(name []byte) *plan {
	s.plans.Lock()
	defer s.plans.Unlock()
	return s.planner.plan(unsafe.String(unsafe.SliceData(name), len(name))) // keeps no reference
}

// enter makes a series known.
func (s *Store) enter(sh *shard, k key, id uint32, name []byte, p *plan) *series {
	ser := sh.make()
	ser.id, ser.key, ser.name, ser.plan = id, k, sh.keep(name), p
	sh.series.add(ser)
	s.count.Add(1)
	s.index.Add(ser.name)
	return ser
}

// Run syncs and flushes until ctx ends, then syncs once more.
func (s *Store) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.each(ctx, cmp.Or(s.interval, retry), func() { s.tick() }) })
	wg.Go(func() { s.flushes(ctx) })
	wg.Go(func() { s.each(ctx, 10*time.Second, s.reload) })
	s.index.Grow()
	wg.Wait()
	return s.Sync(context.WithoutCancel(ctx))
}

// flushes flushes when it is time, and at once when memory grows fast.
func (s *Store) flushes(ctx context.Context) {
	m := &s.maintain
	m.running.Store(true)
	defer m.tell() // whoever waits for a flush finds that nobody will make one
	defer m.running.Store(false)
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		case <-m.wake:
		}
		s.flushIfDue()
	}
}

func (s *Store) each(ctx context.Context, d time.Duration, f func()) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f()
		}
	}
}

// tick commits; a failure shows in the log and in what Write returns.
func (s *Store) tick() {
	if s.enterGate() != nil {
		return
	}
	defer s.gate.RUnlock()
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	s.journal.commit(s.shards[:], &s.tickets, true) //nolint:errcheck
}

// enterGate keeps Close out until gate.RUnlock.
func (s *Store) enterGate() error {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return fault.New(fault.Unavailable, "metric store is closed")
	}
	return nil
}

// Sync returns when everything accepted before is on disk.
func (s *Store) Sync(ctx context.Context) error {
	if err := s.enterGate(); err != nil {
		return err
	}
	defer s.gate.RUnlock()
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.commit(s.shards[:], &s.tickets, true)
}

// Close syncs, moves what is in memory to block files so that the next start is
// quick, and lets go of the folder. When the disk does not take it all, the
// error says so and the log keeps what it has.
func (s *Store) Close() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.journal.mu.Lock()
	err := s.journal.commit(s.shards[:], &s.tickets, true)
	s.journal.mu.Unlock()
	if err == nil {
		err = s.flush()
	}
	s.release()
	if err != nil {
		return fmt.Errorf("close metric store: %w", err)
	}
	return nil
}

func (s *Store) release() {
	if s.journal != nil {
		s.journal.mu.Lock()
		s.journal.rotate()
		s.journal.mu.Unlock()
	}
	if s.blocks != nil {
		s.blocks.close()
	}
	s.lock.Close()
}

// missing is a column without values.
func missing(n int64) []float64 {
	values := make([]float64, n)
	block.Missing(values)
	return values
}
