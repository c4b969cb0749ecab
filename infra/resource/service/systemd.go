package service

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"steer/base/fault"
	"steer/infra"
)

// systemd runs services by systemctl.
type systemd struct{ h *infra.Host }

// properties are what is asked of each unit; see org.freedesktop.systemd1(5).
const properties = "--property=Id,Names,LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,Type,Result,NRestarts,ExecMainStatus,ConditionResult"

// units are the loaded units by all their names, asked for at once.
func (s systemd) units(ctx context.Context) (map[string]map[string]string, error) {
	return infra.Memo(s.h, infra.Fleeting+"units", func() (map[string]map[string]string, error) {
		args := []string{"systemctl", "show", properties}
		for _, suffix := range suffixes() {
			args = append(args, "*"+suffix)
		}
		out, err := s.h.Run(ctx, args...)
		if err != nil {
			return nil, fmt.Errorf("look at the services: %w", err)
		}
		return parseUnits(out), nil
	})
}

// parseUnits reads paragraphs of lines KEY=VALUE.
func parseUnits(out string) map[string]map[string]string {
	all := map[string]map[string]string{}
	for paragraph := range strings.SplitSeq(out, "\n\n") {
		one := map[string]string{}
		for line := range strings.Lines(paragraph) {
			if key, value, ok := strings.Cut(strings.TrimRight(line, "\n"), "="); ok {
				one[key] = value
			}
		}
		for _, name := range strings.Fields(one["Names"]) {
			all[name] = one
		}
	}
	return all
}

// find is what systemd knows about a unit. One that is not loaded is asked for alone.
func (s systemd) find(ctx context.Context, name string) (map[string]string, error) {
	all, err := s.units(ctx)
	if err != nil || all[name] != nil {
		return all[name], err
	}
	return infra.Memo(s.h, infra.Fleeting+"unit "+name, func() (map[string]string, error) { return s.now(ctx, name) })
}

func (s systemd) now(ctx context.Context, name string) (map[string]string, error) {
	out, err := s.h.Run(ctx, "systemctl", "show", properties, "--", name)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", name, err)
	}
	for _, one := range parseUnits(out) {
		return one, nil
	}
	return map[string]string{}, nil
}

// files is a call of systemctl that works on links only, as on a host that does not
// run.
func (s systemd) files(verb string, more ...string) []string {
	args := []string{"systemctl", verb}
	if s.h.Facts.Offline {
		args = append(args, "--root=/")
	}
	return append(append(args, "--"), more...)
}

// onDisk tells what is known of a unit while nothing runs.
func (s systemd) onDisk(ctx context.Context, name string) (status, error) {
	out, err := s.h.Exec(ctx, infra.Command{Args: s.files("is-enabled", unit(name))})
	if err != nil {
		return status{}, fmt.Errorf("look at %s: %w", name, err)
	}
	state := strings.TrimSpace(string(out.Stdout))
	return status{Known: state != "" && state != "not-found", Detail: "not running", Enabled: state == "enabled", Static: state == "static", Indirect: state == "indirect", Masked: strings.HasPrefix(state, "masked")}, nil
}

func (s systemd) Look(ctx context.Context, name string) (status, error) {
	if s.h.Facts.Offline {
		return s.onDisk(ctx, name)
	}
	u, err := s.find(ctx, unit(name))
	if err != nil {
		return status{}, err
	}
	file := u["UnitFileState"]
	is := status{
		Known:   u["LoadState"] == "loaded" || u["LoadState"] == "masked",
		Running: runs(u),
		Detail:  u["ActiveState"] + " (" + u["SubState"] + ")",
		Enabled: file == "enabled", // enabled-runtime ends with this run of the host
		Static:  file == "static", Indirect: file == "indirect",
		Masked:  u["LoadState"] == "masked" || file == "masked" || file == "masked-runtime",
		Changed: u["NeedDaemonReload"] == "yes",
	}
	if file == "generated" { // of a script in /etc/init.d
		links, _ := filepath.Glob("/etc/rc[2345].d/S[0-9][0-9]" + strings.TrimSuffix(name, ".service"))
		is.Enabled = len(links) > 0
	}
	if u["LoadState"] == "not-found" && !is.Running {
		is.Detail = "no such unit"
	}
	return is, nil
}

// runs tells whether a unit runs, or is about to: a slow start is no failure, a
// restart after a crash is one.
func runs(u map[string]string) bool {
	switch u["ActiveState"] {
	case "active", "reloading", "refreshing":
		return true
	case "activating":
		return !strings.HasPrefix(u["SubState"], "auto-restart")
	}
	return false
}

func (s systemd) Do(ctx context.Context, verb, name string) error {
	if verb == "start" || verb == "restart" {
		// A unit that failed too often is not started before this.
		if _, err := s.h.Exec(ctx, infra.Command{Args: []string{"systemctl", "reset-failed", "--", unit(name)}}); err != nil {
			return err
		}
	}
	out, err := s.h.Exec(ctx, infra.Command{Args: []string{"systemctl", "--no-ask-password", verb, "--", unit(name)}})
	if err != nil {
		return fmt.Errorf("%s %s: %w", verb, name, err)
	}
	if out.Code == 0 {
		return nil
	}
	text := strings.TrimSpace(string(out.Stderr))
	switch {
	case strings.Contains(text, "not applicable"):
		return fault.New(fault.Invalid, "%s %s: its unit does not say how (write on_notify: restart): %s", verb, name, text)
	case strings.Contains(text, "not found") || out.Code == 5:
		return fmt.Errorf("%w: %s", noUnit(verb, name), text)
	}
	return fmt.Errorf("%s %s: %s", verb, name, text)
}

func noUnit(verb, name string) error {
	return fault.New(fault.NotFound, "%s %s: this host has no such unit (is its package or unit written before it?)", verb, name)
}

func (s systemd) Enable(ctx context.Context, name string, on bool) error {
	verb := "disable"
	if on {
		verb = "enable"
	}
	_, err := s.h.Run(ctx, s.files(verb, unit(name))...)
	return err
}

func (s systemd) Mask(ctx context.Context, name string, on bool) error {
	if on {
		out, err := s.h.Exec(ctx, infra.Command{Args: s.files("mask", unit(name))})
		switch text := strings.TrimSpace(string(out.Stderr)); {
		case err != nil || out.Code == 0:
			return err
		case strings.Contains(text, "already exists"):
			return fault.New(fault.Conflict, "mask %s: its unit in %s is a file of the administrator, which a mask would replace (remove it, or write masked: false: stopped and disabled is enough where nothing else starts it)", name, unitDir)
		default:
			return fmt.Errorf("mask %s: %s", name, text)
		}
	}
	if _, err := s.h.Run(ctx, s.files("unmask", unit(name))...); err != nil || s.h.Facts.Offline {
		return err
	}
	_, err := s.h.Run(ctx, "systemctl", "unmask", "--runtime", "--", unit(name))
	return err
}

func (s systemd) Reread(ctx context.Context) error {
	if s.h.Facts.Offline {
		return nil
	}
	_, err := s.h.Run(ctx, "systemctl", "daemon-reload")
	s.h.Changed()
	return err
}

func (s systemd) Died(ctx context.Context, name string, fresh bool) (string, error) {
	u, err := s.now(ctx, unit(name))
	if err != nil {
		return "", err
	}
	restarts := fresh && u["NRestarts"] != "" && u["NRestarts"] != "0"
	if runs(u) && !restarts {
		return "", nil
	}
	why := "it is " + u["ActiveState"] + " (" + u["SubState"] + ")"
	switch {
	case u["Type"] == "oneshot" && u["Result"] == "success":
		return "it did its work and ended, as Type=oneshot says (write state: any, and a timer if it should come again)", nil
	case u["ConditionResult"] == "no" && u["ActiveState"] == "inactive":
		why = "its conditions are not met (the lines Condition… of its unit: make them true before it, or write state: any)"
	case restarts:
		why = "it dies and is started again, " + u["NRestarts"] + " times by now"
	case slices.Contains([]string{"exit-code", "signal", "core-dump"}, u["Result"]):
		why += ", and ended with " + u["ExecMainStatus"]
	}
	// What it wrote may still be on its way to the journal.
	if _, err := s.h.Exec(ctx, infra.Command{Args: []string{"journalctl", "--sync"}}); err != nil {
		return why, nil
	}
	out, err := s.h.Exec(ctx, infra.Command{Args: []string{"journalctl", "--unit", unit(name), "--lines", "10", "--no-pager", "--output", "cat"}})
	if lines := strings.TrimSpace(string(out.Stdout)); err == nil && lines != "" {
		why += "; its last log lines:\n" + lines
	}
	return why, nil
}
