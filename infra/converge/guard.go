package converge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"steer/base/fault"
	"steer/infra"
)

// Guard watches over a run that may cut the host off. Before the first change a process
// of its own is started, which outlives the run and the connection; it undoes the
// generation unless Confirm is called within the time after the run's end, or its death.
type Guard struct {
	Within time.Duration `json:"within"`
	// Start starts the process, which calls Watch with the same arguments.
	Start func(dir string, generation int, within time.Duration) error `json:"-"`
}

// Unconfirmed is a generation for which somebody has yet to say that the host can be
// reached.
type Unconfirmed struct {
	Generation int           `json:"generation"`
	Within     time.Duration `json:"within"` // nanoseconds
}

// Undone is a generation that its guard undid.
type Undone struct {
	Generation int       `json:"generation"`
	At         time.Time `json:"at"`
	Left       []string  `json:"left,omitempty"` // what could not be undone, or failed
}

func (u Undone) String() string {
	text := fmt.Sprintf("generation %d was undone at %s, since nobody confirmed that the host can be reached", u.Generation, u.At.Format(time.DateTime))
	if len(u.Left) > 0 {
		text += "; not undone: " + strings.Join(u.Left, "; ")
	}
	return text
}

// Files in the folder of a generation. The first two are locked by who lives: the run,
// and the guard.
const (
	runFile       = "run"
	guardFile     = "guard"
	confirmedFile = "confirmed"
	guardLog      = "guard.log"
)

// guardStart bounds how long a guard may take to be there, guardPulse how often it looks.
const (
	guardStart = 15 * time.Second
	guardPulse = 50 * time.Millisecond
	// guardRetry is how often a guard tries that finds no room to undo what it should.
	guardRetry = time.Second
)

// guard wakes the guard of the generation that begins, and waits until it is there.
func (r *run) guard() error {
	if r.Guard == nil {
		return nil
	}
	n := r.state.Generation
	at := folder(r.Dir, n)
	mine, err := hold(filepath.Join(at, runFile))
	if err != nil {
		return fmt.Errorf("guard generation %d: %w", n, err)
	}
	r.watched = func() { mine.Close() }
	r.state.Unconfirmed = &Unconfirmed{n, r.Guard.Within}
	if err := r.Guard.Start(r.Dir, n, r.Guard.Within); err != nil {
		return fmt.Errorf("guard generation %d: start the process that would undo it: %w (--guard 0 works without)", n, err)
	}
	for end := time.Now().Add(guardStart); !held(filepath.Join(at, guardFile)); time.Sleep(guardPulse / 5) {
		if time.Now().After(end) {
			return fmt.Errorf("guard generation %d: the process that would undo it did not start within %s (--guard 0 works without)", n, guardStart)
		}
	}
	return nil
}

// unconfirmed looks what became of the last generation that had to be confirmed, at the
// start of a run. As long as its guard lives, no other run may begin.
func (r *run) unconfirmed() error {
	u := r.state.Unconfirmed
	if r.guarding > 0 {
		if u == nil || u.Generation != r.guarding || confirmed(r.Dir, r.guarding) {
			return errConfirmed
		}
		r.state.Unconfirmed = nil
		return nil
	}
	if u != nil && !confirmed(r.Dir, u.Generation) {
		switch alive := held(filepath.Join(folder(r.Dir, u.Generation), guardFile)); {
		case alive && !r.DryRun:
			return fault.New(fault.Conflict, "generation %d of this host waits to be confirmed, and is undone %s after its end otherwise (wait for that)", u.Generation, u.Within)
		case alive:
			r.notes = append(r.notes, fmt.Sprintf("generation %d waits to be confirmed, and is undone %s after its end otherwise", u.Generation, u.Within))
		default:
			r.notes = append(r.notes, fmt.Sprintf("nobody confirmed generation %d, and its guard was ended before it could undo it, as by a restart of the host: what it changed is still there (steer host rollback undoes it)", u.Generation))
		}
	}
	if u := r.state.Undone; u != nil {
		r.notes = append(r.notes, u.String())
	}
	if !r.DryRun && (u != nil || r.state.Undone != nil) {
		r.state.Unconfirmed, r.state.Undone, r.dirty = nil, nil, true
	}
	return nil
}

var errConfirmed = errors.New("the generation was confirmed")

// Watch is the guard of a generation. It returns when that is confirmed, or undone.
func Watch(ctx context.Context, generation int, within time.Duration, o Options) error {
	o = o.filled()
	at := folder(o.Dir, generation)
	mine, err := hold(filepath.Join(at, guardFile))
	if err != nil {
		return fmt.Errorf("guard generation %d: %w", generation, err)
	}
	defer mine.Close()
	run, err := hold(filepath.Join(at, runFile)) // until the run has ended, or is dead
	if err != nil {
		return fmt.Errorf("guard generation %d: %w", generation, err)
	}
	run.Close()
	tick := time.NewTicker(guardPulse)
	defer tick.Stop()
	for end := time.Now().Add(within); time.Now().Before(end); {
		if confirmed(o.Dir, generation) || !same(mine) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	o.guarding, o.By = generation, fmt.Sprintf("the guard of generation %d", generation)
	for {
		if !same(mine) {
			return nil
		}
		_, err := Rollback(ctx, generation-1, o)
		switch {
		case errors.Is(err, errConfirmed):
			return nil
		case fault.Of(err) == fault.Conflict && ctx.Err() == nil: // somebody holds the lock, who confirms perhaps
			<-tick.C
			continue
		case infra.DiskTrouble(err) && ctx.Err() == nil: // nobody else undoes it: as soon as there is room
			select {
			case <-ctx.Done():
			case <-time.After(guardRetry):
			}
			continue
		case err != nil:
			os.WriteFile(filepath.Join(at, guardLog), []byte(err.Error()+"\n"), 0o600) //nolint:errcheck // there is nobody else to tell
		}
		return err
	}
}

// guarded notes, at the end of a rollback by a guard, what the next visit shall hear.
func (r *run) guarded() {
	u := &Undone{Generation: r.guarding, At: time.Now().UTC().Truncate(time.Second), Left: r.notes}
	for i, d := range r.all {
		if r.status[i] == Failed {
			u.Left = append(u.Left, d.Ref()+" failed")
		}
	}
	r.state.Undone, r.dirty = u, true
}

// Confirm says that the host can be reached after a generation, so that it stays. An
// error of kind Conflict: it is undone already, or right now.
func Confirm(dir string, generation int) error {
	if dir == "" {
		dir = DefaultDir
	}
	release, err := lock(dir)
	if err != nil {
		return err
	}
	defer release()
	state, err := ReadState(dir)
	if err != nil {
		return err
	}
	switch u := state.Unconfirmed; {
	case u != nil && u.Generation == generation:
	case confirmed(dir, generation):
		return nil
	case state.Undone != nil && state.Undone.Generation == generation:
		return fault.New(fault.Conflict, "%s", state.Undone)
	default:
		return fault.New(fault.Invalid, "generation %d does not wait to be confirmed", generation)
	}
	if err := os.WriteFile(filepath.Join(folder(dir, generation), confirmedFile), nil, 0o600); err != nil {
		return fmt.Errorf("confirm generation %d: %w", generation, infra.OnDisk(dir, err))
	}
	state.Unconfirmed = nil
	if err := state.write(dir); err != nil && !infra.DiskTrouble(err) {
		return err
	}
	return nil // the file counts; without room for the state, the next run tidies it
}

// same tells whether a file that is held is still the one of its name: a generation that
// could not begin is removed, and its number given to another.
func same(f *os.File) bool {
	is, err := f.Stat()
	if err != nil {
		return false
	}
	at, err := os.Stat(f.Name())
	return err == nil && os.SameFile(is, at)
}

func confirmed(dir string, generation int) bool {
	_, err := os.Lstat(filepath.Join(folder(dir, generation), confirmedFile))
	return !errors.Is(err, fs.ErrNotExist)
}

// hold locks a file as long as this process lives.
func hold(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		switch err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); {
		case err == nil:
			return f, nil
		case !errors.Is(err, syscall.EINTR):
			f.Close()
			return nil, err
		}
	}
}

// held tells whether another process holds a file.
func held(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
