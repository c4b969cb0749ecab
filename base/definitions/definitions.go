// Package definitions keeps what should be: the YAML files of environments,
// services, teams and checks, in a bare Git repository. Every change is a
// commit, checked before it counts: a push in the pre-receive hook (CheckPush),
// a change through the API in Change. Whoever uses the files gets the newest
// valid ones at once. Besides the repository it holds no state.
package definitions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/event"
	"steer/base/fault"
	"steer/base/git"
)

// Marks in the repository, see git.Repo.Mark.
const (
	good      = "good"      // the newest commit that passed the check
	journaled = "journaled" // the newest commit that the journal knows
)

// Journal is where changes are told. An event whose id it holds already is
// fault.Conflict.
type Journal interface {
	Record(context.Context, event.Event) (event.Event, error)
}

// Options are what the definitions need.
type Options struct {
	Dir      string            // the bare repository, made when absent
	Check    func(fs.FS) error // says what is wrong with a set of files
	Template map[string][]byte // files of the first commit
	Journal  Journal           // may be nil
	Log      *slog.Logger
}

// Definitions is the repository and its newest valid content.
type Definitions struct {
	Options
	repo    *git.Repo
	notify  chan struct{}
	current atomic.Pointer[state]

	mu       sync.Mutex // held while the content changes
	watchers []func(sha string, files fs.FS)
	told     string // newest commit in the journal
	trouble  string // last text logged by Run, so that it stands there once
}

// state is what Current and Problem tell.
type state struct {
	sha    string
	files  fs.FS
	broken string // a newer head that is not valid
	why    error
}

// New opens the repository. An empty one gets the template as its first commit.
// When somebody has written an invalid head past the check, the newest content
// that was valid counts; it is an error when there is none, because running
// with no definitions at all would take down what they describe.
func New(ctx context.Context, o Options) (*Definitions, error) {
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Check == nil {
		return nil, errors.New("open definitions: no check given")
	}
	repo, err := git.Init(ctx, o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open definitions: %w", err)
	}
	if err := repo.Sweep(time.Minute); err != nil {
		return nil, fmt.Errorf("open definitions: %w", err)
	}
	d := &Definitions{Options: o, repo: repo, notify: make(chan struct{}, 1)}
	head, err := repo.Head(ctx, git.Mainline)
	if fault.Of(err) == fault.NotFound {
		head, err = d.create(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open definitions: %w", err)
	}
	s, err := d.load(ctx, head)
	if err != nil {
		mark, e := repo.Marked(ctx, good)
		if e != nil || mark == head {
			return nil, fmt.Errorf("open definitions %s at %.12s: %w", o.Dir, head, err)
		}
		old, e := d.load(ctx, mark)
		if e != nil {
			return nil, fmt.Errorf("open definitions %s at %.12s: %w", o.Dir, head, err)
		}
		o.Log.Error("definitions are not valid, an older state counts", "commit", head, "instead", mark, "error", err)
		s = &state{old.sha, old.files, head, err}
	}
	if d.told, err = repo.Marked(ctx, journaled); err != nil && fault.Of(err) != fault.NotFound {
		return nil, fmt.Errorf("open definitions: %w", err)
	}
	d.current.Store(s)
	if s.why == nil {
		if err := repo.Mark(ctx, good, s.sha); err != nil {
			return nil, fmt.Errorf("open definitions: %w", err)
		}
	}
	return d, d.tell(ctx)
}

// create makes the first commit.
func (d *Definitions) create(ctx context.Context) (string, error) {
	if err := d.Check(git.NewTree(d.Template)); err != nil {
		return "", fmt.Errorf("template: %w", err)
	}
	return d.repo.Commit(ctx, git.Mainline, git.Change{
		Author: event.Steer, Message: "Definitions as they come with Steer", Files: d.Template,
	})
}

// load reads and checks one commit.
func (d *Definitions) load(ctx context.Context, sha string) (*state, error) {
	files, err := d.repo.Files(ctx, sha)
	if err != nil {
		return nil, err
	}
	if err := d.Check(files); err != nil {
		return nil, invalid(err)
	}
	return &state{sha: sha, files: files}, nil
}

// invalid gives a check's error its kind, and leaves its text as it is: it
// begins with file, line and column.
func invalid(err error) error {
	if fault.Of(err) != fault.Internal {
		return err
	}
	return fault.New(fault.Invalid, "%w", err)
}

// Current returns the newest valid content and its commit.
func (d *Definitions) Current() (sha string, files fs.FS) {
	s := d.current.Load()
	return s.sha, s.files
}

// Problem says why the newest commit does not count, or is nil.
func (d *Definitions) Problem() error {
	if s := d.current.Load(); s.why != nil {
		return fault.New(fault.Of(s.why), "definitions at %.12s are not valid, %.12s still counts: %w", s.broken, s.sha, s.why)
	}
	return nil
}

// Repo is the repository, for its history and for serving it.
func (d *Definitions) Repo() *git.Repo { return d.repo }

// OnChange has f called with each new valid content, in order, one call at a
// time. f must not call Change.
func (d *Definitions) OnChange(f func(sha string, files fs.FS)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watchers = append(d.watchers, f)
}

// Notify has Run look at the repository at once, as after a push.
func (d *Definitions) Notify() {
	select {
	case d.notify <- struct{}{}:
	default: // it will look anyway
	}
}

// Run watches the repository until ctx ends.
func (d *Definitions) Run(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		d.mu.Lock()
		err := d.reload(ctx)
		if text := fmt.Sprint(err); err != nil && ctx.Err() == nil && text != d.trouble {
			d.Log.Error("definitions not reloaded", "error", err)
			d.trouble = text
		} else if err == nil {
			d.trouble = ""
		}
		d.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-d.notify:
		}
	}
}

// reload takes up the head, and tells the journal. d.mu is held.
func (d *Definitions) reload(ctx context.Context) error {
	head, err := d.repo.Head(ctx, git.Mainline)
	if err != nil {
		return err
	}
	now := d.current.Load()
	switch head {
	case now.broken:
		return nil // known and reported
	case now.sha:
		if now.why != nil { // the broken head was taken back
			d.current.Store(&state{sha: now.sha, files: now.files})
		}
		return d.tell(ctx)
	}
	next, err := d.load(ctx, head)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d.Log.Error("definitions are not valid, the old ones still count", "commit", head, "old", now.sha, "error", err)
		d.current.Store(&state{now.sha, now.files, head, err})
		return nil
	}
	d.current.Store(next)
	d.Log.Info("definitions changed", "commit", head)
	for _, f := range d.watchers {
		f(next.sha, next.files)
	}
	return errors.Join(d.repo.Mark(ctx, good, head), d.tell(ctx))
}

// Change makes a commit on mainline after checking what it leads to, and returns
// when it counts. An empty c.Base means the newest commit. Errors: fault.Invalid
// with file, line and column of each mistake, fault.Conflict when mainline has
// moved since c.Base.
func (d *Definitions) Change(ctx context.Context, c git.Change) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Base != "" {
		return d.change(ctx, c)
	}
	for try := 1; ; try++ { // a push may come between
		head, err := d.repo.Head(ctx, git.Mainline)
		if err != nil {
			return "", err
		}
		c.Base = head
		sha, err := d.change(ctx, c)
		if fault.Of(err) != fault.Conflict || try == 3 {
			return sha, err
		}
	}
}

// change is Change with a base. d.mu is held.
func (d *Definitions) change(ctx context.Context, c git.Change) (string, error) {
	tree, err := d.repo.Tree(ctx, c.Base)
	if err != nil {
		return "", err
	}
	if err := d.Check(tree.With(c.Files)); err != nil {
		return "", invalid(err)
	}
	sha, err := d.repo.Commit(ctx, git.Mainline, c)
	if err != nil {
		return "", err
	}
	// The change is made. Should the rest not work, Run does it a moment later.
	if err := d.reload(context.WithoutCancel(ctx)); err != nil {
		d.Log.Error("definitions not reloaded", "commit", sha, "error", err)
		d.Notify()
	}
	return sha, nil
}
