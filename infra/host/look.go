package host

import (
	"context"
	"errors"
	"os"

	"steer/base/fault"
)

// How a host that Steer makes is found.
const (
	Runs    = "runs"
	Stopped = "stopped"
	Frozen  = "frozen"
	CutOff  = "cut off"
	Missing = "not made"
	There   = "there" // where nothing runs between visits
)

// looked is a maker that can tell how its hosts are without a visit.
type looked interface {
	look(ctx context.Context, h Host) (string, error)
}

// Condition tells how a host that Steer makes is, without visiting it; empty where only a
// visit tells.
func Condition(ctx context.Context, h Host) (string, error) {
	if h.Make == nil {
		return "", nil
	}
	l, ok := h.Make.makers()[0].(looked)
	if !ok {
		return "", nil
	}
	return l.look(ctx, h)
}

func (d *Docker) look(ctx context.Context, h Host) (string, error) {
	c, err := inspect(ctx, h.Name)
	switch {
	case fault.Of(err) == fault.NotFound:
		return Missing, nil
	case err != nil:
		return "", err
	case c.State.Paused:
		return Frozen, nil
	case !c.State.Running:
		return Stopped, nil
	case d.home() != "" && len(c.NetworkSettings.Networks) == 0:
		return CutOff, nil
	}
	return Runs, nil
}

func (n *Nspawn) look(_ context.Context, h Host) (string, error) {
	is, err := lookAtTree(n.folder(h.Name), Stopped)
	if err == nil && leader(h.Name) != 0 {
		is = Runs
	}
	return is, err
}

func (d *Debootstrap) look(_ context.Context, h Host) (string, error) {
	return lookAtTree(d.folder(h.Name), There)
}

func lookAtTree(folder, there string) (string, error) {
	switch _, err := os.Stat(folder); {
	case errors.Is(err, os.ErrNotExist):
		return Missing, nil
	case err != nil:
		return "", err
	}
	return there, nil
}
