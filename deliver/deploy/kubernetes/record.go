package kubernetes

import (
	"context"
	"maps"
	"slices"

	"steer/deliver/deploy"
)

// record is what node.json holds: what the cluster forgets, or cannot tell while it
// is away.
type record struct {
	deploy.Kept
	seen
	Ref string `json:"ref"` // of the image
}

// seen is what the cluster told last, beside what every driver keeps.
type seen struct {
	Pod     string `json:"pod,omitempty"` // UID
	IP      string `json:"ip,omitempty"`
	Machine string `json:"machine,omitempty"`
	Before  int    `json:"before"` // processes that began in earlier pods
	InPod   int    `json:"in_pod"` // and in this one
	Ended   bool   `json:"ended"`  // what was started then has ended
}

// same tells whether the cluster told the same of both.
func (r record) same(as record) bool {
	return r.seen == as.seen && r.Started.Equal(as.Started) && r.LastExit == as.LastExit
}

func (r record) save(dir string) error { return deploy.Save(dir, r) }

func (d *Driver) records() ([]record, error) { return deploy.Saved[record](d.o.Dir, d.log) }

// tidy removes what no node needs: the records of nodes that stopped long ago, and
// objects in the cluster.
func (d *Driver) tidy(ctx context.Context) {
	all, err := d.records()
	if err != nil {
		d.log.Error("cannot tidy nodes", "error", err)
		return
	}
	deploy.Forget(d.o.Dir, all, d.o.Retain.Std())
	d.mu.Lock()
	spaces := slices.Collect(maps.Values(d.spaces))
	d.mu.Unlock()
	for _, s := range spaces {
		if err := d.orphans(ctx, s); err != nil && ctx.Err() == nil {
			d.log.Error("cannot tidy a namespace", "namespace", s.Namespace(), "error", err)
		}
	}
}
