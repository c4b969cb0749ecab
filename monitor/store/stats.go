package store

import (
	"cmp"
	"log/slog"
	"sync/atomic"
	"time"
)

// Stats is the state of the store in numbers; counters count since Open.
type Stats struct {
	Series     int64             `json:"series"`
	MaxSeries  int64             `json:"max_series"`
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

	// The senders and the parts of the name tree with the most new series in the
	// last hour, at most ten. What Steer itself wrote without a sender is "unnamed";
	// series at the top of the tree are "*".
	TopSenders  []Top `json:"top_senders"`
	TopPrefixes []Top `json:"top_prefixes"`
}

// Stats reads the numbers.
func (s *Store) Stats() Stats {
	c := &s.counters
	st := Stats{
		Series: s.count.Load(), NewSeries: c.created.Load(), MaxSeries: s.maxSeries, Points: c.points.Load(),
		Dropped: map[string]uint64{}, Refused: c.refused.Load(), Memory: s.maintain.bytes.Load(),
		WALBytes: s.journal.bytes.Load(), Damaged: s.blocks.damaged.Load(), Flushes: c.flushes.Load(),
	}
	for i, name := range dropNames {
		st.Dropped[name] = c.dropped[i].Load()
	}
	s.births.fill(&st, s.now().Unix())
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
}

// drop counts and, once a minute for each reason, tells the log a name and who
// sent it.
func (c *counters) drop(reason int, from string, name []byte, log *slog.Logger) {
	now, told := time.Now().Unix(), c.told[reason].Load()
	say := ""
	if now-told >= 60 && c.told[reason].CompareAndSwap(told, now) {
		say = "points left out"
	}
	c.count(reason, from, name, log, say)
}

// count counts, and tells the log if there is something to say.
func (c *counters) count(reason int, from string, name []byte, log *slog.Logger, say string) {
	total := c.dropped[reason].Add(1)
	if say != "" {
		log.Warn(say, "reason", dropNames[reason], "from", cmp.Or(from, unnamed), "for_example", string(name[:min(len(name), 200)]), "total", total)
	}
}
