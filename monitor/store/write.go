package store

import (
	"bytes"
	"context"
	"math"
	"slices"
	"time"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store/internal/wal"
)

const (
	longestName = 4096
	// A node of the tree of names takes much more memory than its dot.
	mostNodes = 256
	// A point may be this far ahead of the store's clock.
	ahead = 24 * 3600
	// Series get no id above it: the last ones are for those that come at once. With
	// ten new series a second it is reached after thirteen years.
	lastID = math.MaxUint32 - 1<<20
	// A shard's buffer of this size is written before the next sync is due.
	enough = 64 << 10
)

// Write stores points, as Driver says, of a sender without a name.
func (s *Store) Write(ctx context.Context, points []metric.Point) error {
	return s.WriteFrom(ctx, "", points)
}

// WriteFrom is Write for points of a sender, that messages call from. Config.NewSeries
// holds for each of them.
func (s *Store) WriteFrom(ctx context.Context, from string, points []metric.Point) error {
	if s.memoryFull() {
		if err := s.waitForFlush(ctx); err != nil {
			s.counters.refused.Add(uint64(len(points)))
			return err
		}
	}
	if err := s.enterGate(); err != nil {
		return err
	}
	defer s.gate.RUnlock()
	if err := s.refuse(); err != nil {
		s.counters.refused.Add(uint64(len(points)))
		return err
	}
	b := s.batches.Get().(*batch)
	b.from = from
	stored := s.store(b, points, s.now().Unix())
	s.batches.Put(b)
	return s.accept(stored)
}

// accept counts what was stored and brings it to disk if the time has come.
func (s *Store) accept(stored int) error {
	s.counters.points.Add(uint64(stored))
	if s.maintain.bytes.Load() > s.enoughMemory() {
		s.maintain.hurry()
	}
	ticket := s.tickets.Add(1)
	j := s.journal
	switch {
	case s.interval == 0:
		j.mu.Lock()
		defer j.mu.Unlock()
		if j.committed.Load() >= ticket {
			return nil // somebody else's sync took it along
		}
		if err := j.err(); err != nil && time.Since(j.failedAt) < retry {
			return err
		}
		return j.commit(s.shards[:], &s.tickets, true)
	case s.full.Swap(false):
		// Whoever waits here is a sender that is faster than the disk.
		j.mu.Lock()
		defer j.mu.Unlock()
		return j.commit(s.shards[:], &s.tickets, false)
	}
	return nil
}

// refuse says why no points can be taken now.
func (s *Store) refuse() error {
	if err := s.journal.err(); err != nil {
		// Only a try shows that the disk is well again. Run makes one every
		// second; under sync: always a sender's own write may be it.
		if s.interval > 0 || time.Since(s.failedAt()) < retry {
			return err
		}
	}
	if s.memoryFull() && (!s.maintain.running.Load() || s.maintain.failing.Load()) {
		return fault.New(fault.Unavailable, "store points: memory is full of points that cannot be written to block files (see the log for the reason)")
	}
	return nil
}

func (s *Store) failedAt() time.Time {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.failedAt
}

// batch is memory for one Write.
type batch struct {
	from  string
	keys  []key
	order []int32   // places in the batch, by shard and in order of writing
	found []*series // of the points of one shard, nil: not known
}

// sort orders points by their shards, whose parts end at ends.
func (b *batch) sort(seeds *seeds, points []metric.Point) (ends [1 << shardBits]int) {
	b.keys = slices.Grow(b.keys[:0], len(points))[:len(points)]
	b.order = slices.Grow(b.order[:0], len(points))[:len(points)]
	for i := range points {
		b.keys[i] = seeds.key(points[i].Name)
		ends[b.keys[i].shard()]++
	}
	sum := 0
	for i, n := range ends { // first where they start
		ends[i] = sum
		sum += n
	}
	for i, k := range b.keys {
		at := &ends[k.shard()]
		b.order[*at] = int32(i)
		*at++
	}
	return ends
}

// store puts points into memory and into the log buffers of their shards, and says
// how many. The points of one shard are found before the first of them is stored:
// the processor then waits for memory once and not for each of them in turn.
func (s *Store) store(b *batch, points []metric.Point, now int64) (stored int) {
	ends := b.sort(&s.seeds, points)
	at := 0
	for i := range s.shards {
		order := b.order[at:ends[i]]
		if len(order) == 0 {
			continue
		}
		at = ends[i]
		sh := &s.shards[i]
		sh.mu.Lock()
		b.found = b.found[:0]
		for _, n := range order {
			b.found = append(b.found, sh.series.get(b.keys[n]))
		}
		before := sh.pages.inUse
		for k, n := range order {
			if s.storeOne(sh, b.found[k], b.keys[n], b.from, &points[n], now) {
				stored++
			}
		}
		if sh.pages.inUse != before {
			s.maintain.bytes.Add((sh.pages.inUse - before) * pageSize)
		}
		if len(sh.buf) > enough {
			s.full.Store(true)
		}
		sh.mu.Unlock()
	}
	clear(b.found[:cap(b.found)])
	return stored
}

func (s *Store) storeOne(sh *shard, ser *series, key key, from string, p *metric.Point, now int64) bool {
	if p.Value != p.Value {
		s.counters.drop(dropNaN, from, p.Name, s.log)
		return false
	}
	if p.Time > now+ahead {
		s.counters.drop(dropFuture, from, p.Name, s.log)
		return false
	}
	if ser == nil {
		if ser = sh.series.get(key); ser == nil { // unless it came earlier in the batch
			if ser = s.create(sh, key, from, p, now); ser == nil {
				return false
			}
		}
	}
	k, slot, ok := ser.plan.place(p.Time, now)
	if !ok {
		s.counters.drop(dropOld, from, p.Name, s.log)
		return false
	}
	sh.put(ser, k, slot, p.Value)
	sh.log(ser.id, now, p.Time, p.Value)
	return true
}

// create makes a new series for its first point, or counts why not.
func (s *Store) create(sh *shard, k key, from string, p *metric.Point, now int64) *series {
	if len(p.Name) > longestName || !proper(p.Name) {
		s.counters.drop(dropName, from, p.Name, s.log)
		return nil
	}
	plan, reason, say := s.admit(from, p, now)
	switch {
	case plan == nil && reason == dropLimit:
		s.counters.count(dropLimit, from, p.Name, s.log, say)
		return nil
	case plan == nil:
		s.counters.drop(reason, from, p.Name, s.log)
		return nil
	}
	ser := s.enter(sh, k, s.lastID.Add(1), p.Name, plan)
	sh.fresh = append(sh.fresh, ser)
	sh.buf = wal.AppendSeries(sh.buf, ser.id, ser.name)
	s.counters.created.Add(1)
	return ser
}

// proper says whether every node of a name has a letter and none a control
// character or space, and whether they are not too many: those come from garbled
// lines, and nobody finds them.
func proper(name []byte) bool {
	path, _, _ := bytes.Cut(name, []byte{';'})
	if len(path) == 0 || path[0] == '.' || path[len(path)-1] == '.' || bytes.Contains(path, []byte("..")) || bytes.Count(path, []byte{'.'}) >= mostNodes {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
