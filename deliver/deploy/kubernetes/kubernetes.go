// Package kubernetes runs nodes as pods of a Kubernetes cluster, on whichever of its
// machines there is room.
//
// A ReplicaSet of one pod stands for each node, so the cluster keeps it running by
// itself: a container that dies is started again by its machine, and a pod whose
// machine dies is made anew on another. Steer watches, and makes what somebody
// removed. Images come from Steer's own registry.
//
//	DIR/NODE/node.json   what the node is, and what the cluster told of it last
//	DIR/NODE/log         last lines of a node that was stopped
//
// While the cluster's API does not answer, nodes are told as they were seen last, and
// are declared neither dead nor well. They also run on when Steer stops.
package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/catalog"
	"steer/deliver/deploy"
	"steer/deliver/deploy/kubernetes/internal/api"
)

// Config is the driver's part of the server's configuration.
type Config struct {
	Kubeconfig string          `yaml:"kubeconfig" doc:"File that says how clusters are reached, and as whom, as kubectl has it; default: the service account of the pod that Steer runs in, then KUBECONFIG, then ~/.kube/config."`
	Registry   string          `yaml:"registry" doc:"HOST:PORT at which machines of the cluster reach this server, since they pull images from its registry."`
	Arrive     config.Duration `yaml:"arrive" doc:"Time a new pod may take to get a machine and its image, before its deploy fails." default:"5m"`
	Retain     config.Duration `yaml:"retain" doc:"How long the last lines of stopped nodes are kept." default:"1d"`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	if strings.ContainsAny(c.Registry, "/ \t@?#") {
		return fault.New(fault.Invalid, "registry: %q is no HOST:PORT (leave out https:// and everything after the port)", c.Registry)
	}
	if c.Arrive < 0 || c.Arrive > 0 && c.Arrive.Std() < time.Second {
		return fault.New(fault.Invalid, "arrive: %s is too short (write it like 5m)", c.Arrive)
	}
	return nil
}

// Options is what the server hands in.
type Options struct {
	Config
	Dir      string // belongs to this driver
	Instance string // tells this Steer's objects from those of others
	// Image puts the image of a node into the registry, if it is not there, and returns
	// its name in it: REPOSITORY@DIGEST.
	Image func(ctx context.Context, s deploy.Spec) (string, error)
	// Token is what machines pull images with. May be nil: then the registry wants none.
	Token  func(ctx context.Context) (string, error)
	Secret func(e id.Environment, name string) (string, error) // may be nil: then there are none
	Log    *slog.Logger
}

// Driver is a deploy.Driver. It is safe for concurrent use.
type Driver struct {
	o       Options
	log     *slog.Logger
	ready   chan struct{} // closed when Run has begun
	begin   sync.Once
	wg      sync.WaitGroup // of supervisors and watches
	closing context.Context
	close   context.CancelFunc

	mu     sync.Mutex
	spaces map[catalog.Cluster]*space
	nodes  map[string]*node
	busy   map[string]int // names of objects of tasks
	closed bool
	away   map[*space]bool
}

var _ deploy.Driver = (*Driver)(nil)

// New finds the nodes that there were. It does not need a cluster.
func New(o Options) (*Driver, error) {
	o.Retain = cmp.Or(o.Retain, config.Duration(24*time.Hour))
	o.Arrive = cmp.Or(o.Arrive, config.Duration(5*time.Minute))
	if o.Instance == "" || o.Image == nil {
		return nil, errors.New("BUG: kubernetes.New needs Instance and Image")
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err == nil {
		err = os.MkdirAll(o.Dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("pods' folder: %w", err)
	}
	d := &Driver{o: o, log: cmp.Or(o.Log, slog.Default()), ready: make(chan struct{}), spaces: map[catalog.Cluster]*space{}, nodes: map[string]*node{}, busy: map[string]int{}, away: map[*space]bool{}}
	d.closing, d.close = context.WithCancel(context.Background())
	all, err := d.records()
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Stopped.IsZero() {
			d.add(r, true)
		}
	}
	return d, nil
}

// add supervises a node. The caller holds mu, or is New.
func (d *Driver) add(r record, old bool) *node {
	n := newNode(d, d.space(r.Cluster), r, old)
	d.nodes[r.ID] = n
	d.wg.Go(n.supervise)
	return n
}

// space is where nodes of a cluster's namespace are; it is watched from the first
// time that it is asked for. The caller holds mu, or is New.
func (d *Driver) space(c catalog.Cluster) *space {
	if s := d.spaces[c]; s != nil {
		return s
	}
	s := newSpace(api.New(d.o.Kubeconfig, c.Context, c.Namespace), labelInstance+"="+d.o.Instance)
	d.spaces[c] = s
	d.wg.Go(func() { s.run(d.closing, func(err error) { d.answers(s, err) }) })
	return s
}

// Run tidies until ctx ends. Nodes run on.
func (d *Driver) Run(ctx context.Context) error {
	d.begin.Do(func() { close(d.ready) })
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		d.tidy(ctx)
		select {
		case <-ctx.Done():
			return d.Close()
		case <-tick.C:
		}
	}
}

// Close lets go of the nodes without stopping them.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.close()
	d.wg.Wait()
	return nil
}

// Start implements deploy.Driver.
func (d *Driver) Start(ctx context.Context, s deploy.Spec) (deploy.Instance, error) {
	if !deploy.Folder(s.ID) {
		return deploy.Instance{}, fault.New(fault.Invalid, "start node %q: its id cannot be the name of a folder", s.ID)
	}
	fail := func(err error) (deploy.Instance, error) {
		return deploy.Instance{}, fault.New(fault.Of(err), "start node %s: %w", s.ID, err)
	}
	if n := d.get(s.ID); n != nil {
		return n.instance(), nil
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return fail(errStopping)
	}
	at := d.space(s.Cluster)
	d.mu.Unlock()
	if err := at.Check(); err != nil {
		return fail(err)
	}
	r := record{Kept: deploy.Kept{Spec: s}}
	var err error
	if r.Ref, err = d.image(ctx, s); err != nil {
		return fail(err)
	}
	if err := r.save(d.o.Dir); err != nil {
		return fail(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch n := d.nodes[s.ID]; {
	case n != nil:
		return n.instance(), nil
	case d.closed:
		return fail(errStopping)
	}
	return d.add(r, false).instance(), nil
}

var errStopping = fault.New(fault.Unavailable, "Steer is stopping")

// List implements deploy.Driver.
func (d *Driver) List(context.Context) ([]deploy.Instance, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := make([]deploy.Instance, 0, len(d.nodes))
	for _, n := range d.nodes {
		r = append(r, n.instance())
	}
	deploy.Sort(r)
	return r, nil
}

// Stop implements deploy.Driver.
func (d *Driver) Stop(ctx context.Context, id string) error {
	n := d.get(id)
	if n == nil {
		return nil
	}
	fail := func(err error) error { return fault.New(fault.Of(err), "stop node %s: %w", id, err) }
	n.cancel()
	select {
	case <-n.done:
	case <-ctx.Done():
		return fail(ctx.Err())
	}
	var past deploy.Ending
	if err := d.end(ctx, n.s, n.name, n.rec.Grace, &past); err != nil {
		return fail(err)
	}
	if kept := past.Bytes(); len(kept) > 0 {
		if err := deploy.Replace(filepath.Join(d.o.Dir, id, "log"), kept); err != nil {
			d.log.Warn("the last lines of a node are lost", "node", id, "error", err)
		}
	}
	n.mu.Lock()
	n.rec.Stopped = time.Now()
	err := n.rec.save(d.o.Dir)
	n.mu.Unlock()
	if err != nil {
		return fail(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.nodes, id)
	return nil
}

func (d *Driver) get(id string) *node {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes[id]
}

// answers notes whether the API answers, and logs when that changes.
func (d *Driver) answers(s *space, err error) {
	d.mu.Lock()
	changed := d.away[s] != (err != nil)
	d.away[s] = err != nil
	d.mu.Unlock()
	switch {
	case changed && err != nil:
		d.log.Error("pods cannot be looked after, and run as they are; trying again", "error", err)
	case changed:
		d.log.Info("the Kubernetes API answers again", "namespace", s.Namespace())
	}
}
