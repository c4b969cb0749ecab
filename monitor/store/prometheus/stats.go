package prometheus

import (
	"sync/atomic"
	"time"
)

// Stats is the state of the driver in numbers; counters count since Open.
type Stats struct {
	Points   uint64            // accepted, counter
	Sent     uint64            // taken by the cluster, counter
	Dropped  map[string]uint64 // counters by reason: nan, old, future, name, rejected (by the cluster)
	Refused  uint64            // points turned away with an error, counter
	Retries  uint64            // requests that the cluster did not take at once, counter
	Waiting  int64             // bytes in the spool
	Damaged  uint64            // places in the spool that had to be left out, counter
	LastSent time.Time
	Failure  string // why points are refused, or the cluster takes none
}

// Stats reads the numbers.
func (s *Store) Stats() Stats {
	st := Stats{
		Points: s.points.Load(), Sent: s.sent.Load(), Dropped: map[string]uint64{}, Refused: s.refused.Load(),
		Retries: s.tries.Load(), Waiting: s.spool.Waiting(), Damaged: s.spool.Damaged(),
	}
	for i, name := range dropNames {
		st.Dropped[name] = s.dropped[i].Load()
	}
	if at := s.lastSent.Load(); at > 0 {
		st.LastSent = time.UnixMicro(at)
	}
	if err := s.refuse(); err != nil {
		st.Failure = err.Error()
	} else if text := s.failure.Load(); text != nil {
		st.Failure = *text
	}
	return st
}

// Reasons why a point is left out.
const (
	dropNaN = iota
	dropOld
	dropFuture
	dropName
	dropRejected
	dropReasons

	fits = -1
)

var dropNames = [...]string{dropNaN: "nan", dropOld: "old", dropFuture: "future", dropName: "name", dropRejected: "rejected"}

type counters struct {
	points, sent, refused, tries atomic.Uint64

	dropped [dropReasons]atomic.Uint64
	told    [dropReasons]atomic.Int64 // when the log was told, seconds
}

// drop counts and, once a minute for each reason, tells the log a name, which
// leads to the sender.
func (s *Store) drop(reason, n int, name string, more ...any) {
	s.dropped[reason].Add(uint64(n))
	now, told := time.Now().Unix(), s.told[reason].Load()
	if now-told >= 60 && s.told[reason].CompareAndSwap(told, now) {
		s.log.Warn("points left out", append([]any{"reason", dropNames[reason], "for_example", name[:min(len(name), 200)], "total", s.dropped[reason].Load()}, more...)...)
	}
}
