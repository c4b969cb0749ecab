package converge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// Generation is a run that changed something.
type Generation struct {
	Number  int            `json:"generation"`
	Name    string         `json:"name,omitempty"` // see Options
	By      string         `json:"by,omitempty"`
	Since   time.Time      `json:"since"`
	Ended   time.Time      `json:"ended,omitzero"` // zero: it was cut off, or is under way
	Version string         `json:"version,omitempty"`
	Counts  map[Status]int `json:"counts,omitempty"`
	Changed []string       `json:"changed,omitempty"` // references, the first 100
	More    int            `json:"more,omitempty"`    // how many others
	Hash    string         `json:"hash,omitempty"`    // see Report
	// BackTo is the generation whose state it brought back.
	BackTo *int `json:"back_to,omitempty"`
	// Unconfirmed: it will be undone unless somebody confirms it in time.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
	// Running: its run is still at work. Known of those that have a guard.
	Running bool `json:"running,omitempty"`
}

const (
	generations = "generations"
	undoFile    = "undo.jsonl"
	metaFile    = "meta.json"

	mostGenerations = 20
	// mostKept bounds all generations, in bytes; one may fill it.
	mostKept    = 64 << 20
	mostChanged = 100
)

func folder(dir string, generation int) string {
	return filepath.Join(dir, generations, strconv.Itoa(generation))
}

// records is the generation that a run makes: a folder, to which is appended what there
// was before each change, so that a run that is cut off can be undone too.
type records struct {
	dir  string
	f    *os.File
	size int
	meta Generation
}

func openRecords(dir string, generation int) (*records, error) {
	at := folder(dir, generation)
	err := errors.Join(os.RemoveAll(at), os.MkdirAll(at, 0o700)) // of a run that could not begin
	r := &records{dir: at, meta: Generation{Number: generation, Since: time.Now().UTC().Truncate(time.Second)}}
	if err == nil {
		r.f, err = os.OpenFile(filepath.Join(at, undoFile), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	}
	if err != nil {
		os.RemoveAll(at)
		return nil, fmt.Errorf("keep what generation %d changes: %w", generation, infra.OnDisk(dir, err))
	}
	return r, nil
}

func (r *records) close() { r.f.Close() }

// write appends to the list.
func (r *records) write(all []undo) error {
	var text []byte
	for _, u := range all {
		b, err := json.Marshal(u)
		if err == nil && r.size+len(text)+len(b) > mostKept {
			u.Kind, u.Body, u.Why = "", "", fmt.Sprintf("one generation keeps %d MiB, and these are full", mostKept>>20)
			b, err = json.Marshal(u)
		}
		if err != nil {
			return fmt.Errorf("keep how %s was: %w", u.Ref, err)
		}
		text = append(append(append(text, '\n'), b...), '\n') // the first newline ends what a full disk tore
	}
	if _, err := r.f.Write(text); err != nil {
		return fmt.Errorf("keep what generation %d changes: %w; nothing is changed that could not be undone", r.meta.Number, infra.OnDisk(r.dir, err))
	}
	r.size += len(text)
	return nil
}

// describe writes who makes the generation, and in the end what it did.
func (r *records) describe() error {
	b, err := json.Marshal(r.meta)
	name := filepath.Join(r.dir, metaFile)
	if err == nil {
		err = os.WriteFile(name+".new", b, 0o600)
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		os.Remove(name + ".new")
		return fmt.Errorf("describe generation %d: %w", r.meta.Number, infra.OnDisk(r.dir, err))
	}
	return nil
}

func (r *records) changed(ref string) {
	if len(r.meta.Changed) == mostChanged {
		r.meta.More++
		return
	}
	r.meta.Changed = append(r.meta.Changed, ref)
}

// finish describes the generation, and removes those that are too many.
func (r *records) finish(run *run, report Report) error {
	r.meta.Ended, r.meta.Counts, r.meta.Hash = time.Now().UTC().Truncate(time.Second), report.Counts, report.Hash
	if err := errors.Join(r.f.Sync(), r.describe()); err != nil {
		return err
	}
	kept, err := keptNumbers(run.Dir)
	if err != nil {
		return err
	}
	left := mostKept
	for i, n := range kept {
		info, err := os.Stat(filepath.Join(folder(run.Dir, n), undoFile))
		if err == nil {
			left -= int(info.Size())
		}
		if i > 0 && (i >= mostGenerations || left < 0) {
			if err := os.RemoveAll(folder(run.Dir, n)); err != nil {
				return fmt.Errorf("remove generation %d: %w", n, err)
			}
		}
	}
	return nil
}

// keptNumbers lists the generations that are kept, the newest first.
func keptNumbers(dir string) ([]int, error) {
	entries, err := os.ReadDir(filepath.Join(dir, generations))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list generations: %w", err)
	}
	var all []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n > 0 {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all, nil
}

// Generations lists those that a host keeps, the newest first; it can go back to the
// state before each of them.
func Generations(dir string) ([]Generation, error) {
	if dir == "" {
		dir = DefaultDir
	}
	state, err := ReadState(dir)
	if err != nil {
		return nil, err
	}
	kept, err := keptNumbers(dir)
	if err != nil {
		return nil, err
	}
	all := []Generation{}
	for _, n := range kept {
		if n > state.Generation {
			continue // a run was cut off before it could begin
		}
		g := Generation{Number: n}
		b, err := os.ReadFile(filepath.Join(folder(dir, n), metaFile))
		if err == nil {
			err = json.Unmarshal(b, &g)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read generation %d: %w", n, err)
		}
		g.Unconfirmed = state.Unconfirmed != nil && state.Unconfirmed.Generation == n
		g.Running = g.Unconfirmed && held(filepath.Join(folder(dir, n), runFile))
		all = append(all, g)
	}
	return all, nil
}

// readUndo reads what a generation changed. A line that is torn belongs to a change that
// was not made.
func readUndo(dir string, generation int) ([]undo, error) {
	b, err := os.ReadFile(filepath.Join(folder(dir, generation), undoFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "what generation %d changed is not kept any more (steer host generations lists those that are)", generation)
	}
	if err != nil {
		return nil, fmt.Errorf("read generation %d: %w", generation, err)
	}
	var all []undo
	for line := range bytes.Lines(b) {
		u := undo{}
		if json.Unmarshal(line, &u) == nil && u.Ref != "" {
			u.generation = generation
			all = append(all, u)
		}
	}
	return all, nil
}
