package verify

import (
	"context"
	"errors"
	"time"

	"steer/base/config"
	"steer/infra"
)

var stuckKind = Kind{
	Name: "stuck",
	Doc: `Processes that are stuck: those that wait in the kernel (state D) for long, for a disk or a mount that does not answer, and so
can't even be killed; and those that ended and are not collected by their parent (zombies). How long it is is known from
the kernel (/proc/PID/sched). Processes that somebody froze don't count.`,
	Key:     "name",
	Example: "stuck: {name: all, longer: 10m, zombies: 50}",
	Stable:  []string{"known"},
	New:     func() Subject { return &stuck{Failures: none()} },
}

type stuck struct {
	Name     string          `yaml:"name" doc:"Name of a program, as ps shows it under comm, or all." default:"all"`
	Known    *bool           `yaml:"known" doc:"Whether the kernel tells how long processes wait."`
	Failures Text            `yaml:"failures" doc:"What is stuck, a text for each process or parent. Default: nothing may be, {only: []}."`
	Ignore   []string        `yaml:"ignore" doc:"Failures that are known and borne: texts that they contain, or /expressions/."`
	Longer   config.Duration `yaml:"longer" doc:"How long a process may wait, and an ended one may be left." default:"5m"`
	Zombies  int             `yaml:"zombies" doc:"So many processes that one parent left for longer are a failure." default:"20"`

	root string // of what is looked at; empty: this machine
}

func (p *stuck) ID() string { return p.Name }

func (p *stuck) Check() error {
	var all []error
	if p.Longer.Std() <= 0 || p.Longer.Std() > 24*time.Hour {
		all = append(all, errors.New("longer: has to be above 0s, and at most 24h"))
	}
	if p.Zombies < 1 {
		all = append(all, errors.New("zombies: has to be at least 1"))
	}
	return errors.Join(append(all, plainName("name", p.Name), checkIgnore(p.Ignore))...)
}

func (p *stuck) Look(_ context.Context, h *infra.Host) (Found, error) {
	m, err := looker(h, p.root)
	if err != nil {
		return nil, err
	}
	s, err := m.Stuck(program(p.Name), p.Longer.Std(), p.Zombies)
	if err != nil {
		return nil, err
	}
	return seen(s, p.Ignore), nil
}

// program is the name of one; empty: any.
func program(name string) string {
	if name == "all" {
		return ""
	}
	return name
}
