package file

import (
	"context"
	"errors"
	"fmt"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// was tells what stands at a path as the resource that would put it there: a file (with
// its content, if that counts), a directory, a symlink; nil when nothing does.
func was(h *infra.Host, at string, content bool) (infra.Resource, error) {
	p, err := place.Open(at)
	if place.Nowhere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", at, err)
	}
	defer p.Close()
	st, ok, err := p.Stat()
	if err != nil || !ok {
		return nil, err
	}
	access := place.AccessOf(h, st)
	switch is := place.TypeOf(st); is {
	case "file":
		f := &File{Path: at, Access: access, State: place.Present}
		if content {
			if st.Size > infra.LargestCapture {
				return nil, fault.New(fault.TooMuch, "%s has more than %d MiB", at, infra.LargestCapture>>20)
			}
			b, err := p.Content(infra.LargestCapture)
			if err != nil {
				return nil, err
			}
			f.set(string(b))
		}
		return f, nil
	case "directory":
		return &Directory{Path: at, Access: access, State: place.Present}, nil
	case "symlink":
		to, err := p.Link()
		if err != nil {
			return nil, err
		}
		return &Symlink{Path: at, Target: to, State: place.Present}, nil
	default:
		return nil, fault.New(fault.Conflict, "%s is a %s", at, is)
	}
}

// Capture is the file that is there. Its content is left out where the declaration does
// not look after it.
func (f *File) Capture(_ context.Context, h *infra.Host) (infra.Resource, error) {
	is, err := was(h, f.Path, f.Content != nil || f.From != "" || f.State == place.Absent || f.Force)
	switch one := is.(type) {
	case nil:
		return f.Absent(), err
	case *Directory:
		one.Force = true
	case *Symlink:
		one.Force = true
	}
	return is, err
}

// Capture is the file that is there, as a template without anything to fill in.
func (t *Template) Capture(ctx context.Context, h *infra.Host) (infra.Resource, error) {
	is, err := t.File.Capture(ctx, h)
	if f, ok := is.(*File); ok {
		return &Template{*f}, err
	}
	return is, err
}

// Capture is the folder that is there, without what is in it.
func (f *Directory) Capture(ctx context.Context, h *infra.Host) (infra.Resource, error) {
	is, err := was(h, f.Path, true)
	switch one := is.(type) {
	case nil:
		return f.Absent(), err
	case *Directory:
		if f.Recurse {
			return nil, fault.New(fault.Conflict, "whom everything in %s belonged to was not kept", f.Path)
		}
		if f.Purge {
			if gone, err := f.Gone(ctx, h); err != nil || len(gone) > 0 {
				return nil, errors.Join(err, infra.ErrPurged)
			}
		}
		if f.State == place.Absent && f.Force {
			return nil, fault.New(fault.Conflict, "what is in %s is not kept", f.Path)
		}
	case *File:
		one.Force = true
	case *Symlink:
		one.Force = true
	}
	return is, err
}

// Capture is the link that is there.
func (s *Symlink) Capture(_ context.Context, h *infra.Host) (infra.Resource, error) {
	is, err := was(h, s.Path, true)
	switch one := is.(type) {
	case nil:
		return s.Absent(), err
	case *File:
		one.Force = true
	case *Directory:
		one.Force = true
	}
	return is, err
}
