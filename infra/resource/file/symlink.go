package file

import (
	"context"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"steer/infra"
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
		Class: class,
		New:   func() infra.Resource { return &Symlink{} },
	}
}

// ID is the path.
func (s *Symlink) ID() string { return s.Path }

// Check looks at the declaration.
func (s *Symlink) Check() error {
	if err := cleanPath("path", &s.Path); err != nil {
		return err
	}
	if err := checkState(s.State); err != nil {
		return err
	}
	if s.State == present && s.Target == "" {
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
	if s.State == absent {
		return nil
	}
	return []string{"path:" + s.Path}
}

// Needs names its folder and, so that it does not dangle, where it leads.
func (s *Symlink) Needs() []string {
	if s.State == absent || strings.HasPrefix(s.resolved(), s.Path+"/") {
		return []string{"path:" + s.Path}
	}
	return []string{"path:" + s.Path, "path:" + s.resolved()}
}

// Claims is the link.
func (s *Symlink) Claims() []infra.Claim { return []infra.Claim{{Name: "path:" + s.Path}} }

// Watch names what to watch.
func (s *Symlink) Watch() []string { return []string{s.Path} }

// Absent declares it away.
func (s *Symlink) Absent() infra.Resource { return &Symlink{Path: s.Path, State: absent} }

// Diff compares.
func (s *Symlink) Diff(context.Context, *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	p, err := open(s.Path)
	st, ok := unix.Stat_t{}, false
	if err == nil {
		defer p.close()
		st, ok, err = p.stat()
	}
	switch {
	case err != nil && !nowhere(err):
		return d, fmt.Errorf("compare %s: %w", s.Path, err)
	case s.State == absent && !ok:
		return d, nil
	case s.State == absent:
		return gone(p, st, "symlink", s.Force)
	case !ok:
		d.Action = infra.Create
		d.Set("target", "", s.Target)
		return d, nil
	case typeOf(st) != "symlink":
		if err := p.giveWay(st, "symlink", s.Force); err != nil {
			return d, err
		}
		d.Action = infra.Replace
		d.Set("type", typeOf(st), "symlink")
		d.Set("target", "", s.Target)
		return d, nil
	}
	to, err := readlink(p.folder, p.name)
	if err != nil {
		return d, p.failed("read", err)
	}
	if to != s.Target {
		d.Set("target", to, s.Target)
	}
	return d, nil
}

// Apply makes, turns or removes it.
func (s *Symlink) Apply(context.Context, *infra.Host, infra.Diff) error {
	p, err := open(s.Path)
	if nowhere(err) {
		if s.State == absent {
			return nil
		}
		return missing(s.Path, err)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.Path, err)
	}
	defer p.close()
	if s.State == absent {
		return p.remove()
	}
	next := p.beside()
	if err := next.remove(); err != nil {
		return err
	}
	if err := unix.Symlinkat(s.Target, next.folder, next.name); err != nil {
		return p.failed("write", err)
	}
	return next.rename(p)
}
