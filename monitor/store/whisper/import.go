package whisper

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
	"steer/base/metric"
	"steer/monitor/store"
)

const (
	// LargestFile is how many bytes a file may have: five million points.
	LargestFile = 64 << 20

	mostTold = 100 // of each list in a summary
	batch    = 4096
	// How long a store that takes nothing is waited for, with longer and longer
	// pauses.
	patience   = 30 * time.Second
	firstPause = 100 * time.Millisecond
	lastPause  = 2 * time.Second
)

// Target is what an import needs of a store; *store.Store is one.
type Target interface {
	Retention(name string) store.Retention
	WriteArchive(ctx context.Context, step int64, points []metric.Point) (stored int, err error)
	Sync(ctx context.Context) error
}

// ImportOptions say how to import.
type ImportOptions struct {
	Store  Target
	Prefix string           // put before each name, with a dot
	DryRun bool             // read and count, but write nothing
	Next   func()           // called before each file of the stream, may be nil
	Now    func() time.Time // default time.Now
}

// Counts is what became of an import in numbers.
type Counts struct {
	DryRun bool `json:"dry_run,omitempty"` // nothing was written: Written tells what would be
	Files  int  `json:"files"`             // that were read
	Series int  `json:"series"`            // that got points

	Read    int `json:"points_read"`    // in all archives of the files
	Written int `json:"points_written"` // the store makes coarser ones of them itself where it can
	TooOld  int `json:"points_too_old"` // of those read, for the longest archive that the store has for the series

	Skipped   int `json:"skipped"`   // entries of the stream that are no file that can be imported
	Different int `json:"different"` // series that the store keeps in another way than their file did
}

// Summary is what became of an import, with the first 100 files that were skipped
// and the first 100 kinds of differences.
type Summary struct {
	Counts
	Skips       []Skip       `json:"skips"`
	Differences []Difference `json:"differences"`
}

// Skip is a file that was not imported.
type Skip struct {
	Path string `json:"path"`
	Why  string `json:"why"`
}

// Difference is another retention in the file than here.
type Difference struct {
	File    string `json:"file"` // "1m:1d average 0.5"
	Here    string `json:"here"`
	Series  int    `json:"series"`
	Example string `json:"example"` // path of a file
}

// String is one line for people.
func (c Counts) String() string {
	return fmt.Sprintf("%d files, %d series, %d points read, %d written, %d too old, %d files skipped", c.Files, c.Series, c.Read, c.Written, c.TooOld, c.Skipped)
}

// Import reads a tar stream of Whisper files, whose paths are relative to Carbon's
// data folder, and writes their points to a store. When it returns, they are on
// disk. What is no file that can be read is skipped and told in the summary; the
// summary is right also beside an error. Importing twice does no harm.
//
// One file at a time is in memory.
func Import(ctx context.Context, o ImportOptions, in io.Reader) (Summary, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	i := &importer{ImportOptions: o, points: make([]metric.Point, 0, batch)}
	i.sum = Summary{Counts{DryRun: o.DryRun}, []Skip{}, []Difference{}}
	err := i.all(ctx, tar.NewReader(in))
	if !o.DryRun && err == nil {
		err = o.Store.Sync(ctx)
	}
	switch {
	case err != nil && i.sum.Files+i.sum.Skipped > 0:
		err = fmt.Errorf("import Whisper files: after %v: %w (import again: what is there already does no harm)", i.sum.Counts, err)
	case err != nil:
		err = fmt.Errorf("import Whisper files: %w", err)
	}
	return i.sum, err
}

type importer struct {
	ImportOptions
	sum    Summary
	data   bytes.Buffer
	points []metric.Point
}

func (i *importer) all(ctx context.Context, in *tar.Reader) error {
	for {
		if ctx.Err() != nil {
			return fault.New(fault.Unavailable, "it was interrupted: the server stops, or who imports has gone or lost the right to")
		}
		if i.Next != nil {
			i.Next()
		}
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.New(fault.Invalid, "the stream is no tar: %w", err)
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		unfit, err := i.one(ctx, h, in)
		if err != nil {
			return fmt.Errorf("%s: %w", brief(h.Name), err)
		}
		if unfit == nil {
			continue
		}
		if i.sum.Skipped++; len(i.sum.Skips) < mostTold {
			i.sum.Skips = append(i.sum.Skips, Skip{brief(h.Name), brief(unfit.Error())})
		}
	}
}

func brief(text string) string {
	if len(text) > 1000 {
		text = text[:1000] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// one imports one file. Unfit says why it is skipped, err ends the import.
func (i *importer) one(ctx context.Context, h *tar.Header, in io.Reader) (unfit, err error) {
	switch {
	case h.Typeflag != tar.TypeReg:
		return errors.New("it is no file"), nil
	case path.Ext(h.Name) != extension:
		return errors.New("its name doesn't end in " + extension), nil
	case h.Size > LargestFile:
		return fmt.Errorf("it has %d MiB, more than %d", h.Size>>20, LargestFile>>20), nil
	}
	name, err := Name(h.Name)
	if err != nil {
		return err, nil
	}
	if name = prefixed(i.Prefix, name); checkName(name) != nil {
		return fmt.Errorf("%.300q: %w", name, checkName(name)), nil
	}
	i.data.Reset()
	i.data.Grow(int(h.Size) + bytes.MinRead)
	if _, err := i.data.ReadFrom(in); err != nil {
		return nil, fault.New(fault.Invalid, "the stream breaks off: %w", err)
	}
	f, err := Parse(h.Name, i.data.Bytes())
	if err != nil {
		return err, nil
	}
	r := i.Store.Retention(name)
	p := place(f, r, i.Now().Unix())
	written, dropped, err := i.write(ctx, []byte(name), p.parts)
	i.sum.Written += written
	if kind := fault.Of(err); kind == fault.Invalid || kind == fault.TooMuch {
		return err, nil
	} else if err != nil {
		return nil, err
	}
	i.sum.Files++
	i.sum.Read += p.read
	i.sum.TooOld += p.old + dropped
	if written > 0 {
		i.sum.Series++
	}
	i.compare(h.Name, f.Retention, r)
	return nil, nil
}

// compare counts a file that the store keeps in another way.
func (i *importer) compare(file string, theirs, ours store.Retention) {
	d := Difference{File: theirs.String(), Here: ours.String(), Series: 1, Example: brief(file)}
	if d.File == d.Here {
		return
	}
	i.sum.Different++
	n := slices.IndexFunc(i.sum.Differences, func(e Difference) bool { return e.File == d.File && e.Here == d.Here })
	if n >= 0 {
		i.sum.Differences[n].Series++
	} else if len(i.sum.Differences) < mostTold {
		i.sum.Differences = append(i.sum.Differences, d)
	}
}

// write brings the parts to the store, in their order, from fine to coarse: a
// rollup of fine values that come later would replace coarse ones. What the store
// drops has grown too old meanwhile.
func (i *importer) write(ctx context.Context, name []byte, parts []part) (written, dropped int, err error) {
	for _, p := range parts {
		for values := p.values; len(values) > 0; values = values[min(batch, len(values)):] {
			i.points = i.points[:0]
			for _, v := range values[:min(batch, len(values))] {
				i.points = append(i.points, metric.Point{Name: name, Time: v.t, Value: v.v})
			}
			stored := len(i.points)
			if !i.DryRun {
				if stored, err = i.patiently(ctx, p.step); err != nil {
					return written, dropped, err
				}
			}
			written += stored
			dropped += len(i.points) - stored
		}
	}
	return written, dropped, nil
}

// patiently writes a batch, and waits for a store that cannot take it now.
func (i *importer) patiently(ctx context.Context, step int64) (stored int, err error) {
	start := time.Now()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		stored, err = i.Store.WriteArchive(ctx, step, i.points)
		if fault.Of(err) != fault.Unavailable || time.Since(start) > patience {
			return stored, err
		}
		select {
		case <-ctx.Done():
			return stored, err
		case <-time.After(pause):
		}
	}
}
