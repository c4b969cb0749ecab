package file

import (
	"context"
	"io"
	"path"

	"golang.org/x/sys/unix"

	"steer/base/fault"
)

// Bounds of a tree of folders that is walked.
const (
	deepest     = 200 // each level holds a descriptor
	mostEntries = 2_000_000
)

// walk visits everything in the folder at a place, what is in a folder before itself;
// not the folder at the place. It follows no links.
func (p place) walk(ctx context.Context, visit func(place, unix.Stat_t) error) error {
	seen := 0
	return p.descend(ctx, 0, &seen, visit)
}

func (p place) descend(ctx context.Context, depth int, seen *int, visit func(place, unix.Stat_t) error) error {
	if depth > deepest {
		return fault.New(fault.TooMuch, "walk %s: folders are nested more than %d deep", p.path, deepest)
	}
	f, err := p.read(unix.O_DIRECTORY)
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
			return p.failed("read", pure(err))
		}
		for _, name := range names {
			if *seen++; *seen > mostEntries {
				return fault.New(fault.TooMuch, "walk %s: it holds more than %d files", p.path, mostEntries)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			in := place{path.Join(p.path, name), name, int(f.Fd())}
			st, ok, err := in.stat()
			if err != nil {
				return err
			}
			if !ok {
				continue // gone in the meantime
			}
			if typeOf(st) == "directory" {
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

// removeAll removes what stands at a place, with everything in it.
func (p place) removeAll(ctx context.Context) error {
	st, ok, err := p.stat()
	if err != nil || !ok {
		return err
	}
	if typeOf(st) == "directory" {
		// Entries that are removed while a folder is read may make it skip others: again,
		// until nothing is found.
		for found := true; found; {
			found = false
			if err := p.walk(ctx, func(p place, _ unix.Stat_t) error { found = true; return p.remove() }); err != nil {
				return err
			}
		}
	}
	return p.remove()
}
