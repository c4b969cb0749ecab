package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

func serviceKind() infra.Kind {
	return infra.Kind{
		Name: "service",
		Key:  "name",
		Doc: "A service, or any other unit of systemd: whether it runs, starts with the host, and may be started at all. " +
			"Units that changed on disk are read anew. A service that dies within `settle` of its start is a failure, told with its last log lines. " +
			"Resources that notify it restart it, unless it was started in the same run or is not to run. " +
			"Without systemd it is a script in /etc/init.d (sysv, openrc), of which the exit code of `status` counts.",
		Example: "- service: nginx\n" +
			"- service:\n    name: haproxy\n    on_notify: reload\n" +
			"- service:\n    name: apt-daily.timer\n    state: stopped\n    masked: true\n",
		New: func() infra.Resource { return &Service{} },
	}
}

// Service is a service as it should be.
type Service struct {
	Name     string          `yaml:"name" doc:"nginx means nginx.service; other units are named whole, like backup.timer"`
	State    string          `yaml:"state,omitempty" default:"running" doc:"running, stopped, or any: as it is"`
	Enabled  *bool           `yaml:"enabled,omitempty" doc:"starts with the host; left out: true when running, false when stopped, as it is when any"`
	Masked   *bool           `yaml:"masked,omitempty" doc:"cannot be started, by nobody (systemd); left out: false when running or enabled, else as it is"`
	OnNotify string          `yaml:"on_notify,omitempty" default:"restart" doc:"restart or reload, when a resource that notifies it changed"`
	Settle   config.Duration `yaml:"settle" default:"1s" doc:"how long it has to stay up after a start or restart; 0s does not wait"`

	started *infra.Host // in the run of which host it was started
}

var serviceName = infra.Pattern(`^[A-Za-z0-9][A-Za-z0-9:_.@\\-]{0,250}$`)

// Check refuses what can't be, and fills in what follows from state.
func (s *Service) Check() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fault.New(fault.Invalid, format, args...)) }
	switch {
	case !serviceName().MatchString(s.Name):
		wrong("name: %q is no name of a service", s.Name)
	case strings.Contains(unit(s.Name), "@."):
		wrong("name: %s is a template of units, which runs under names only (write one, like %s)", s.Name, strings.Replace(unit(s.Name), "@.", "@NAME.", 1))
	}
	if !slices.Contains([]string{running, stopped, asIs}, s.State) {
		wrong("state: %q is none of running, stopped, any (restarts come from notify)", s.State)
	}
	if s.OnNotify != "restart" && s.OnNotify != "reload" {
		wrong("on_notify: %q is neither restart nor reload", s.OnNotify)
	}
	if s.Settle < 0 || s.Settle.Std() > time.Minute {
		wrong("settle: %s is not between 0s and 1m", s.Settle)
	}
	if s.Enabled == nil && s.State != asIs {
		on := s.State == running && (s.Masked == nil || !*s.Masked)
		s.Enabled = &on
	}
	wanted := s.State == running || s.Enabled != nil && *s.Enabled
	switch {
	case s.Masked == nil && wanted:
		s.Masked = new(bool)
	case s.Masked != nil && *s.Masked && wanted:
		wrong("masked: what is masked neither runs nor starts with the host (write state: stopped)")
	}
	return errors.Join(errs...)
}

// ID is the name.
func (s *Service) ID() string { return s.Name }

// unit is the name for systemd.
func unit(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 && slices.Contains(suffixes(), name[i:]) {
		return name
	}
	return name + ".service"
}

func suffixes() []string {
	return []string{".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap", ".target", ".slice"}
}

// Gives is the service.
func (s *Service) Gives() []string { return []string{"service:" + s.Name} }

// Claims is the service, by whichever of its names it is declared.
func (s *Service) Claims() []infra.Claim {
	return []infra.Claim{{Name: "service:" + unit(s.Name)}}
}

// Needs are its unit, its script, its package.
func (s *Service) Needs() []string {
	u := unit(s.Name)
	bare := strings.TrimSuffix(u, ".service")
	return []string{"unit:" + u, "path:/etc/systemd/system/" + u, "path:/etc/init.d/" + bare, "package:" + bare}
}

// LeftOut is the start.
func (s *Service) LeftOut() string {
	if s.State == running {
		return "not started: nothing runs here"
	}
	return ""
}

// Units is its unit.
func (s *Service) Units() []string { return []string{unit(s.Name)} }

// Diff looks at the service.
func (s *Service) Diff(ctx context.Context, h *infra.Host) (infra.Diff, error) {
	var d infra.Diff
	sys, err := open(h)
	if err != nil {
		return d, err
	}
	is, err := sys.Look(ctx, s.Name)
	if err != nil {
		return d, err
	}
	if is.Changed {
		d.Set("unit", "as read earlier", "as on disk")
	}
	if s.Masked != nil && *s.Masked != is.Masked {
		d.Set("masked", fmt.Sprint(is.Masked), fmt.Sprint(*s.Masked))
	}
	if !h.Facts.Offline && (s.State == running && !is.Running || s.State == stopped && is.Running) {
		d.Set("state", is.Detail, s.State)
	}
	if s.Enabled != nil && *s.Enabled != is.Enabled {
		d.Set("enabled", fmt.Sprint(is.Enabled), fmt.Sprint(*s.Enabled))
	}
	return d, nil
}

// Apply does what differs.
func (s *Service) Apply(ctx context.Context, h *infra.Host, d infra.Diff) error {
	sys, err := open(h)
	if err != nil {
		return err
	}
	if d.Has("unit") {
		if err := sys.Reread(ctx); err != nil {
			return err
		}
	}
	if d.Has("masked") && !*s.Masked {
		if err := sys.Mask(ctx, s.Name, false); err != nil {
			return err
		}
	}
	if d.Has("state") && s.State == stopped {
		if err := sys.Do(ctx, "stop", s.Name); err != nil {
			return err
		}
	}
	if d.Has("enabled") {
		is, err := sys.Look(ctx, s.Name)
		if err != nil {
			return err
		}
		if *s.Enabled && !is.Known {
			return noUnit("enable", s.Name)
		}
		if *s.Enabled && is.Indirect {
			return fault.New(fault.Invalid, "enable %s: something else starts it, like its socket (write enabled: false, and a service for what it names under Also)", s.Name)
		}
		if *s.Enabled && is.Static {
			return fault.New(fault.Invalid, "enable %s: its unit does not say what it would start with, since it has no section [Install] (write enabled: false; something else starts it)", s.Name)
		}
		if err := sys.Enable(ctx, s.Name, *s.Enabled); err != nil {
			return err
		}
	}
	if d.Has("state") && s.State == running {
		if err := s.bring(ctx, h, sys, "start"); err != nil {
			return err
		}
	}
	if d.Has("masked") && *s.Masked {
		return sys.Mask(ctx, s.Name, true)
	}
	return nil
}

// Notify restarts or reloads it.
func (s *Service) Notify(ctx context.Context, h *infra.Host) error {
	if s.started == h || s.State == stopped || h.Facts.Offline {
		return nil
	}
	sys, err := open(h)
	if err != nil {
		return err
	}
	is, err := sys.Look(ctx, s.Name)
	if err != nil {
		return err
	}
	if is.Changed {
		if err := sys.Reread(ctx); err != nil {
			return err
		}
	}
	if !is.Running {
		return nil // state: any, and somebody stopped it
	}
	return s.bring(ctx, h, sys, s.OnNotify)
}

// bring starts, restarts or reloads it, and watches it for a while: most services
// that cannot run end at once, after their start was said to be done.
func (s *Service) bring(ctx context.Context, h *infra.Host, sys system, verb string) error {
	err := sys.Do(ctx, verb, s.Name)
	if err == nil {
		s.started = h
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(s.Settle.Std()); err == nil; {
		why, failed := sys.Died(ctx, s.Name, verb != "reload")
		if why != "" {
			s.started = nil
			return fmt.Errorf("%s %s: %s", verb, s.Name, why)
		}
		if failed != nil || time.Now().After(end) {
			return failed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	if k := fault.Of(err); k == fault.NotFound || k == fault.Invalid {
		return err
	}
	if why, failed := sys.Died(ctx, s.Name, verb != "reload"); failed == nil && why != "" {
		return fmt.Errorf("%w\n%s", err, why)
	}
	return err
}
