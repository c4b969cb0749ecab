package unpack

import (
	"context"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"steer/base/fault"
)

// unpacker writes entries. The root keeps it in the folder whatever a name says;
// beyond that nothing is written through a link, and no link leads out.
type unpacker struct {
	ctx   context.Context
	root  *os.Root
	o     Options
	left  int64 // bytes that may still come
	seen  map[string]*Entry
	order []*Entry
}

// name is that of an entry without what is stripped; empty when nothing is left.
func (u *unpacker) name(name string) (string, error) {
	if path.IsAbs(name) || slices.Contains(strings.Split(name, "/"), "..") || strings.Contains(name, "\x00") {
		return "", invalid("%q would leave the folder (its name starts with / or has .. in it)", name)
	}
	parts := strings.Split(path.Clean(name), "/")
	if len(parts) <= u.o.Strip || parts[0] == "." {
		return "", nil
	}
	return path.Join(parts[u.o.Strip:]...), nil
}

// add makes room for an entry: the folders above it, and its place.
func (u *unpacker) add(e Entry) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	if dir := path.Dir(e.Name); dir != "." {
		switch above := u.seen[dir]; {
		case above == nil:
			if err := u.dir(Entry{Name: dir, Mode: 0o755}); err != nil {
				return err
			}
		case above.Type != Dir:
			return invalid("%s is in %s, which is a %s", e.Name, dir, above.Type)
		}
	}
	if old := u.seen[e.Name]; old != nil {
		if old.Type == Dir || e.Type == Dir {
			return invalid("%s is in it twice, as a %s and a %s", e.Name, old.Type, e.Type)
		}
		*old = e // the last one counts
		return u.root.Remove(e.Name)
	}
	if len(u.order) >= u.o.Entries {
		return fault.New(fault.TooMuch, "it holds more than %d files", u.o.Entries)
	}
	u.seen[e.Name] = &e
	u.order = append(u.order, &e)
	return nil
}

func (u *unpacker) dir(e Entry) error {
	e.Type = Dir
	if old := u.seen[e.Name]; old != nil && old.Type == Dir {
		old.Mode = e.Mode
		return nil
	}
	if err := u.add(e); err != nil {
		return err
	}
	return u.root.Mkdir(e.Name, 0o700)
}

func (u *unpacker) file(e Entry, content io.Reader, modified time.Time) error {
	e.Type = File
	if err := u.add(e); err != nil {
		return err
	}
	f, err := u.root.OpenFile(e.Name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(&reader{u.ctx, content}, u.left+1))
	if err == nil {
		err = u.take(n)
	}
	if err == nil {
		err = u.owned(f.Chown)
	}
	if err == nil {
		err = f.Chmod(e.Mode)
	}
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err == nil && !modified.IsZero() {
		err = u.root.Chtimes(e.Name, modified, modified)
	}
	if err != nil {
		return broken(e.Name, err)
	}
	return nil
}

// take counts bytes that came out.
func (u *unpacker) take(n int64) error {
	if u.left -= n; u.left < 0 {
		return fault.New(fault.TooMuch, "more than %d MiB come out of it", u.o.Bytes>>20)
	}
	return nil
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// link makes a symlink. It may lead up as far as the folder goes, and then down: as
// every link does, no way through them leads out.
func (u *unpacker) link(e Entry, to string) error {
	e.Type = Link
	up, rest := 0, to
	for strings.HasPrefix(rest+"/", "../") {
		up, rest = up+1, strings.TrimLeft(strings.TrimPrefix(rest, ".."), "/")
	}
	if to == "" || path.IsAbs(to) || strings.Contains(to, "\x00") || up > strings.Count(e.Name, "/") || slices.Contains(strings.Split(rest, "/"), "..") {
		return invalid("%s is a link to %q, which leads out of the folder", e.Name, to)
	}
	if err := u.add(e); err != nil {
		return err
	}
	if err := u.root.Symlink(to, e.Name); err != nil {
		return err
	}
	return u.owned(func(uid, gid int) error { return u.root.Lchown(e.Name, uid, gid) })
}

// hardLink gives a file that came out before a second name.
func (u *unpacker) hardLink(e Entry, to string) error {
	old, err := u.name(to)
	if err != nil {
		return err
	}
	first := u.seen[old]
	if first == nil || first.Type != File || old == e.Name {
		return invalid("%s is another name of %q, which is no file before it in the archive", e.Name, to)
	}
	e.Type, e.Mode = File, first.Mode
	if err := u.add(e); err != nil {
		return err
	}
	return u.root.Link(old, e.Name)
}

func (u *unpacker) owned(chown func(uid, gid int) error) error {
	if u.o.UID < 0 && u.o.GID < 0 {
		return nil
	}
	return chown(u.o.UID, u.o.GID)
}

func (u *unpacker) entries() ([]Entry, error) {
	if len(u.order) == 0 {
		return nil, invalid("nothing is in it%s", map[bool]string{true: " once the leading folders are stripped"}[u.o.Strip > 0])
	}
	var all []Entry
	for _, e := range u.order {
		all = append(all, *e)
	}
	return all, nil
}
