package hosts

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/fault"
	"steer/base/id"
	"steer/deliver/deploy"
	"steer/deliver/deploy/deploytest"
	"steer/deliver/deploy/process"
)

// TestMain is also the program that keeps nodes.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == Command {
		var s Settings
		err := json.Unmarshal([]byte(os.Args[2]), &s)
		if err == nil {
			err = Keep(context.Background(), keeperOptions(s, s.Ports, nil))
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// keeperOptions are of a keeper whose artifacts hold one program.
func keeperOptions(s Settings, ports string, program []byte) KeeperOptions {
	return KeeperOptions{Settings: s,
		Nodes: func(dir string, unpack func(context.Context, string, string) error, secret func(id.Environment, string) (string, error)) (Nodes, error) {
			return process.New(process.Options{Config: process.Config{Ports: ports}, Dir: dir, Unpack: unpack, Secret: secret, Log: slog.New(slog.DiscardHandler)})
		},
		Extract: func(_ context.Context, archive io.Reader, dir string) error {
			b, err := io.ReadAll(archive)
			if err != nil || string(b) != content {
				return fmt.Errorf("%.100q is no artifact: %v", b, err)
			}
			return os.WriteFile(filepath.Join(dir, "node"), program, 0o755)
		},
	}
}

// fleet are hosts of this test: their keepers run in it.
type fleet struct {
	t       *testing.T
	program []byte
	brought atomic.Int64 // artifacts

	mu    sync.Mutex
	hosts map[string]*machine
}

// machine is a host: its keeper lives as long as it is on.
type machine struct {
	dir   string
	ports string
	off   error // why it cannot be reached

	listener net.Listener
	conns    []net.Conn
	over     chan struct{} // closed when its keeper has ended
	stop     context.CancelFunc
}

var nextPorts atomic.Int64

func newFleet(t *testing.T, names ...string) *fleet {
	program, err := deploytest.Program()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, program: program, hosts: map[string]*machine{}}
	for _, name := range names {
		from := 25000 + 10*nextPorts.Add(1)
		f.hosts[name] = &machine{dir: t.TempDir(), ports: fmt.Sprintf("%d-%d", from, from+9)}
	}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, m := range f.hosts {
			m.end(false)
		}
	})
	return f
}

// end ends the keeper: with its nodes, as a host that is switched off, or not, as
// kill -9 of the keeper.
func (m *machine) end(keep bool) {
	if m.over == nil {
		return
	}
	if keep {
		m.stop()
	} else if c := newClient("test", func(context.Context) (io.ReadWriteCloser, error) {
		return net.Dial("tcp", m.listener.Addr().String())
	}); c.call(context.Background(), time.Minute, "POST", "/leave", map[string][]string{"nodes": {"stop"}}, nil, nil) != nil {
		m.stop()
	}
	<-m.over
	m.over = nil
	m.cut()
}

func (m *machine) cut() {
	for _, c := range m.conns {
		c.Close()
	}
	m.conns = nil
}

// dial is Options.Dial.
func (f *fleet) dial(_ context.Context, host string, s Settings) (io.ReadWriteCloser, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.hosts[host]
	if m == nil {
		return nil, "", fault.New(fault.NotFound, "host %s is not in hosts.yaml", host)
	}
	if m.off != nil {
		return nil, "", m.off
	}
	if m.over != nil {
		select {
		case <-m.over: // it rested
			m.over = nil
		default:
		}
	}
	if m.over == nil {
		if err := m.start(s, f.program); err != nil {
			return nil, "", err
		}
	}
	c, err := net.Dial("tcp", m.listener.Addr().String())
	if err == nil {
		m.conns = append(m.conns, c)
	}
	return c, "127.0.0.1", err
}

func (m *machine) start(s Settings, program []byte) error {
	s.Dir = m.dir
	k, err := NewKeeper(keeperOptions(s, m.ports, program))
	if err != nil {
		return err
	}
	if m.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.over = stop, make(chan struct{})
	go func() {
		k.Serve(ctx, m.listener)
		close(m.over)
	}()
	return nil
}

// turn switches a host off, with its nodes, or on.
func (f *fleet) turn(name string, on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.hosts[name]
	if on {
		m.off = nil
		return
	}
	m.off = fault.New(fault.Unavailable, "host %s does not answer", name)
	m.cut() // nobody hears how it ends
	m.end(false)
	// What was asked of its keeper is no rest: it dies in the middle of its work.
	os.Remove(filepath.Join(m.dir, resting))
}

// cut cuts the connection, and while away is not nil nobody gets another one.
func (f *fleet) cut(name string, away error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hosts[name].off = away
	f.hosts[name].cut()
}

const content = "an artifact"

func (f *fleet) options(dir string) Options {
	return Options{Dir: dir, Instance: "01TEST", MaxMB: 1, MaxFiles: 10, Log: slog.New(slog.DiscardHandler), Dial: f.dial, Secret: deploytest.Secret,
		Hosts: func(patterns []string) (all []string, err error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			for name := range f.hosts {
				for _, p := range patterns {
					if ok, _ := filepath.Match(p, name); ok {
						all = append(all, name)
					}
				}
			}
			slices.Sort(all)
			return all, nil
		},
		Archive: func(context.Context, string) (io.ReadCloser, error) {
			f.brought.Add(1)
			return io.NopCloser(strings.NewReader(content)), nil
		}}
}

// anywhere has nodes and tasks on any host.
type anywhere struct{ *Driver }

func (a anywhere) Start(ctx context.Context, s deploy.Spec) (deploy.Instance, error) {
	s.Hosts = []string{"*"}
	return a.Driver.Start(ctx, s)
}

func (a anywhere) Task(ctx context.Context, s deploy.Spec, out io.Writer) error {
	s.Hosts = []string{"*"}
	return a.Driver.Task(ctx, s, out)
}

// open runs a driver to the end of the test.
func (f *fleet) open(dir string, more func(*Options)) (d *Driver, stop func()) {
	f.t.Helper()
	o := f.options(dir)
	o.Keep, o.Away = true, config.Duration(time.Hour)
	if more != nil {
		more(&o)
	}
	d, err := New(o)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(stop)
	return d, stop
}

func begin(t *testing.T, d *Driver, id, release string) deploy.Instance {
	t.Helper()
	s := deploytest.Spec(id)
	s.Hosts, s.Release = []string{"*"}, release
	i, err := d.Start(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// list are the nodes by id.
func list(t *testing.T, d *Driver) map[string]deploy.Instance {
	t.Helper()
	all, err := d.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := map[string]deploy.Instance{}
	for _, i := range all {
		r[i.ID] = i
	}
	return r
}

func answers(t *testing.T, d *Driver, id string) deploy.Instance {
	t.Helper()
	var i deploy.Instance
	deploytest.Until(t, id+" answers", func() bool {
		i = list(t, d)[id]
		return i.Running && i.Unsure == "" && deploytest.Ask(i, "/") == deploytest.Password
	})
	return i
}

// running are the nodes that a host has not been told to stop.
func (f *fleet) running(host string) (all []string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	records, err := deploy.Saved[record](filepath.Join(f.hosts[host].dir, "nodes"), slog.New(slog.DiscardHandler))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range records {
		if r.Stopped.IsZero() {
			all = append(all, r.ID)
		}
	}
	return all
}
