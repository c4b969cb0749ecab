package deploy

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Kept is what every driver keeps of a node, in DIR/NODE/node.json. A driver's own
// record embeds it.
type Kept struct {
	Spec
	Numbers  map[string]int `json:"numbers"` // ports by name
	PID      int            `json:"pid"`     // 0: no process
	Started  time.Time      `json:"started,omitzero"`
	Restarts int            `json:"restarts"`
	LastExit string         `json:"last_exit"`
	Stopped  time.Time      `json:"stopped,omitzero"` // for good
}

func (k Kept) kept() Kept { return k }

// keepStopped is how many stopped nodes of one service a driver keeps logs of at
// least until its Config.Retain is over; of more than that only the newest.
const keepStopped = 20

// Save replaces the record of a node as a whole.
func Save[R interface{ kept() Kept }](dir string, r R) error {
	dir = filepath.Join(dir, r.kept().ID)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return Replace(filepath.Join(dir, "node.json"), data)
}

// Replace writes a file so that a crash leaves the old or the new content.
func Replace(name string, data []byte) error {
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

// Saved are the records below dir. One bad file must not keep the others from
// running: it is set aside.
func Saved[R interface{ kept() Kept }](dir string, log *slog.Logger) ([]R, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	var all []R
	for _, e := range entries {
		file := filepath.Join(dir, e.Name(), "node.json")
		data, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read node: %w", err)
		}
		var r R
		if err := json.Unmarshal(data, &r); err != nil || r.kept().ID != e.Name() {
			log.Error("a node's file is unreadable and set aside; the node is no longer looked after", "file", file, "error", err)
			os.Rename(file, file+".bad")
			continue
		}
		all = append(all, r)
	}
	return all, nil
}

// Forget removes the folders of nodes that were stopped longer than retain ago, or
// before many others of their service.
func Forget[R interface{ kept() Kept }](dir string, all []R, retain time.Duration) {
	stopped := map[place][]Kept{}
	for _, r := range all {
		if k := r.kept(); !k.Stopped.IsZero() {
			p := place{k.Environment, k.Service}
			stopped[p] = append(stopped[p], k)
		}
	}
	for _, l := range stopped {
		slices.SortFunc(l, func(a, b Kept) int { return cmp.Compare(b.Stopped.UnixNano(), a.Stopped.UnixNano()) })
		for i, k := range l {
			if i >= keepStopped || time.Since(k.Stopped) > retain {
				os.RemoveAll(filepath.Join(dir, k.ID))
			}
		}
	}
}

// Folder tells whether an ID can be the name of a node's folder.
func Folder(id string) bool {
	return filepath.IsLocal(id) && id == filepath.Base(id) && !strings.HasPrefix(id, ".")
}
