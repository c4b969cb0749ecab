package store

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"unsafe"

	"steer/monitor/store/internal/wal"
)

// series is what memory knows of a series. The lock of its shard guards cur and
// old; id and name never change, and plan only while nobody writes.
type series struct {
	id   uint32
	size uint16 // bytes that records will likely take until the next flush
	recent
	key  key
	name string
	plan *plan
	old  []byte // records that are being flushed
}

// recent is the points of one series since the last flush, in the order in
// which they came: nine bytes each for a sender that keeps its interval. A record
// is
//
//	uvarint  the slot less that of the record before, folded (0, -1, 1, -2 …),
//	         times two; plus one if the archive is another one
//	byte     the archive, if it is another one than that of the record before
//	8 bytes  the value, little endian
//
// The first record comes after slot 0 of archive 0.
type recent struct {
	archive uint8 // of the last record
	slot    int64 // of the last record
	records []byte
}

func (r *recent) put(archive uint8, slot int64, v float64) {
	head := uint64((slot-r.slot)<<1^(slot-r.slot)>>63) << 1
	if archive == r.archive {
		r.records = binary.AppendUvarint(r.records, head)
	} else {
		r.records = append(binary.AppendUvarint(r.records, head|1), archive)
		r.archive = archive
	}
	r.slot = slot
	r.records = binary.LittleEndian.AppendUint64(r.records, math.Float64bits(v))
}

// column is values of one archive by their slots, which ascend.
type column struct {
	slots  []int64
	values []float64
}

// between are the indexes of the slots in [from, to).
func (c *column) between(from, to int64) (i, j int) {
	i, _ = slices.BinarySearch(c.slots, from)
	n, _ := slices.BinarySearch(c.slots[i:], to)
	return i, i + n
}

// recall reads records, those of layers one after the other, into columns by
// archive; of two records of a slot the later one counts. It uses the memory of
// cols again.
func recall(cols []column, archives int, layers ...[]byte) []column {
	cols = slices.Grow(cols[:0], archives)[:archives]
	for i := range cols {
		cols[i].slots, cols[i].values = cols[i].slots[:0], cols[i].values[:0]
	}
	for _, records := range layers {
		slot, archive := int64(0), 0
		for len(records) > 0 {
			head, n := binary.Uvarint(records)
			records = records[n:]
			if head&1 != 0 {
				archive = int(records[0])
				records = records[1:]
			}
			slot += int64(head>>2) ^ -int64(head>>1&1)
			v := math.Float64frombits(binary.LittleEndian.Uint64(records))
			records = records[8:]
			c := &cols[archive]
			if last := len(c.slots) - 1; last >= 0 && c.slots[last] == slot {
				c.values[last] = v
				continue
			}
			c.slots = append(c.slots, slot)
			c.values = append(c.values, v)
		}
	}
	for i := range cols {
		cols[i].order()
	}
	return cols
}

// order sorts by slot and keeps the last value of each.
func (c *column) order() {
	sorted := true
	for i := 1; i < len(c.slots) && sorted; i++ {
		sorted = c.slots[i-1] < c.slots[i]
	}
	if sorted {
		return
	}
	type point struct {
		slot  int64
		value float64
	}
	points := make([]point, len(c.slots))
	for i := range points {
		points[i] = point{c.slots[i], c.values[i]}
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.slot, b.slot) })
	n := 0
	for i, p := range points {
		if i+1 < len(points) && points[i+1].slot == p.slot {
			continue
		}
		c.slots[n], c.values[n] = p.slot, p.value
		n++
	}
	c.slots, c.values = c.slots[:n], c.values[:n]
}

// shard is the part of the series whose names hash to it. Log records of a
// series are only ever in the buffer of its shard, so that log and memory agree
// on which of two writes was last.
type shard struct {
	mu     sync.Mutex
	series table
	buf    []byte // log records not yet handed to the log
	clock  int64  // as set in buf, 0 when it is not
	spare  []byte // memory for the next buf
	dirty  []*series
	frozen []*series // whose old is being flushed
	fresh  []*series // not yet in the file of names
	bytes  int64     // of records, in use or not

	slab  []series // not in use yet
	names []byte   // room for names that come
}

// make returns memory for a series. Many share one piece, so that a million are
// no burden for the garbage collector.
func (sh *shard) make() *series {
	if len(sh.slab) == 0 {
		sh.slab = make([]series, 64)
	}
	s := &sh.slab[0]
	sh.slab = sh.slab[1:]
	return s
}

// keep copies a name. What it returns is never written again.
func (sh *shard) keep(name []byte) string {
	if cap(sh.names)-len(sh.names) < len(name) {
		sh.names = make([]byte, 0, max(4096, len(name)))
	}
	at := len(sh.names)
	sh.names = append(sh.names, name...)
	return unsafe.String(unsafe.SliceData(sh.names[at:]), len(name))
}

// put sets a slot; the last write wins.
func (sh *shard) put(s *series, archive int, slot int64, v float64) {
	if len(s.records) == 0 {
		sh.dirty = append(sh.dirty, s)
	}
	before := cap(s.records)
	if before == 0 {
		s.records = make([]byte, 0, max(s.size, 32))
	}
	s.recent.put(uint8(archive), slot, v)
	sh.bytes += int64(cap(s.records) - before)
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
		s.old, s.recent = s.records, recent{}
		// Most senders keep their interval, and most flushes theirs.
		s.size = uint16(min(len(s.old)+len(s.old)/8, 4096))
	}
}

// thaw forgets what was flushed.
func (sh *shard) thaw() {
	for _, s := range sh.frozen {
		sh.bytes -= int64(cap(s.old))
		s.old = nil
	}
	sh.frozen = nil
}
