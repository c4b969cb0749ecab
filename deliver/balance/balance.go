package balance

import (
	"cmp"
	"context"
	"errors"
	"log"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"steer/base/fault"
	"steer/base/id"
)

// Balancer is safe for concurrent use.
type Balancer struct {
	o           Options
	log         *slog.Logger
	quiet       *log.Logger // what net/http tells of single connections
	buffers     bufferPool
	first, last int
	lost        atomic.Int64
	ctx         context.Context // of probes; ends with the balancer
	stop        context.CancelFunc

	change sync.Mutex // one change of frontends at a time

	mu     sync.Mutex
	fronts map[key]*front
	ports  map[portKey]int // all that are given away, also while not listening
}

type portKey struct {
	key
	name string
}

// front is a frontend at work. Its fields but pool are guarded by Balancer.mu.
type front struct {
	Frontend
	pool      *pool
	listeners map[string]*listener
	problems  map[string]string // why a port is not listening, by name
}

// New opens the database's tables and, on the ports that were remembered, the
// frontends that there were. A port that something else holds now is tried again
// while Run runs; Status shows it.
func New(ctx context.Context, o Options) (*Balancer, error) {
	o.Config = o.Config.defaulted()
	if err := o.Config.Check(); err != nil {
		return nil, err
	}
	first, last, err := portRange(o.Ports)
	if err != nil {
		return nil, err
	}
	b := &Balancer{o: o, log: cmp.Or(o.Log, slog.Default()), first: first, last: last,
		fronts: map[key]*front{}, ports: map[portKey]int{}}
	b.quiet = slog.NewLogLogger(b.log.Handler(), slog.LevelDebug)
	if err := o.DB.Migrate(ctx, "balance", migrations); err != nil {
		return nil, err
	}
	b.ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	if err := b.restore(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Run keeps trying ports that could not be opened until ctx ends; then it stops
// to accept, lets what is under way finish for Config.Drain, and closes all.
func (b *Balancer) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			b.shutdown(b.o.Drain.Std())
			return nil
		case <-tick.C:
			b.reopen()
		}
	}
}

// Close closes everything at once, for when Run was not called.
func (b *Balancer) Close() error {
	b.shutdown(0)
	return nil
}

func (b *Balancer) shutdown(drain time.Duration) {
	b.stop()
	b.change.Lock()
	defer b.change.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	var wg sync.WaitGroup
	b.mu.Lock()
	for _, f := range b.fronts {
		for _, l := range f.listeners {
			wg.Go(func() { l.close(ctx) })
		}
		f.listeners = map[string]*listener{}
	}
	b.mu.Unlock()
	wg.Wait()
}

// Set makes f's backends the ones that get requests from now on, and opens or
// closes listeners so that they are f's ports. When it returns nil, all this is
// also on disk. On an error nothing has changed.
func (b *Balancer) Set(ctx context.Context, f Frontend) error {
	if err := f.check(); err != nil {
		return err
	}
	if b.ctx.Err() != nil {
		return fault.New(fault.Unavailable, "balance %s in %s: the balancer is stopping", f.Service, f.Environment)
	}
	b.change.Lock()
	defer b.change.Unlock()
	k := key{f.Environment, f.Service}
	b.mu.Lock()
	old := b.fronts[k]
	b.mu.Unlock()
	if old == nil {
		old = &front{pool: newPool(k), listeners: map[string]*listener{}}
	}
	opened, err := b.sockets(k, old, f)
	if err == nil {
		err = b.save(ctx, k, f, opened.ports)
	}
	if err != nil {
		opened.close()
		return err
	}
	b.apply(k, old, f, opened)
	return nil
}

// sockets are the ports of a frontend that is about to be.
type sockets struct {
	fresh    map[string]net.Listener // opened for it
	ports    map[string]int          // the number of every port
	problems map[string]string       // why a port could not be opened
}

func (s sockets) close() {
	for _, l := range s.fresh {
		l.Close()
	}
}

// sockets opens the ports of f that old does not have open. It returns what it
// opened also on an error.
func (b *Balancer) sockets(k key, old *front, f Frontend) (sockets, error) {
	r := sockets{map[string]net.Listener{}, map[string]int{}, map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(f.Ports)) {
		p, known := f.Ports[name], b.remembered(k, name)
		want := cmp.Or(p.Fixed, known)
		if l := old.listeners[name]; l != nil && l.port == want {
			if l.protocol == p.Protocol {
				r.ports[name] = want
				continue
			}
			l.net.Close() // makes way for the other protocol; the one thing that an error leaves changed
		}
		l, err := b.socket(k, name, want)
		switch {
		case err == nil:
			r.fresh[name], r.ports[name] = l, l.Addr().(*net.TCPAddr).Port
		case want > 0 && want == known && inUse(err):
			// Callers know this address: better wait for it than move. Run tries again.
			r.ports[name], r.problems[name] = want, err.Error()
			b.log.Error("cannot open the port of a service, trying again every second", "service", k.service, "environment", k.environment, "error", err)
		default:
			return r, err
		}
	}
	return r, nil
}

// inUse says that the system refused a port, and not another frontend.
func inUse(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}

// socket listens on the wanted port, or if that is 0 on the first free one of the
// range.
func (b *Balancer) socket(k key, name string, want int) (net.Listener, error) {
	if want > 0 {
		if holder, ok := b.holder(k, name, want); ok {
			return nil, fault.New(fault.Conflict, "balance %s: port %d for %s belongs to %s (%s); choose another in publish of the environment", k, want, name, holder.key, holder.name)
		}
		l, err := b.listen(want)
		if err != nil {
			return nil, fault.New(fault.Conflict, "balance %s: open port %d for %s: %w (stop what uses it, or choose another in publish of the environment)", k, want, name, err)
		}
		return l, nil
	}
	for port := b.first; port <= b.last; port++ {
		if _, ok := b.holder(k, name, port); ok {
			continue
		}
		if l, err := b.listen(port); err == nil {
			return l, nil
		}
	}
	return nil, fault.New(fault.TooMuch, "balance %s: no free port for %s in %d-%d (widen balance.ports)", k, name, b.first, b.last)
}

func (b *Balancer) remembered(k key, name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ports[portKey{k, name}]
}

// holder says who else has a port.
func (b *Balancer) holder(k key, name string, port int) (portKey, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for other, p := range b.ports {
		if p == port && other != (portKey{k, name}) {
			return other, true
		}
	}
	return portKey{}, false
}

// apply makes f the frontend k. It cannot fail.
func (b *Balancer) apply(k key, old *front, f Frontend, s sockets) {
	next := &front{Frontend: f, pool: old.pool, listeners: map[string]*listener{}, problems: s.problems}
	probed := f.probed()
	old.pool.replace(f.Backends, func(n Backend) *backend {
		ctx, cancel := context.WithCancel(b.ctx)
		r := &backend{Backend: n, names: newNames(k, n.Version), transport: b.transport(), stop: cancel}
		go b.probe(ctx, old.pool, r, f.Health, probed)
		return r
	})
	var closing []*listener
	for name, l := range old.listeners {
		if s.fresh[name] != nil || s.ports[name] == 0 {
			closing = append(closing, l)
		} else {
			next.listeners[name] = l
		}
	}
	for name, l := range s.fresh {
		next.listeners[name] = b.open(old.pool, name, f.Ports[name].Protocol, l)
	}
	b.mu.Lock()
	b.fronts[k] = next
	for pk := range b.ports {
		if pk.key == k && s.ports[pk.name] == 0 {
			delete(b.ports, pk)
		}
	}
	for name, port := range s.ports {
		b.ports[portKey{k, name}] = port
	}
	b.mu.Unlock()
	for _, l := range closing {
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), b.o.Drain.Std())
			defer cancel()
			l.close(ctx)
		}()
	}
}

// Drained waits until no request is under way on backends with these ids that Set
// has replaced, or until ctx ends; the error then says how many there are.
func (b *Balancer) Drained(ctx context.Context, e id.Environment, s id.Service, ids []string) error {
	b.mu.Lock()
	f := b.fronts[key{e, s}]
	b.mu.Unlock()
	if f == nil {
		return nil
	}
	set := map[string]bool{}
	for _, i := range ids {
		set[i] = true
	}
	return f.pool.drained(ctx, set)
}

// Remove closes a service's frontend and forgets its ports.
func (b *Balancer) Remove(ctx context.Context, e id.Environment, s id.Service) error {
	b.change.Lock()
	defer b.change.Unlock()
	k := key{e, s}
	b.mu.Lock()
	f := b.fronts[k]
	b.mu.Unlock()
	if f == nil {
		return nil
	}
	if err := b.forget(ctx, k); err != nil {
		return err
	}
	b.apply(k, f, Frontend{Environment: e, Service: s}, sockets{})
	b.mu.Lock()
	delete(b.fronts, k)
	b.mu.Unlock()
	return nil
}

// Address is where the ports of a frontend are reached, by name.
func (b *Balancer) Address(e id.Environment, s id.Service) map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := map[string]string{}
	for pk, port := range b.ports {
		if pk.key == (key{e, s}) {
			r[pk.name] = b.reachable(port)
		}
	}
	return r
}

// Serving lists the ids of the backends that get requests if they are healthy.
func (b *Balancer) Serving(e id.Environment, s id.Service) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := []string{}
	if f := b.fronts[key{e, s}]; f != nil {
		for _, n := range f.Backends {
			r = append(r, n.ID)
		}
	}
	return r
}

// reachable is an address that callers on this machine can use.
func (b *Balancer) reachable(port int) string {
	host := b.o.Address
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}
