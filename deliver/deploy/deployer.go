package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"steer/base/work"
)

// jobKind is the kind of the durable jobs that deploys are.
const jobKind = "deploy"

// jobBody is what such a job holds.
type jobBody struct {
	Deploy int64 `json:"deploy"`
}

// Deployer is safe for concurrent use.
type Deployer struct {
	o      Options
	log    *slog.Logger
	prober *http.Transport

	mu       sync.Mutex
	busy     map[place]chan struct{} // holds a token while somebody changes the place
	cancels  map[int64]context.CancelFunc
	health   map[string]verdict
	restarts map[string]int   // as told to the journal, by node
	stopping map[string]bool  // nodes
	sent     map[place]string // what the balancer was told last, as JSON
	troubled map[place]string // what was wrong with its repair last
	repairs  sync.WaitGroup
}

// New makes the tables, and registers the handler of deploys with the work queue.
func New(ctx context.Context, o Options) (*Deployer, error) {
	if o.DB == nil || o.Work == nil || o.Journal == nil || o.Driver == nil || o.Balancer == nil || o.Artifact == nil || o.Environment == nil {
		return nil, errors.New("BUG: deploy.New needs DB, Work, Journal, Driver, Balancer, Artifact and Environment")
	}
	if err := o.DB.Migrate(ctx, "deploy", migrations); err != nil {
		return nil, err
	}
	d := &Deployer{o: o, log: cmp.Or(o.Log, slog.Default()), busy: map[place]chan struct{}{}, cancels: map[int64]context.CancelFunc{},
		health: map[string]verdict{}, restarts: map[string]int{}, stopping: map[string]bool{}, sent: map[place]string{}, troubled: map[place]string{},
		prober: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: 3 * time.Second, DisableCompression: true, MaxResponseHeaderBytes: 64 << 10}}
	o.Work.Handle(jobKind, work.Handler{Do: d.work, Dead: d.dead, Backoff: func(attempt int) time.Duration {
		return min(time.Second<<min(attempt, 5), 15*time.Second)
	}})
	return d, nil
}

// Run looks after all placements every second until ctx ends.
func (d *Deployer) Run(ctx context.Context) error {
	defer d.prober.CloseIdleConnections()
	defer d.repairs.Wait()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	failing := false
	for {
		err := d.tend(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if (err != nil) != failing {
			failing = err != nil
			if failing {
				d.log.Error("cannot look after placements, trying again every second", "error", err)
			} else {
				d.log.Info("can look after placements again")
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Log returns the last lines that a node wrote, and with follow what it writes
// until ctx ends.
func (d *Deployer) Log(ctx context.Context, node string, lines int, follow bool) (io.ReadCloser, error) {
	return d.o.Driver.Logs(ctx, node, min(max(lines, 0), 10000), follow)
}

// token returns the channel that who changes p puts a token into.
func (d *Deployer) token(p place) chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[p] == nil {
		d.busy[p] = make(chan struct{}, 1)
	}
	return d.busy[p]
}

// lock waits until nobody else changes p.
func (d *Deployer) lock(ctx context.Context, p place) (unlock func(), err error) {
	t := d.token(p)
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// tryLock returns nil if somebody changes p.
func (d *Deployer) tryLock(p place) (unlock func()) {
	t := d.token(p)
	select {
	case t <- struct{}{}:
		return func() { <-t }
	default:
		return nil
	}
}

// nodes lists the nodes of a place.
func (d *Deployer) nodes(ctx context.Context, p place) ([]Instance, error) {
	all, err := d.o.Driver.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	var r []Instance
	for _, n := range all {
		if (place{n.Environment, n.Service}) == p {
			r = append(r, n)
		}
	}
	return r, nil
}

// actual is what the planner sees of nodes.
func (d *Deployer) actual(p place, nodes []Instance) Actual {
	serving := map[string]bool{}
	for _, n := range d.o.Balancer.Serving(p.environment, p.service) {
		serving[n] = true
	}
	var a Actual
	for _, n := range nodes {
		a.Nodes = append(a.Nodes, ActualNode{ID: n.ID, Release: n.Release, Version: n.Version, Index: n.Index,
			Healthy: d.ill(n) == nil, Serving: serving[n.ID]})
	}
	return a
}
