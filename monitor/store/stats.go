package store

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Stats is the state of the store in numbers; counters count since Open.
type Stats struct {
	Series     int64             `json:"series"`
	NewSeries  uint64            `json:"new_series"`      // counter
	NewPerMin  uint64            `json:"new_series_rate"` // in the last full minute
	Points     uint64            `json:"points"`          // stored, counter
	Dropped    map[string]uint64 `json:"dropped"`         // counters by reason: nan, old, future, limit, name
	Refused    uint64            `json:"refused"`         // points turned away with an error, counter
	Memory     int64             `json:"memory_bytes"`    // of values not yet in block files
	WALBytes   int64             `json:"wal_bytes"`
	Blocks     int               `json:"blocks"`
	BlockBytes int64             `json:"block_bytes"`
	Damaged    uint64            `json:"damaged"` // blocks set aside or with parts left out, counter
	Flushes    uint64            `json:"flushes"` // counter
	LastSync   time.Time         `json:"last_sync"`
	Failure    string            `json:"failure,omitempty"` // why points are refused now
}

// Stats reads the numbers.
func (s *Store) Stats() Stats {
	c := &s.counters
	st := Stats{
		Series: s.count.Load(), NewSeries: c.created.Load(), NewPerMin: c.rate(s.now()), Points: c.points.Load(),
		Dropped: map[string]uint64{}, Refused: c.refused.Load(), Memory: s.maintain.bytes.Load(),
		WALBytes: s.journal.bytes.Load(), Damaged: s.blocks.damaged.Load(), Flushes: c.flushes.Load(),
	}
	for i, name := range dropNames {
		st.Dropped[name] = c.dropped[i].Load()
	}
	st.Blocks, st.BlockBytes = s.blocks.size()
	if at := s.journal.lastSync.Load(); at > 0 {
		st.LastSync = time.UnixMicro(at)
	}
	if err := s.refuse(); err != nil {
		st.Failure = err.Error()
	}
	return st
}

// Reasons why a point is left out.
const (
	dropNaN = iota
	dropOld
	dropFuture
	dropLimit
	dropName
	dropReasons
)

var dropNames = [...]string{dropNaN: "nan", dropOld: "old", dropFuture: "future", dropLimit: "limit", dropName: "name"}

type counters struct {
	points, refused, created, flushes atomic.Uint64

	dropped [dropReasons]atomic.Uint64
	told    [dropReasons]atomic.Int64 // when the log was told, seconds

	minute struct {
		sync.Mutex
		number    int64 // minutes since 1970
		now, last uint64
	}
}

// drop counts and, once a minute for each reason, tells the log a name, which
// leads to the sender.
func (c *counters) drop(reason int, name []byte, log *slog.Logger) {
	c.dropped[reason].Add(1)
	now, told := time.Now().Unix(), c.told[reason].Load()
	if now-told >= 60 && c.told[reason].CompareAndSwap(told, now) {
		log.Warn("points left out", "reason", dropNames[reason], "for_example", string(name[:min(len(name), 200)]), "total", c.dropped[reason].Load())
	}
}

func (c *counters) born(now time.Time) {
	c.created.Add(1)
	c.minute.Lock()
	defer c.minute.Unlock()
	c.turn(now)
	c.minute.now++
}

func (c *counters) turn(now time.Time) {
	m := now.Unix() / 60
	switch m - c.minute.number {
	case 0:
		return
	case 1:
		c.minute.last = c.minute.now
	default:
		c.minute.last = 0
	}
	c.minute.number, c.minute.now = m, 0
}

func (c *counters) rate(now time.Time) uint64 {
	c.minute.Lock()
	defer c.minute.Unlock()
	c.turn(now)
	return c.minute.last
}
