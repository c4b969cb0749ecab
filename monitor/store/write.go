package store

import (
	"bytes"
	"context"
	"time"

	"github.com/cespare/xxhash/v2"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store/internal/wal"
)

const (
	longestName = 4096
	// A point may be this far ahead of the store's clock.
	ahead = 24 * 3600
	// A shard's buffer of this size is written before the next sync is due.
	enough = 64 << 10
)

// Write stores points, as Driver says.
func (s *Store) Write(ctx context.Context, points []metric.Point) error {
	if err := s.enterGate(); err != nil {
		return err
	}
	defer s.gate.RUnlock()
	if err := s.refuse(); err != nil {
		s.counters.refused.Add(uint64(len(points)))
		return err
	}
	now := s.now().Unix()
	stored := 0
	for i := range points {
		if s.store(&points[i], now) {
			stored++
		}
	}
	return s.accept(stored)
}

// accept counts what was stored and brings it to disk if the time has come.
func (s *Store) accept(stored int) error {
	s.counters.points.Add(uint64(stored))
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
	if s.maintain.chunks.Load() > 4*s.limit.chunks {
		return fault.New(fault.Unavailable, "store points: memory is full of points that cannot be written to block files (see the log for the reason)")
	}
	return nil
}

func (s *Store) failedAt() time.Time {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.failedAt
}

// store puts one point into memory and into its shard's log buffer.
func (s *Store) store(p *metric.Point, now int64) bool {
	if p.Value != p.Value {
		s.counters.drop(dropNaN, p.Name, s.log)
		return false
	}
	if p.Time > now+ahead {
		s.counters.drop(dropFuture, p.Name, s.log)
		return false
	}
	hash := xxhash.Sum64(p.Name)
	sh := s.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ser := sh.find(hash, p.Name)
	if ser == nil {
		if ser = s.create(sh, hash, p, now); ser == nil {
			return false
		}
	}
	k, slot, ok := ser.plan.place(p.Time, now)
	if !ok {
		s.counters.drop(dropOld, p.Name, s.log)
		return false
	}
	before := sh.chunks
	ser.put(sh, k, slot, p.Value)
	if sh.chunks != before {
		s.maintain.chunks.Add(sh.chunks - before)
	}
	sh.log(ser.id, now, p.Time, p.Value)
	if len(sh.buf) > enough {
		s.full.Store(true)
	}
	return true
}

// create makes a new series for its first point, or counts why not.
func (s *Store) create(sh *shard, hash uint64, p *metric.Point, now int64) *series {
	if len(p.Name) > longestName || !proper(p.Name) {
		s.counters.drop(dropName, p.Name, s.log)
		return nil
	}
	if s.count.Load() >= s.maxSeries {
		s.counters.drop(dropLimit, p.Name, s.log)
		return nil
	}
	name := string(p.Name)
	plan := s.plan(name)
	if _, _, ok := plan.place(p.Time, now); !ok {
		s.counters.drop(dropOld, p.Name, s.log)
		return nil
	}
	ser := s.enter(sh, hash, s.lastID.Add(1), name, plan)
	sh.fresh = append(sh.fresh, ser)
	sh.buf = wal.AppendSeries(sh.buf, ser.id, ser.name)
	s.counters.born(s.now())
	return ser
}

// proper says whether every node of a name has a letter and none a control
// character or space: those come from garbled lines, and nobody finds them.
func proper(name []byte) bool {
	path, _, _ := bytes.Cut(name, []byte{';'})
	if len(path) == 0 || path[0] == '.' || path[len(path)-1] == '.' || bytes.Contains(path, []byte("..")) {
		return false
	}
	for _, c := range name {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}
