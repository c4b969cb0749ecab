package prometheus

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steer/base/metric"
	"steer/monitor/store"
)

// cluster is a server whose answers the test decides.
type cluster struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	answer   func(series []string, r *http.Request) (status int, header, body string)
	requests [][]string // the series of each
	taken    []string   // of those with a good answer
	changed  chan struct{}
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, changed: make(chan struct{}, 1)}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *cluster) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was cut off
	}
	series := read(c.t, body)
	c.mu.Lock()
	defer c.mu.Unlock()
	status, header, text := http.StatusNoContent, "", ""
	if c.answer != nil {
		status, header, text = c.answer(series, r)
	}
	c.requests = append(c.requests, series)
	if status/100 == 2 {
		c.taken = append(c.taken, series...)
	}
	if header != "" {
		w.Header().Set("Retry-After", header)
	}
	http.Error(w, text, status)
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *cluster) set(answer func(series []string, r *http.Request) (int, string, string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = answer
}

// always answers everything in one way.
func (c *cluster) always(status int, body string) {
	c.set(func([]string, *http.Request) (int, string, string) { return status, "", body })
}

// until waits for a condition.
func (c *cluster) until(what string, ok func() bool) {
	c.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		c.mu.Lock()
		done := ok()
		c.mu.Unlock()
		if done {
			return
		}
		select {
		case <-c.changed:
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Fatalf("waited in vain until %s; %d requests, taken: %q", what, len(c.requests), c.taken)
		}
	}
}

func (c *cluster) options(t *testing.T) Options {
	return Options{
		Config: Config{URL: c.URL}, Store: store.Config{Sync: "always"}, Dir: filepath.Join(t.TempDir(), "spool"),
		Log: slog.New(slog.DiscardHandler), backoff: backoff{time.Millisecond, 10 * time.Millisecond},
	}
}

func opened(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// start runs the store until the returned function is called.
func start(t *testing.T, s *Store) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func points(names ...string) []metric.Point {
	var all []metric.Point
	for _, name := range names {
		all = append(all, metric.Point{Name: []byte(name), Time: time.Now().Unix(), Value: 1})
	}
	return all
}

func write(t *testing.T, s *Store, names ...string) {
	t.Helper()
	if err := s.Write(t.Context(), points(names...)); err != nil {
		t.Fatal(err)
	}
}

// paths are what stands in path=… of series.
func paths(series []string) (all []string) {
	for _, line := range series {
		_, rest, _ := strings.Cut(line, " path=")
		path, _, _ := strings.Cut(rest, " ")
		all = append(all, path)
	}
	return all
}

func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("a.n%03d", i))
	}
	return names
}

func newClusterAt(t *testing.T, address string) *cluster {
	t.Helper()
	c := &cluster{t: t, changed: make(chan struct{}, 1)}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(c.serve))
	c.Listener.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		l, err := net.Listen("tcp", address)
		if err == nil {
			c.Listener = l
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	c.Start()
	t.Cleanup(c.Close)
	return c
}
