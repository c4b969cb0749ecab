package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
)

// Snapshot is the store as it was at one moment: the files that, put into an
// empty folder under their names, open as a store with the same points. They
// stay readable whatever becomes of the store, also after its Close, until
// Snapshot.Close.
type Snapshot struct {
	Files []SnapshotFile

	blocks []*blockFile
	names  file
}

// SnapshotFile is one file of a snapshot. Bytes behind Size are not part of it.
type SnapshotFile struct {
	Name string // below the store's folder, with slashes
	Size int64
	io.ReaderAt
	// Damaged is set when reading it for a query went wrong. It is as it lies on
	// disk: what opens it serves the rest, as this store does.
	Damaged bool
}

// Snapshot moves what memory holds to block files and pins all of those. Every
// point whose Write returned before the call is in it; of those written at the
// same time some are. Writers and readers do not wait for it; flushes wait until
// it returns, but not for its files to be read. Files that are merged or expire
// meanwhile take up space until Close.
//
// It fails while the disk takes nothing, since then the log is all that has the
// newest points.
func (s *Store) Snapshot(ctx context.Context) (_ *Snapshot, err error) {
	if err := s.enterGate(); err != nil {
		return nil, err
	}
	defer s.gate.RUnlock()
	m := &s.maintain
	m.Lock()
	defer m.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.frozen {
		// An earlier flush got stuck: its points come first, the newer ones then.
		if err := s.move(); err != nil {
			return nil, fmt.Errorf("take snapshot: %w", err)
		}
	}
	if err := s.move(); err != nil {
		return nil, fmt.Errorf("take snapshot: %w", err)
	}

	// From here to the end of the lock nobody changes names, retentions or blocks.
	snap := &Snapshot{}
	defer func() {
		if err != nil {
			snap.Close()
		}
	}()
	if snap.names, _, err = s.disk.Open(m.names.path); err != nil {
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	snap.Files = append(snap.Files, SnapshotFile{Name: filepath.Base(m.names.path), Size: m.names.size, ReaderAt: snap.names})
	eras, err := readAll(s.disk, filepath.Join(s.dir, erasFile))
	if err == nil {
		snap.Files = append(snap.Files, SnapshotFile{Name: erasFile, Size: int64(len(eras)), ReaderAt: bytes.NewReader(eras)})
	} else if !errors.Is(err, fs.ErrNotExist) { // the store does without
		return nil, fmt.Errorf("take snapshot: %w", err)
	}
	snap.blocks = s.blocks.pin()
	for _, b := range snap.blocks {
		name, err := filepath.Rel(s.dir, b.path)
		if err != nil {
			return nil, fmt.Errorf("take snapshot: %w", err)
		}
		snap.Files = append(snap.Files, SnapshotFile{Name: filepath.ToSlash(name), Size: b.size, ReaderAt: b.f, Damaged: b.bad.Load()})
	}
	return snap, nil
}

// Close lets go of the files.
func (s *Snapshot) Close() error {
	for _, b := range s.blocks {
		b.release()
	}
	s.blocks, s.Files = nil, nil
	if s.names == nil {
		return nil
	}
	names := s.names
	s.names = nil
	return names.Close()
}
