// Package docker runs nodes as containers of the Docker engine of this machine.
//
// Steer keeps them running, as it keeps processes: a container that ends is started
// again after a pause that grows from 1 s to 30 s, and one that somebody removed is
// made again. A container does not need Steer to go on. What Steer must know of it
// lies in a file per node, written before the container is made; the container
// carries labels, by which it is found again, and by which what nobody needs any
// more is removed.
//
//	DIR/NODE/node.json   what the node is, and how often it was started again
//	DIR/NODE/log         last lines of a node that was stopped
//
// While the engine does not answer, nodes are told as they were seen last, and are
// declared neither dead nor well.
package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
)

// Config is the driver's part of the server's configuration.
type Config struct {
	Host   string          `yaml:"host" doc:"Docker engine, like unix:///var/run/docker.sock; default: DOCKER_HOST, then that. It must be on this machine, since the load balancer reaches nodes at 127.0.0.1."`
	Keep   bool            `yaml:"keep" doc:"Leave containers running when Steer stops; it finds them again."`
	Retain config.Duration `yaml:"retain" doc:"How long the last lines of stopped nodes are kept." default:"1d"`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	if c.Host == "" {
		return nil
	}
	if _, err := newEngine(c.Host); err != nil {
		return fault.New(fault.Invalid, "host: %w", err)
	}
	return nil
}

// Options is what the server hands in.
type Options struct {
	Config
	Dir      string // belongs to this driver
	Instance string // tells this Steer's containers from those of others
	// Archive returns an artifact of kind archive as a tar.gz.
	Archive func(ctx context.Context, digest string) (io.ReadCloser, error)
	// Image returns an artifact of kind oci-image: its ID, the digests of its layers as
	// they are unpacked, lowest first, and how to write it as docker load takes it, under
	// a name, without so many of the lowest layers.
	Image  func(ctx context.Context, digest string) (id string, layers []string, save func(w io.Writer, name string, without int) error, err error)
	Secret func(e id.Environment, name string) (string, error) // may be nil: then there are none
	// Stats is where nodes send StatsD metrics. Containers send to the engine's
	// gateway, and the driver passes it on. May be nil.
	Stats func() (host, port string)
	Log   *slog.Logger
}

// Driver is a deploy.Driver. It is safe for concurrent use.
type Driver struct {
	o       Options
	log     *slog.Logger
	engine  *engine
	ready   chan struct{} // closed when Run has begun: from then on dead nodes are started
	begin   sync.Once
	wg      sync.WaitGroup // of supervisors
	closing context.Context
	close   context.CancelFunc
	images  images
	relay   relay

	mu     sync.Mutex
	nodes  map[string]*node
	busy   []string // containers that are no nodes
	closed bool
	away   bool // the engine did not answer last time
}

var _ deploy.Driver = (*Driver)(nil)

// New finds the nodes that there were. It does not need the engine.
func New(o Options) (*Driver, error) {
	o.Retain = cmp.Or(o.Retain, config.Duration(24*time.Hour))
	if o.Instance == "" || o.Archive == nil || o.Image == nil {
		return nil, errors.New("BUG: docker.New needs Instance, Archive and Image")
	}
	e, err := newEngine(o.Host)
	if err != nil && o.Host != "" {
		return nil, err
	} else if err != nil { // DOCKER_HOST is for others too: who has no containers must not mind
		e = &engine{useless: err}
	}
	if o.Dir, err = filepath.Abs(o.Dir); err == nil {
		err = os.MkdirAll(o.Dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("containers' folder: %w", err)
	}
	d := &Driver{o: o, log: cmp.Or(o.Log, slog.Default()), engine: e, ready: make(chan struct{}), nodes: map[string]*node{}}
	d.closing, d.close = context.WithCancel(context.Background())
	all, err := d.records()
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Stopped.IsZero() {
			d.add(r)
		}
	}
	return d, nil
}

// add supervises a node. The caller holds mu, or is New.
func (d *Driver) add(r record) *node {
	n := newNode(d, r)
	d.nodes[r.ID] = n
	d.wg.Go(n.supervise)
	return n
}

// Run starts what died while nobody looked, and tidies, until ctx ends. Then it
// stops all nodes, to be started again with the next Run, or under Config.Keep
// leaves them alone.
func (d *Driver) Run(ctx context.Context) error {
	d.begin.Do(func() { close(d.ready) })
	defer d.relay.close()
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	for {
		d.tidy(ctx)
		select {
		case <-ctx.Done():
			d.shutdown(d.o.Keep)
			return nil
		case <-tick.C:
		}
	}
}

// Close lets go of the nodes without stopping them, for when Run was not called.
func (d *Driver) Close() error {
	d.shutdown(true)
	d.relay.close()
	return nil
}

func (d *Driver) shutdown(keep bool) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	d.mu.Unlock()
	d.close()
	d.wg.Wait()
	if keep {
		return
	}
	var wg sync.WaitGroup
	for _, n := range d.all() {
		wg.Go(func() {
			if err := n.rest(); err != nil {
				d.log.Error("cannot stop a container; it runs on until the next start of Steer", "node", n.rec.ID, "error", err)
			}
		})
	}
	wg.Wait()
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
	i, release, err := d.image(ctx, s)
	if err != nil {
		return fail(err)
	}
	defer release()
	r := record{Kept: deploy.Kept{Spec: s}, Ref: i.ref}
	if err := r.save(d.o.Dir); err != nil {
		return fail(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch n := d.nodes[s.ID]; {
	case n != nil:
		return n.instance(), nil
	case d.closed:
		return fail(fault.New(fault.Unavailable, "Steer is stopping"))
	}
	return d.add(r).instance(), nil
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
	name := d.name(id)
	if err := d.halt(ctx, name, n.rec.Grace); err != nil {
		return fail(err)
	}
	if err := d.keepLog(ctx, id); err != nil {
		d.log.Warn("the last lines of a node are lost", "node", id, "error", err)
	}
	if err := d.remove(ctx, name); err != nil {
		return fail(err)
	}
	n.mu.Lock()
	n.rec.PID, n.rec.Stopped = 0, time.Now()
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

// List implements deploy.Driver.
func (d *Driver) List(context.Context) ([]deploy.Instance, error) {
	all := d.all()
	r := make([]deploy.Instance, 0, len(all))
	for _, n := range all {
		r = append(r, n.instance())
	}
	deploy.Sort(r)
	return r, nil
}

func (d *Driver) get(id string) *node {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes[id]
}

func (d *Driver) all() []*node {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := make([]*node, 0, len(d.nodes))
	for _, n := range d.nodes {
		r = append(r, n)
	}
	return r
}

// answers notes whether the engine answered, and logs when that changes.
func (d *Driver) answers(err error) {
	d.mu.Lock()
	changed := d.away != (err != nil)
	d.away = err != nil
	d.mu.Unlock()
	switch {
	case changed && err != nil:
		d.log.Error("containers cannot be looked after; trying again every second", "error", err)
	case changed:
		d.log.Info("the Docker engine answers again")
	}
}
