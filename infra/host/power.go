package host

import (
	"context"
	"slices"
	"strings"

	"steer/base/fault"
)

// Ways to stop a host. The first is orderly; the others are failures, to see whether
// a service goes on without the host.
const (
	Off    = "stop"   // what runs on it is asked to end
	Kill   = "kill"   // it is switched off
	Freeze = "freeze" // it stays, and does nothing any more
	Cut    = "cut"    // it goes on, without a network
)

// Said is what became of a host that was stopped in a way.
func Said(way string) string {
	switch way {
	case Kill:
		return "killed"
	case Freeze:
		return "frozen"
	case Cut:
		return "cut off"
	}
	return "stopped"
}

// switched is a maker whose hosts can be stopped, and started again.
type switched interface {
	// ways are those that it knows.
	ways() []string
	// stop does it in one of these ways; a host that is stopped so is no error.
	stop(ctx context.Context, h Host, way string) error
	// start undoes every way. fault.NotFound: there is no such host.
	start(ctx context.Context, h Host) error
}

// Ways are how a host can be stopped; none when Steer could not start it again.
func Ways(h Host) []string {
	if m, err := h.switched(); err == nil {
		return m.ways()
	}
	return nil
}

// SwitchOff stops a host in one of the ways; one that is stopped already is no error.
func SwitchOff(ctx context.Context, h Host, way string) error {
	m, err := h.switched()
	if err != nil {
		return err
	}
	if all := m.ways(); !slices.Contains(all, way) {
		return fault.New(fault.Invalid, "%s %s: what makes it knows only %s", way, h.Name, strings.Join(all, ", "))
	}
	return m.stop(ctx, h, way)
}

// SwitchOn starts a host again, in whatever way it was stopped; one that runs is no error.
// fault.NotFound: there is no such host.
func SwitchOn(ctx context.Context, h Host) error {
	m, err := h.switched()
	if err != nil {
		return err
	}
	return m.start(ctx, h)
}

// switched is what stops and starts the host, or why nothing does.
func (h Host) switched() (switched, error) {
	why := "does not say how it is made, and Steer could not start it again (poweroff on the host itself stops it)"
	if h.Make != nil {
		m := h.Make.makers()[0]
		if s, ok := m.(switched); ok && len(s.ways()) > 0 {
			return s, nil
		}
		switch m.(type) {
		case *Debootstrap:
			why = "makes a folder, in which nothing runs between visits (destroy removes it)"
		case *Tofu:
			why = "leaves it to OpenTofu, which makes and destroys (destroy, and create it again)"
		default:
			why = "names no programs for it (add stop: and start: to make.command)"
		}
	}
	return nil, fault.New(fault.Invalid, "stop or start %s: %s %s", h.Name, InventoryFile, why)
}

func notMade(name string) error {
	return fault.New(fault.NotFound, "%s was not made yet (steer host create %[1]s does it)", name)
}

// ways of programs are theirs.
func (p *Programs) ways() []string {
	if len(p.Stop) == 0 {
		return nil
	}
	return []string{Off}
}

func (p *Programs) stop(ctx context.Context, h Host, _ string) error {
	_, err := output(ctx, fill(p.Stop, h.Name)...)
	return err
}

func (p *Programs) start(ctx context.Context, h Host) error {
	_, err := output(ctx, fill(p.Start, h.Name)...)
	return err
}
