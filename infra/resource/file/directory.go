package file

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// Directory is a folder as it should be.
type Directory struct {
	Path         string `yaml:"path" doc:"Absolute path. Folders above it that are missing are made, for root and with mode 0755."`
	place.Access `yaml:",inline"`
	Recurse      bool       `yaml:"recurse,omitempty" doc:"Give owner and group to everything in it, mode to the folders in it, file_mode to the files in it. Every run looks at all of them."`
	FileMode     place.Mode `yaml:"file_mode,omitempty" doc:"Permissions of the files in it, with recurse."`
	State        string     `yaml:"state,omitempty" doc:"present or absent." default:"present"`
	Force        bool       `yaml:"force,omitempty" doc:"With state present replace also a file or symlink at this path; with absent remove it with everything in it."`
	Purge        bool       `yaml:"purge,omitempty" doc:"Remove everything in it that no resource of the host declares. What is in folders that are declared too is left to these. It follows no links and leaves what is mounted in it; folders of the system are refused."`
	Keep         Kept       `yaml:"keep,omitempty" doc:"With purge: patterns of names to leave, like ['*.local'], with what is in them. With state absent: true leaves the folder when something is in it, instead of failing."`
	Declared     []string   `yaml:"declared,omitempty" doc:"Filled in by Steer, for purge: what other resources of the host declare."`
}

func directoryKind() infra.Kind {
	return infra.Kind{
		Name: "directory",
		Doc: "A folder with its owner and rights. When it is no longer declared it is removed once it is empty: " +
			"what Steer has not put there is not taken away.",
		Key: "path",
		Example: `- directory: /var/lib/shop
  owner: shop
  group: shop
  mode: "0750"
`,
		Class: place.Class,
		New:   func() infra.Resource { return &Directory{} },
	}
}

// ID is the path.
func (f *Directory) ID() string { return f.Path }

// Check looks at the declaration.
func (f *Directory) Check() error {
	if err := place.CleanPath("path", &f.Path); err != nil {
		return err
	}
	if f.Recurse && f.Access == (place.Access{}) && f.FileMode == "" {
		return fmt.Errorf("recurse: there is nothing to give to what is in it (write owner, group, mode or file_mode)")
	}
	if f.FileMode != "" && !f.Recurse {
		return fmt.Errorf("file_mode: is only for what is in the folder (write recurse: true)")
	}
	if f.Keep.All && (f.State != place.Absent || f.Force) {
		return fmt.Errorf("keep: is for state absent without force, or a list of names for purge")
	}
	if f.Keep.Names != nil && !f.Purge {
		return fmt.Errorf("keep: names are for purge (write purge: true)")
	}
	if f.Purge {
		if f.State == place.Absent {
			return fmt.Errorf("purge: is for a folder that stays (force: true removes one with everything in it)")
		}
		if err := checkPurge(f.Path); err != nil {
			return err
		}
	}
	return place.CheckState(f.State)
}

// Gives names the folder.
func (f *Directory) Gives() []string {
	if f.State == place.Absent {
		return nil
	}
	return []string{"path:" + f.Path}
}

// Needs names the folder above and the owners.
func (f *Directory) Needs() []string { return append(f.Accounts(), "path:"+f.Path) }

// Claims is the folder, which others may share as long as it is there.
func (f *Directory) Claims() []infra.Claim {
	as := infra.Folder
	if f.State == place.Absent {
		as = infra.Alone
	}
	return []infra.Claim{{Name: "path:" + f.Path, As: as}}
}

// Watch names what to watch.
func (f *Directory) Watch() []string {
	if f.Recurse || f.Purge {
		return []string{f.Path + "/**"}
	}
	return []string{f.Path}
}

// Absent declares it away, unless something else is in it.
func (f *Directory) Absent() infra.Resource {
	return &Directory{Path: f.Path, State: place.Absent, Keep: Kept{All: true}}
}

// Diff compares.
func (f *Directory) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	p, err := place.Open(f.Path)
	st, ok := unix.Stat_t{}, false
	if err == nil {
		defer p.Close()
		st, ok, err = p.Stat()
	}
	switch {
	case err != nil && !place.Nowhere(err):
		return d, fmt.Errorf("compare %s: %w", f.Path, err)
	case f.State == place.Absent && !ok:
		return d, nil
	case f.State == place.Absent:
		return f.gone(p, st)
	case !ok:
		d.Action = infra.Create
		f.Declare(&d)
		return d, nil
	case place.TypeOf(st) != "directory":
		if err := p.GiveWay(st, "directory", f.Force); err != nil {
			return d, err
		}
		d.Action = infra.Replace
		d.Set("type", place.TypeOf(st), "directory")
		f.Declare(&d)
		return d, nil
	}
	if err := f.Compare(h, st, &d); err != nil {
		return d, err
	}
	if f.Purge {
		if err := f.comparePurge(ctx, p, &d); err != nil {
			return d, err
		}
	}
	if !f.Recurse {
		return d, nil
	}
	return d, f.compareBelow(ctx, h, p, &d)
}

// compareBelow adds how many in it differ, and the first of them.
func (f *Directory) compareBelow(ctx context.Context, h *infra.Host, p place.Place, d *infra.Diff) error {
	count := map[string]int{}
	first := map[string]infra.Field{}
	err := p.Walk(ctx, func(p place.Place, st unix.Stat_t) error {
		var one infra.Diff
		if err := f.below(st).Compare(h, st, &one); err != nil {
			return err
		}
		for _, field := range one.Fields {
			if count[field.Name]++; count[field.Name] == 1 {
				field.Old = p.Path + " " + field.Old
				first[field.Name] = field
			}
		}
		return nil
	})
	for _, name := range []string{"owner", "group", "mode"} {
		old := first[name].Old
		if n := count[name]; n > 1 {
			old = fmt.Sprintf("%s and %d more", old, n-1)
		}
		if count[name] > 0 {
			d.Set("recurse "+name, old, first[name].New)
		}
	}
	return err
}

// below is what something in the folder shall have.
func (f *Directory) below(st unix.Stat_t) place.Access {
	a := f.Access
	switch place.TypeOf(st) {
	case "directory":
	case "file":
		a.Mode = f.FileMode
	default:
		a.Mode = "" // a link has none, of sockets and pipes their programs know
	}
	return a
}

func (f *Directory) gone(p place.Place, st unix.Stat_t) (infra.Diff, error) {
	if place.TypeOf(st) != "directory" {
		if f.Keep.All {
			return infra.Diff{}, nil
		}
		return gone(p, st, "directory", f.Force)
	}
	if !f.Force && p.GiveWay(st, "", true) != nil {
		if f.Keep.All {
			return infra.Diff{}, nil
		}
		return infra.Diff{}, fault.New(fault.Conflict, "remove %s: something is in it (force: true removes it with everything in it)", f.Path)
	}
	return infra.Diff{Action: infra.Delete, Fields: []infra.Field{{Name: "state", Old: place.Present, New: place.Absent}}}, nil
}

// Apply makes, changes or removes it.
func (f *Directory) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	if f.State == place.Absent {
		return f.remove(ctx)
	}
	if err := place.MakeParents(f.Path); err != nil {
		return err
	}
	p, err := place.Open(f.Path)
	if err != nil {
		return fmt.Errorf("make %s: %w", f.Path, err)
	}
	defer p.Close()
	err = p.Folder(h, f.Access) // Diff looked whether what is there may go
	if err == nil && d.Has("purge") {
		_, err = f.purge(ctx, p, true)
	}
	if err != nil || !f.Recurse {
		return err
	}
	return p.Walk(ctx, func(p place.Place, st unix.Stat_t) error { return f.below(st).Give(h, p, st) })
}

func (f *Directory) remove(ctx context.Context) error {
	if f.Force {
		return place.RemoveTree(ctx, f.Path)
	}
	p, err := place.Open(f.Path)
	if place.Nowhere(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove %s: %w", f.Path, err)
	}
	defer p.Close()
	return p.Remove()
}
