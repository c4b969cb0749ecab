package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// unitDir is where units of the administrator are; see systemd.unit(5).
const unitDir = "/etc/systemd/system"

func unitKind() infra.Kind {
	return infra.Kind{
		Name: "unit",
		Doc: "A unit of systemd in /etc/systemd/system, or with `drop_in` an addition to one. systemd reads it at once; " +
			"a service of the unit comes after it by itself, and restarts with `notify`. A unit that is taken away is stopped and disabled first.",
		Example: "- unit:\n    name: shop.service\n    content: |\n      [Service]\n      ExecStart=/usr/local/bin/shop\n      User=shop\n      [Install]\n      WantedBy=multi-user.target\n  notify: [service:shop]\n" +
			"- unit:\n    name: nginx.service\n    drop_in: limits\n    content: |\n      [Service]\n      LimitNOFILE=65536\n",
		Key: "name",
		New: func() infra.Resource { return &Unit{} },
	}
}

// Unit is a unit file, or a drop-in.
type Unit struct {
	Name    string `yaml:"name" doc:"whole, like shop.service"`
	DropIn  string `yaml:"drop_in,omitempty" doc:"name of an addition to a unit that something else brings"`
	State   string `yaml:"state,omitempty" default:"present" doc:"present or absent"`
	Content string `yaml:"content,omitempty" doc:"the unit"`
	File    string `yaml:"file,omitempty" doc:"the same as a file of the role, taken as it is"`
}

var dropInName = infra.Pattern(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

// Check refuses what can't be.
func (u *Unit) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fault.New(fault.Invalid, format, args...)) }
	if !serviceName().MatchString(u.Name) || unit(u.Name) != u.Name {
		wrong("name: %q is no whole name of a unit (write it like shop.service)", u.Name)
	}
	if u.DropIn != "" && !dropInName().MatchString(u.DropIn) {
		wrong("drop_in: %q is no name of a drop-in (letters, digits, - and _; .conf is added)", u.DropIn)
	}
	if err := checkState(u.State); err != nil {
		errs = append(errs, err)
	}
	switch {
	case u.State != present:
	case u.Content == "" && u.File == "":
		wrong("content: is missing (write it, or name a file of the role in file)")
	case u.Content != "" && u.File != "":
		wrong("file: the content is given already (drop content or file)")
	case u.Content != "":
		if err := checkUnit(u.Content); err != nil {
			wrong("content: %w", err)
		}
	}
	return errors.Join(errs...)
}

func checkUnit(content string) error {
	for line := range strings.Lines(content) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] != '[' {
			return fault.New(fault.Invalid, "a unit begins with a section like [Service], not with %q", line)
		}
		return nil
	}
	return fault.New(fault.Invalid, "a unit with nothing in it counts as masked (write masked: true of its service for that)")
}

// Source reads the unit.
func (u *Unit) Source(read func(string) ([]byte, error), _ map[string]any) error {
	if u.File == "" {
		return nil
	}
	b, err := read(u.File)
	if err != nil {
		return err
	}
	if err := checkUnit(string(b)); err != nil {
		return fault.New(fault.Invalid, "file: %s: %w", u.File, err)
	}
	u.Content, u.File = string(b), ""
	return nil
}

func (u *Unit) path() string {
	if u.DropIn != "" {
		return filepath.Join(unitDir, u.Name+".d", u.DropIn+".conf")
	}
	return filepath.Join(unitDir, u.Name)
}

// ID is the name, with that of the drop-in.
func (u *Unit) ID() string { return strings.TrimSuffix(u.Name+"/"+u.DropIn, "/") }

// Gives is the unit. A service comes after its drop-ins when they notify it.
func (u *Unit) Gives() []string { return []string{"path:" + u.path(), "unit:" + u.ID()} }

// Claims is the file.
func (u *Unit) Claims() []infra.Claim { return []infra.Claim{{Name: "path:" + u.path()}} }

// Needs is the unit of a drop-in, and the folder.
func (u *Unit) Needs() []string {
	if u.DropIn != "" {
		return []string{"unit:" + u.Name, "package:" + strings.TrimSuffix(u.Name, ".service"), "path:" + u.path()}
	}
	return []string{"path:" + u.path()}
}

// Watch is the file.
func (u *Unit) Watch() []string { return []string{u.path()} }

// Absent is the unit stopped and gone.
func (u *Unit) Absent() infra.Resource {
	return &Unit{Name: u.Name, DropIn: u.DropIn, State: absent}
}

// needSystemd refuses hosts without it.
func needSystemd(h *infra.Host, what string) (systemd, error) {
	if h.Facts.Init != "systemd" {
		return systemd{}, fault.New(fault.Invalid, "%s needs systemd, which does not run this host", what)
	}
	return systemd{h}, nil
}

// Diff compares the file.
func (u *Unit) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	if _, err := needSystemd(h, "unit "+u.ID()); err != nil {
		return d, err
	}
	old, there, err := contents(u.path())
	switch {
	case err != nil:
		return d, err
	case u.State == absent && there:
		d.Action = infra.Delete
		d.Set("state", present, absent)
	case u.State == present && (!there || !bytes.Equal(old, []byte(u.Content))):
		if !there {
			d.Action = infra.Create
		}
		d.SetContent("content", old, []byte(u.Content))
	}
	if u.State == present && there {
		writable(u.path(), &d)
	}
	return d, nil
}

// writable adds rights with which others than root could say what root runs.
func writable(path string, d *infra.Diff) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != 0 {
		return // a link is of who made it, and all may seem to write it
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		d.Set("mode", fmt.Sprintf("%04o", mode), "0644")
	}
	if uid := owner(info); uid != 0 {
		d.Set("owner", fmt.Sprint(uid), "0")
	}
}

// Apply writes or removes it, and lets systemd read it.
func (u *Unit) Apply(ctx context.Context, h *infra.Host, _ infra.Diff) error {
	sys, err := needSystemd(h, "unit "+u.ID())
	if err != nil {
		return err
	}
	if u.State == absent {
		if u.DropIn == "" {
			if err := sys.end(ctx, u.Name); err != nil {
				return err
			}
		}
		if err := remove(u.path()); err != nil {
			return err
		}
		if u.DropIn != "" {
			os.Remove(filepath.Dir(u.path())) // stays when there are others
		}
		return sys.Reread(ctx)
	}
	if err := os.MkdirAll(filepath.Dir(u.path()), 0o755); err != nil {
		return fmt.Errorf("write unit %s: %w", u.ID(), err)
	}
	if err := put(u.path(), u.Content); err != nil {
		return err
	}
	return sys.Reread(ctx)
}

// end stops and disables a unit that is about to be removed. A template of units
// cannot run itself.
func (s systemd) end(ctx context.Context, name string) error {
	if strings.Contains(name, "@.") {
		return nil
	}
	args := []string{"systemctl", "disable", "--now", "--", name}
	if s.h.Facts.Offline {
		args = s.files("disable", name)
	}
	out, err := s.h.Exec(ctx, infra.Command{Args: args})
	if err == nil && out.Code != 0 && !strings.Contains(string(out.Stderr), "does not exist") && !strings.Contains(string(out.Stderr), "not loaded") {
		err = fmt.Errorf("stop and disable %s: %s", name, strings.TrimSpace(string(out.Stderr)))
	}
	return err
}
