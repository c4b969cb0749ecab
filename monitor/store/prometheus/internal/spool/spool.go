// Package spool is a queue on disk: what was put in and synced comes out in the
// same order, after kill -9 and loss of power as well, until its receiver has
// acknowledged it. It comes out a second time when the acknowledgement itself
// was lost.
//
// # On disk
//
//	LOCK             the process keeps a flock on it
//	NUMBER.spool     segments, frames of the store's internal/wal, one for each
//	                 payload; only ever appended to, removed when read
//	position         a frame with the number of a segment and an offset in it, 8
//	                 bytes each, little endian: what lies before was acknowledged
//
// A start cuts the torn tail of the last segment off and begins a new one. The
// position is not synced, and without a sound one everything that is there is
// read again.
package spool

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"steer/monitor/store/internal/wal"
)

// Options is what Open needs.
type Options struct {
	Dir     string       // made if missing; one process at a time
	Segment int64        // bytes at which a file ends, default 8 MiB
	Log     *slog.Logger // default slog.Default

	create func(name string) (file, error) // default the operating system's
}

// Spool is safe for any number of goroutines that write, and one that reads.
type Spool struct {
	dir  string
	log  *slog.Logger
	lock *os.File
	in   writer
	out  reader

	pending atomic.Int64 // bytes in memory
	damaged atomic.Uint64
	more    chan struct{} // there is something to read

	mu       sync.Mutex
	segments []segment // from old to new
	bytes    int64     // of all segments
	done     position  // what lies before was acknowledged
}

// segment is a file, as far as it is known to be on disk.
type segment struct {
	number uint64
	size   int64
}

func (s *Spool) name(number uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%016d.spool", number))
}

// Open opens the queue in o.Dir. fault.Conflict: another process has it open.
func Open(o Options) (_ *Spool, err error) {
	s := &Spool{dir: o.Dir, log: cmp.Or(o.Log, slog.Default()), more: make(chan struct{}, 1)}
	s.in = writer{s: s, limit: cmp.Or(o.Segment, 8<<20), create: o.create}
	if s.in.create == nil {
		s.in.create = create
	}
	s.out.s = s
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if s.lock, err = lock(o.Dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.out.close()
			s.lock.Close()
		}
	}()
	if err := s.out.open(); err != nil {
		return nil, err
	}
	if err := s.find(); err != nil {
		return nil, err
	}
	s.signal()
	return s, nil
}

// find lists the segments and repairs the last one.
func (s *Spool) find() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return fmt.Errorf("open spool: %w", err)
	}
	done := s.done
	s.in.number = done.number
	for _, e := range entries {
		number, err := strconv.ParseUint(strings.TrimSuffix(e.Name(), ".spool"), 10, 64)
		if err != nil {
			continue
		}
		if number < done.number {
			if err := os.Remove(s.name(number)); err != nil {
				return fmt.Errorf("remove a segment of the spool that was sent: %w", err)
			}
			continue
		}
		info, err := e.Info()
		if err != nil {
			return fmt.Errorf("open spool: %w", err)
		}
		s.segments = append(s.segments, segment{number, info.Size()})
	}
	slices.SortFunc(s.segments, func(a, b segment) int { return cmp.Compare(a.number, b.number) })
	if n := len(s.segments); n > 0 {
		last := &s.segments[n-1]
		s.in.number = max(s.in.number, last.number)
		if last.size, err = s.repair(*last); err != nil {
			return err
		}
	}
	for i, g := range s.segments {
		s.bytes += g.size
		if i == 0 && g.number == done.number {
			s.done.offset = min(done.offset, g.size)
		}
	}
	s.out.at = s.done
	return nil
}

// repair cuts off what an interrupted write left behind the last whole frame.
func (s *Spool) repair(g segment) (int64, error) {
	name := s.name(g.number)
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("open spool: %w", err)
	}
	report, _ := wal.Scan(data, func([]byte) error { return nil })
	if report.Tail > 0 {
		if err := os.Truncate(name, report.Good); err != nil {
			return 0, fmt.Errorf("cut torn tail of %s: %w", name, err)
		}
		s.log.Warn("torn tail cut off: the last write was interrupted before it was synced", "file", name, "bytes", report.Tail, "kept", report.Good)
	}
	return report.Good, nil
}

func (s *Spool) signal() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// Waiting is how many bytes were put in and not acknowledged.
func (s *Spool) Waiting() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.bytes + s.pending.Load()
	if len(s.segments) > 0 && s.segments[0].number == s.done.number {
		n -= s.done.offset
	}
	return n
}

// Damaged counts the places where segments had to be skipped because their
// checksum is wrong.
func (s *Spool) Damaged() uint64 { return s.damaged.Load() }

// Close syncs and lets go of the folder. Nothing else may be going on.
func (s *Spool) Close() error {
	err := s.Flush(true)
	s.in.end()
	s.out.close()
	s.lock.Close()
	if err != nil {
		return fmt.Errorf("close spool: %w", err)
	}
	return nil
}
