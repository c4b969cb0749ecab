package service

import (
	"context"
	"strings"

	"steer/base/config"
	"steer/base/fault"
	"steer/infra"
)

// Capture is how the service is now.
func (s *Service) Capture(ctx context.Context, h *infra.Host) (infra.Resource, error) {
	sys, err := open(h)
	if err != nil {
		return nil, err
	}
	is, err := sys.Look(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	one := &Service{Name: s.Name, State: stopped, OnNotify: s.OnNotify, Settle: s.Settle, Masked: &is.Masked}
	if is.Running {
		one.State = running
	}
	one.Enabled = &is.Enabled
	if is.Masked && is.Running {
		return nil, fault.New(fault.Conflict, "service %s ran although it was masked", s.Name)
	}
	return one, nil
}

// Capture is the unit that is there.
func (u *Unit) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	content, there, err := contents(u.path())
	if err != nil || !there {
		return u.Absent(), err
	}
	return &Unit{Name: u.Name, DropIn: u.DropIn, State: present, Content: string(content)}, nil
}

// Rewrites is the file, which others may have written.
func (c *Cron) Rewrites(*infra.Host) (files []string, secret bool, err error) {
	return []string{c.path()}, false, nil
}

// Capture reads a file as this kind writes it.
func (c *Cron) Capture(context.Context, *infra.Host) (infra.Resource, error) {
	content, there, err := contents(c.path())
	if err != nil || !there {
		return c.Absent(), err
	}
	is := &Cron{Name: c.Name, State: present, Environment: map[string]string{}}
	for line := range strings.Lines(strings.TrimPrefix(string(content), written)) {
		line = strings.TrimSuffix(line, "\n")
		if name, value, ok := strings.Cut(line, "="); ok && variable().MatchString(name) {
			if name == "PATH" && !strings.ContainsAny(value, `"'`) {
				continue // ours
			}
			is.Environment[name] = strings.Trim(value, value[:min(1, len(value))])
			continue
		}
		n := 5
		if strings.HasPrefix(line, "@") {
			n = 1
		}
		words := strings.SplitN(line, " ", n+2)
		if len(words) == n+2 {
			is.Schedule, is.User, is.Command = strings.Join(words[:n], " "), words[n], strings.ReplaceAll(words[n+1], `\%`, "%")
		}
	}
	if len(is.Environment) == 0 {
		is.Environment = nil
	}
	if is.content() != string(content) {
		return nil, foreign(c.path())
	}
	return is, nil
}

func foreign(path string) error {
	return fault.New(fault.Conflict, "%s was not written by Steer", path)
}

// Capture reads both files as this kind writes them.
func (t *Timer) Capture(ctx context.Context, h *infra.Host) (infra.Resource, error) {
	sys, err := needSystemd(h, "timer "+t.Name)
	if err != nil {
		return nil, err
	}
	timer, there, err := contents(t.path(".timer"))
	if err != nil {
		return nil, err
	}
	service, also, err := contents(t.path(".service"))
	if err != nil || !there && !also {
		return t.Absent(), err
	}
	is := &Timer{Name: t.Name, State: present, Environment: map[string]string{}}
	plain := strings.NewReplacer(`\\`, `\`, `\"`, `"`, `%%`, `%`)
	for line := range strings.Lines(string(timer) + string(service)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch key {
		case "OnCalendar":
			is.Schedule = value
		case "Persistent":
			is.Persistent = value == "true"
		case "RandomizedDelaySec":
			is.Delay, err = config.ParseDuration(value)
		case "User":
			is.User = value
		case "Environment":
			name, v, _ := strings.Cut(strings.Trim(value, `"`), "=")
			is.Environment[name] = plain.Replace(v)
		case "ExecStart":
			command := strings.TrimSuffix(strings.TrimPrefix(value, `/bin/sh -c "`), `"`)
			is.Command = plain.Replace(strings.ReplaceAll(command, "$$", "$"))
		}
	}
	if len(is.Environment) == 0 {
		is.Environment = nil
	}
	if err != nil || is.timer() != string(timer) || is.service() != string(service) {
		return nil, foreign(t.path(".timer"))
	}
	unit, err := sys.Look(ctx, t.Name+".timer")
	if err == nil && (unit.Masked || !unit.Running || !unit.Enabled) {
		err = fault.New(fault.Conflict, "timer %s was stopped or disabled by hand", t.Name)
	}
	return is, err
}
