package pipeline

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/work"
	"steer/catalog"
)

// world is all that a pipeline needs, with knobs.
type world struct {
	*Pipeline
	t    *testing.T
	db   *database.DB
	opts Options
	stop func()

	mu        sync.Mutex
	manifest  catalog.Manifest
	noSteer   error                                            // result of reading steer.yaml
	command   func(ctx context.Context, j Job) (Result, error) // default: passes
	ran       []string                                         // "b1 commit test"
	env       map[string][]string                              // of the last command of a stage
	packed    []Run
	artifacts map[string]string
	deploys   []DeployRequest
	deploy    error // result of asking for a deploy
	deployed  string
	why       string
	pinned    []id.Version
	may       error
	slots     int
}

func manifest(stages ...catalog.Stage) catalog.Manifest {
	return catalog.Manifest{Service: "catalog", Artifact: catalog.Artifact{Build: "make", Paths: []string{"out"}}, Pipeline: stages}
}

var (
	commit     = catalog.Stage{Name: "commit", Run: "test"}
	acceptance = catalog.Stage{Name: "acceptance", Run: "smoke", Deploy: "ci"}
	production = catalog.Stage{Name: "production", Deploy: "production", Manual: true, Approvers: []id.Team{"storefront"}}
)

func newWorld(t *testing.T, db *database.DB, m catalog.Manifest) *world {
	t.Helper()
	w := &world{t: t, db: db, manifest: m, env: map[string][]string{}, artifacts: map[string]string{}, deployed: Passed, slots: 4}
	j, err := journal.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	w.opts = Options{
		DB: db, Journal: j, Dir: t.TempDir(),
		Manifest: func(context.Context, id.Service, string, string) (catalog.Manifest, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.manifest, w.noSteer
		},
		Checkout: func(_ context.Context, repo, sha, dir string) error {
			if _, err := os.Stat(dir); err == nil {
				return fmt.Errorf("checkout %s is not clean", dir)
			}
			return os.MkdirAll(dir, 0o700)
		},
		Slot: func() (func(), bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.slots == 0 {
				return nil, false
			}
			w.slots--
			return func() { w.mu.Lock(); w.slots++; w.mu.Unlock() }, true
		},
		Execute: w.execute,
		Follow: func(ctx context.Context, log string, over func(context.Context) bool) io.ReadCloser {
			return io.NopCloser(strings.NewReader(fmt.Sprint(over(ctx))))
		},
		Package: func(_ context.Context, r Run, dir string) (string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			key := fmt.Sprintf("%s %s", r.Service, r.Version)
			if _, ok := w.artifacts[key]; ok {
				return "", fault.New(fault.Conflict, "stored twice")
			}
			w.packed = append(w.packed, r)
			w.artifacts[key] = "sha256:" + string(r.Version)
			return w.artifacts[key], nil
		},
		Artifact: func(_ context.Context, s id.Service, v id.Version) (string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if d, ok := w.artifacts[fmt.Sprintf("%s %s", s, v)]; ok {
				return d, nil
			}
			return "", fault.New(fault.NotFound, "no artifact")
		},
		Deploy: func(_ context.Context, _ *sql.Tx, d DeployRequest) (int64, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.deploy != nil {
				return 0, w.deploy
			}
			w.deploys = append(w.deploys, d)
			return int64(len(w.deploys)), nil
		},
		DeployState: func(context.Context, int64) (string, string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.deployed, w.why, nil
		},
		Address: func(_ context.Context, s id.Service, e id.Environment) (string, error) { return "127.0.0.1:20080", nil },
		May: func(who id.Person, teams []id.Team, env id.Environment) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.may
		},
		Pinned: func(context.Context, id.Service) ([]id.Version, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.pinned, nil
		},
	}
	w.start()
	return w
}

func (w *world) execute(ctx context.Context, j Job) (Result, error) {
	w.mu.Lock()
	w.ran = append(w.ran, fmt.Sprintf("%s %s %s", j.Version, j.Stage, j.Command))
	w.env[j.Stage] = j.Env
	f := w.command
	w.mu.Unlock()
	if log, err := os.OpenFile(j.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
		fmt.Fprintln(log, "$", j.Command)
		log.Close()
	}
	if f != nil {
		return f(ctx, j)
	}
	return Result{}, nil
}

// start opens the pipeline as a new process of Steer would.
func (w *world) start() {
	w.t.Helper()
	q, err := work.New(w.t.Context(), work.Options{DB: w.db, Instance: "test", Poll: 5 * time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	w.opts.Work = q
	if w.Pipeline, err = New(w.t.Context(), w.opts); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); q.Run(ctx) }()
	w.stop = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(w.stop)
}

func (w *world) set(f func()) { w.mu.Lock(); defer w.mu.Unlock(); f() }

func (w *world) push(service id.Service) Run {
	w.t.Helper()
	var r Run
	err := w.db.Tx(w.t.Context(), func(tx *sql.Tx) (err error) {
		r, err = w.Start(w.t.Context(), tx, Commit{Service: service, Repo: "catalog", SHA: "0123456789abcdef", Author: "Ada", Message: "Add prices\n\nmore", Branch: "main", Chain: "chain-1"})
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// until waits for a run to be as wanted.
func (w *world) until(run int64, what string, ok func(Run) bool) Run {
	w.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		r, err := w.Get(w.t.Context(), run)
		if err != nil {
			w.t.Fatal(err)
		}
		if ok(r) {
			return r
		}
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for run %d to be %s; it is %+v", run, what, r)
		}
	}
}

func (w *world) state(run int64, state string) Run {
	w.t.Helper()
	return w.until(run, state, func(r Run) bool { return r.State == state })
}

func (w *world) events(run int64) (list []event.Event, types string) {
	w.t.Helper()
	list, err := w.opts.Journal.Read(w.t.Context(), journal.Query{Subject: fmt.Sprintf("run/%d", run), Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	words := map[string]string{
		event.RunQueued: "queued", event.RunStarted: "started", event.RunFinished: "finished", event.StageStarted: "stage", event.StageFinished: "closed",
		event.ApprovalCreated: "ask", event.ApprovalClosed: "answer",
	}
	var names []string
	for _, e := range list {
		names = append(names, words[e.Type])
	}
	return list, strings.Join(names, " ")
}
