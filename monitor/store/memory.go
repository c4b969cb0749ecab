package store

import (
	"cmp"
	"slices"
	"sync"

	"steer/monitor/store/internal/block"
	"steer/monitor/store/internal/wal"
)

// chunkSlots is how many neighbouring slots share one piece of memory.
const chunkSlots = 32

// chunk is chunkSlots values of one archive; NaN is missing.
type chunk struct {
	base    int64 // slot of values[0], a multiple of chunkSlots
	archive int
	values  [chunkSlots]float64
}

// series is what memory knows of a series. The lock of its shard guards it,
// but for id, name and plan, which never change, and old, which only a flush
// changes.
type series struct {
	id   uint32
	name string
	plan *plan
	next *series // with the same hash
	cur  []*chunk
	old  []*chunk // being flushed
}

// put sets a slot; the last write wins.
func (s *series) put(sh *shard, k int, slot int64, v float64) {
	base := slot &^ (chunkSlots - 1)
	if n := len(s.cur); n > 0 {
		if c := s.cur[n-1]; c.base == base && c.archive == k {
			c.values[slot-base] = v
			return
		}
	} else {
		sh.dirty = append(sh.dirty, s)
	}
	// Coarse archives stand in front, so that the newest chunk of the finest,
	// where nearly all points go, is the last.
	i, ok := slices.BinarySearchFunc(s.cur, base, func(c *chunk, base int64) int {
		return cmp.Or(cmp.Compare(k, c.archive), cmp.Compare(c.base, base))
	})
	if !ok {
		s.cur = slices.Insert(s.cur, i, sh.take(k, base))
	}
	s.cur[i].values[slot-base] = v
}

// shard is the part of the series whose names hash to it. Log records of a
// series are only ever in the buffer of its shard, so that log and memory agree
// on which of two writes was last.
type shard struct {
	mu     sync.Mutex
	series map[uint64]*series
	buf    []byte // log records not yet handed to the log
	clock  int64  // as set in buf, 0 when it is not
	spare  []byte // memory for the next buf
	dirty  []*series
	frozen []*series // whose old is being flushed
	fresh  []*series // not yet in the file of names
	free   []*chunk
	chunks int64 // in cur and old
}

func (sh *shard) take(k int, base int64) *chunk {
	sh.chunks++
	var c *chunk
	if n := len(sh.free); n > 0 {
		c, sh.free = sh.free[n-1], sh.free[:n-1]
	} else {
		c = new(chunk)
	}
	c.archive, c.base = k, base
	block.Missing(c.values[:])
	return c
}

func (sh *shard) find(hash uint64, name []byte) *series {
	s := sh.series[hash]
	for s != nil && s.name != string(name) {
		s = s.next
	}
	return s
}

func (sh *shard) add(hash uint64, s *series) {
	s.next = sh.series[hash]
	sh.series[hash] = s
}

func (sh *shard) log(id uint32, now, t int64, v float64) {
	if sh.clock != now {
		sh.buf = wal.AppendClock(sh.buf, now)
		sh.clock = now
	}
	sh.buf = wal.AppendPoint(sh.buf, id, now, t, v)
}

// drain takes the records that wait for the log.
func (sh *shard) drain() []byte {
	b := sh.buf
	sh.buf, sh.spare, sh.clock = sh.spare[:0], nil, 0
	return b
}

// freeze hands what memory holds to a flush.
func (sh *shard) freeze() {
	sh.frozen, sh.dirty = sh.dirty, nil
	for _, s := range sh.frozen {
		s.old, s.cur = s.cur, nil
	}
}

// thaw forgets what was flushed and keeps the memory for new chunks.
func (sh *shard) thaw() {
	freed := 0
	for _, s := range sh.frozen {
		freed += len(s.old)
		sh.chunks -= int64(len(s.old))
		sh.free = append(sh.free, s.old...)
		if s.cur == nil {
			clear(s.old)
			s.cur = s.old[:0]
		}
		s.old = nil
	}
	sh.frozen = nil
	if len(sh.free) > 2*freed { // a flood has passed
		sh.free = append([]*chunk(nil), sh.free[:2*freed]...)
	}
}
