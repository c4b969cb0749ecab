package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

func cronKind() infra.Kind {
	return infra.Kind{
		Name: "cron",
		Doc: "A command that cron runs at times, in a file of its own in /etc/cron.d. Needs the package cron (Debian), cronie (Fedora, Alpine). " +
			"With systemd, timer tells more of what went wrong.",
		Example: "- cron:\n    name: certificates\n    schedule: '17 3 * * *'\n    command: /usr/local/bin/renew >/dev/null\n    environment:\n      MAILTO: ops@example.org\n",
		Key:     "name",
		New:     func() infra.Resource { return &Cron{} },
	}
}

// Cron is a file in /etc/cron.d.
type Cron struct {
	Name        string            `yaml:"name" doc:"of the file: letters, digits, - and _, since cron skips others"`
	State       string            `yaml:"state,omitempty" default:"present" doc:"present or absent"`
	Schedule    string            `yaml:"schedule,omitempty" doc:"minute, hour, day of month, month, day of week; or @reboot, @hourly, @daily, @weekly, @monthly, @yearly"`
	Command     string            `yaml:"command,omitempty" doc:"one line for sh; a percent sign is one"`
	User        string            `yaml:"user,omitempty" default:"root" doc:"who runs it"`
	Environment map[string]string `yaml:"environment,omitempty" doc:"variables for it, also MAILTO, SHELL and PATH of cron; others on the host can read them"`
}

var cronName = infra.Pattern(`^[A-Za-z0-9_-]{1,100}$`)

// Check refuses what can't be.
func (c *Cron) Check() error {
	var errs []error
	if !cronName().MatchString(c.Name) {
		errs = append(errs, fault.New(fault.Invalid, "name: cron skips a file named %q (letters, digits, - and _ only)", c.Name))
	}
	if err := checkState(c.State); err != nil {
		errs = append(errs, err)
	}
	if c.State != present {
		return errors.Join(errs...)
	}
	if err := checkSchedule(c.Schedule); err != nil {
		errs = append(errs, fault.New(fault.Invalid, "schedule: %w", err))
	}
	if strings.Contains(c.Command, `\%`) {
		errs = append(errs, fault.New(fault.Invalid, `command: write %% without \: it is escaped for cron (what needs both goes into a script)`))
	}
	for name, value := range c.Environment {
		if strings.Contains(value, `"`) && strings.Contains(value, `'`) {
			errs = append(errs, fault.New(fault.Invalid, "environment: the value of %s has both kinds of quotes, which cron cannot take (set it in a script)", name))
		}
	}
	return errors.Join(append(errs, checkCommand(c.Command), checkUser(c.User), checkEnvironment(c.Environment))...)
}

// ID is the name.
func (c *Cron) ID() string { return c.Name }

// Gives is the file.
func (c *Cron) Gives() []string { return []string{"path:" + c.path()} }

// Claims is the file.
func (c *Cron) Claims() []infra.Claim { return []infra.Claim{{Name: "path:" + c.path()}} }

// Needs are cron and the user.
func (c *Cron) Needs() []string {
	return []string{"package:cron", "package:cronie", "user:" + c.User, "path:" + c.path()}
}

// Watch is the file.
func (c *Cron) Watch() []string { return []string{c.path()} }

// Absent is the file gone.
func (c *Cron) Absent() infra.Resource { return &Cron{Name: c.Name, State: absent} }

func (c *Cron) path() string { return filepath.Join("/etc/cron.d", c.Name) }

// content is the file, as crontab(5) describes it. Values are quoted, which keeps
// blanks at their ends; a percent sign in a command would end it.
func (c *Cron) content() string {
	var b strings.Builder
	b.WriteString(written)
	if c.Environment["PATH"] == "" {
		b.WriteString("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Environment)) {
		value, quote := c.Environment[name], `"`
		if strings.Contains(value, quote) {
			quote = `'`
		}
		fmt.Fprintf(&b, "%s=%s%s%[2]s\n", name, quote, value)
	}
	fmt.Fprintf(&b, "%s %s %s\n", strings.Join(strings.Fields(c.Schedule), " "), c.User, strings.ReplaceAll(c.Command, "%", `\%`))
	return b.String()
}

// Diff compares the file, and what makes cron refuse it.
func (c *Cron) Diff(_ context.Context, _ *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	old, there, err := contents(c.path())
	if err != nil {
		return d, err
	}
	if c.State == absent {
		if there {
			d.Action = infra.Delete
			d.Set("state", present, absent)
		}
		return d, nil
	}
	if !there {
		d.Action = infra.Create
	}
	if want := []byte(c.content()); !there || !bytes.Equal(old, want) {
		d.SetContent("content", old, want)
	}
	info, err := os.Lstat(c.path())
	if err != nil {
		return d, nil // not there
	}
	if mode := info.Mode(); mode.Type() != 0 || mode.Perm() != 0o644 {
		d.Set("mode", mode.String(), "-rw-r--r--")
	}
	if uid := owner(info); uid != 0 {
		d.Set("owner", fmt.Sprint(uid), "0")
	}
	return d, nil
}

// Apply writes the file.
func (c *Cron) Apply(_ context.Context, h *infra.Host, _ infra.Diff) error {
	if c.State == absent {
		return remove(c.path())
	}
	if _, ok, err := h.User(c.User); err != nil || !ok {
		return errors.Join(err, noUser("cron "+c.Name, c.User)) // cron would skip the whole file
	}
	if !h.Has("cron") && !h.Has("crond") {
		return fault.New(fault.NotFound, "cron %s: this host has no cron (declare its package before it: cron, or cronie)", c.Name)
	}
	if target, _ := filepath.EvalSymlinks("/usr/sbin/crond"); filepath.Base(target) == "busybox" {
		return fault.New(fault.Invalid, "cron %s: the crond of busybox does not read /etc/cron.d (declare the package cronie before it)", c.Name)
	}
	if err := os.MkdirAll(filepath.Dir(c.path()), 0o755); err != nil {
		return fmt.Errorf("cron %s: %w", c.Name, err)
	}
	return put(c.path(), c.content())
}
