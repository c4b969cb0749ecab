package file

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// was tells what stands at a path as the resource that would put it there: a file (with
// its content, if that counts), a directory, a symlink; nil when nothing does.
func was(h *infra.Host, at string, content bool) (infra.Resource, error) {
	p, err := open(at)
	if nowhere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", at, err)
	}
	defer p.close()
	st, ok, err := p.stat()
	if err != nil || !ok {
		return nil, err
	}
	access := Access{h.UserName(int(st.Uid)), h.GroupName(int(st.Gid)), modeOf(st.Mode)}
	switch is := typeOf(st); is {
	case "file":
		f := &File{Path: at, Access: access, State: present}
		if content {
			if st.Size > infra.LargestCapture {
				return nil, fault.New(fault.TooMuch, "%s has more than %d MiB", at, infra.LargestCapture>>20)
			}
			b, err := p.content(infra.LargestCapture)
			if err != nil {
				return nil, err
			}
			f.set(string(b))
		}
		return f, nil
	case "directory":
		return &Directory{Path: at, Access: access, State: present}, nil
	case "symlink":
		to, err := readlink(p.folder, p.name)
		if err != nil {
			return nil, p.failed("read", err)
		}
		return &Symlink{Path: at, Target: to, State: present}, nil
	default:
		return nil, fault.New(fault.Conflict, "%s is a %s", at, is)
	}
}

// Capture is the file that is there. Its content is left out where the declaration does
// not look after it.
func (f *File) Capture(_ context.Context, h *infra.Host) (infra.Resource, error) {
	is, err := was(h, f.Path, f.Content != nil || f.From != "" || f.State == absent || f.Force)
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
		if f.State == absent && f.Force {
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

// Rewrites is the whole file: where lines were in it, only that can say.
func (e *Edit) Rewrites(*infra.Host) (files []string, secret bool, err error) {
	return []string{e.Path}, false, nil
}

// Capture is the line that stands in the place of the declared one.
func (l *Line) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	text, _, err := l.text()
	if err != nil {
		return nil, err
	}
	match := regexp.MustCompile(l.Match)
	var found []string
	for _, line := range lines(text) {
		if line = bare(line); l.Text != "" && line == l.Text || l.Match != "" && match.MatchString(line) {
			found = append(found, line)
		}
	}
	is := *l
	switch {
	case len(found) == 0:
		is.State = absent
	case len(slices.Compact(slices.Sorted(slices.Values(found)))) > 1:
		return nil, fault.New(fault.Conflict, "%s has %d lines that %q finds", l.Path, len(found), l.Match)
	default:
		is.State, is.Text = present, found[0]
	}
	return &is, nil
}

// Capture is the block as it stands in the file.
func (b *Block) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	text, _, err := b.text()
	if err == nil {
		_, _, err = b.change(text) // refuses marks that do not fit
	}
	if err != nil {
		return nil, err
	}
	is := *b
	is.State, is.Content = absent, nil
	var inside strings.Builder
	for _, l := range lines(text) {
		switch {
		case b.is(l, "BEGIN"):
			is.State = present
		case b.is(l, "END"):
			content := inside.String()
			is.Content = &content
			return &is, nil
		case is.State == present:
			inside.WriteString(bare(l) + "\n")
		}
	}
	return &is, nil
}
