package host

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"steer/base/fault"
)

// engineView is what the engine knows of one.
type engineView struct {
	State struct {
		Running, Paused bool
	}
	Config struct {
		Labels map[string]string
		Cmd    []string
	}
	NetworkSettings struct {
		Networks map[string]struct{}
	}
}

// inspect finds a container that this program made. fault.NotFound: there is none.
func inspect(ctx context.Context, name string) (c engineView, err error) {
	out, err := output(ctx, "docker", "container", "inspect", "--format", "{{json .}}", name)
	if err != nil {
		if strings.Contains(err.Error(), "No such container") {
			return c, notMade(name)
		}
		return c, err
	}
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		return c, fmt.Errorf("read what docker says of %s: %w", name, err)
	}
	if c.Config.Labels[label] != name {
		return c, fault.New(fault.Denied, "container %s is there and was not made by Steer, which leaves it alone (docker rename gives it another name)", name)
	}
	return c, nil
}

func (d *Docker) ways() []string {
	ways := []string{Off, Kill, Freeze}
	if d.home() != "" {
		ways = append(ways, Cut)
	}
	return ways
}

// home is the network that a host is on, empty for one that cannot be cut off.
func (d *Docker) home() string {
	switch {
	case d.Network == "" || d.Network == "default":
		return "bridge"
	case d.Network == "none" || d.Network == "host" || strings.Contains(d.Network, ":"):
		return ""
	}
	return d.Network
}

func (d *Docker) stop(ctx context.Context, h Host, way string) error {
	c, err := inspect(ctx, h.Name)
	if err != nil {
		return err
	}
	if !c.State.Running {
		if way == Off || way == Kill {
			return nil
		}
		return fault.New(fault.Conflict, "%s %s: it does not run (steer host start %[2]s)", way, h.Name)
	}
	do := func(words ...string) {
		if err == nil {
			_, err = output(ctx, append([]string{"docker"}, words...)...)
		}
	}
	if c.State.Paused && way != Freeze && way != Cut {
		do("unpause", h.Name)
	}
	switch way {
	case Off:
		wait := "20"
		if len(c.Config.Cmd) > 0 && c.Config.Cmd[0] == "sleep" {
			// It is first of all, and asks nobody to end; what else runs is asked here.
			wait = "1"
			output(ctx, "docker", "exec", "-u", "0", h.Name, "sh", "-c", "kill -TERM -1") //nolint:errcheck // its own end may come with it
		}
		do("stop", "--time="+wait, h.Name)
	case Kill:
		do("kill", h.Name)
	case Freeze:
		if !c.State.Paused {
			do("pause", h.Name)
		}
	case Cut:
		for _, network := range sortedKeys(c.NetworkSettings.Networks) {
			do("network", "disconnect", network, h.Name)
		}
	}
	return err
}

func (d *Docker) start(ctx context.Context, h Host) error {
	c, err := inspect(ctx, h.Name)
	if err != nil {
		return err
	}
	do := func(words ...string) {
		if err == nil {
			_, err = output(ctx, append([]string{"docker"}, words...)...)
		}
	}
	if c.State.Paused {
		do("unpause", h.Name)
	}
	home := d.home()
	if home != "" {
		if err := d.network(ctx); err != nil { // it went with the last host that was on it
			return fmt.Errorf("start %s: %w", h.Name, err)
		}
		if !slices.Contains(sortedKeys(c.NetworkSettings.Networks), home) {
			do("network", "connect", home, h.Name)
		}
	}
	if !c.State.Running {
		do("start", h.Name)
	}
	if err == nil {
		err = settled(ctx, h.Name)
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", h.Name, err)
	}
	return nil
}
