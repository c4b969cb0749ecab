// Package process runs nodes as processes of this machine.
//
// Each node is a session of its own that writes straight into its log file, so it
// goes on when Steer dies, even by kill -9. What Steer needs to find it again lies
// beside the log, in a file per node: at start the driver adopts the nodes that
// still live and starts those that do not. A process that ends is started again
// after a pause that grows from 1 s to 30 s, and shrinks back once it has run for
// a minute.
//
//	DIR/NODE/node.json   what the node is, its ports, process and restarts
//	DIR/NODE/log         output; log.1 is older
//	DIR/tasks/ID.json    the process of a command that runs once, while it does
//	DIR/versions/DIGEST  the unpacked artifact, read-only, shared by its nodes
package process

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
)

// Config is the driver's part of the server's configuration.
type Config struct {
	Ports    string          `yaml:"ports" doc:"Ports given to nodes, FIRST-LAST. Callers use the load balancer's." default:"21000-28999"`
	Keep     bool            `yaml:"keep" doc:"Leave nodes running when Steer stops; it finds them again."`
	LogBytes int64           `yaml:"log_bytes" doc:"Size at which a node's log is moved to log.1." default:"10485760"`
	LogFiles int             `yaml:"log_files" doc:"How many older logs are kept." default:"3"`
	Retain   config.Duration `yaml:"retain" doc:"How long the logs of stopped nodes are kept." default:"1d"`
}

func (c Config) defaulted() Config {
	c.Ports = cmp.Or(c.Ports, "21000-28999")
	c.LogBytes = cmp.Or(c.LogBytes, 10<<20)
	c.LogFiles = cmp.Or(c.LogFiles, 3)
	c.Retain = cmp.Or(c.Retain, config.Duration(24*time.Hour))
	return c
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	_, _, err := portRange(cmp.Or(c.Ports, "21000-28999"))
	return err
}

// portRange reads "FIRST-LAST".
func portRange(s string) (first, last int, err error) {
	a, b, ok := strings.Cut(s, "-")
	first, err1 := strconv.Atoi(strings.TrimSpace(a))
	last, err2 := strconv.Atoi(strings.TrimSpace(b))
	if !ok || err1 != nil || err2 != nil || first < 1 || last > 65535 || first > last {
		return 0, 0, fault.New(fault.Invalid, "ports: %q is no range of ports (write FIRST-LAST, like 21000-28999)", s)
	}
	return first, last, nil
}

// Options is what the server hands in.
type Options struct {
	Config
	Dir    string                                              // belongs to this driver
	Unpack func(ctx context.Context, digest, dir string) error // puts an artifact into an empty folder
	Secret func(e id.Environment, name string) (string, error) // may be nil: then there are none
	User   string                                              // that nodes run as whose Spec names none; "" or not root: Steer's own
	Log    *slog.Logger
}

// Driver is a deploy.Driver. It is safe for concurrent use.
type Driver struct {
	o      Options
	log    *slog.Logger
	ports  *ports
	unpack sync.Mutex    // one artifact at a time
	ready  chan struct{} // closed when Run has begun: from then on dead nodes are started
	begin  sync.Once
	wg     sync.WaitGroup // of supervisors

	mu      sync.Mutex
	nodes   map[string]*node
	coming  map[string]int // digests of nodes that are being started
	closing chan struct{}  // closed when the driver lets go of all nodes
	closed  bool
}

var _ deploy.Driver = (*Driver)(nil)

// New finds the nodes that there were and adopts those that live. Dead ones are
// started when Run begins.
func New(o Options) (*Driver, error) {
	o.Config = o.Config.defaulted()
	first, last, err := portRange(o.Ports)
	if err != nil {
		return nil, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("nodes' folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(o.Dir, "versions"), 0o755); err != nil {
		return nil, fmt.Errorf("nodes' folder: %w", err)
	}
	d := &Driver{o: o, log: cmp.Or(o.Log, slog.Default()), ports: newPorts(first, last),
		ready: make(chan struct{}), nodes: map[string]*node{}, coming: map[string]int{}, closing: make(chan struct{})}
	records, err := d.load()
	if err != nil {
		return nil, err
	}
	for _, r := range records {
		d.ports.take(r.Numbers)
		n := newNode(d, r)
		if p := adopt(r); p != nil {
			n.process = p
			d.log.Info("found a node running", "node", r.ID, "pid", r.PID)
		} else if r.PID > 0 {
			n.rec.LastExit = "ended while Steer was not running"
		}
		d.nodes[r.ID] = n
		d.wg.Go(n.supervise)
	}
	return d, nil
}

// Run starts what died while nobody looked, and tends logs, until ctx ends. Then
// it stops all nodes, to be started again with the next Run, or under Config.Keep
// leaves them alone.
func (d *Driver) Run(ctx context.Context) error {
	d.begin.Do(func() { close(d.ready) })
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		d.tidy()
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
	return nil
}

func (d *Driver) shutdown(keep bool) {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	nodes := make([]*node, 0, len(d.nodes))
	for _, n := range d.nodes {
		nodes = append(nodes, n)
	}
	d.mu.Unlock()
	close(d.closing)
	d.wg.Wait()
	if keep {
		return
	}
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() { n.end(deploy.StoppedWithSteer) })
	}
	wg.Wait()
}

// Start implements deploy.Driver.
func (d *Driver) Start(ctx context.Context, s deploy.Spec) (deploy.Instance, error) {
	if !deploy.Folder(s.ID) || s.ID == "versions" || s.ID == "tasks" {
		return deploy.Instance{}, fault.New(fault.Invalid, "start node %q: its id cannot be the name of a folder", s.ID)
	}
	if n := d.get(s.ID); n != nil {
		return n.instance(), nil
	}
	d.expect(s.Digest, 1)
	defer d.expect(s.Digest, -1)
	if err := d.version(ctx, s.Digest); err != nil {
		return deploy.Instance{}, fmt.Errorf("start node %s: %w", s.ID, err)
	}
	numbers, err := d.ports.choose(s.Ports)
	if err != nil {
		return deploy.Instance{}, fmt.Errorf("start node %s: %w", s.ID, err)
	}
	n := newNode(d, record{Kept: deploy.Kept{Spec: s, Numbers: numbers}})
	if err := n.rec.save(d.o.Dir); err != nil {
		d.ports.give(numbers)
		return deploy.Instance{}, fmt.Errorf("start node %s: %w", s.ID, err)
	}
	d.mu.Lock()
	other := d.nodes[s.ID]
	if other == nil && !d.closed {
		d.nodes[s.ID] = n
		d.wg.Go(n.supervise)
	}
	closed := d.closed
	d.mu.Unlock()
	switch {
	case other != nil:
		d.ports.give(numbers)
		return other.instance(), nil
	case closed:
		return deploy.Instance{}, fault.New(fault.Unavailable, "start node %s: Steer is stopping", s.ID)
	}
	return n.instance(), nil
}

// Stop implements deploy.Driver.
func (d *Driver) Stop(ctx context.Context, id string) error {
	n := d.get(id)
	if n == nil {
		return nil
	}
	n.halt.Do(func() { close(n.halting) })
	select {
	case <-n.done:
	case <-ctx.Done():
		return fmt.Errorf("stop node %s: %w", id, ctx.Err())
	}
	if err := n.end(""); err != nil {
		return fmt.Errorf("stop node %s: %w", id, err)
	}
	n.mu.Lock()
	n.rec.PID, n.rec.Stopped = 0, time.Now()
	err := n.rec.save(d.o.Dir)
	numbers := n.rec.Numbers
	n.mu.Unlock()
	if err != nil {
		return fmt.Errorf("stop node %s: %w", id, err)
	}
	d.mu.Lock()
	delete(d.nodes, id)
	d.mu.Unlock()
	d.ports.give(numbers)
	return nil
}

// List implements deploy.Driver.
func (d *Driver) List(context.Context) ([]deploy.Instance, error) {
	d.mu.Lock()
	nodes := make([]*node, 0, len(d.nodes))
	for _, n := range d.nodes {
		nodes = append(nodes, n)
	}
	d.mu.Unlock()
	r := make([]deploy.Instance, 0, len(nodes))
	for _, n := range nodes {
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

// expect keeps an artifact unpacked while a node of it is being started.
func (d *Driver) expect(digest string, by int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coming[digest] += by; d.coming[digest] == 0 {
		delete(d.coming, digest)
	}
}
