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

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

func timerKind() infra.Kind {
	return infra.Kind{
		Name: "timer",
		Doc: "A command that systemd runs at times: NAME.service and NAME.timer in /etc/systemd/system. What it writes is in the journal, " +
			"and one that still runs is not started again. Hosts without systemd refuse it: write a cron there.",
		Example: "- timer:\n    name: backup\n    schedule: '*-*-* 03:00'\n    command: /usr/local/bin/backup --all\n    user: backup\n    delay: 15m\n    persistent: true\n",
		Key:     "name",
		New:     func() infra.Resource { return &Timer{} },
	}
}

// Timer is a command and when it runs.
type Timer struct {
	Name        string            `yaml:"name" doc:"of both units, without .timer"`
	State       string            `yaml:"state,omitempty" default:"present" doc:"present or absent"`
	Schedule    string            `yaml:"schedule,omitempty" doc:"as OnCalendar in systemd.time(7): daily, Mon *-*-* 04:00, *:0/15"`
	Command     string            `yaml:"command,omitempty" doc:"one line for sh"`
	User        string            `yaml:"user,omitempty" default:"root" doc:"who runs it"`
	Environment map[string]string `yaml:"environment,omitempty" doc:"variables for it; others on the host can read them"`
	Persistent  bool              `yaml:"persistent,omitempty" default:"false" doc:"run at the start of the host what was missed while it was off"`
	Delay       config.Duration   `yaml:"delay,omitempty" doc:"run later by a random time up to this, so that not all hosts do it at once"`
}

// Check refuses what can't be.
func (t *Timer) Check() error {
	var errs []error
	if !dropInName().MatchString(t.Name) {
		errs = append(errs, fault.New(fault.Invalid, "name: %q is no name of a timer (letters, digits, - and _, without .timer)", t.Name))
	}
	if err := checkState(t.State); err != nil {
		errs = append(errs, err)
	}
	if t.State != present {
		return errors.Join(errs...)
	}
	if strings.TrimSpace(t.Schedule) == "" || strings.ContainsAny(t.Schedule, "\n\r\x00") {
		errs = append(errs, fault.New(fault.Invalid, "schedule: %q is no time for OnCalendar (like daily, or Mon *-*-* 04:00)", t.Schedule))
	}
	if t.Delay < 0 {
		errs = append(errs, fault.New(fault.Invalid, "delay: %s is less than nothing", t.Delay))
	}
	return errors.Join(append(errs, checkCommand(t.Command), checkUser(t.User), checkEnvironment(t.Environment))...)
}

// ID is the name.
func (t *Timer) ID() string { return t.Name }

// Gives are both units.
func (t *Timer) Gives() []string {
	return []string{"unit:" + t.Name + ".timer", "unit:" + t.Name + ".service", "path:" + t.path(".timer"), "path:" + t.path(".service")}
}

// Claims is both files.
func (t *Timer) Claims() []infra.Claim {
	return []infra.Claim{{Name: "path:" + t.path(".timer")}, {Name: "path:" + t.path(".service")}}
}

// Needs is the user.
func (t *Timer) Needs() []string { return []string{"user:" + t.User, "path:" + t.path(".timer")} }

// Watch are the files.
func (t *Timer) Watch() []string { return []string{t.path(".timer"), t.path(".service")} }

// LeftOut is the start.
func (t *Timer) LeftOut() string {
	if t.State == present {
		return "not started: nothing runs here"
	}
	return ""
}

// Units is the timer.
func (t *Timer) Units() []string { return []string{t.Name + ".timer"} }

// Absent is the timer gone.
func (t *Timer) Absent() infra.Resource { return &Timer{Name: t.Name, State: absent} }

func (t *Timer) path(suffix string) string { return filepath.Join(unitDir, t.Name+suffix) }

const written = "# Written by Steer: changes here are undone.\n"

// service is the unit that runs the command. Percent signs are specifiers to
// systemd, dollars its own variables; see systemd.service(5).
func (t *Timer) service() string {
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`)
	var b strings.Builder
	fmt.Fprintf(&b, written+"[Unit]\nDescription=%s\n\n[Service]\nType=oneshot\nUser=%s\n", t.Name, t.User)
	for _, name := range slices.Sorted(maps.Keys(t.Environment)) {
		fmt.Fprintf(&b, "Environment=\"%s=%s\"\n", name, quote.Replace(t.Environment[name]))
	}
	fmt.Fprintf(&b, "ExecStart=/bin/sh -c \"%s\"\n", strings.ReplaceAll(quote.Replace(t.Command), "$", "$$"))
	return b.String()
}

func (t *Timer) timer() string {
	var b strings.Builder
	fmt.Fprintf(&b, written+"[Unit]\nDescription=Runs %s\n\n[Timer]\nOnCalendar=%s\n", t.Name, t.Schedule)
	if t.Persistent {
		b.WriteString("Persistent=true\n")
	}
	if t.Delay > 0 {
		fmt.Fprintf(&b, "RandomizedDelaySec=%dms\n", t.Delay.Std().Milliseconds())
	}
	b.WriteString("\n[Install]\nWantedBy=timers.target\n")
	return b.String()
}

// Diff compares both files, and whether the timer waits.
func (t *Timer) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	sys, err := needSystemd(h, "timer "+t.Name)
	if err != nil {
		return d, fault.New(fault.Invalid, "%w (write it as a cron)", err)
	}
	for _, f := range []struct{ field, path, content string }{{"timer", t.path(".timer"), t.timer()}, {"service", t.path(".service"), t.service()}} {
		old, there, err := contents(f.path)
		switch {
		case err != nil:
			return d, err
		case t.State == absent && there:
			d.Action = infra.Delete
			d.Set(f.field, f.path, absent)
		case t.State == present && (!there || !bytes.Equal(old, []byte(f.content))):
			if f.field == "timer" && !there {
				d.Action = infra.Create
			}
			d.SetContent(f.field, old, []byte(f.content))
		}
	}
	if t.State == absent {
		return d, nil
	}
	writable(t.path(".timer"), &d)
	writable(t.path(".service"), &d)
	is, err := sys.Look(ctx, t.Name+".timer")
	if err != nil {
		return d, err
	}
	if is.Masked {
		d.Set("masked", "true", "false")
	}
	if !is.Running && !h.Facts.Offline {
		d.Set("state", is.Detail, running)
	}
	if !is.Enabled {
		d.Set("enabled", "false", "true")
	}
	return d, nil
}

// Apply writes both files and starts the timer.
func (t *Timer) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	sys, err := needSystemd(h, "timer "+t.Name)
	if err != nil {
		return err
	}
	if t.State == absent {
		if err := sys.end(ctx, t.Name+".timer"); err != nil {
			return err
		}
		if err := remove(t.path(".timer"), t.path(".service")); err != nil {
			return err
		}
		return sys.Reread(ctx)
	}
	if _, ok, err := h.User(t.User); err != nil || !ok {
		return errors.Join(err, noUser("timer "+t.Name, t.User))
	}
	for _, name := range []string{t.Name + ".timer", t.Name + ".service"} {
		for _, dir := range []string{"/usr/lib/systemd/system", "/lib/systemd/system"} {
			if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
				return fault.New(fault.Conflict, "timer %s: %s is there already, of a package, and would be hidden by it (choose another name)", t.Name, name)
			}
		}
	}
	if h.Has("systemd-analyze") {
		if _, err := h.Run(ctx, "systemd-analyze", "calendar", "--", t.Schedule); err != nil {
			return fault.New(fault.Invalid, "timer %s: systemd does not understand schedule %q: %w", t.Name, t.Schedule, err)
		}
	}
	if d.Has("masked") {
		if err := sys.Mask(ctx, t.Name+".timer", false); err != nil {
			return err
		}
	}
	if err := put(t.path(".service"), t.service()); err != nil {
		return err
	}
	if err := put(t.path(".timer"), t.timer()); err != nil {
		return err
	}
	if err := sys.Reread(ctx); err != nil {
		return err
	}
	if err := sys.Enable(ctx, t.Name+".timer", true); err != nil {
		return err
	}
	if !h.Facts.Offline && (d.Has("timer") || d.Has("state")) {
		return sys.Do(ctx, "restart", t.Name+".timer")
	}
	return nil
}

func noUser(what, name string) error {
	return fault.New(fault.NotFound, "%s: this host has no user %q (declare the user before it)", what, name)
}
