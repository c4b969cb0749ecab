package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"steer/monitor/store/internal/block"
)

// flusher is the state of moving points from memory to blocks.
type flusher struct {
	sync.Mutex
	names  *names
	gen    uint64       // number of the last flush
	last   time.Time    // when its points were parted from newer ones
	failed time.Time    // when one failed, by the machine's clock
	unread time.Time    // since when values that one needs cannot be read
	forgot time.Time    // when series without points were last looked for
	frozen bool         // shards hold records of a flush that is not done
	cut    uint64       // log segments up to here hold nothing newer than it
	fresh  []*series    // whose names it has to write
	bytes  atomic.Int64 // of records in memory

	running atomic.Bool   // Run flushes
	failing atomic.Bool   // the last flush did
	wake    chan struct{} // asks Run for a flush before its time
	turn    sync.Mutex    // guards over
	over    chan struct{} // closed at the end of a flush; nil: nobody waits
}

// hurry asks for a flush now.
func (m *flusher) hurry() {
	select {
	case m.wake <- struct{}{}:
	default: // asked for already
	}
}

// ended is closed at the end of the flush that is under way or comes next, or of
// Run.
func (m *flusher) ended() <-chan struct{} {
	m.turn.Lock()
	defer m.turn.Unlock()
	if m.over == nil {
		m.over = make(chan struct{})
	}
	return m.over
}

func (m *flusher) tell() {
	m.turn.Lock()
	defer m.turn.Unlock()
	if m.over != nil {
		close(m.over)
		m.over = nil
	}
}

// flushIfDue flushes when it is time, or memory or the log has grown enough.
func (s *Store) flushIfDue() {
	if s.enterGate() != nil {
		return
	}
	defer s.gate.RUnlock()
	m := &s.maintain
	m.Lock()
	wait := time.Since(m.failed) < 5*time.Second
	due := m.frozen || s.now().Sub(m.last) >= s.flushEach ||
		m.bytes.Load() > s.enoughMemory() || s.journal.bytes.Load() > s.limit.log
	m.Unlock()
	if !due || wait {
		return
	}
	if err := s.flush(); err != nil {
		s.log.Error("points stay in memory and in the log: writing block files does not work; it is tried again", "err", err)
	}
}

// enoughMemory is how many bytes of points bring a flush forward: as many as there
// are when all series send every ten seconds from flush to flush.
func (s *Store) enoughMemory() int64 { return max(s.limit.memory, 600*s.count.Load()) }

// waitForFlush waits while memory is full and blocks are being written: who waits is a
// sender that is faster than the disk. When it returns and memory is full, there is
// no use in waiting.
func (s *Store) waitForFlush(ctx context.Context) error {
	m := &s.maintain
	for {
		ended := m.ended()
		if !s.memoryFull() || !m.running.Load() || m.failing.Load() {
			return nil
		}
		m.hurry()
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// memoryFull tells whether memory holds so many points that no more are taken.
func (s *Store) memoryFull() bool { return s.maintain.bytes.Load() > 4*s.enoughMemory() }

// flush moves what memory holds to block files, then merges small files and
// removes expired ones.
func (s *Store) flush() (err error) {
	m := &s.maintain
	m.Lock()
	defer m.Unlock()
	defer func() {
		if err != nil {
			m.failed = time.Now()
		}
		m.failing.Store(err != nil)
		m.tell()
	}()
	if err := s.move(); err != nil {
		return err
	}
	// What does not work with one file must not keep others from it.
	return errors.Join(s.expire(m.last.Unix()), s.compact(), s.tidyNames())
}

// move writes what memory holds to block files and removes the log of it.
// Interrupted at any point, the log still has everything: files that it made
// already hold the same values. The caller holds the flusher's lock.
func (s *Store) move() error {
	m := &s.maintain
	if !m.frozen {
		if err := s.freeze(); err != nil {
			return err
		}
	}
	if err := m.names.add(m.fresh); err != nil {
		return err
	}
	m.fresh = nil
	files, err := s.writeBlocks()
	if err != nil {
		return err
	}
	s.blocks.add(files...)
	s.thaw()
	m.frozen, m.unread = false, time.Time{}
	s.counters.flushes.Add(1)
	return s.journal.remove(m.cut)
}

// freeze parts what goes into this flush from what comes after: memory and log
// are cut at the same point of every shard.
func (s *Store) freeze() error {
	m, j := &s.maintain, s.journal
	now := s.now()
	j.mu.Lock()
	defer j.mu.Unlock()
	// With a failing disk there is no use in going on.
	if err := j.commit(s.shards[:], &s.tickets, true); err != nil {
		return err
	}
	target := s.tickets.Load()
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		if len(sh.buf) > 0 {
			j.pending = append(j.pending, payload{sh.drain(), sh})
		}
		sh.freeze()
		m.fresh = append(m.fresh, sh.fresh...)
		sh.fresh = nil
		sh.mu.Unlock()
	}
	m.frozen, m.last = true, now
	m.gen++
	// Should this fail, the next try goes on from here, and the records go into the
	// next segment, in front of newer ones: read again after the flush they say what
	// the blocks say.
	err := j.flush(target, true)
	j.rotate()
	m.cut = j.number
	return err
}

func (s *Store) thaw() {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		before := sh.pages.inUse
		sh.thaw()
		s.maintain.bytes.Add((sh.pages.inUse - before) * pageSize)
		sh.mu.Unlock()
	}
}

// output is a block file being written.
type output struct {
	tmp string // its path plus ".tmp"
	f   file
	w   *block.Writer
}

// mostOutputs is how many block files are written at a time; each takes a buffer.
const mostOutputs = 256

// writeBlocks writes what is frozen, and the rollups that it touches, to one
// file per archive and stretch of time.
func (s *Store) writeBlocks() (files []*blockFile, err error) {
	var all []*series
	for i := range s.shards {
		all = append(all, s.shards[i].frozen...)
	}
	slices.SortFunc(all, func(a, b *series) int { return cmp.Compare(a.id, b.id) })
	done := map[block.Meta]bool{}
	for more := true; more; {
		var some []*blockFile
		if some, more, err = s.writeSome(all, done); err != nil {
			for _, b := range files {
				b.release()
			}
			return nil, err
		}
		files = append(files, some...)
	}
	return files, nil
}

// writeSome writes files that are not done yet, and says whether there are more.
func (s *Store) writeSome(all []*series, done map[block.Meta]bool) (files []*blockFile, more bool, err error) {
	cols := newColumns(s.blocks, 256<<10)
	defer cols.close()
	outs := map[block.Meta]*output{}
	defer func() {
		for _, o := range outs {
			if err != nil {
				o.f.Close()
				s.disk.Remove(o.tmp) //nolint:errcheck // the next start does
			}
		}
	}()
	var records []byte
	var slots []int64
	var values []float64
	v := &view{}
	for _, ser := range all {
		v.id, v.plan = ser.id, ser.plan
		records = s.frozen(ser, records[:0])
		v.memory = recall(v.memory, len(v.plan.archives), records)
		for k, a := range ser.plan.archives {
			slots = v.slots(slots[:0], k)
			for len(slots) > 0 {
				start := floor(slots[0], a.part) * a.part
				n, _ := slices.BinarySearch(slots, start+a.part)
				at := slots[0]
				size := int(slots[n-1] - at + 1)
				slots = slots[n:]
				m := block.Meta{Step: a.step, Keep: a.keep, Start: start, Slots: int(a.part)}
				if done[m] {
					continue
				}
				if outs[m] == nil && len(outs) >= mostOutputs {
					more = true
					continue
				}
				values = slices.Grow(values[:0], size)[:size]
				cols.fill(v, k, at, values, false)
				if err := s.maintain.patience(cols.err); err != nil {
					return nil, false, err
				}
				o, err := s.output(outs, m)
				if err != nil {
					return nil, false, err
				}
				if err := o.w.Add(ser.id, int(at-start), values); err != nil {
					return nil, false, fmt.Errorf("write block %s: %w", o.tmp, err)
				}
			}
		}
	}
	for m := range outs {
		done[m] = true
	}
	files, err = s.publish(outs)
	return files, more, err
}

// unreadable is how long a flush waits for values that it needs for rollups, as
// long as reading fails. What can be read must then do: points come first.
const unreadable = 10 * time.Minute

// patience returns an error of reading for so long.
func (m *flusher) patience(err error) error {
	if err == nil {
		return nil
	}
	if m.unread.IsZero() {
		m.unread = time.Now()
	}
	if time.Since(m.unread) >= unreadable {
		return nil
	}
	return err
}

// frozen appends the records of a series that are being flushed.
func (s *Store) frozen(ser *series, dst []byte) []byte {
	sh := &s.shards[ser.key.shard()]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.pages.append(dst, ser.old)
}

// slots lists, in order, the slots of archive k that memory holds or touches.
func (v *view) slots(dst []int64, k int) []int64 {
	step := v.plan.archives[k].step
	for archive := range k {
		fine := v.plan.archives[archive].step
		for _, slot := range v.memory[archive].slots {
			if slot = floor(slot*fine, step); len(dst) == 0 || dst[len(dst)-1] != slot {
				dst = append(dst, slot)
			}
		}
	}
	dst = append(dst, v.memory[k].slots...)
	if !slices.IsSorted(dst) {
		slices.Sort(dst)
	}
	return slices.Compact(dst)
}

func (s *Store) output(outs map[block.Meta]*output, m block.Meta) (*output, error) {
	if o := outs[m]; o != nil {
		return o, nil
	}
	path := blockPath(s.blocks.dir, m, s.maintain.gen, s.maintain.gen)
	o, err := s.outputAt(m, path)
	if err == nil {
		outs[m] = o
	}
	return o, err
}

func (s *Store) outputAt(m block.Meta, path string) (*output, error) {
	dir := filepath.Dir(path)
	if err := s.disk.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	o := &output{tmp: path + ".tmp"}
	var err error
	if o.f, err = s.disk.Create(o.tmp); err != nil {
		return nil, fmt.Errorf("write block: %w", err)
	}
	if o.w, err = block.NewWriter(o.f, m); err != nil {
		o.f.Close()
		return nil, err
	}
	return o, nil
}

// publish brings the files to disk under their names and opens them.
func (s *Store) publish(outs map[block.Meta]*output) (files []*blockFile, err error) {
	dirs := map[string]bool{s.blocks.dir: true}
	for _, o := range outs {
		if err := o.w.Close(); err != nil {
			return nil, fmt.Errorf("write block %s: %w", o.tmp, err)
		}
		if err := o.f.Sync(); err != nil {
			return nil, fmt.Errorf("sync block %s: %w", o.tmp, err)
		}
	}
	defer func() {
		if err != nil {
			for _, b := range files {
				b.release()
			}
		}
	}()
	for _, o := range outs {
		path := o.tmp[:len(o.tmp)-len(".tmp")]
		if err := s.disk.Rename(o.tmp, path); err != nil {
			return files, fmt.Errorf("publish block: %w", err)
		}
		dirs[filepath.Dir(path)] = true
		old, new, _ := parseBlockName(filepath.Base(path))
		b, err := s.blocks.open(path, old, new)
		if err != nil {
			return files, err
		}
		files = append(files, b)
	}
	for dir := range dirs {
		if err := s.disk.SyncDir(dir); err != nil {
			return files, fmt.Errorf("sync %s: %w", dir, err)
		}
	}
	for _, o := range outs {
		o.f.Close()
	}
	return files, nil
}

// expire removes blocks whose last value no archive shows and no rollup needs.
// Now is when the last flush parted its points from newer ones: rollups of
// those still need what counted as young enough then.
func (s *Store) expire(now int64) (err error) {
	for _, b := range s.blocks.all() {
		if b.End()*b.Step <= now-s.keeps(b) {
			err = errors.Join(err, s.blocks.remove(b))
		}
	}
	return err
}

func (s *Store) keeps(b *blockFile) int64 {
	s.plans.Lock()
	defer s.plans.Unlock()
	return s.planner.keeps(b.Step, b.Keep, b.new)
}
