package prometheus

import (
	"context"
	"time"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
	"steer/monitor/store/prometheus/internal/spool"
)

// Write puts points into the spool, as store.Driver says.
func (s *Store) Write(_ context.Context, points []metric.Point) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.gate.RUnlock()
	if err := s.refuse(); err != nil {
		s.refused.Add(uint64(len(points)))
		return err
	}
	now := s.now().Unix()
	kept := 0
	s.mu.Lock()
	for i := range points {
		p := &points[i]
		if why := s.misfit(p, now); why != fits {
			s.drop(why, 1, string(p.Name))
			continue
		}
		kept++
		if s.open.add(p); len(s.open.raw) > enough {
			s.full = append(s.full, s.open)
			s.open = batch{raw: make([]byte, 0, enough+enough/8)}
		}
	}
	s.tickets++
	ticket, wide := s.tickets, len(s.full) > 0
	s.mu.Unlock()
	s.points.Add(uint64(kept))
	switch {
	case s.interval == 0:
		return s.commit(ticket, true)
	case wide:
		// Whoever waits here is a sender that is faster than the disk.
		return s.commit(ticket, false)
	}
	return nil
}

// refuse says why no points can be taken now.
func (s *Store) refuse() error {
	// Only a try shows that the disk is well again. Run makes one every second;
	// under sync: always a sender's own write may be it.
	if at, err := s.spool.Failing(); err != nil && (s.interval > 0 || time.Since(at) < spool.Retry) {
		return err
	}
	if n := s.spool.Waiting(); n >= s.most {
		why := "it is slower than the senders"
		if text := s.failure.Load(); text != nil {
			why = *text
		}
		return fault.New(fault.Unavailable, "store points: the spool for the metrics cluster is full with %d MiB: %s (bring the cluster back, or raise store.prometheus.spool_bytes)", n>>20, why)
	}
	return nil
}

// misfit says why a point cannot be kept.
func (s *Store) misfit(p *metric.Point, now int64) int {
	age := now - p.Time
	grids := s.grids.Load()
	switch {
	case p.Value != p.Value:
		return dropNaN
	case age < -s.ahead:
		return dropFuture
	case !store.Proper(p.Name), len(p.Name) > mostQuery/4 && len(toValue(string(p.Name))) > mostQuery:
		return dropName // the second could not be asked for
	case s.late > 0 && age > s.late, age >= grids.Longest(), age >= grids.Shortest() && age >= grids.Of(string(p.Name)).Keep:
		return dropOld
	}
	return fits
}

// commit brings what waits to the spool, with sync to the disk. A ticket above 0
// says up to which write that is needed.
func (s *Store) commit(ticket uint64, sync bool) error {
	s.committing.Lock()
	defer s.committing.Unlock()
	if ticket > 0 && ticket <= s.committed {
		return nil // somebody else's sync took it along
	}
	s.mu.Lock()
	ticket = s.tickets
	batches := s.full
	if len(s.open.raw) > 0 {
		batches = append(batches, s.open)
	}
	s.full, s.open = nil, batch{}
	s.mu.Unlock()
	for i := range batches {
		if err := s.spool.Put(batches[i].payload(&s.compressor)); err != nil {
			return err
		}
	}
	if err := s.spool.Flush(sync); err != nil {
		return err
	}
	if sync {
		s.committed = ticket
	}
	return nil
}
