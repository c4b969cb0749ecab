package place

import (
	"context"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// Bounds of a tree of folders that is walked.
const (
	Deepest     = 200 // each level holds a descriptor
	MostEntries = 2_000_000
)

// Walk visits everything in the folder at a place, what is in a folder before itself;
// not the folder at the place. It follows no links.
func (p Place) Walk(ctx context.Context, visit func(Place, unix.Stat_t) error) error {
	seen := 0
	return p.descend(ctx, 0, &seen, visit)
}

func (p Place) descend(ctx context.Context, depth int, seen *int, visit func(Place, unix.Stat_t) error) error {
	if depth > Deepest {
		return fault.New(fault.TooMuch, "walk %s: folders are nested more than %d deep", p.Path, Deepest)
	}
	f, err := p.Read(unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(1000)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return p.Failed("read", err)
		}
		for _, name := range names {
			if *seen++; *seen > MostEntries {
				return fault.New(fault.TooMuch, "walk %s: it holds more than %d files", p.Path, MostEntries)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			in := p.In(f, name)
			st, ok, err := in.Stat()
			if err != nil {
				return err
			}
			if !ok {
				continue // gone in the meantime
			}
			if TypeOf(st) == "directory" {
				if err := in.descend(ctx, depth+1, seen, visit); err != nil {
					return err
				}
			}
			if err := visit(in, st); err != nil {
				return err
			}
		}
	}
}

// RemoveAll removes what stands at a place, with everything in it.
func (p Place) RemoveAll(ctx context.Context) error {
	st, ok, err := p.Stat()
	if err != nil || !ok {
		return err
	}
	if TypeOf(st) == "directory" {
		// Entries that are removed while a folder is read may make it skip others: again,
		// until nothing is found.
		for found := true; found; {
			found = false
			if err := p.Walk(ctx, func(p Place, _ unix.Stat_t) error { found = true; return p.Remove() }); err != nil {
				return err
			}
		}
	}
	return p.Remove()
}

// RemoveTree removes what stands at a path, with everything in it.
func RemoveTree(ctx context.Context, at string) error {
	p, err := Open(at)
	if Nowhere(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", at, err)
	}
	defer p.Close()
	return p.RemoveAll(ctx)
}
