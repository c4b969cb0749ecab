// Package source knows the Git repositories of services and hands on each new
// commit of a mainline exactly once, in order. A repository is hosted here, made
// by the first push to it, or lies elsewhere and is polled. The position of each
// mainline moves in the transaction that hands a commit on, so neither a crash
// nor a restart loses or repeats one.
package source

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/event"
	"steer/base/id"
	"steer/catalog"
)

//go:embed migrations
var migrations embed.FS

// Config is what operators write.
type Config struct {
	Poll config.Duration `yaml:"poll" doc:"How often to look for new commits in repositories that are not hosted here." default:"10s"`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	if p := c.Poll.Std(); p != 0 && p < 100*time.Millisecond {
		return fmt.Errorf("poll: %s is too often (at least 100ms)", c.Poll)
	}
	return nil
}

// Journal is where merged changes are told.
type Journal interface {
	Append(ctx context.Context, tx *sql.Tx, e *event.Event) error
}

// Options are what the sources need.
type Options struct {
	Config
	DB      *database.DB
	Journal Journal
	Dir     string // data folder: hosted repositories are in git/, mirrors in mirror/
	// Services returns the entries of services.yaml as they are now.
	Services func() []catalog.Service
	// Commit takes a commit of a mainline, in the transaction that also remembers
	// that it was handed on. After an error the same commit comes again later, and
	// those after it in the same repository wait.
	Commit func(ctx context.Context, tx *sql.Tx, c Commit) error
	Log    *slog.Logger
}

// Commit is one commit on a mainline.
type Commit struct {
	Service catalog.Service // its entry in services.yaml, or one with defaults
	Repo    string          // name of the repository: the service's artifact name
	Branch  string
	SHA     string
	Author  string // name as in the commit: "Ada Lovelace"
	Email   string
	Message string
	Time    time.Time // when it was committed, UTC
	Parents []string
	Pusher  id.Person // who pushed it here; empty: not known
	Chain   string    // of all events that this commit leads to
	Event   string    // id of its event.ChangeMerged, the cause of what follows
}

// Source follows the repositories.
type Source struct {
	Options
	wake  chan struct{}
	slots chan struct{} // see fetch

	mu       sync.Mutex
	tracked  map[string]*tracked // by repository name
	creating sync.Mutex
}

// tracked is what Run remembers of a repository: when to look next, and what
// Status shows. Losing it costs nothing but one look.
type tracked struct {
	repository
	busy     bool
	again    bool // told of a push while busy
	next     time.Time
	checked  time.Time
	head     string // newest commit that was handed on
	failures int
	err      error
}

// New makes the tables and folders.
func New(ctx context.Context, o Options) (*Source, error) {
	if o.DB == nil || o.Journal == nil || o.Services == nil || o.Commit == nil || o.Dir == "" {
		return nil, errors.New("open sources: DB, Journal, Services, Commit and Dir are all needed")
	}
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	o.Poll = cmp.Or(o.Poll, config.Duration(10*time.Second))
	o.Log = cmp.Or(o.Log, slog.Default())
	if err := o.DB.Migrate(ctx, "source", migrations); err != nil {
		return nil, err
	}
	s := &Source{Options: o, wake: make(chan struct{}, 1), slots: make(chan struct{}, fetchesAtOnce), tracked: map[string]*tracked{}}
	for _, dir := range []string{s.hosted(""), s.mirror("")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open sources: %w", err)
		}
	}
	return s, nil
}

func (s *Source) hosted(file string) string { return filepath.Join(s.Dir, "git", file) }
func (s *Source) mirror(file string) string { return filepath.Join(s.Dir, "mirror", file) }

// Pushed has Run look at a hosted repository at once.
func (s *Source) Pushed(name string) {
	repo := s.find(name)
	s.mu.Lock()
	if t := s.tracked[repo.name]; t != nil {
		t.again = true
	}
	s.mu.Unlock()
	s.poke() // a repository that is not tracked yet is due anyway
}

func (s *Source) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run follows all repositories until ctx ends. Each is looked at by a goroutine
// of its own, so that one that hangs or fails holds up no other.
func (s *Source) Run(ctx context.Context) error {
	var looking sync.WaitGroup
	defer looking.Wait()
	ticker := time.NewTicker(min(time.Second, s.Poll.Std()))
	defer ticker.Stop()
	for {
		repos, err := s.all()
		if err != nil {
			s.Log.Error("repositories not listed", "error", err)
		} else {
			for _, t := range s.due(repos, time.Now()) {
				looking.Go(func() { s.look(ctx, t) })
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// due takes up new repositories, forgets those that are gone, and marks and
// returns the ones to look at now.
func (s *Source) due(repos map[string]repository, now time.Time) (list []*tracked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, t := range s.tracked {
		if _, ok := repos[name]; !ok && !t.busy {
			delete(s.tracked, name)
		}
	}
	for name, repo := range repos {
		t := s.tracked[name]
		if t == nil {
			t = &tracked{repository: repo}
			s.tracked[name] = t
		}
		if t.busy {
			continue
		}
		if !t.same(repo) { // the address or the branch was changed
			t.head, t.failures, t.next = "", 0, time.Time{}
		}
		t.repository = repo
		if t.again || !now.Before(t.next) {
			t.busy, t.again = true, false
			list = append(list, t)
		}
	}
	return list
}

// look brings one repository up to date and decides when to look again.
func (s *Source) look(ctx context.Context, t *tracked) {
	head, err := s.follow(ctx, t.repository, t.head)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t.busy, t.checked = false, now
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		if t.err != nil {
			s.Log.Info("repository works again", "repository", t.name)
		}
		t.head, t.failures, t.err = head, 0, nil
		t.next = now.Add(s.Poll.Std())
	} else {
		if t.err == nil || t.err.Error() != err.Error() {
			s.Log.Error("repository not followed", "repository", t.name, "error", err)
		}
		t.err = err
		t.next = now.Add(backoff(s.Poll.Std(), t.failures))
		t.failures++
	}
	if t.again {
		s.poke()
	}
}

// backoff is how long to wait after a failure that followed n others: poll,
// then twice as long each time, up to 5 minutes.
func backoff(poll time.Duration, n int) time.Duration {
	const longest = 5 * time.Minute
	return max(poll, min(poll<<min(n, 16), longest))
}
