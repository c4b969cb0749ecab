package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/event"
	"steer/base/fault"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/work"
	"steer/catalog"
)

// machine is a driver and a load balancer in memory. What it holds outlives the
// Deployers of a test, as nodes outlive Steer.
type machine struct {
	mu      sync.Mutex
	nodes   map[string]Instance
	away    bool                 // nodes cannot be started
	waiting string               // what new nodes wait for
	ill     map[id.Version]error // why nodes of a version are not healthy
	front   map[place]Frontend
	pids    int
	starts  int
	tasks   []string      // version and command
	least   int           // fewest healthy serving nodes seen since watched was set
	watched place         // whose serving is watched at every change
	calls   int           // of changes
	crashAt int           // after this many changes the machine hangs, as for a Steer that dies
	hung    chan struct{} // closed when it does
}

func newMachine() *machine {
	return &machine{nodes: map[string]Instance{}, ill: map[id.Version]error{}, front: map[place]Frontend{}, hung: make(chan struct{})}
}

// changed is called under the lock after each change; it blocks for ever once the
// machine hangs.
func (m *machine) changed(ctx context.Context) error {
	if m.watched != (place{}) {
		m.least = min(m.least, m.servingLocked(m.watched))
	}
	m.calls++
	if m.crashAt > 0 && m.calls == m.crashAt {
		close(m.hung)
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return ctx.Err()
	}
	return nil
}

func (m *machine) servingLocked(p place) (n int) {
	for _, b := range m.front[p].Backends {
		if i, ok := m.nodes[b.ID]; ok && i.Running && m.ill[i.Version] == nil {
			n++
		}
	}
	return n
}

func (m *machine) serving(p place) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.servingLocked(p)
}

func (m *machine) watch(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watched, m.least = p, m.servingLocked(p)
}

func (m *machine) versions(p place) (r []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range m.nodes {
		if (place{n.Environment, n.Service}) == p {
			r = append(r, string(n.Version))
		}
	}
	slices.Sort(r)
	return r
}

func (m *machine) sick(v id.Version, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ill[v] = err
}

// lose removes a node as if its machine had burnt.
func (m *machine) lose(p place) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, n := range m.nodes {
		if (place{n.Environment, n.Service}) == p {
			delete(m.nodes, k)
			return
		}
	}
}

func (m *machine) Start(ctx context.Context, s Spec) (Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i, ok := m.nodes[s.ID]; ok {
		return i, nil
	}
	if m.away {
		return Instance{}, fault.New(fault.Unavailable, "the engine does not answer")
	}
	m.pids++
	m.starts++
	i := Instance{Spec: s, Running: true, PID: m.pids, Started: time.Now(), Numbers: map[string]int{}, Address: map[string]string{}}
	for _, p := range s.Ports {
		i.Numbers[p], i.Address[p] = 30000+m.pids, fmt.Sprintf("127.0.0.1:%d", 30000+m.pids)
	}
	if m.waiting != "" {
		i.Running, i.Started, i.Waiting = false, time.Time{}, m.waiting
	}
	m.nodes[s.ID] = i
	return i, m.changed(ctx)
}

func (m *machine) Stop(ctx context.Context, node string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.nodes, node)
	return m.changed(ctx)
}

func (m *machine) List(context.Context) ([]Instance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.nodes), func(a, b Instance) int { return strings.Compare(a.ID, b.ID) }), nil
}

func (m *machine) Logs(_ context.Context, node string, lines int, _ bool) (io.ReadCloser, error) {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "line %d of the log\n", i)
	}
	fmt.Fprintln(&b, "cannot log in with hunter22")
	return io.NopCloser(strings.NewReader(b.String())), nil
}

// Task writes what it runs, and waits or fails if that says so.
func (m *machine) Task(ctx context.Context, s Spec, out io.Writer) error {
	fmt.Fprintf(out, "%s with hunter22\n", s.Command)
	m.mu.Lock()
	m.tasks = append(m.tasks, string(s.Version)+" "+s.Command)
	err := m.changed(ctx)
	m.mu.Unlock()
	switch {
	case err != nil:
		return err
	case s.Command == "wait":
		<-ctx.Done()
		return ctx.Err()
	case s.Command == "fail":
		return errors.New("exit status 3")
	}
	return nil
}

func (m *machine) Set(ctx context.Context, f Frontend) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.front[place{f.Environment, f.Service}] = f
	return m.changed(ctx)
}

func (m *machine) Drained(context.Context, id.Environment, id.Service, []string) error { return nil }

func (m *machine) Serving(e id.Environment, s id.Service) (r []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.front[place{e, s}].Backends {
		r = append(r, b.ID)
	}
	return r
}

func (m *machine) Address(e id.Environment, s id.Service) map[string]string {
	return map[string]string{"http": "127.0.0.1:20000"}
}

func (m *machine) probe(_ context.Context, n Instance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ill[n.Version]
}

// steer is one life of Steer on a machine and a database.
type steer struct {
	*Deployer
	*machine
	t       *testing.T
	db      *database.DB
	journal *journal.Journal
	env     catalog.Environment
	number  int
	migrate map[id.Version]string
	kind    string // of artifacts
	kill    func()
}

var (
	shop       = place{"production", "shop"}
	ctxTimeout = 20 * time.Second
)

func start(t *testing.T, db *database.DB, m *machine, change func(*Options, *steer)) *steer {
	t.Helper()
	s := &steer{machine: m, t: t, db: db, number: 2, env: catalog.Environment{Name: "production", Watch: config.Duration(time.Minute), Warm: config.Duration(time.Minute),
		Config: map[string]map[string]string{"all": {"LEVEL": "info"}, "shop": {"PASSWORD": "secret:DB"}}}}
	ctx, cancel := context.WithCancel(context.Background())
	st := s
	var err error
	if s.journal, err = journal.New(ctx, db); err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	queue, err := work.New(ctx, work.Options{DB: db, Instance: "test", Poll: 5 * time.Millisecond, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{DB: db, Work: queue, Journal: s.journal, Log: quiet, Driver: m, Balancer: m, Probe: m.probe,
		Artifact: func(_ context.Context, s id.Service, v id.Version) (Artifact, error) {
			if s != "shop" || v > "b5" {
				return Artifact{}, fault.New(fault.NotFound, "no such artifact")
			}
			return Artifact{Version: v, Digest: "sha256:" + string(v), Commit: "c0ffee", Committed: time.Unix(1700000000, 0).UTC(), Chain: "chain-" + string(v),
				Manifest: catalog.Manifest{Service: "shop", Artifact: catalog.Artifact{Kind: st.kind}, Run: catalog.Run{Command: "./shop", Migrate: st.migrate[v], MigrateWithin: config.Duration(time.Second), Ports: map[string]int{"http": 8080},
					Health: catalog.Health{HTTP: "/healthz", Within: config.Duration(300 * time.Millisecond)}}}}, nil
		},
		Versions: func(context.Context, id.Service) ([]id.Version, error) {
			return []id.Version{"b5", "b4", "b3", "b2", "b1"}, nil
		},
		Latest: func(context.Context, id.Service) (id.Version, error) { return "b5", nil },
		Environment: func(e id.Environment, service id.Service) (catalog.Environment, int, error) {
			if e != "production" {
				return catalog.Environment{}, 0, fault.New(fault.NotFound, "no environment %q%s", e, config.Suggest(string(e), []string{"ci", "production"}))
			}
			if service != "shop" {
				return s.env, 0, nil
			}
			return s.env, s.number, nil
		},
		Secret: func(_ id.Environment, name string) (string, error) {
			if name != "DB" {
				return "", errors.New("no secret " + name)
			}
			return "hunter22", nil
		},
	}
	if change != nil {
		change(&o, s)
	}
	if s.Deployer, err = New(ctx, o); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { queue.Run(ctx) })
	wg.Go(func() { s.Run(ctx) })
	s.kill = func() { cancel(); wg.Wait() }
	t.Cleanup(s.kill)
	return s
}

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(ctxTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("not in time: " + what)
}

// ended waits for the end of a deploy.
func (s *steer) ended(number int64) Deploy {
	s.t.Helper()
	var y Deploy
	until(s.t, fmt.Sprintf("end of deploy %d", number), func() bool {
		var err error
		if y, err = s.Get(context.Background(), number); err != nil {
			s.t.Fatal(err)
		}
		return y.Finished != nil
	})
	return y
}

func (s *steer) request(v id.Version) Deploy {
	s.t.Helper()
	y, err := s.Request(context.Background(), nil, Request{Service: "shop", Environment: "production", Version: v, Actor: "ada", Reason: "because"})
	if err != nil {
		s.t.Fatal(err)
	}
	return y
}

func (s *steer) deploy(v id.Version) Deploy {
	s.t.Helper()
	y := s.ended(s.request(v).ID)
	if y.State != Passed {
		s.t.Fatalf("deploy of %s: %s: %v", v, y.State, y.Failure)
	}
	return y
}

func (s *steer) placement() Placement {
	s.t.Helper()
	p, _, err := s.Placement(context.Background(), "production", "shop")
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// events lists the newest events but those of nodes as "type summary".
func (s *steer) events() (r []event.Event) {
	s.t.Helper()
	all, err := s.journal.Read(context.Background(), journal.Query{Limit: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(e event.Event) bool { return strings.HasPrefix(e.Subject, "node/") })
}

func (s *steer) expectServing(v ...string) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("nodes %v, there are %v", v, s.versions(shop)), func() bool { return slices.Equal(s.versions(shop), v) })
}
