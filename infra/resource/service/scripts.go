package service

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// scripts runs services by scripts in /etc/init.d: with service and update-rc.d
// (sysv), or rc-service and rc-update (openrc).
type scripts struct{ h *infra.Host }

func (s scripts) openrc() bool { return s.h.Facts.Init == "openrc" }

// script is the bare name of a service; other units are systemd's.
func script(name string) (string, error) {
	bare, ok := strings.CutSuffix(unit(name), ".service")
	if !ok {
		return "", fault.New(fault.Invalid, "%s is a unit of systemd, which this host does not have", name)
	}
	return bare, nil
}

func (s scripts) call(ctx context.Context, name, verb string) (infra.Output, error) {
	args := []string{"service", name, verb}
	if s.openrc() {
		args[0] = "rc-service"
	}
	return s.h.Exec(ctx, infra.Command{Args: args})
}

func (s scripts) Look(ctx context.Context, name string) (status, error) {
	name, err := script(name)
	if err != nil {
		return status{}, err
	}
	return infra.Memo(s.h, infra.Fleeting+"service "+name, func() (status, error) { return s.now(ctx, name) })
}

func (s scripts) now(ctx context.Context, name string) (status, error) {
	if _, err := os.Stat("/etc/init.d/" + name); err != nil {
		return status{Detail: "no such script in /etc/init.d"}, nil
	}
	out, err := s.call(ctx, name, "status")
	if err != nil {
		return status{}, fmt.Errorf("look at %s: %w", name, err)
	}
	// The codes are those of the Linux Standard Base; openrc has 32 for crashed.
	is := status{Known: true, Running: out.Code == 0, Detail: "running"}
	switch {
	case out.Code == 1 || out.Code == 2 || out.Code == 32:
		is.Detail = "dead"
	case out.Code != 0:
		is.Detail = stopped
	}
	pattern := "/etc/rc[2345].d/S[0-9][0-9]" + name
	if s.openrc() {
		pattern = "/etc/runlevels/*/" + name
	}
	links, err := filepath.Glob(pattern)
	is.Enabled = len(links) > 0
	return is, err
}

func (s scripts) Do(ctx context.Context, verb, name string) error {
	name, err := script(name)
	if err != nil {
		return err
	}
	if _, err := os.Stat("/etc/init.d/" + name); err != nil {
		return fault.New(fault.NotFound, "%s %s: there is no script /etc/init.d/%[2]s (is its package written before it?)", verb, name)
	}
	out, err := s.call(ctx, name, verb)
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, name, err)
	}
	if out.Code != 0 {
		return fmt.Errorf("%s %s: its script ended with code %d: %s", verb, name, out.Code, strings.TrimSpace(string(out.Stdout)+string(out.Stderr)))
	}
	return nil
}

func (s scripts) Enable(ctx context.Context, name string, on bool) error {
	name, err := script(name)
	if err != nil {
		return err
	}
	calls := [][]string{{"update-rc.d", name, "disable"}}
	switch {
	case s.openrc() && on:
		calls = [][]string{{"rc-update", "add", name, "default"}}
	case s.openrc():
		calls = [][]string{{"rc-update", "--all", "del", name}}
	case on: // the first makes links where there are none, the second those for starts
		calls = [][]string{{"update-rc.d", name, "defaults"}, {"update-rc.d", name, "enable"}}
	}
	for _, args := range calls {
		if _, err := s.h.Run(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

func (s scripts) Mask(_ context.Context, name string, _ bool) error {
	return fault.New(fault.Invalid, "mask %s: only systemd can do that (write enabled: false, and remove its package)", name)
}

func (s scripts) Reread(context.Context) error { return nil }

func (s scripts) Died(ctx context.Context, name string, _ bool) (string, error) {
	name, err := script(name)
	if err != nil {
		return "", err
	}
	is, err := s.now(ctx, name)
	if err != nil || is.Running {
		return "", err
	}
	return "it is not running after that; its script says " + is.Detail + " (look into its log in /var/log)", nil
}
