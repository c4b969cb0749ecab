package system

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"steer/base/fault"
	"steer/infra"
)

// Sysctl is a setting of the kernel.
type Sysctl struct {
	Name    string `yaml:"name,omitempty" doc:"Name of the setting, like net.ipv4.ip_forward. A dot in a part is written as a slash: net.ipv4.conf.eth0/1.rp_filter."`
	Value   string `yaml:"value,omitempty" doc:"Its value; several numbers with blanks between."`
	Running *bool  `yaml:"running,omitempty" doc:"Set it now too, not only at the next start: true unless false is said, as for a container that gets its settings from its host."`
	State   string `yaml:"state,omitempty" doc:"present, or absent: nothing sets it at the next start. What it is now stays, or becomes value." default:"present"`
}

func sysctlKind() infra.Kind {
	return infra.Kind{
		Name: "sysctl", Key: "name", Class: class,
		Doc: "A setting of the kernel, now and after the next start. Each has a file of its own in /etc/sysctl.d, read after those of others.",
		Example: `sysctl: net.ipv4.ip_forward
value: 1
`,
		New: func() infra.Resource { return &Sysctl{} },
	}
}

const sysctlFolder = "/etc/sysctl.d"

// ID is the name.
func (s *Sysctl) ID() string { return s.Name }

// Check refuses what no kernel has.
func (s *Sysctl) Check() error {
	errs := []error{checkState(s.State, present, absent)}
	for _, part := range strings.Split(sysctlPath(s.Name), "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, " \t\n=#;\x00") {
			errs = append(errs, fault.New(fault.Invalid, "name: %q is no setting of the kernel (write one like vm.swappiness)", s.Name))
			break
		}
	}
	if s.State == present && strings.TrimSpace(s.Value) == "" {
		errs = append(errs, fault.New(fault.Invalid, "value: is missing"))
	}
	if strings.ContainsAny(s.Value, "\n\r\x00") {
		errs = append(errs, fault.New(fault.Invalid, "value: is more than one line"))
	}
	return errors.Join(errs...)
}

// sysctlPath is the name as a path below /proc/sys. The first of dot and slash in a
// name parts it, the other stands for itself, as sysctl(8) has it.
func sysctlPath(name string) string {
	if i := strings.IndexAny(name, "./"); i < 0 || name[i] == '/' {
		return name
	}
	return strings.Map(func(c rune) rune {
		switch c {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return c
	}, name)
}

func (s *Sysctl) live() string { return "/proc/sys/" + sysctlPath(s.Name) }

// file is read late: names there are sorted.
func (s *Sysctl) file() string {
	return filepath.Join(sysctlFolder, "zz-steer-"+strings.ReplaceAll(s.Name, "/", "-")+".conf")
}

// text is the file. Slashes part names without a doubt.
func (s *Sysctl) text() string {
	return "# Written by Steer.\n" + sysctlPath(s.Name) + " = " + words(s.Value) + "\n"
}

func (s *Sysctl) runs() bool { return s.Running == nil || *s.Running }

// words has one blank between words: the kernel shows lists with tabs.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// Claims is the setting, by whichever of its names it is declared.
func (s *Sysctl) Claims() []infra.Claim {
	return []infra.Claim{{Name: "sysctl:" + sysctlPath(s.Name)}, {Name: "path:" + s.file()}}
}

// Absent is the setting left to others.
func (s *Sysctl) Absent() infra.Resource { return &Sysctl{Name: s.Name, State: absent} }

// LeftOut is the running kernel.
func (s *Sysctl) LeftOut() string {
	if s.State == present && s.runs() {
		return "not set now: there is no kernel here"
	}
	return ""
}

// Watch names the file, and the one of the kernel.
func (s *Sysctl) Watch() []string { return []string{s.file(), s.live()} }

// Diff compares the file and the running kernel.
func (s *Sysctl) Diff(_ context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	text, err := readText(s.file())
	switch {
	case err != nil:
		return d, err
	case s.State == absent:
		if text != "" {
			d.Action = infra.Delete
		}
		if s.Value == "" {
			return d, nil
		}
	case text == "":
		d.Action = infra.Create
	}
	if s.State == present && text != s.text() {
		_, old, _ := strings.Cut(text, " = ")
		d.Set("file", strings.TrimSpace(old), words(s.Value))
	}
	if s.runs() && !h.Facts.Offline {
		live, err := s.read()
		if errors.Is(err, fs.ErrPermission) {
			return d, fault.New(fault.Invalid, "%s cannot be read, so it cannot be kept (use a command)", s.Name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return d, err
		}
		if err != nil || live != words(s.Value) {
			d.Set("value", live, words(s.Value))
		}
	}
	return d, nil
}

func (s *Sysctl) read() (string, error) {
	b, err := os.ReadFile(s.live())
	return words(string(b)), err
}

// Apply sets the value, and writes the file if the kernel took it.
func (s *Sysctl) Apply(_ context.Context, _ *infra.Host, d infra.Diff) error {
	if d.Has("value") {
		if err := s.set(); err != nil {
			return fmt.Errorf("set %s to %s: %w", s.Name, words(s.Value), err)
		}
	}
	if s.State == absent {
		return remove(s.file())
	}
	if !d.Has("file") {
		return nil
	}
	if err := os.MkdirAll(sysctlFolder, 0o755); err != nil {
		return err
	}
	return replace(s.file(), []byte(s.text()), 0o644)
}

func (s *Sysctl) set() error {
	f, err := os.OpenFile(s.live(), os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString(words(s.Value) + "\n")
		err = errors.Join(err, f.Close())
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the kernel has no such setting (load the module that brings it first, or correct the name)")
	case errors.Is(err, syscall.EROFS):
		return errors.New("/proc/sys is read-only here, as in a container (set it on the machine that runs the container, or say running: false to write the file only)")
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w (it cannot be changed in this container, or at all)", err)
	case err != nil:
		return fmt.Errorf("the kernel refuses the value: %w", err)
	}
	if live, err := s.read(); err != nil || live != words(s.Value) {
		return fmt.Errorf("the kernel made %q of it (write the value as the kernel shows it): %v", live, err)
	}
	return nil
}
