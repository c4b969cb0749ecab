package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/fault"
	"steer/monitor/store/internal/wal"
)

// retry is how long after a failure of the disk the next try waits.
const retry = time.Second

// journal is the write-ahead log: numbered segments, only ever appended to. A
// payload is kept in memory until it was synced, so that after a failure, when
// nobody knows what the kernel still holds, all of it goes into a new segment.
// Reading a record twice does no harm as long as the order is kept.
type journal struct {
	disk  disk
	dir   string
	log   *slog.Logger
	limit int64

	mu       sync.Mutex
	f        file   // nil: the next write starts a segment
	number   uint64 // of the last segment
	size     int64  // written to f
	synced   int64  // of it on disk
	segments map[uint64]int64
	pending  []payload
	written  int // how many of pending are in f
	out      []byte
	failedAt time.Time

	committed atomic.Uint64 // tickets below are on disk
	failure   atomic.Pointer[error]
	bytes     atomic.Int64
	lastSync  atomic.Int64 // microseconds since 1970
}

type payload struct {
	bytes []byte
	shard *shard
}

func segmentName(dir string, n uint64) string { return filepath.Join(dir, fmt.Sprintf("%016d.wal", n)) }

// openJournal reads all segments, hands each record to r and repairs torn tails.
func openJournal(d disk, dir string, limit int64, log *slog.Logger, r wal.Reader) (*journal, error) {
	j := &journal{disk: d, dir: dir, log: log, limit: limit, segments: map[uint64]int64{}}
	if err := d.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list write-ahead log: %w", err)
	}
	var numbers []uint64
	for _, e := range entries {
		if n, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ".wal"), 10, 64); err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		size, _, err := replay(d, segmentName(dir, n), log, r)
		if err != nil {
			return nil, err
		}
		j.segments[n] = size
		j.bytes.Add(size)
		j.number = n
	}
	return j, nil
}

// replay reads one file of frames and cuts off what is behind the last good one. It
// returns its size then, and whether something in it was damaged.
func replay(d disk, name string, log *slog.Logger, r wal.Reader) (size int64, damaged bool, err error) {
	data, err := readAll(d, name)
	if err != nil {
		return 0, false, fmt.Errorf("read %s: %w", name, err)
	}
	bad := 0
	report, err := wal.Scan(data, func(b []byte) error {
		err := wal.Decode(b, r)
		if errors.Is(err, wal.ErrNewer) {
			return err
		}
		if err != nil {
			bad++
		}
		return nil
	})
	if err != nil {
		return 0, false, fmt.Errorf("read %s: %w", name, err)
	}
	if damaged = report.Damaged+bad > 0 || report.Broken; damaged {
		log.Error("damaged records left out", "file", name, "places", report.Damaged, "bytes", report.Lost, "records", bad, "at_the_end", report.Broken)
		keepDamaged(d, name, data, log)
	}
	if report.Tail > 0 {
		if err := d.Truncate(name, report.Good); err != nil {
			return 0, false, fmt.Errorf("cut torn tail of %s: %w", name, err)
		}
		if !report.Broken {
			log.Warn("torn tail cut off: the last write was interrupted before it was synced", "file", name, "bytes", report.Tail, "kept", report.Good)
		}
	}
	return report.Good, damaged, nil
}

// keepDamaged keeps a copy of a file that will be repaired: what is lost in it may be
// worth a look by a person. One that nobody looked at yet stays.
func keepDamaged(d disk, name string, data []byte, log *slog.Logger) {
	name += ".damaged"
	if f, _, err := d.Open(name); err == nil {
		f.Close()
		return
	}
	f, err := d.Create(name + ".tmp")
	if err == nil {
		defer f.Close()
		if err = writeAll(f, data); err == nil {
			err = f.Sync()
		}
		if err == nil {
			err = d.Rename(name+".tmp", name)
		}
	}
	if err != nil {
		log.Error("keep a copy of a damaged file", "file", name, "err", err)
	}
}

// pieceSize is how many bytes of frames go into one write.
const pieceSize = 1 << 20

// mostPending is how much waits in memory for a sync before one is made early.
const mostPending = 8 << 20

// commit takes what the shards hold, writes it, and with sync waits until it is
// on disk. The caller holds mu.
func (j *journal) commit(shards []shard, tickets *atomic.Uint64, sync bool) error {
	target := tickets.Load()
	for i := range shards {
		sh := &shards[i]
		sh.mu.Lock()
		if len(sh.buf) > 0 {
			j.pending = append(j.pending, payload{sh.drain(), sh})
		}
		sh.mu.Unlock()
	}
	waiting := 0
	for _, p := range j.pending {
		waiting += len(p.bytes)
	}
	return j.flush(target, sync || waiting > mostPending)
}

// flush writes what is pending.
func (j *journal) flush(target uint64, sync bool) error {
	if err := j.write(sync); err != nil {
		j.fail(err)
		return j.err()
	}
	if sync {
		for i := range j.pending {
			p := &j.pending[i]
			p.shard.mu.Lock()
			if p.shard.spare == nil && cap(p.bytes) <= 1<<20 {
				p.shard.spare = p.bytes
			}
			p.shard.mu.Unlock()
			p.bytes = nil
		}
		j.pending, j.written = j.pending[:0], 0
		j.committed.Store(max(target, j.committed.Load()))
		j.lastSync.Store(time.Now().UnixMicro())
	}
	if sync && j.failure.Swap(nil) != nil {
		j.log.Info("disk takes points again: what waited in memory is written", "dir", j.dir)
	}
	if sync && j.size >= j.limit {
		j.rotate()
	}
	return nil
}

func (j *journal) write(sync bool) error {
	if j.written == len(j.pending) && (!sync || j.size == j.synced) {
		return nil
	}
	if j.f == nil {
		n := j.number + 1
		f, err := j.disk.Create(segmentName(j.dir, n))
		if err != nil {
			return err
		}
		j.f, j.number, j.size, j.synced, j.written = f, n, 0, 0, 0
		j.segments[n] = 0
		if err := j.disk.SyncDir(j.dir); err != nil {
			return err
		}
	}
	// Frames are gathered to pieces of a size that the kernel takes well.
	for j.written < len(j.pending) {
		out, n := j.out[:0], j.written
		for ; n < len(j.pending) && (n == j.written || len(out)+len(j.pending[n].bytes) < pieceSize); n++ {
			out = wal.AppendFrame(out, j.size+int64(len(out)), j.pending[n].bytes)
		}
		if cap(out) <= 2*pieceSize {
			j.out = out
		}
		if err := writeAll(j.f, out); err != nil {
			return err
		}
		j.written = n
		j.size += int64(len(out))
	}
	if !sync {
		return nil
	}
	if err := j.f.Sync(); err != nil {
		return err
	}
	j.bytes.Add(j.size - j.synced)
	j.segments[j.number] = j.size
	j.synced = j.size
	return nil
}

// fail gives up the segment behind what is known to be on disk.
func (j *journal) fail(err error) {
	if j.f != nil {
		name := segmentName(j.dir, j.number)
		j.f.Close()
		j.f = nil
		// Neither has to work: a start cuts torn tails too.
		if j.synced == 0 {
			if j.disk.Remove(name) == nil {
				delete(j.segments, j.number)
			}
		} else {
			j.disk.Truncate(name, j.synced) //nolint:errcheck
		}
	}
	j.size, j.synced, j.written = 0, 0, 0
	j.failedAt = time.Now()
	err = fmt.Errorf("write-ahead log in %s: %w", j.dir, err)
	if j.failure.Swap(&err) == nil {
		j.log.Error("disk takes no points: writes are refused until it does, reads go on", "err", err)
	}
}

// err is why points cannot be taken now, or nil.
func (j *journal) err() error {
	if err := j.failure.Load(); err != nil {
		return fault.New(fault.Unavailable, "store points: %w (it is tried again every second)", *err)
	}
	return nil
}

// rotate ends the segment. The caller holds mu.
func (j *journal) rotate() {
	if j.f != nil {
		j.f.Close()
		j.f = nil
		j.size, j.synced, j.written = 0, 0, 0
	}
}

// remove deletes the segments up to last, oldest first and each for good before
// the next: what remains must be the newer part, else a start after a loss of
// power would put old values over newer ones.
func (j *journal) remove(last uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var old []uint64
	for n := range j.segments {
		if n <= last && (n < j.number || j.f == nil) {
			old = append(old, n)
		}
	}
	slices.Sort(old)
	for _, n := range old {
		if err := j.disk.Remove(segmentName(j.dir, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove write-ahead log: %w", err)
		}
		if err := j.disk.SyncDir(j.dir); err != nil {
			return fmt.Errorf("sync %s: %w", j.dir, err)
		}
		j.bytes.Add(-j.segments[n])
		delete(j.segments, n)
	}
	return nil
}
