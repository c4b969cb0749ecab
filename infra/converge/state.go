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
	"syscall"
	"time"

	"steer/base/fault"
)

// State is what a host remembers of its convergence, in one file.
type State struct {
	Generation int               `json:"generation"` // counts runs that changed something, or began to
	Converged  time.Time         `json:"converged"`  // end of the last whole run that found or made everything as declared
	Hash       string            `json:"hash,omitempty"`
	Leaves     map[string]string `json:"leaves,omitempty"` // hash of each resource's state, by reference
	Owned      []Owned           `json:"owned,omitempty"`  // what runs created, in order
	Pending    []string          `json:"pending,omitempty"`
	Applying   *Applying         `json:"applying,omitempty"`
	// Unconfirmed is the generation that is undone unless somebody confirms it in time.
	Unconfirmed *Unconfirmed `json:"unconfirmed,omitempty"`
	// Undone tells of one for which nobody did, until the next run has told it.
	Undone *Undone `json:"undone,omitempty"`
}

// Owned is something that a role created: when no role declares it any more, it is
// removed.
type Owned struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Role   string `json:"role"`
	Absent string `json:"absent"` // YAML of the resource under which it does not exist
	// Sensitive says that what is in it is secret.
	Sensitive bool `json:"sensitive,omitempty"`
}

func (o Owned) ref() string { return o.Kind + ":" + o.ID }

// Applying is in the state while a run changes the host: found at a start, the run
// before was cut off.
type Applying struct {
	Since time.Time `json:"since"`
	By    string    `json:"by,omitempty"`
	First string    `json:"first"` // resource that was changed first
	// Generation is the one that it made.
	Generation int `json:"generation,omitempty"`
}

const stateFile = "state.json"

// ReadState reads what a host remembers. A host that was never converged has the
// zero State.
func ReadState(dir string) (State, error) {
	var s State
	b, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the state of this host in %s: %w (without the file Steer forgets what it created here, and goes on)", filepath.Join(dir, stateFile), err)
	}
	return s, s.readCreated(dir)
}

// createdFile lists what a run that is under way has created, a line each, so that
// a run that is cut off does not forget it. The state takes it over in the end.
const createdFile = "created.jsonl"

func (s *State) readCreated(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, createdFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read what was created on this host: %w", err)
	}
	for line := range bytes.Lines(b) {
		var o Owned
		if json.Unmarshal(line, &o) == nil && !s.owns(o.ref()) { // else torn: the resource was not applied yet
			s.Owned = append(s.Owned, o)
		}
	}
	return nil
}

func (s *State) owns(ref string) bool { return s.owned(ref) != nil }

// owned is what is remembered of something that was created, nil if it was not.
func (s *State) owned(ref string) *Owned {
	i := slices.IndexFunc(s.Owned, func(o Owned) bool { return o.ref() == ref })
	if i < 0 {
		return nil
	}
	return &s.Owned[i]
}

// disown forgets something that was created.
func (s *State) disown(ref string) {
	s.Owned = slices.DeleteFunc(s.Owned, func(o Owned) bool { return o.ref() == ref })
}

// own remembers that a resource is about to be created.
func (s *State) own(dir string, o Owned) error {
	b, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("remember that %s:%s is created here: %w", o.Kind, o.ID, err)
	}
	f, err := os.OpenFile(filepath.Join(dir, createdFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		// The newline before it ends what a full disk may have torn.
		_, err = fmt.Fprintf(f, "\n%s\n", b)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("remember that %s:%s is created here: %w", o.Kind, o.ID, err)
	}
	s.Owned = append(s.Owned, o)
	return nil
}

// write puts the state on disk: whole or not at all.
func (s *State) write(dir string) error {
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return fmt.Errorf("write the state of this host: %w", err)
	}
	name := filepath.Join(dir, stateFile)
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the state of this host: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err == nil {
		var d *os.File
		if d, err = os.Open(dir); err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
	}
	if err == nil {
		if err = os.Remove(filepath.Join(dir, createdFile)); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("write the state of this host: %w", err)
	}
	return nil
}

// ManifestFile is what this host should be, in its folder, where runs keep it.
const ManifestFile = "manifest.json"

// keep remembers what this host should be. It holds secrets.
func keep(dir string, manifest []byte) error {
	name := filepath.Join(dir, ManifestFile)
	if old, err := os.ReadFile(name); err == nil && bytes.Equal(old, manifest) {
		return nil
	}
	err := os.WriteFile(name+".new", manifest, 0o600)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("keep the manifest of this host: %w", err)
	}
	return nil
}

func forgetManifest(dir string) error {
	if err := os.Remove(filepath.Join(dir, ManifestFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the manifest of this host: %w", err)
	}
	return nil
}

// Busy tells whether a run changes this host now.
func Busy(dir string) bool {
	f, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// lock makes sure that one run at a time changes the host. It ends with the process.
func lock(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder for the state of this host: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock this host: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for n := 0; err != nil && n < 10; n++ { // Busy holds it for a moment
		time.Sleep(5 * time.Millisecond)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		b := make([]byte, 200)
		n, _ := f.ReadAt(b, 0)
		f.Close()
		return nil, fault.New(fault.Conflict, "another run changes this host: %s (wait for its end)", bytes.TrimSpace(b[:n]))
	}
	// As long as the text before it: a file that is cut to nothing and written anew goes
	// to the disk when it is closed (ext4 does that), and a busy disk takes its time.
	text := fmt.Sprintf("process %d since %s", os.Getpid(), time.Now().UTC().Format(time.RFC3339))
	fmt.Fprintf(f, "%-60s", text) //nolint:errcheck // it is for people only
	return func() { f.Close() }, nil
}
