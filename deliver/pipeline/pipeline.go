package pipeline

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/work"
	"steer/catalog"
)

//go:embed migrations
var migrations embed.FS

// Job is one command of a stage, for Options.Execute.
type Job struct {
	Service id.Service
	Version id.Version
	Repo    string
	Commit  string
	Stage   string
	Command string
	Dir     string // clean checkout, where it runs
	Temp    string // for temporary files
	Log     string // file that its output is appended to
	Env     []string
	Timeout time.Duration
}

// Result says how a command ended.
type Result struct {
	ExitCode int
	Reason   string // what a reader needs first; empty when it passed
	Tests    *Tests
}

// DeployRequest asks for a version in an environment.
type DeployRequest struct {
	Service     id.Service
	Environment id.Environment
	Version     id.Version
	Strategy    string
	Actor       id.Person
	Reason      string
	Chain       string
	Cause       string // id of the event that led to it
	Run         int64
	Stage       string
}

// Options are what a pipeline needs.
type Options struct {
	DB      *database.DB
	Work    *work.Queue
	Journal *journal.Journal
	Dir     string // logs and checkouts of runs: DIR/<run>/<stage>.log

	// Manifest reads the steer.yaml of a commit, or makes what stands for it.
	Manifest func(ctx context.Context, service id.Service, repo, sha string) (catalog.Manifest, error)
	// Checkout writes the files of a commit into the new folder dir.
	Checkout func(ctx context.Context, repo, sha, dir string) error
	// Slot takes one of the places for commands without waiting, or returns false.
	Slot func() (release func(), ok bool)
	// Execute runs a command to its end. A command that fails is a Result.
	Execute func(ctx context.Context, j Job) (Result, error)
	// Follow reads a log while it grows, until over returns true.
	Follow func(ctx context.Context, log string, over func(context.Context) bool) io.ReadCloser
	// Package stores the artifact of a run, made in the checkout dir, and
	// returns its digest. The run's stages carry their results so far.
	Package func(ctx context.Context, r Run, dir string) (digest string, err error)
	// Artifact returns the digest of a stored version, or fault.NotFound.
	Artifact func(ctx context.Context, service id.Service, version id.Version) (digest string, err error)
	// Deploy asks for a deploy in the transaction that writes its number down.
	// fault.Conflict: another one is on its way there, try again later.
	Deploy func(ctx context.Context, tx *sql.Tx, d DeployRequest) (id int64, err error)
	// DeployState says what became of a deploy: queued, running, passed or
	// failed, and why.
	DeployState func(ctx context.Context, id int64) (state, reason string, err error)
	// Address is host:port where the balancer serves a service's HTTP port;
	// empty if it has none.
	Address func(ctx context.Context, service id.Service, env id.Environment) (string, error)
	// May returns nil if a person may approve for these teams (none: any
	// operator) in an environment (empty: the stage deploys nothing).
	May func(who id.Person, teams []id.Team, env id.Environment) error
	// Pinned lists the versions that are kept out of "latest".
	Pinned func(ctx context.Context, service id.Service) ([]id.Version, error)

	Log *slog.Logger
	Now func() time.Time
}

// Pipeline owns runs and stages. It is safe for concurrent use.
type Pipeline struct {
	Options

	mu      sync.Mutex
	running map[int64]context.CancelCauseFunc // commands on their way here
}

// kind is the kind of the jobs that take runs on; the key is the run's number.
const kind = "run"

// New makes the tables where they are missing, removes checkouts that a killed
// Steer left, and sets the handler of its jobs.
func New(ctx context.Context, o Options) (*Pipeline, error) {
	if o.DB == nil || o.Work == nil || o.Journal == nil || o.Dir == "" || o.Manifest == nil || o.Checkout == nil || o.Slot == nil || o.Execute == nil || o.Follow == nil ||
		o.Package == nil || o.Artifact == nil || o.Deploy == nil || o.DeployState == nil || o.Address == nil || o.May == nil || o.Pinned == nil {
		return nil, errors.New("BUG: pipeline.New needs all options but Log and Now")
	}
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := o.DB.Migrate(ctx, "pipeline", migrations); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(o.Dir, "*", workFolder))
	if err != nil {
		return nil, fmt.Errorf("look for leftover checkouts: %w", err)
	}
	for _, dir := range left {
		if err := removeAll(dir); err != nil {
			return nil, fmt.Errorf("remove leftover checkout: %w", err)
		}
	}
	p := &Pipeline{Options: o, running: map[int64]context.CancelCauseFunc{}}
	o.Work.Handle(kind, work.Handler{Do: p.work, Dead: p.dead})
	return p, nil
}

// Run looks from time to time whether a run was left without a job, which a
// change of the database from outside could cause, and gives it one.
func (p *Pipeline) Run(ctx context.Context) error {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		if err := p.revive(ctx); err != nil && ctx.Err() == nil {
			p.Options.Log.Error("look for runs without a job", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (p *Pipeline) revive(ctx context.Context) error {
	list, err := selected(ctx, p.DB.Read(), "state IN ('queued', 'running') ORDER BY id")
	if err != nil {
		return err
	}
	for _, r := range list {
		err := p.DB.Tx(ctx, func(tx *sql.Tx) error {
			if r.InLine && r.State == Queued {
				return p.next(ctx, tx, r.Service)
			}
			return p.enqueue(ctx, tx, r.ID)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipeline) enqueue(ctx context.Context, tx *sql.Tx, run int64) error {
	return p.Work.Add(ctx, tx, work.Item{Kind: kind, Key: strconv.FormatInt(run, 10)})
}

// Commit is what a run is made of.
type Commit struct {
	Service id.Service
	Repo    string // as Options.Manifest and Options.Checkout know it
	SHA     string
	Author  string
	Message string
	Time    time.Time
	Branch  string
	Chain   string // default: a new one
	Cause   string // id of the event that told of the commit
}

// Start makes the run of a commit, in the caller's transaction. It gets the next
// version of its service.
func (p *Pipeline) Start(ctx context.Context, tx *sql.Tx, m Commit) (Run, error) {
	fail := func(err error) (Run, error) {
		return Run{}, fmt.Errorf("start run of %s for commit %.12s: %w", m.Service, m.SHA, err)
	}
	if m.Service == "" || m.SHA == "" {
		return fail(fault.New(fault.Invalid, "service and commit are needed"))
	}
	number, err := database.Next(ctx, tx, "run")
	if err != nil {
		return fail(err)
	}
	build, err := database.Next(ctx, tx, "build/"+string(m.Service))
	if err != nil {
		return fail(err)
	}
	c := &change{p: p, ctx: ctx, tx: tx, record: &record{InLine: true, Last: m.Cause}}
	c.Run = Run{
		ID: number, Service: m.Service, Version: id.Build(build), Repo: m.Repo, Commit: m.SHA, Branch: m.Branch, Author: m.Author,
		Message: m.Message, Committed: m.Time.UTC(), Queued: *c.now(), State: Queued, Chain: cmp.Or(m.Chain, id.New()), Stages: []Stage{},
	}
	c.tellRun(event.RunQueued, "", fmt.Sprintf("%s %s: run %d for %s", c.Service, c.Version, number, title(m)))
	if err := insert(ctx, tx, c.record); err != nil {
		return fail(err)
	}
	if err := p.Journal.Append(ctx, tx, &c.events[0]); err != nil {
		return fail(err)
	}
	if err := p.next(ctx, tx, m.Service); err != nil {
		return fail(err)
	}
	return c.Run, nil
}

// removeAll removes a checkout, also when a command took away the permission.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
