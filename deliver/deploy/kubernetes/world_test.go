package kubernetes

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/id"
	"steer/catalog"
	"steer/deliver/deploy"
	"steer/deliver/deploy/deploytest"
	"steer/deliver/deploy/kubernetes/internal/api"
)

func pemOf(der []byte) string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// world is a cluster with one machine.
type world struct {
	kubeconfig string
	admin      *api.Client
	kubelet    *kubelet
	fake       *fake // nil: it is a real one
	instances  sync.Map
}

// everywhere runs a test on an API in memory, and on a real one where there is one.
func everywhere(t *testing.T, f func(t *testing.T, w *world)) {
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		f(t, fakeWorld(t))
	})
	t.Run("real", func(t *testing.T) {
		w := realWorld(t)
		t.Parallel()
		f(t, w)
	})
}

func fakeWorld(t testing.TB) *world {
	t.Helper()
	w := &world{fake: newFake(t), kubeconfig: filepath.Join(t.TempDir(), "config")}
	write(t, w.kubeconfig, w.fake.server.URL, pemOf(w.fake.server.Certificate().Raw), w.fake.space, "token: secret")
	w.admin = api.New(w.kubeconfig, "", w.fake.space)
	w.machine(t)
	w.fake.kubelet = w.kubelet
	return w
}

func (w *world) machine(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.kubelet = newKubelet(t, ctx, w.admin)
	t.Cleanup(func() {
		cancel()
		w.kubelet.mu.Lock()
		for _, p := range w.kubelet.pods {
			p.kill()
		}
		w.kubelet.mu.Unlock()
		w.kubelet.wg.Wait()
	})
}

// open opens a driver on a folder, and at the end of the test removes what it made.
func (w *world) open(t *testing.T, dir string, change ...func(*Options)) *Driver {
	t.Helper()
	instance, _ := w.instances.LoadOrStore(dir, id.New())
	o := Options{
		Config: Config{Kubeconfig: w.kubeconfig, Registry: "registry.test:8080", Arrive: config.Duration(time.Minute)},
		Dir:    dir, Instance: instance.(string), Secret: deploytest.Secret, Log: slog.New(slog.DiscardHandler),
		Image: func(context.Context, deploy.Spec) (string, error) { return "shop@" + deploytest.Spec("x").Digest, nil },
		Token: func(context.Context) (string, error) { return "pull-token", nil },
	}
	for _, c := range change {
		c(&o)
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		for _, kind := range []string{api.ReplicaSets, api.Pods, api.Secrets} {
			all, err := w.all(kind, o.Instance)
			if err != nil {
				continue
			}
			for _, name := range all {
				w.admin.Remove(context.Background(), kind, name, -1)
			}
		}
	})
	return d
}

// all are the names of objects of a kind that an instance made.
func (w *world) all(kind, instance string) (names []string, err error) {
	all, err := list[struct {
		Meta meta `json:"metadata"`
	}](context.Background(), w, kind, labelInstance+"="+instance)
	for _, o := range all {
		names = append(names, o.Meta.Name)
	}
	return names, err
}

// list reads all objects of a kind.
func list[T any](ctx context.Context, w *world, kind, selector string) (all []T, err error) {
	ctx, done := context.WithCancel(ctx)
	defer done()
	api.Follow(ctx, w.admin, kind, selector, func(now []T) { all = now; done() }, func(string, T) {}, func(e error) { err = e; done() })
	return all, err
}

func run(t *testing.T, d *Driver) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func one(t *testing.T, d *Driver) deploy.Instance {
	t.Helper()
	l, err := d.List(t.Context())
	if err != nil || len(l) != 1 {
		t.Fatalf("%v %v, want one node", l, err)
	}
	return l[0]
}

func (w *world) spec(node string) deploy.Spec {
	s := deploytest.Spec(node)
	s.Driver, s.Cluster = deploy.DriverKubernetes, catalog.Cluster{Namespace: w.admin.Namespace()}
	return s
}

func TestDriver(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		deploytest.Driver(t, func(t *testing.T, dir string) deploytest.Life {
			d := w.open(t, dir)
			return deploytest.Life{Driver: d, Run: d.Run, Close: d.Close, Far: true}
		})
	})
}
