package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"steer/deliver/deploy"
)

// keepStopped is how many stopped nodes of one service keep their last lines until
// Config.Retain is over; of more than that only the newest do.
const keepStopped = 20

// record is what node.json holds: what the cluster forgets, or cannot tell while it
// is away.
type record struct {
	deploy.Spec
	seen
	Ref     string    `json:"ref"`              // of the image
	Stopped time.Time `json:"stopped,omitzero"` // for good
}

// seen is what the cluster told last.
type seen struct {
	Pod      string    `json:"pod,omitempty"` // UID
	IP       string    `json:"ip,omitempty"`
	Machine  string    `json:"machine,omitempty"`
	Before   int       `json:"before"` // processes that began in earlier pods
	InPod    int       `json:"in_pod"` // and in this one
	Started  time.Time `json:"started,omitzero"`
	Ended    bool      `json:"ended"` // what was started then has ended
	LastExit string    `json:"last_exit"`
}

// save replaces node.json as a whole.
func (r record) save(dir string) error {
	dir = filepath.Join(dir, r.ID)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return replace(filepath.Join(dir, "node.json"), data)
}

// replace writes a file so that a crash leaves the old or the new content.
func replace(name string, data []byte) error {
	f, err := os.OpenFile(name+".next", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(name+".next", name)
}

func (d *Driver) records() ([]record, error) {
	entries, err := os.ReadDir(d.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	var all []record
	for _, e := range entries {
		file := filepath.Join(d.o.Dir, e.Name(), "node.json")
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read node: %w", err)
		}
		var r record
		if err := json.Unmarshal(data, &r); err != nil || r.ID != e.Name() {
			// One bad file must not keep the others from running.
			d.log.Error("a node's file is unreadable and set aside; its pod, if any, is removed", "file", file, "error", err)
			os.Rename(file, file+".bad")
			continue
		}
		all = append(all, r)
	}
	return all, nil
}

// tidy removes what no node needs: the records of nodes that stopped long ago, and
// objects in the cluster.
func (d *Driver) tidy(ctx context.Context) {
	all, err := d.records()
	if err != nil {
		d.log.Error("cannot tidy nodes", "error", err)
		return
	}
	stopped := map[string][]record{}
	for _, r := range all {
		if !r.Stopped.IsZero() {
			k := string(r.Environment) + "/" + string(r.Service)
			stopped[k] = append(stopped[k], r)
		}
	}
	for _, l := range stopped {
		slices.SortFunc(l, func(a, b record) int { return cmp.Compare(b.Stopped.UnixNano(), a.Stopped.UnixNano()) })
		for i, r := range l {
			if i >= keepStopped || time.Since(r.Stopped) > d.o.Retain.Std() {
				os.RemoveAll(filepath.Join(d.o.Dir, r.ID))
			}
		}
	}
	d.mu.Lock()
	spaces := slices.Collect(maps.Values(d.spaces))
	d.mu.Unlock()
	for _, s := range spaces {
		if err := d.orphans(ctx, s); err != nil && ctx.Err() == nil {
			d.log.Error("cannot tidy a namespace", "namespace", s.space(), "error", err)
		}
	}
}
