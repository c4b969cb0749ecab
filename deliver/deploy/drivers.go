package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"steer/base/fault"
)

// Names of drivers, as environments.yaml has them.
const (
	DriverProcess    = "process"
	DriverDocker     = "docker"
	DriverHosts      = "hosts"
	DriverKubernetes = "kubernetes"
)

// Drivers are drivers by name, and together one: each node is with the one that
// its Spec names. So the nodes of an environment that gets another driver are
// started by that one, and stopped by the one that has them.
type Drivers map[string]Driver

var _ Driver = Drivers(nil)

func (d Drivers) of(s Spec) (Driver, error) {
	name := s.Driver
	if name == "" {
		name = DriverProcess
	}
	if d[name] == nil {
		return nil, fault.New(fault.Invalid, "start node %s: there is no driver %q here (known: %s)", s.ID, name, strings.Join(slices.Sorted(maps.Keys(d)), ", "))
	}
	return d[name], nil
}

// Start implements Driver.
func (d Drivers) Start(ctx context.Context, s Spec) (Instance, error) {
	one, err := d.of(s)
	if err != nil {
		return Instance{}, err
	}
	return one.Start(ctx, s)
}

// Task implements Driver.
func (d Drivers) Task(ctx context.Context, s Spec, out io.Writer) error {
	one, err := d.of(s)
	if err != nil {
		return err
	}
	return one.Task(ctx, s, out)
}

// Stop implements Driver.
func (d Drivers) Stop(ctx context.Context, node string) error {
	for _, name := range slices.Sorted(maps.Keys(d)) {
		l, err := d[name].List(ctx)
		if err != nil {
			return fmt.Errorf("stop node %s: %w", node, err)
		}
		if slices.ContainsFunc(l, func(i Instance) bool { return i.ID == node }) {
			return d[name].Stop(ctx, node)
		}
	}
	return nil
}

// List implements Driver.
func (d Drivers) List(ctx context.Context) (all []Instance, err error) {
	for _, name := range slices.Sorted(maps.Keys(d)) {
		l, err := d[name].List(ctx)
		if err != nil {
			return nil, fmt.Errorf("driver %s: %w", name, err)
		}
		all = append(all, l...)
	}
	Sort(all)
	return all, nil
}

// Logs implements Driver.
func (d Drivers) Logs(ctx context.Context, node string, lines int, follow bool) (r io.ReadCloser, err error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if r, err = d[name].Logs(ctx, node, lines, follow); err == nil {
			return r, nil
		}
		if fault.Of(err) != fault.NotFound {
			return nil, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs[:min(1, len(errs))]...)
}
