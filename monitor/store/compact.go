package store

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path/filepath"
	"slices"

	"steer/monitor/store/internal/block"
)

// fanIn is how many files of about the same size become one.
const fanIn = 4

// compact merges, in every stretch of time, the newest files when enough of
// them are of about the same size, and writes damaged files anew without what
// cannot be read.
func (s *Store) compact() (err error) {
	all := s.blocks.all()
	groups := map[block.Meta][]*blockFile{} // newest first
	for _, b := range all {
		groups[b.Meta] = append(groups[b.Meta], b)
	}
	for _, files := range groups {
		n, sum := 0, int64(0)
		for n < len(files) && (n == 0 || files[n].size <= 2*sum && !parted(all, files[n], files[0])) {
			sum += files[n].size
			n++
		}
		if n >= fanIn {
			err = errors.Join(err, s.merge(files[:n]))
			files = files[n:]
		}
		for _, b := range files {
			if b.bad.Load() {
				err = errors.Join(err, s.merge([]*blockFile{b}))
			}
		}
	}
	return err
}

// parted says whether a file of another archive with the same step has to stand
// between two. A series that went from one of them to the other has values of one slot
// in both, and their flushes say which are newer: merged they would all count as from
// the last one.
func parted(all []*blockFile, older, newer *blockFile) bool {
	return slices.ContainsFunc(all, func(b *blockFile) bool {
		return b.Step == newer.Step && b.Keep != newer.Keep && b.Start < newer.End() && newer.Start < b.End() &&
			older.new < b.new && b.new <= newer.new
	})
}

// merge writes files of one stretch, newest first, into one. What cannot be read
// stays behind in a copy named .damaged.
func (s *Store) merge(files []*blockFile) (err error) {
	newest, oldest := files[0], files[len(files)-1]
	path := blockPath(s.blocks.dir, newest.Meta, oldest.old, newest.new)
	o, err := s.outputAt(newest.Meta, path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			o.f.Close()
			s.disk.Remove(o.tmp) //nolint:errcheck // the next start does
		}
	}()
	var inputs []*input
	defer func() {
		for _, in := range inputs {
			in.stop()
		}
	}()
	for _, b := range files {
		in := &input{b: b, set: s.blocks}
		in.pull, in.stop = iter.Pull2(b.All())
		inputs = append(inputs, in)
		in.next()
	}
	values := make([]float64, newest.Slots)
	for {
		id, some := uint32(0), false
		for _, in := range inputs {
			if in.ok && (!some || in.entry.ID < id) {
				id, some = in.entry.ID, true
			}
		}
		if !some {
			break
		}
		block.Missing(values)
		for _, in := range inputs { // newest first: later ones fill gaps only
			if in.ok && in.entry.ID == id {
				for i, v := range in.entry.Values {
					if d := &values[in.entry.First+i]; *d != *d {
						*d = v
					}
				}
				in.next()
			}
		}
		if err := o.w.Add(id, 0, values); err != nil {
			return fmt.Errorf("merge into %s: %w", o.tmp, err)
		}
	}
	for _, in := range inputs {
		if in.err != nil {
			return fmt.Errorf("merge %s: %w", in.b.path, in.err)
		}
		if !in.b.bad.Load() {
			continue
		}
		if err := s.disk.Link(in.b.path, in.b.path+".damaged"); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("set damaged block aside: %w", err)
		}
		s.log.Error("damaged block set aside; what can be read of it was written anew", "file", in.b.path+".damaged")
	}
	merged, err := s.publish(map[block.Meta]*output{newest.Meta: o})
	if err != nil {
		return err
	}
	s.blocks.replace(files, merged)
	for _, b := range files {
		if b.path == path {
			continue // renamed over
		}
		if err := s.disk.Remove(b.path); err != nil {
			return fmt.Errorf("remove merged block: %w", err)
		}
	}
	return s.disk.SyncDir(filepath.Dir(path))
}

// input is one of the files of a merge.
type input struct {
	b     *blockFile
	set   *blockSet
	pull  func() (block.Entry, error, bool)
	stop  func()
	entry block.Entry
	ok    bool
	err   error // reading failed; that is no damage and may pass
}

// next goes on to the next series that can be read.
func (in *input) next() {
	for {
		entry, err, ok := in.pull()
		if err == nil || !ok {
			in.entry, in.ok = entry, ok
			return
		}
		in.set.report(in.b, err)
		if !errors.Is(err, block.ErrDamaged) {
			in.err, in.ok = err, false
			return
		}
	}
}
