// Package service holds the kinds of resources that run things on a host: service,
// unit, timer and cron. Services are systemd's, or scripts in /etc/init.d of hosts
// without it (sysv, openrc).
package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// Kinds are service, unit, timer and cron.
func Kinds() infra.Kinds {
	return infra.Kinds{serviceKind(), unitKind(), timerKind(), cronKind()}
}

// system is what starts and stops services on a host.
type system interface {
	// Look tells what is with a service.
	Look(ctx context.Context, name string) (status, error)
	// Do does start, stop, restart or reload.
	Do(ctx context.Context, verb, name string) error
	// Enable says whether it starts with the host.
	Enable(ctx context.Context, name string, on bool) error
	// Mask forbids it to be started at all.
	Mask(ctx context.Context, name string, on bool) error
	// Reread takes over what changed on disk.
	Reread(ctx context.Context) error
	// Died tells why a service is not running, or is empty. One that is fresh, since it
	// was just started, must not have been started again since.
	Died(ctx context.Context, name string, fresh bool) (string, error)
}

// status is how a service is.
type status struct {
	Known    bool // the host has it
	Running  bool
	Detail   string // as the system names it
	Enabled  bool
	Static   bool // cannot be enabled
	Indirect bool // others are enabled for it
	Masked   bool
	Changed  bool // on disk, since it was read
}

// open finds what runs the services of a host.
func open(h *infra.Host) (system, error) {
	switch h.Facts.Init {
	case "systemd":
		return systemd{h}, nil
	case "sysv", "openrc":
		return scripts{h}, nil
	}
	return nil, fault.New(fault.Invalid, "nothing runs services on this host: neither systemd nor /etc/init.d is there")
}

// Values of state.
const (
	present = "present"
	absent  = "absent"
	running = "running"
	stopped = "stopped"
	asIs    = "any"
)

func checkState(state string) error {
	if state != present && state != absent {
		return fault.New(fault.Invalid, "state: %q is neither present nor absent", state)
	}
	return nil
}

// variable is the name of an environment variable.
var variable = infra.Pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)

func checkEnvironment(all map[string]string) error {
	var errs []error
	for name, value := range all {
		if !variable().MatchString(name) {
			errs = append(errs, fault.New(fault.Invalid, "environment: %q is no name of a variable", name))
		}
		if strings.ContainsAny(value, "\n\r\x00") {
			errs = append(errs, fault.New(fault.Invalid, "environment: the value of %s has more than one line", name))
		}
	}
	return errors.Join(errs...)
}

func checkCommand(command string) error {
	if strings.TrimSpace(command) == "" || strings.ContainsAny(command, "\n\r\x00") {
		return fault.New(fault.Invalid, "command: %q is not one line (put more into a script)", command)
	}
	return nil
}

// accounts are as useradd allows them; systemd and cron read others as something else.
var account = infra.Pattern(`^[a-z_][a-z0-9_.-]{0,31}$`)

func checkUser(name string) error {
	if !account().MatchString(name) {
		return fault.New(fault.Invalid, "user: %q is no name of a user", name)
	}
	return nil
}

// contents reads a file; one that does not exist is empty and not there.
func contents(path string) (data []byte, there bool, err error) {
	data, err = os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		_, err = os.Lstat(path) // a dangling link is in the way
		return nil, err == nil, nil
	}
	return data, err == nil, err
}

// put writes a file: beside, flushed and renamed, so that it is never half there; a
// link in its place is replaced, not followed.
func put(path, content string) error {
	dir, name := filepath.Split(path)
	beside := filepath.Join(dir, ".steer-"+name) // systemd and cron skip it
	os.Remove(beside)                            // of a run that was cut off
	w, err := os.OpenFile(beside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = w.WriteString(content)
		if err == nil {
			err = w.Chmod(0o644) // whatever the umask
		}
		if err == nil {
			err = w.Sync()
		}
		err = errors.Join(err, w.Close())
	}
	if err == nil {
		err = os.Rename(beside, path)
	}
	if err != nil {
		os.Remove(beside)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// remove removes files that may not be there.
func remove(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", path, err)
		}
	}
	return nil
}
