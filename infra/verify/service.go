package verify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"steer/infra"
)

var serviceKind = Kind{
	Name: "service",
	Doc: `A service of systemd, OpenRC or of scripts in /etc/init.d. It is enabled when it starts
with the host or when something wants it, as "systemctl is-enabled" says. A test that says nothing
else expects that it runs.`,
	Key:     "name",
	Example: "service: {name: ssh, running: true, enabled: true}",
	Stable:  []string{"exists", "running", "enabled"},
	New:     func() Subject { return &service{} },
}

type service struct {
	Name    string `yaml:"name" doc:"Name; with systemd also that of another unit, like backup.timer."`
	Exists  *bool  `yaml:"exists" doc:"Whether the host knows it."`
	Running *bool  `yaml:"running" doc:"Whether it runs."`
	Enabled *bool  `yaml:"enabled" doc:"Whether it will start with the host."`
}

func (s *service) ID() string { return s.Name }

func (s *service) Check() error {
	if s.Exists == nil && s.Running == nil && s.Enabled == nil {
		yes := true
		s.Running = &yes
	}
	return plainName("name", s.Name)
}

func (s *service) Look(ctx context.Context, h *infra.Host) (Found, error) {
	switch h.Facts.Init {
	case "systemd":
		return s.systemd(ctx, h)
	case "openrc":
		return s.scripts(ctx, h, []string{"rc-service", s.Name, "status"}, "/etc/runlevels/*/"+s.Name)
	case "sysv":
		return s.scripts(ctx, h, []string{"/etc/init.d/" + s.Name, "status"}, sysvStart(s.Name))
	}
	return nil, fmt.Errorf("look at service %s: this host has neither systemd nor OpenRC nor init scripts", s.Name)
}

// sysvStart matches the links that start a script in one of the usual runlevels.
func sysvStart(name string) string { return "/etc/rc[2-5].d/S[0-9][0-9]" + name }

func (s *service) systemd(ctx context.Context, h *infra.Host) (Found, error) {
	out, err := h.Run(ctx, "systemctl", "show", "--property=LoadState,ActiveState,SubState,UnitFileState", "--", s.Name)
	if err != nil {
		return nil, err
	}
	p := map[string]string{}
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		p[key] = value
	}
	state := p["UnitFileState"]
	enabled := false
	switch state {
	case "enabled", "enabled-runtime", "static", "alias", "indirect":
		enabled = true
	case "generated": // of a script
		enabled = matchesFile(sysvStart(strings.TrimSuffix(s.Name, ".service")))
	}
	if p["LoadState"] == "" {
		return nil, fmt.Errorf("look at service %s: systemctl does not tell its state", s.Name)
	}
	exists := p["LoadState"] != "not-found"
	if !exists {
		state = "there is no such unit"
	}
	running := p["ActiveState"] == "active" || p["ActiveState"] == "reloading" || p["ActiveState"] == "refreshing"
	return Found{
		"exists":  Noted{exists, p["LoadState"]},
		"running": Noted{running, strings.Join([]string{p["ActiveState"], p["SubState"]}, ", ")},
		"enabled": Noted{enabled, state},
	}, nil
}

func (s *service) scripts(ctx context.Context, h *infra.Host, status []string, start string) (Found, error) {
	if _, err := os.Stat("/etc/init.d/" + s.Name); err != nil {
		why := "there is no such script"
		return Found{"exists": false, "running": Noted{false, why}, "enabled": Noted{false, why}}, nil
	}
	out, err := h.Exec(ctx, infra.Command{Args: status})
	if err != nil {
		return nil, err
	}
	return Found{"exists": true, "running": Noted{out.Code == 0, fmt.Sprintf("its script says %d", out.Code)}, "enabled": matchesFile(start)}, nil
}

func matchesFile(pattern string) bool {
	found, _ := filepath.Glob(pattern)
	return len(found) > 0
}
