// Package login is a host in which nobody can log in: no key and no password opens it,
// and nothing runs that would let somebody in.
package login

import (
	"context"
	"fmt"

	"steer/base/fault"
	"steer/infra"
)

// Off is a host without logins. It is what hosts.yaml says with login: false, and baked
// into images; roles do not declare it. Whoever controls the machine below, or what made
// the host, comes in all the same: they leave traces that Diff finds.
type Off struct {
	// Edition is of what is shut: images that were baked when less was known are not taken
	// from the cache.
	Edition int `yaml:"edition" default:"1"`
}

// edition goes up with what this package shuts.
const edition = 1

// New is a host without logins.
func New() *Off { return &Off{Edition: edition} }

// Ref is how manifests name it.
const Ref = "login:off"

// Kind is the kind of Off.
func Kind() infra.Kind {
	return infra.Kind{Name: "login", Doc: "A host in which nobody can log in.", New: func() infra.Resource { return &Off{} }}
}

// ID is the same on all hosts.
func (*Off) ID() string { return "off" }

// door is a way in that is open.
type door struct {
	name, is, should string
	shut             func() error // nil: it cannot be shut while the host runs
}

// open lists the open doors of a host. The root is "/", or that of a test.
func open(h *infra.Host, root string) ([]door, error) {
	o := &house{root: root}
	for _, look := range []func() error{o.notice, o.passwords, o.keys, o.server, o.units, o.consoles} {
		if err := look(); err != nil {
			return nil, err
		}
	}
	if !h.Facts.Offline {
		o.running()
	}
	return o.doors, nil
}

// house is the host while its doors are looked at.
type house struct {
	root  string
	doors []door
}

func (o *house) found(name, is, should string, shut func() error) {
	o.doors = append(o.doors, door{name, is, should, shut})
}

// Diff lists the doors that are open.
func (*Off) Diff(_ context.Context, h *infra.Host) (d infra.Diff, err error) {
	doors, err := open(h, "/")
	for _, o := range doors {
		d.Set(o.name, o.is, o.should)
	}
	return d, err
}

// Apply shuts them.
func (*Off) Apply(_ context.Context, h *infra.Host, _ infra.Diff) error {
	doors, err := open(h, "/")
	if err != nil {
		return err
	}
	for _, o := range doors {
		if o.shut == nil {
			return fault.New(fault.Conflict, "%s: %s; only a new host is without it", o.name, o.is)
		}
		if err := o.shut(); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	return nil
}
