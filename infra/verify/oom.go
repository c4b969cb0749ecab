package verify

import (
	"context"
	"errors"

	"steer/base/config"
	"steer/infra"
)

var oomKind = Kind{
	Name: "oom",
	Doc: `Processes that the kernel killed for want of memory, with when and why, as its log tells (/dev/kmsg, and systemd's journal for
what is older). A container has only a counter: which processes it were, only the machine beneath knows, and when is between
two looks (what they saw is kept in /run/steer-oom.json).`,
	Key:     "name",
	Example: "oom: {name: mysqld, within: 7d}",
	Stable:  []string{"known"},
	New:     func() Subject { return &oom{Failures: none()} },
}

type oom struct {
	Name     string          `yaml:"name" doc:"Name of a program, as the kernel's log has it, or all." default:"all"`
	Known    *bool           `yaml:"known" doc:"Whether kills can be known: by the log, or a counter."`
	Failures Text            `yaml:"failures" doc:"What was killed, a text for each process. Default: nothing may be, {only: []}."`
	Ignore   []string        `yaml:"ignore" doc:"Failures that are known and borne: texts that they contain, or /expressions/."`
	Within   config.Duration `yaml:"within" doc:"How far back kills count." default:"24h"`

	root string // of what is looked at; empty: this machine
}

func (o *oom) ID() string { return o.Name }

func (o *oom) Check() error {
	return errors.Join(plainName("name", o.Name), checkIgnore(o.Ignore), checkWithin(o.Within))
}

func (o *oom) Look(ctx context.Context, h *infra.Host) (Found, error) {
	m, err := looker(h, o.root)
	if err != nil {
		return nil, err
	}
	s, err := m.OOM(ctx, program(o.Name), m.Now.Add(-o.Within.Std()))
	if err != nil {
		return nil, err
	}
	return seen(s, o.Ignore), nil
}
