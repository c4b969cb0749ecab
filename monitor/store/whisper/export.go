package whisper

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"time"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
)

// Source is what an export needs of a store; *store.Store is one.
type Source interface {
	Find(ctx context.Context, pattern string, limit int) ([]metric.Match, error)
	Fetch(ctx context.Context, r store.Request) ([]metric.Series, error)
	Retention(name string) store.Retention
}

// Export is a set of series that can be written as Whisper files.
type Export struct {
	Names []string // sorted

	source Source
	now    func() time.Time
}

// NewExport finds the series that a Graphite glob matches, and checks that each
// can be a Whisper file. fault.NotFound: none matches; fault.Invalid or TooMuch:
// one cannot be a file.
func NewExport(ctx context.Context, source Source, glob string) (*Export, error) {
	e := &Export{source: source, now: time.Now}
	matches, err := source.Find(ctx, glob, 0)
	if err != nil {
		return nil, err
	}
	for _, m := range matches {
		if !m.Leaf {
			continue
		}
		if _, err := Path(m.Path); err != nil {
			return nil, fmt.Errorf("export %q: %w", glob, err)
		}
		size, err := Size(source.Retention(m.Path))
		if err == nil && size > LargestFile {
			err = fault.New(fault.TooMuch, "a file of %v would have %d MiB, more than %d", source.Retention(m.Path), size>>20, LargestFile>>20)
		}
		if err != nil {
			return nil, fmt.Errorf("export %q: %s: %w", glob, m.Path, err)
		}
		e.Names = append(e.Names, m.Path)
	}
	if len(e.Names) == 0 {
		return nil, fault.New(fault.NotFound, "export %q: no series has such a name", glob)
	}
	return e, nil
}

// Write writes the files as a tar stream, with the paths that Carbon would give
// them. Next, which may be nil, is called before each file.
//
// The values of one series at a time are in memory.
func (e *Export) Write(ctx context.Context, w io.Writer, next func()) error {
	out := tar.NewWriter(w)
	for _, name := range e.Names {
		if next != nil {
			next()
		}
		if err := e.one(ctx, out, name); err != nil {
			return fmt.Errorf("export %s: %w", name, err)
		}
	}
	return out.Close()
}

func (e *Export) one(ctx context.Context, out *tar.Writer, name string) error {
	r := e.source.Retention(name)
	columns := make([]metric.Series, len(r.Archives))
	for k := range r.Archives {
		var err error
		if columns[k], err = e.column(ctx, name, r.Archives[k]); err != nil {
			return err
		}
	}
	file, err := Path(name)
	if err != nil {
		return err
	}
	size, err := Size(r)
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file, Size: size, Mode: 0o644, ModTime: e.now()}); err != nil {
		return err
	}
	return Encode(out, r, columns)
}

// column fetches all that an archive shows.
func (e *Export) column(ctx context.Context, name string, a store.Archive) (metric.Series, error) {
	const tries = 5
	for range tries {
		now := e.now().Unix()
		got, err := e.source.Fetch(ctx, store.Request{Names: []string{name}, From: now - a.Keep, Until: now})
		if err != nil {
			return metric.Series{}, err
		}
		// If the clock moved on before the store looked at it, a coarser archive
		// answers.
		if len(got) == 1 && got[0].Step == a.Step {
			return got[0], nil
		}
	}
	return metric.Series{}, fault.New(fault.Unavailable, "fetch its archive %v: the store answers with another (try again)", a)
}
