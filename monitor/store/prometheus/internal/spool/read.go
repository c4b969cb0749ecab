package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"steer/monitor/store/internal/wal"
)

// window is how much of a segment is read at once: any frame fits in.
const window = MaxPayload + 64

// position is a place in the queue.
type position struct {
	number uint64
	offset int64
}

// reader is the side that hands out payloads.
type reader struct {
	s    *Spool
	kept *os.File // the file "position"
	at   position // what lies before was handed out
	f    *os.File // segment at.number, or nil
	buf  []byte
}

func (r *reader) open() (err error) {
	name := filepath.Join(r.s.dir, "position")
	if r.kept, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644); err != nil {
		return fmt.Errorf("open spool: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(r.kept, 1<<10))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	var ok bool
	if r.s.done, ok = decodePosition(data); !ok && len(data) > 0 {
		r.s.log.Warn("position in the spool is damaged: everything in it is sent again", "file", name)
	}
	return nil
}

// decodePosition reads the file "position".
func decodePosition(data []byte) (position, bool) {
	payload, _ := wal.Frame(data, 0)
	if len(payload) != 16 {
		return position{}, false
	}
	p := position{binary.LittleEndian.Uint64(payload), int64(binary.LittleEndian.Uint64(payload[8:]))}
	return p, p.offset >= 0
}

func (p position) encode() []byte {
	b := binary.LittleEndian.AppendUint64(nil, p.number)
	b = binary.LittleEndian.AppendUint64(b, uint64(p.offset))
	return wal.AppendFrame(nil, 0, b)
}

// Next returns the payloads that follow those of the last call, and waits until
// there is one. They are about most bytes together, one at least, and valid
// until the next call.
func (s *Spool) Next(ctx context.Context, most int) ([][]byte, error) {
	for {
		payloads, err := s.out.read(most)
		if len(payloads) > 0 || err != nil {
			return payloads, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-s.more:
		}
	}
}

// current returns the segment to read from, as far as it may be read, or false
// when there is nothing more.
func (r *reader) current() (segment, bool) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		switch {
		case g.number < r.at.number || g.number == r.at.number && r.at.offset >= g.size:
		case g.number > r.at.number:
			r.at = position{number: g.number}
			return g, true
		default:
			return g, true
		}
	}
	return segment{}, false
}

func (r *reader) read(most int) (payloads [][]byte, err error) {
	for {
		was := r.at.number
		g, ok := r.current()
		if !ok {
			return nil, nil
		}
		if r.f == nil || was != g.number {
			r.leave()
			if r.f, err = os.Open(r.s.name(g.number)); errors.Is(err, fs.ErrNotExist) {
				r.lost(g, g.size-r.at.offset, err)
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("read spool: %w", err)
			}
		}
		if r.buf == nil {
			r.buf = make([]byte, window)
		}
		data := r.buf[:min(int64(len(r.buf)), g.size-r.at.offset)]
		if n, err := r.f.ReadAt(data, r.at.offset); n < len(data) {
			if !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("read spool: %w", err)
			}
			r.lost(g, g.size-r.at.offset, errors.New("the file is shorter than it was"))
			continue
		}
		for total := 0; total < most; {
			payload, size := wal.Frame(data, r.at.offset)
			if payload == nil {
				break
			}
			payloads = append(payloads, payload)
			total += size
			data = data[size:]
			r.at.offset += int64(size)
		}
		if len(payloads) > 0 {
			return payloads, nil
		}
		if err := r.skip(g); err != nil {
			return nil, err
		}
	}
}

// skip goes on at the next sound frame behind a damaged one.
func (r *reader) skip(g segment) error {
	rest := make([]byte, g.size-r.at.offset)
	if _, err := r.f.ReadAt(rest, r.at.offset); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read spool: %w", err)
	}
	next := 1
	for ; next < len(rest); next++ {
		if payload, _ := wal.Frame(rest[next:], r.at.offset+int64(next)); payload != nil {
			break
		}
	}
	r.lost(g, int64(next), errors.New("its checksum is wrong"))
	return nil
}

// lost leaves out what cannot be read.
func (r *reader) lost(g segment, bytes int64, why error) {
	r.s.damaged.Add(1)
	r.s.log.Error("part of the spool is lost: its points are left out", "file", r.s.name(g.number), "offset", r.at.offset, "bytes", bytes, "err", why)
	r.at.offset += bytes
}

// Done says that all that Next returned so far is delivered: it does not come
// again, and segments that were read to their end are removed.
func (s *Spool) Done() error {
	r := &s.out
	if r.at == s.done {
		return nil
	}
	if _, err := r.kept.WriteAt(r.at.encode(), 0); err != nil {
		return fmt.Errorf("keep position in the spool: %w", err)
	}
	var old []segment
	s.mu.Lock()
	for len(s.segments) > 0 && s.segments[0].number < r.at.number {
		old = append(old, s.segments[0])
		s.bytes -= s.segments[0].size
		s.segments = s.segments[1:]
	}
	s.done = r.at
	s.mu.Unlock()
	for _, g := range old {
		if err := os.Remove(s.name(g.number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove a segment of the spool that was sent: %w", err)
		}
	}
	return nil
}

// leave closes the segment.
func (r *reader) leave() {
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
}

func (r *reader) close() {
	r.leave()
	r.kept.Close() // nil.Close is an error, no more
}
