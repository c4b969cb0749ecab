package app

import (
	"cmp"
	"context"

	"steer/base/fault"
	"steer/infra"
	"steer/infra/converge"
	"steer/infra/host"
	"steer/infra/resource/login"
)

// replaced compares an immutable host, and changes nothing: what differs would be replaced,
// by a host from a new image. Asked to change it, it refuses.
func replaced(h host.Host, apply bool, compare func(func(converge.Event)) (converge.Report, error), tell func(converge.Event)) (converge.Report, error) {
	bake, differ := "steer bake", 0
	r, err := compare(func(e converge.Event) {
		if e.Status == converge.Planned && e.Diff.Action != infra.Run { // what would run each time is no difference
			differ++
			e.Diff.Action, e.Why = infra.Replace, cmp.Or(e.Why, "in a new image")
			if e.Ref == login.Ref {
				bake = "steer bake --no-login"
			}
		}
		tell(e)
	})
	if err == nil && apply && differ > 0 {
		err = fault.New(fault.Conflict, "it is immutable and differs from its roles; nothing was changed (bake its image anew with %s, then steer host rebuild %s)", bake, h.Name)
	}
	return r, err
}

// editable refuses what only hosts can do that may be edited.
func editable(h host.Host) error {
	if !h.Immutable {
		return nil
	}
	return fault.New(fault.Conflict, "%s is immutable, and has no generations to go back to (bake the image of an earlier commit, then steer host rebuild %[1]s)", h.Name)
}

// located is a host with the way to it.
func located(ctx context.Context, h host.Host) (host.Host, error) {
	var err error
	h.Address, err = host.Locate(ctx, h)
	return h, err
}
