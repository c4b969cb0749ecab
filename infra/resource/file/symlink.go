package file

import (
	"context"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"steer/infra"
	"steer/infra/resource/file/internal/place"
)

// Symlink is a symbolic link as it should be.
type Symlink struct {
	Path   string `yaml:"path" doc:"Absolute path of the link."`
	Target string `yaml:"target,omitempty" doc:"Where it leads, absolute or seen from the folder of the link. It need not exist."`
	State  string `yaml:"state,omitempty" doc:"present or absent." default:"present"`
	Force  bool   `yaml:"force,omitempty" doc:"Replace also a file or an empty folder at this path."`
}

func symlinkKind() infra.Kind {
	return infra.Kind{
		Name: "symlink",
		Doc:  "A symbolic link. When it leads elsewhere it is turned in one step: at no time is there no link.",
		Key:  "path",
		Example: `- symlink: /etc/nginx/sites-enabled/shop
  target: ../sites-available/shop
`,
		Class: place.Class,
		New:   func() infra.Resource { return &Symlink{} },
	}
}

// ID is the path.
func (s *Symlink) ID() string { return s.Path }

// Check looks at the declaration.
func (s *Symlink) Check() error {
	if err := place.CleanPath("path", &s.Path); err != nil {
		return err
	}
	if err := place.CheckState(s.State); err != nil {
		return err
	}
	if s.State == place.Present && s.Target == "" {
		return fmt.Errorf("target: is missing (write where the link leads)")
	}
	if len(s.Target) >= unix.PathMax || strings.Contains(s.Target, "\x00") {
		return fmt.Errorf("target: is no path")
	}
	if s.resolved() == s.Path {
		return fmt.Errorf("target: the link leads to itself")
	}
	return nil
}

// resolved is where the link leads, as an absolute path.
func (s *Symlink) resolved() string {
	if path.IsAbs(s.Target) {
		return path.Clean(s.Target)
	}
	return path.Join(path.Dir(s.Path), s.Target)
}

// Gives names the link.
func (s *Symlink) Gives() []string {
	if s.State == place.Absent {
		return nil
	}
	return []string{"path:" + s.Path}
}

// Needs names its folder and, so that it does not dangle, where it leads.
func (s *Symlink) Needs() []string {
	if s.State == place.Absent || strings.HasPrefix(s.resolved(), s.Path+"/") {
		return []string{"path:" + s.Path}
	}
	return []string{"path:" + s.Path, "path:" + s.resolved()}
}

// Claims is the link.
func (s *Symlink) Claims() []infra.Claim { return []infra.Claim{{Name: "path:" + s.Path}} }

// Watch names what to watch.
func (s *Symlink) Watch() []string { return []string{s.Path} }

// Absent declares it away.
func (s *Symlink) Absent() infra.Resource { return &Symlink{Path: s.Path, State: place.Absent} }

// Diff compares.
func (s *Symlink) Diff(context.Context, *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	p, err := place.Open(s.Path)
	st, ok := unix.Stat_t{}, false
	if err == nil {
		defer p.Close()
		st, ok, err = p.Stat()
	}
	switch {
	case err != nil && !place.Nowhere(err):
		return d, fmt.Errorf("compare %s: %w", s.Path, err)
	case s.State == place.Absent && !ok:
		return d, nil
	case s.State == place.Absent:
		return gone(p, st, "symlink", s.Force)
	case !ok:
		d.Action = infra.Create
		d.Set("target", "", s.Target)
		return d, nil
	case place.TypeOf(st) != "symlink":
		if err := p.GiveWay(st, "symlink", s.Force); err != nil {
			return d, err
		}
		d.Action = infra.Replace
		d.Set("type", place.TypeOf(st), "symlink")
		d.Set("target", "", s.Target)
		return d, nil
	}
	to, err := p.Link()
	if err != nil {
		return d, err
	}
	if to != s.Target {
		d.Set("target", to, s.Target)
	}
	return d, nil
}

// Apply makes, turns or removes it.
func (s *Symlink) Apply(context.Context, *infra.Host, infra.Diff) error {
	p, err := place.Open(s.Path)
	if place.Nowhere(err) {
		if s.State == place.Absent {
			return nil
		}
		return place.Missing(s.Path, err)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.Path, err)
	}
	defer p.Close()
	if s.State == place.Absent {
		return p.Remove()
	}
	return p.WriteLink(s.Target)
}
