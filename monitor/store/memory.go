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

// series is what memory knows of a series. The lock of its shard guards recent, old
// and last; id, key and name never change, and plan only while nobody writes.
type series struct {
	id     uint32
	recent chain // records of points since the last flush
	old    chain // records that are being flushed
	last   int64 // slot and archive of the last record of recent
	key    key
	name   string
	plan   *plan
}

// A record is one point, in the order of writing; nine bytes for a sender that
// keeps its interval:
//
//	uvarint  the slot less that of the record before, folded (0, -1, 1, -2 …),
//	         times two; plus one if the archive is another one
//	byte     the archive, if it is another one than that of the record before
//	8 bytes  the value, little endian
//
// The first record comes after slot 0 of archive 0.
const longestRecord = binary.MaxVarintLen64 + 1 + 8

// put sets a slot; the last write wins.
func (sh *shard) put(s *series, archive int, slot int64, v float64) {
	if s.recent.head == 0 {
		sh.dirty = append(sh.dirty, s)
		s.last = 0
	}
	before := s.last >> 8
	head := uint64((slot-before)<<1^(slot-before)>>63) << 1
	var record [longestRecord]byte
	n := 1
	if record[0] = byte(head); head >= 0x80 || int(s.last&0xff) != archive {
		if int(s.last&0xff) == archive {
			n = binary.PutUvarint(record[:], head)
		} else {
			n = binary.PutUvarint(record[:], head|1)
			record[n] = byte(archive)
			n++
		}
	}
	s.last = slot<<8 | int64(archive)
	binary.LittleEndian.PutUint64(record[n:], math.Float64bits(v))
	copy(sh.pages.room(&s.recent, n+8), record[:n+8])
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
	pages  pages     // of recent and old
	icy    int64     // pages of old

	slab  []series // not in use yet
	names []byte   // room for names that come
}

// make returns memory for a series. Many share one piece, so that a million are
// no burden for the garbage collector.
func (sh *shard) make() *series {
	if len(sh.slab) == 0 {
		sh.slab = make([]series, 8<<10/int(unsafe.Sizeof(series{})))
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
		s.old, s.recent = s.recent, chain{}
	}
	sh.icy = sh.pages.inUse
}

// thaw forgets what was flushed.
func (sh *shard) thaw() {
	for _, s := range sh.frozen {
		sh.pages.release(s.old)
		s.old = chain{}
	}
	sh.frozen = nil
	sh.pages.inUse -= sh.icy
	sh.icy = 0
}
