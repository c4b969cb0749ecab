package docker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"steer/base/fault"
	"steer/deliver/deploy"
)

// keepStopped is how many stopped nodes of one service keep their last lines until
// Config.Retain is over; of more than that only the newest do.
const keepStopped = 20

// record is what node.json holds.
type record struct {
	deploy.Spec
	Ref      string         `json:"ref,omitempty"` // name of the image that was loaded for it
	Numbers  map[string]int `json:"numbers"`       // ports of this machine, by name
	PID      int            `json:"pid"`
	Started  time.Time      `json:"started,omitzero"` // as the engine tells it
	Ended    bool           `json:"ended"`            // what was started then has ended
	Lasted   time.Duration  `json:"lasted"`           // so long
	Restarts int            `json:"restarts"`
	LastExit string         `json:"last_exit"`
	Stopped  time.Time      `json:"stopped,omitzero"` // for good
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
			d.log.Error("a node's file is unreadable and set aside; its container, if any, is removed", "file", file, "error", err)
			os.Rename(file, file+".bad")
			continue
		}
		all = append(all, r)
	}
	return all, nil
}

// tidy removes what no node needs: the records of nodes that stopped long ago,
// containers and images.
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
