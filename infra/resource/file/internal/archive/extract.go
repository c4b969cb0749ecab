package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
	"steer/infra/resource/file/internal/unpack"
)

// Apply unpacks it, or removes what came out.
//
// It is unpacked beside first, and moved to its place file by file when all of it is
// there and found to be harmless: an archive that is broken changes nothing.
func (a *Archive) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	release, err := place.Lock(h, a.Dest)
	if err != nil {
		return err
	}
	defer release()
	if a.State == place.Absent {
		return a.remove()
	}
	if fd, err := place.OpenFolder(a.Dest); err == nil {
		unix.Close(fd)
	} else if err := place.MakeFolder(h, a.Dest, a.access()); err != nil {
		return err
	}
	root, err := a.open()
	if err == nil {
		defer root.Close()
		err = a.unpack(ctx, h, root)
	}
	if err != nil {
		return fault.New(fault.Of(err), "unpack %s into %s: %w", a.named(), a.Dest, err)
	}
	return nil
}

// named is the archive in errors, without a password.
func (a *Archive) named() string {
	if u, err := url.Parse(a.From); err == nil && a.remote() {
		return u.Redacted()
	}
	if a.From == "" {
		return "the archive"
	}
	return a.From
}

func (a *Archive) unpack(ctx context.Context, h *infra.Host, root *os.Root) error {
	uid, gid, err := a.access().IDs(h)
	if err != nil {
		return err
	}
	name := a.recordName()
	work := name + ".work"
	if err := root.RemoveAll(work); err != nil { // of a run that was cut off
		return err
	}
	if err := root.Mkdir(work, 0o700); err != nil {
		return err
	}
	defer root.RemoveAll(work)
	identity, err := a.identity("")
	if err != nil {
		return err
	}
	f, err := a.fetch(ctx, root, work)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := root.Mkdir(work+"/tree", 0o700); err != nil {
		return err
	}
	tree, err := root.OpenRoot(work + "/tree")
	if err != nil {
		return err
	}
	defer tree.Close()
	entries, err := unpack.Into(ctx, f, tree, unpack.Options{Strip: a.Strip, UID: uid, GID: gid})
	if err != nil {
		return err
	}
	old, err := readRecord(root, name)
	if err != nil {
		return err
	}
	m := mover{root: root, from: work + "/tree", uid: uid, gid: gid, known: map[string]bool{}}
	for _, u := range old.Files {
		m.known[u.Name] = true
	}
	if err := m.plan(entries); err != nil {
		return err
	}
	// Until all is done the record holds what was and what comes, so that nothing is
	// forgotten when this is cut off.
	both := record{Archive: identity, Strip: a.Strip, Files: append(m.files(), old.Files...)}
	if err := both.write(root, name); err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, e := range entries {
		keep[e.Name] = true
	}
	if err := old.drop(root, name, keep); err != nil {
		return err
	}
	done := record{Archive: identity, Strip: a.Strip, Done: true}
	if done.Files, err = m.move(); err != nil {
		return err
	}
	return done.write(root, name)
}

// mover moves what was unpacked to its place.
type mover struct {
	root     *os.Root
	from     string
	uid, gid int
	known    map[string]bool // names that came out of the archive before
	entries  []unpack.Entry
}

// plan leaves out folders that are there and belong to others, and finds what stands
// in the way while nothing is changed yet.
func (m *mover) plan(entries []unpack.Entry) error {
	for _, e := range entries {
		st, err := m.root.Lstat(e.Name)
		switch {
		case strings.HasPrefix(e.Name, recordPrefix):
			return fault.New(fault.Invalid, "%s in it is a name that Steer needs", e.Name)
		case place.Nowhere(err), err == nil && st.IsDir() == (e.Type == unpack.Dir):
		case err != nil:
			return err
		case !m.known[e.Name]:
			return fault.New(fault.Conflict, "%s is in the way, where the archive has a %s (remove it)", e.Name, e.Type)
		}
		if foreign := err == nil && st.IsDir() && !m.known[e.Name]; !foreign {
			m.entries = append(m.entries, e)
		}
	}
	return nil
}

func (m *mover) files() []unpacked {
	all := []unpacked{} // not nil: there is a record
	for _, e := range m.entries {
		all = append(all, unpacked{Name: e.Name})
	}
	return all
}

// move moves and returns what is there then.
func (m *mover) move() ([]unpacked, error) {
	for _, e := range m.entries {
		if st, err := m.root.Lstat(e.Name); err == nil && st.IsDir() != (e.Type == unpack.Dir) {
			if err := m.root.Remove(e.Name); err != nil { // it came out before, as something else
				return nil, err
			}
		}
		if e.Type != unpack.Dir {
			if err := m.root.Rename(m.from+"/"+e.Name, e.Name); err != nil {
				return nil, err
			}
			continue
		}
		if err := m.root.Mkdir(e.Name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if m.uid != place.Same || m.gid != place.Same {
			if err := m.root.Lchown(e.Name, m.uid, m.gid); err != nil {
				return nil, err
			}
		}
	}
	// Folders that nobody may write to get their rights when they are filled.
	for _, e := range m.entries {
		if e.Type == unpack.Dir {
			if err := m.root.Chmod(e.Name, e.Mode); err != nil {
				return nil, err
			}
		}
	}
	all := []unpacked{}
	for _, e := range m.entries {
		u, _, err := look(m.root, e.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	return all, nil
}

func (a *Archive) remove() error {
	root, err := a.open()
	if place.Nowhere(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", a.ID(), err)
	}
	defer root.Close()
	name := a.recordName()
	old, err := readRecord(root, name)
	if err == nil {
		err = old.drop(root, name, map[string]bool{})
	}
	if err == nil {
		err = root.RemoveAll(name + ".work")
	}
	if err == nil {
		err = root.RemoveAll(name)
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", a.ID(), err)
	}
	return nil
}
