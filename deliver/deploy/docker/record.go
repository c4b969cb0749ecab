package docker

import (
	"context"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// record is what node.json holds. Numbers are ports of this machine, and Started is
// as the engine tells it.
type record struct {
	deploy.Kept
	Ref    string        `json:"ref,omitempty"` // name of the image that was loaded for it
	Ended  bool          `json:"ended"`         // what was started then has ended
	Lasted time.Duration `json:"lasted"`        // so long
}

func (r record) save(dir string) error { return deploy.Save(dir, r) }

func (d *Driver) records() ([]record, error) { return deploy.Saved[record](d.o.Dir, d.log) }

// tidy removes what no node needs: the records of nodes that stopped long ago,
// containers and images.
func (d *Driver) tidy(ctx context.Context) {
	all, err := d.records()
	if err != nil {
		d.log.Error("cannot tidy nodes", "error", err)
		return
	}
	deploy.Forget(d.o.Dir, all, d.o.Retain.Std())
	if len(all) == 0 {
		return // there may be no engine at all
	}
	d.passStats()
	err = d.orphans(ctx)
	if err == nil {
		err = d.forget(ctx)
	}
	if err != nil && ctx.Err() == nil && fault.Of(err) != fault.Unavailable { // who looks after nodes tells of that
		d.log.Error("cannot tidy containers", "error", err)
	}
}
