// Package hosts runs nodes as processes of other machines: the hosts that Steer knows.
//
// On each host a keeper, which is this program too, keeps its nodes running as driver
// process does, whether Steer is connected or not. The driver says which nodes a host
// should have, brings artifacts, and tells secrets, over a connection that somebody
// else makes; see Options.Dial. What the driver must know of a node lies in a file per
// node, written before the host hears of it. So each look at a host ends in the same
// comparison: what is missing there is started, and what nobody knows is stopped.
//
//	DIR/NODE/node.json   what the node is, on which host, and what was seen of it last
//
// While a host is away its nodes are told as they were seen last. When that takes too
// long they are started on other hosts; what is left on the first is stopped when it
// is back.
package hosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
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
	Away     config.Duration `yaml:"away" doc:"How long a host may be away before its nodes are started on other hosts." default:"1m"`
	Keep     bool            `yaml:"keep" doc:"Leave nodes running when Steer stops; false: they rest until it is back." default:"true"`
	Ports    string          `yaml:"ports" doc:"Ports of hosts given to nodes, FIRST-LAST. The load balancer has to reach them." default:"21000-28999"`
	Dir      string          `yaml:"dir" doc:"Folder of nodes on hosts." default:"/var/lib/steer-nodes"`
	LogBytes int64           `yaml:"log_bytes" doc:"Size at which a node's log is moved to log.1." default:"10485760"`
	LogFiles int             `yaml:"log_files" doc:"How many older logs are kept." default:"3"`
	Retain   config.Duration `yaml:"retain" doc:"How long the logs of stopped nodes are kept." default:"1d"`
}

// Check says what is wrong with the configuration.
func (c Config) Check() error {
	if c.Away < 0 {
		return fault.New(fault.Invalid, "away: %s is no time to wait", c.Away)
	}
	var first, last int
	if n, err := fmt.Sscanf(cmp.Or(c.Ports, "1-1"), "%d-%d", &first, &last); n != 2 || err != nil || first < 1 || last > 65535 || first > last {
		return fault.New(fault.Invalid, "ports: %q is no range of ports (write FIRST-LAST, like 21000-28999)", c.Ports)
	}
	if err := (Settings{Dir: cmp.Or(c.Dir, Root)}).Check(); err != nil {
		return fault.New(fault.Invalid, "dir: %w", err)
	}
	return nil
}

// Options is what the server hands in.
type Options struct {
	Config
	Dir      string // belongs to this driver
	Instance string // tells this Steer's nodes on a host from those of others
	MaxMB    int    // of an artifact
	MaxFiles int    // of an artifact
	// Hosts are the names of the hosts that one of the patterns means.
	Hosts func(patterns []string) ([]string, error)
	// Dial begins a conversation with the keeper on a host; see Attach. address is
	// where the host is reached; "": where it says itself that it is.
	Dial func(ctx context.Context, host string, s Settings) (conn io.ReadWriteCloser, address string, err error)
	// Archive returns an artifact of kind archive as a tar.gz.
	Archive func(ctx context.Context, digest string) (io.ReadCloser, error)
	Secret  func(e id.Environment, name string) (string, error) // may be nil: then there are none
	// Stats takes a StatsD packet of a node. May be nil.
	Stats func(packet []byte)
	Log   *slog.Logger
}

// Driver is a deploy.Driver. It is safe for concurrent use.
type Driver struct {
	o     Options
	log   *slog.Logger
	ctx   context.Context // ends when the driver lets go of its hosts
	close context.CancelFunc
	wg    sync.WaitGroup // of those who attend hosts

	mu     sync.Mutex
	nodes  map[string]*record
	tasks  map[string]record
	hosts  map[string]*host
	closed bool
}

var _ deploy.Driver = (*Driver)(nil)

// New finds the nodes that there were. It does not wait for their hosts.
func New(o Options) (*Driver, error) {
	o.Away = cmp.Or(o.Away, config.Duration(time.Minute))
	o.Retain = cmp.Or(o.Retain, config.Duration(24*time.Hour))
	o.Config.Dir = cmp.Or(o.Config.Dir, Root)
	if o.Instance == "" || o.Hosts == nil || o.Dial == nil || o.Archive == nil {
		return nil, errors.New("BUG: hosts.New needs Instance, Hosts, Dial and Archive")
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("folder of nodes on hosts: %w", err)
	}
	d := &Driver{o: o, log: cmp.Or(o.Log, slog.Default()), nodes: map[string]*record{}, tasks: map[string]record{}, hosts: map[string]*host{}}
	all, err := deploy.Saved[record](o.Dir, d.log)
	if err != nil {
		return nil, err
	}
	d.ctx, d.close = context.WithCancel(context.Background())
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range all {
		d.nodes[r.ID] = &r
		for _, name := range r.where() {
			d.attend(name)
		}
	}
	return d, nil
}

// settings are how nodes are kept.
func (d *Driver) settings() Settings {
	return Settings{Dir: filepath.Join(d.o.Config.Dir, d.o.Instance), Ports: d.o.Ports, LogBytes: d.o.LogBytes, LogFiles: d.o.LogFiles,
		Retain: d.o.Retain.Std(), MaxMB: d.o.MaxMB, MaxFiles: d.o.MaxFiles}
}

// Run moves nodes from hosts that are away too long, and tidies, until ctx ends. Then
// it has the nodes rest until the next Run, or under Config.Keep leaves them alone.
func (d *Driver) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		d.move(ctx)
		if n%30 == 0 {
			d.tidy()
		}
		select {
		case <-ctx.Done():
			if !d.o.Keep {
				d.rest()
			}
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
	if i, ok := d.instance(s.ID); ok {
		return i, nil
	}
	there, err := d.present(ctx, s.Hosts)
	if err != nil {
		return fail(err)
	}
	d.mu.Lock()
	h := d.hosts[choose(s, there, d.placed())]
	r := &record{Kept: deploy.Kept{Spec: s}, Host: h.name, starting: true}
	switch {
	case d.nodes[s.ID] != nil:
		err = fault.New(fault.Conflict, "a node of this id was there already")
	case d.closed:
		err = fault.New(fault.Unavailable, "Steer is stopping")
	default:
		if err = deploy.Save(d.o.Dir, *r); err == nil {
			d.nodes[s.ID] = r
		}
	}
	d.mu.Unlock()
	if err != nil {
		return fail(err)
	}
	err = h.begin(ctx, r)
	d.mu.Lock()
	r.starting = false
	d.mu.Unlock()
	if err != nil {
		// It may have begun there.
		if e := d.ended(r, h.name); e != nil {
			d.log.Error("cannot record that a node was not started", "node", s.ID, "error", e)
		}
		return fail(err)
	}
	i, _ := d.instance(s.ID)
	return i, nil
}

// Stop implements deploy.Driver. On a host that is away the node is stopped when that
// is back.
func (d *Driver) Stop(ctx context.Context, id string) error {
	fail := func(err error) error { return fault.New(fault.Of(err), "stop node %s: %w", id, err) }
	d.mu.Lock()
	r := d.nodes[id]
	if r == nil || !r.Stopped.IsZero() {
		d.mu.Unlock()
		return nil
	}
	r.stopping = true
	h := d.hosts[r.Host]
	away := h.away
	d.mu.Unlock()
	if away == nil {
		away = h.client.call(ctx, r.Grace+patience, "DELETE", node(id), nil, nil, nil)
		if away == nil {
			return d.ended(r)
		}
		if fault.Of(away) != fault.Unavailable || ctx.Err() != nil {
			d.mu.Lock()
			r.stopping = false
			d.mu.Unlock()
			return fail(away)
		}
	}
	d.log.Warn("a node is stopped when its host is back", "node", id, "host", h.name, "error", away)
	if err := d.ended(r, h.name); err != nil {
		return fail(err)
	}
	return nil
}

// List implements deploy.Driver.
func (d *Driver) List(context.Context) ([]deploy.Instance, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := []deploy.Instance{}
	for _, r := range d.nodes {
		if r.Stopped.IsZero() {
			all = append(all, r.instance(d.hosts[r.Host]))
		}
	}
	deploy.Sort(all)
	return all, nil
}

func (d *Driver) instance(id string) (deploy.Instance, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.nodes[id]
	if r == nil || !r.Stopped.IsZero() {
		return deploy.Instance{}, false
	}
	return r.instance(d.hosts[r.Host]), true
}

// Task implements deploy.Driver. When the connection is cut the command is ended
// there, since nobody would learn how it went.
func (d *Driver) Task(ctx context.Context, s deploy.Spec, out io.Writer) error {
	fail := func(err error) error { return fault.New(fault.Of(err), "run %s: %w", s.ID, err) }
	there, err := d.present(ctx, s.Hosts)
	if err != nil {
		return fail(err)
	}
	d.mu.Lock()
	h := d.hosts[choose(s, there, d.placed())]
	d.tasks[s.ID] = record{Kept: deploy.Kept{Spec: s}, Host: h.name}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.tasks, s.ID)
	}()
	if err := h.tell(ctx, true); err != nil {
		return fail(err)
	}
	err = h.client.task(ctx, s, out)
	if errors.Is(err, errMissing) {
		if err := h.bring(ctx, s.Digest); err != nil {
			return fail(err)
		}
		err = h.client.task(ctx, s, out)
	}
	return err
}

// tidy forgets nodes that were stopped long ago, once nothing of them is left.
func (d *Driver) tidy() {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []record
	for _, r := range d.nodes {
		if len(r.Left) == 0 || time.Since(r.Stopped) > keepLeft {
			all = append(all, *r)
		}
	}
	deploy.Forget(d.o.Dir, all, d.o.Retain.Std())
	for _, r := range all {
		if _, err := os.Stat(filepath.Join(d.o.Dir, r.ID)); !r.Stopped.IsZero() && errors.Is(err, os.ErrNotExist) {
			delete(d.nodes, r.ID)
		}
	}
}

// keepLeft is how long a host is waited for on which a stopped node may run.
const keepLeft = 30 * 24 * time.Hour

// rest has all nodes end until the next start of Steer.
func (d *Driver) rest() {
	d.mu.Lock()
	used := map[*host]time.Duration{}
	for _, r := range d.nodes {
		if h := d.hosts[r.Host]; r.Stopped.IsZero() && h != nil && h.away == nil {
			used[h] = max(used[h], r.Grace)
		}
	}
	d.closed = true // so that nobody attends a host anew
	d.mu.Unlock()
	d.close()
	d.wg.Wait()
	var wg sync.WaitGroup
	for h, grace := range used {
		wg.Go(func() {
			err := h.client.call(context.Background(), grace+patience, "POST", "/leave", url.Values{"nodes": {"stop"}}, nil, nil)
			h.client.hangUp()
			if err == nil {
				err = d.rested(h.name)
			}
			if err != nil {
				d.log.Error("cannot stop the nodes of a host; they run on until the next start of Steer", "host", h.name, "error", err)
			}
		})
	}
	wg.Wait()
}
