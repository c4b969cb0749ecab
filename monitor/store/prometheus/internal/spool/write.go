package spool

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"steer/base/fault"
	"steer/monitor/store/internal/wal"
)

const (
	// MaxPayload is how long one payload may be.
	MaxPayload = 1 << 20

	// mostPending is how much waits in memory for a sync before one is made early.
	mostPending = 16 << 20

	// Retry is how long after a failure of the disk the next try should wait.
	Retry = time.Second
)

type file interface {
	io.Writer
	io.Closer
	Sync() error
	Truncate(size int64) error
}

// writer is the side that takes payloads. They stay in memory until they were
// synced, so that after a failure, when nobody knows what the kernel still
// holds, all of them go into a new segment.
type writer struct {
	s      *Spool
	limit  int64
	create func(name string) (file, error)

	mu      sync.Mutex
	f       file // nil: the next write starts a segment
	number  uint64
	size    int64 // written to f
	synced  int64 // of it on disk
	pending [][]byte
	written int // how many of pending are in f
	out     []byte
	failure error
	failed  time.Time
}

func create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Put takes a payload, which belongs to the spool from then on. It is on disk
// once Flush has synced.
func (s *Spool) Put(payload []byte) error {
	if len(payload) == 0 || len(payload) > MaxPayload {
		return fault.New(fault.Internal, "spool a payload of %d bytes: it must have 1 to %d", len(payload), MaxPayload)
	}
	w := &s.in
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, payload)
	s.pending.Add(int64(len(payload)))
	return nil
}

// Flush writes what was put in, and with sync waits until it is on disk. After
// fault.Unavailable it is still there, and the next Flush tries again.
func (s *Spool) Flush(sync bool) error {
	w := &s.in
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.written == len(w.pending) && (!sync || w.size == w.synced) {
		return nil
	}
	sync = sync || s.pending.Load() > mostPending
	if err := w.write(sync); err != nil {
		w.fail(err)
		return w.err()
	}
	if !sync {
		return nil
	}
	if w.failure != nil {
		s.log.Info("disk takes points again: what waited in memory is written", "dir", s.dir)
		w.failure = nil
	}
	w.pending, w.written = nil, 0
	s.pending.Store(0)
	if w.size >= w.limit {
		w.end()
	}
	s.signal()
	return nil
}

// Failing is why the disk took nothing when it was last tried, and when that
// was; nil while all is well.
func (s *Spool) Failing() (time.Time, error) {
	s.in.mu.Lock()
	defer s.in.mu.Unlock()
	return s.in.failed, s.in.err()
}

func (w *writer) err() error {
	if w.failure == nil {
		return nil
	}
	return fault.New(fault.Unavailable, "spool points in %s: %w (it is tried again with the next sync)", w.s.dir, w.failure)
}

func (w *writer) write(sync bool) error {
	s := w.s
	if w.f == nil {
		f, err := w.create(s.name(w.number + 1))
		if err != nil {
			return err
		}
		w.number++
		w.f, w.size, w.synced, w.written = f, 0, 0, 0
		if err := syncDir(s.dir); err != nil {
			return err
		}
	}
	out := w.out[:0]
	for _, p := range w.pending[w.written:] {
		out = wal.AppendFrame(out, w.size+int64(len(out)), p)
	}
	if cap(out) <= 4<<20 {
		w.out = out
	}
	if _, err := w.f.Write(out); err != nil {
		return err
	}
	w.written = len(w.pending)
	w.size += int64(len(out))
	if !sync {
		return nil
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.segments); n > 0 && s.segments[n-1].number == w.number {
		s.segments[n-1].size = w.size
	} else {
		s.segments = append(s.segments, segment{w.number, w.size})
	}
	s.bytes += w.size - w.synced
	w.synced = w.size
	return nil
}

// fail gives up the segment behind what is known to be on disk.
func (w *writer) fail(err error) {
	if w.f != nil {
		// Neither has to work: a reader goes no further than what was synced, and
		// a start cuts torn tails.
		if w.synced == 0 {
			_ = os.Remove(w.s.name(w.number))
		} else {
			_ = w.f.Truncate(w.synced)
		}
	}
	w.end()
	w.failed = time.Now()
	if w.failure == nil {
		w.s.log.Error("disk takes no points: they are refused until it does, sending and reading go on", "err", fmt.Errorf("spool in %s: %w", w.s.dir, err))
	}
	w.failure = err
}

// end closes the segment.
func (w *writer) end() {
	if w.f != nil {
		w.f.Close()
	}
	w.f, w.size, w.synced, w.written = nil, 0, 0, 0
}
