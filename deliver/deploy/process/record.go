package process

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"steer/deliver/deploy"
)

// keepStopped is how many stopped nodes of one service keep their logs at least
// until Config.Retain is over; of more than that only the newest do.
const keepStopped = 20

// record is what node.json holds.
type record struct {
	deploy.Spec
	Numbers  map[string]int `json:"numbers"`
	PID      int            `json:"pid"`   // 0: no process
	Start    uint64         `json:"start"` // of the process, in ticks after boot
	Boot     string         `json:"boot"`
	Started  time.Time      `json:"started,omitzero"`
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
	next := filepath.Join(dir, "node.json.next")
	f, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
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
	return os.Rename(next, filepath.Join(dir, "node.json"))
}

// load returns the records of nodes that are to run.
func (d *Driver) load() ([]record, error) {
	all, err := d.records()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(r record) bool { return !r.Stopped.IsZero() }), nil
}

func (d *Driver) records() ([]record, error) {
	entries, err := os.ReadDir(d.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	var r []record
	for _, e := range entries {
		file := filepath.Join(d.o.Dir, e.Name(), "node.json")
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read node: %w", err)
		}
		var n record
		if err := json.Unmarshal(data, &n); err != nil || n.ID != e.Name() {
			// One bad file must not keep the others from running.
			d.log.Error("a node's file is unreadable and set aside; its process, if any, is not supervised", "file", file, "error", err)
			os.Rename(file, file+".bad")
			continue
		}
		r = append(r, n)
	}
	return r, nil
}

// tidy moves long logs aside, and removes the logs of nodes that stopped long ago
// and the artifacts that no node uses.
func (d *Driver) tidy() {
	all, err := d.records()
	if err != nil {
		d.log.Error("cannot tidy nodes", "error", err)
		return
	}
	used, stopped := map[string]bool{}, map[string][]record{}
	for _, r := range all {
		if r.Stopped.IsZero() {
			used[r.Digest] = true
			if err := rotate(filepath.Join(d.o.Dir, r.ID, "log"), d.o.LogBytes, d.o.LogFiles); err != nil {
				d.log.Error("cannot move a node's log aside", "node", r.ID, "error", err)
			}
			continue
		}
		k := string(r.Environment) + "/" + string(r.Service)
		stopped[k] = append(stopped[k], r)
	}
	for _, l := range stopped {
		slices.SortFunc(l, func(a, b record) int { return cmp.Compare(b.Stopped.UnixNano(), a.Stopped.UnixNano()) })
		for i, r := range l {
			if i >= keepStopped || time.Since(r.Stopped) > d.o.Retain.Std() {
				os.RemoveAll(filepath.Join(d.o.Dir, r.ID))
			}
		}
	}
	d.forget(used)
}
