package file

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// Bounds of what one run removes from a folder, and of what its diff names.
const (
	mostPurged = 10_000
	mostNamed  = 20
)

// Kept is what a folder keeps: true, or names.
type Kept struct {
	All   bool
	Names []string
}

// ReadRaw reads true, false or a list.
func (k *Kept) ReadRaw(r config.Raw) error {
	if text, ok := r.Text(); ok && (text == "true" || text == "false") {
		k.All = text == "true"
		return nil
	}
	if err := r.Decode(&k.Names); err != nil {
		return err
	}
	for _, name := range k.Names {
		if _, err := path.Match(name, ""); err != nil || name == "" || path.IsAbs(name) || strings.Contains("/"+name+"/", "/../") {
			return fmt.Errorf("%q is no pattern of names in the folder (write one like *.local or sub/*.conf)", name)
		}
	}
	return nil
}

// MarshalYAML writes what ReadRaw reads.
func (k Kept) MarshalYAML() (any, error) {
	if k.All {
		return true, nil
	}
	return k.Names, nil
}

// IsZero tells whether nothing was written.
func (k Kept) IsZero() bool { return !k.All && len(k.Names) == 0 }

// has tells whether a name in the folder is kept: a pattern without a slash is about the
// last part of it.
func (k Kept) has(name string) bool {
	return slices.ContainsFunc(k.Names, func(pattern string) bool {
		in := name
		if !strings.Contains(pattern, "/") {
			in = path.Base(name)
		}
		ok, _ := path.Match(pattern, in)
		return ok
	})
}

// checkPurge refuses folders of which much is there that no role declares, and by which a
// host lives.
func checkPurge(folder string) error {
	parts := strings.Split(strings.TrimPrefix(folder, "/"), "/")
	most := 1 // how deep folders of the system are
	switch parts[0] {
	case "bin", "sbin", "lib", "lib32", "lib64", "libx32", "boot", "dev", "proc", "sys", "run":
		most = len(parts)
	case "home", "usr", "var":
		most = 2
	}
	if len(parts) > 2 && (parts[0] == "usr" && parts[1] != "local" || parts[0] == "var" && parts[1] == "lib" && slices.Contains([]string{"apt", "dpkg", "rpm", "steer-host", "systemd"}, parts[2])) {
		most = len(parts)
	}
	if len(parts) <= most {
		return fault.New(fault.Invalid, "purge: %s is a folder of the system, of which roles declare a part only (name one in it that is yours alone)", folder)
	}
	return nil
}

// Purges is the folder.
func (f *Directory) Purges() string {
	if !f.Purge || f.State == place.Absent {
		return ""
	}
	return f.Path
}

// Spare takes the paths that others declare.
func (f *Directory) Spare(paths []string) { f.Declared = paths }

// purging is one walk through a folder that is purged.
type purging struct {
	*Directory
	spared []string
	device uint64
	remove bool
	seen   int
	gone   []string // without what is in folders that go whole
	paths  []string // all
	count  int
}

// purge finds what goes, and removes it if it shall.
func (f *Directory) purge(ctx context.Context, p place.Place, remove bool) (*purging, error) {
	if err := checkPurge(p.Real()); err != nil {
		return nil, err
	}
	st, ok, err := p.Stat()
	if err != nil || !ok {
		return nil, err
	}
	look := func(remove bool, spared ...string) (*purging, error) {
		w := &purging{Directory: f, device: st.Dev, remove: remove, spared: spared}
		_, err := w.folder(ctx, p, 0)
		return w, err
	}
	var spared []string
	for _, s := range f.Declared {
		if strings.HasPrefix(s, f.Path+"/") {
			spared = append(spared, s)
		}
	}
	if w, err := look(false, spared...); err == nil && w.count == 0 {
		return w, nil
	}
	return look(remove, append(spared, f.byLinks(p.Real())...)...)
}

// byLinks are the paths in the folder, which is real, of what is declared by way of a link.
func (f *Directory) byLinks(folder string) []string {
	var found []string
	real := map[string]string{}
	for _, s := range f.Declared {
		dir := path.Dir(s)
		if _, known := real[dir]; !known {
			real[dir], _ = filepath.EvalSymlinks(dir)
		}
		if in, ok := strings.CutPrefix(real[dir]+"/", folder+"/"); ok {
			found = append(found, path.Join(f.Path, in, path.Base(s)))
		}
	}
	return found
}

// folder looks at what is in a folder; all tells that nothing of it stays.
func (w *purging) folder(ctx context.Context, p place.Place, depth int) (all bool, err error) {
	if depth > place.Deepest {
		return false, fault.New(fault.TooMuch, "purge %s: folders are nested more than %d deep", w.Path, place.Deepest)
	}
	f, err := p.Read(unix.O_DIRECTORY)
	if err != nil {
		return false, err
	}
	defer f.Close()
	names, err := f.Readdirnames(place.MostEntries)
	if err != nil && len(names) > 0 {
		return false, p.Failed("read", err)
	}
	slices.Sort(names)
	all = true
	for _, name := range names {
		if w.seen++; w.seen >= place.MostEntries {
			return false, fault.New(fault.TooMuch, "purge %s: it holds more than %d files", w.Path, place.MostEntries)
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		gone, err := w.entry(ctx, p.In(f, name), depth)
		if err != nil {
			return false, err
		}
		all = all && gone
	}
	return all, nil
}

// entry tells whether something in the folder goes.
func (w *purging) entry(ctx context.Context, in place.Place, depth int) (gone bool, err error) {
	st, ok, err := in.Stat()
	if err != nil || !ok {
		return !ok, err
	}
	directory := place.TypeOf(st) == "directory"
	if w.spares(in.Path) || st.Dev != w.device || in.Mounted() {
		return false, nil
	}
	if !directory && slices.ContainsFunc(w.spared, func(s string) bool { return strings.HasPrefix(s, in.Path+"/") }) {
		return false, nil // a link on the way to what is declared
	}
	before := len(w.gone)
	if directory {
		if all, err := w.folder(ctx, in, depth+1); err != nil || !all {
			return false, err
		}
		// What others declare in it shall not be there, or not yet: the folder is theirs.
		if slices.ContainsFunc(w.spared, func(s string) bool { return strings.HasPrefix(s, in.Path+"/") }) {
			return false, nil
		}
	}
	if w.count++; w.count > mostPurged {
		return false, fault.New(fault.TooMuch, "purge %s: there is more to remove than %d files (remove by hand what is not needed, or keep it)", w.Path, mostPurged)
	}
	name := strings.TrimPrefix(in.Path, w.Path+"/")
	if directory {
		name += "/"
	}
	w.gone, w.paths = append(w.gone[:before], name), append(w.paths, in.Path)
	if w.remove {
		return true, in.Remove()
	}
	return true, nil
}

// spares tells whether a path is declared or kept; also the backup of one.
func (w *purging) spares(p string) bool {
	return slices.Contains(w.spared, p) || w.Keep.has(strings.TrimPrefix(p, w.Path+"/")) ||
		strings.HasSuffix(p, ".bak") && slices.Contains(w.spared, strings.TrimSuffix(p, ".bak"))
}

// comparePurge adds what would go.
func (f *Directory) comparePurge(ctx context.Context, p place.Place, d *infra.Diff) error {
	w, err := f.purge(ctx, p, false)
	if err != nil || w == nil {
		return err
	}
	for i, name := range w.gone {
		if i == mostNamed {
			d.Set("purge", fmt.Sprintf("and %d more", len(w.gone)-i), place.Absent)
			break
		}
		d.Set("purge", name, place.Absent)
	}
	return nil
}

// Gone lists what would go.
func (f *Directory) Gone(ctx context.Context, _ *infra.Host) ([]string, error) {
	p, err := place.Open(f.Path)
	if place.Nowhere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer p.Close()
	w, err := f.purge(ctx, p, false)
	if err != nil || w == nil {
		return nil, err
	}
	return w.paths, nil
}
