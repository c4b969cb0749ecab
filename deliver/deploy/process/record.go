package process

import (
	"path/filepath"
	"slices"

	"steer/deliver/deploy"
)

// record is what node.json holds.
type record struct {
	deploy.Kept
	Start uint64 `json:"start"` // of the process, in ticks after boot
	Boot  string `json:"boot"`
}

func (r record) save(dir string) error { return deploy.Save(dir, r) }

func (d *Driver) records() ([]record, error) { return deploy.Saved[record](d.o.Dir, d.log) }

// load returns the records of nodes that are to run.
func (d *Driver) load() ([]record, error) {
	all, err := d.records()
	return slices.DeleteFunc(all, func(r record) bool { return !r.Stopped.IsZero() }), err
}

// tidy moves long logs aside, and removes the logs of nodes that stopped long ago
// and the artifacts that no node uses.
func (d *Driver) tidy() {
	all, err := d.records()
	if err != nil {
		d.log.Error("cannot tidy nodes", "error", err)
		return
	}
	used := map[string]bool{}
	for _, r := range all {
		if !r.Stopped.IsZero() {
			continue
		}
		used[r.Digest] = true
		if err := rotate(filepath.Join(d.o.Dir, r.ID, "log"), d.o.LogBytes, d.o.LogFiles); err != nil {
			d.log.Error("cannot move a node's log aside", "node", r.ID, "error", err)
		}
	}
	deploy.Forget(d.o.Dir, all, d.o.Retain.Std())
	d.forget(used)
}
