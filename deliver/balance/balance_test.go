package balance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/database/databasetest"
	"steer/base/id"
	"steer/base/metric"
)

// figures collects samples by name.
type figures struct {
	mu    sync.Mutex
	count map[string]float64
}

func (f *figures) take(s []metric.Sample) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.count == nil {
		f.count = map[string]float64{}
	}
	for _, e := range s {
		if e.Kind == metric.Counter {
			f.count[string(e.Name)] += e.Value
		} else {
			f.count[string(e.Name)]++
		}
	}
	return nil
}

func (f *figures) of(name string) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count[name]
}

func open(t *testing.T, db *database.DB, change func(*Options)) *Balancer {
	t.Helper()
	o := Options{DB: db, Log: slog.New(slog.DiscardHandler), Config: Config{Ports: "23000-23099", Drain: config.Duration(time.Second)}}
	if change != nil {
		change(&o)
	}
	b, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return b
}

// frontend of service shop, with backends id → address, all of version v.
func shop(v id.Version, addresses ...string) Frontend {
	f := Frontend{Environment: "test", Service: "shop", Ports: map[string]Port{"http": {Protocol: HTTP}},
		Health: Health{Interval: 20 * time.Millisecond}}
	for i, a := range addresses {
		f.Backends = append(f.Backends, Backend{ID: fmt.Sprintf("%s-%d-%s", v, i, a), Version: v, Address: map[string]string{"http": a}})
	}
	return f
}

func ids(f Frontend) (r []string) {
	for _, b := range f.Backends {
		r = append(r, b.ID)
	}
	return r
}

func set(t *testing.T, b *Balancer, f Frontend) string {
	t.Helper()
	if err := b.Set(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return b.Address(f.Environment, f.Service)["http"]
}

func node(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func address(s *httptest.Server) string { return s.Listener.Addr().String() }

func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatal("not within 10 s: " + what)
}

func get(t *testing.T, address string) (int, string, http.Header) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // the port may have been another balancer's
	r, err := client.Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	return r.StatusCode, string(body), r.Header
}

func TestNoRequestFailsOverSwitches(t *testing.T) {
	b := open(t, databasetest.SQLite(t), nil)
	start := func() *httptest.Server {
		return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			time.Sleep(time.Millisecond)
			w.Write(body)
		}))
	}
	servers := []*httptest.Server{start(), start()}
	current := shop("b1", address(servers[0]), address(servers[1]))
	at := set(t, b, current)

	stop := make(chan struct{})
	var sent, failed, dials atomic.Int64
	var clients sync.WaitGroup
	for i := range 8 {
		transport := &http.Transport{DialContext: func(ctx context.Context, n, a string) (net.Conn, error) {
			dials.Add(1)
			return (&net.Dialer{}).DialContext(ctx, n, a)
		}}
		client := &http.Client{Transport: transport}
		clients.Go(func() {
			defer transport.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				sent.Add(1)
				text := strings.Repeat("x", 10)
				method := http.MethodPost
				if i%2 == 0 {
					method, text = http.MethodGet, ""
				}
				r, _ := http.NewRequest(method, "http://"+at+"/", strings.NewReader(text))
				response, err := client.Do(r)
				if err != nil {
					t.Error(err)
					failed.Add(1)
					continue
				}
				got, err := io.ReadAll(response.Body)
				response.Body.Close()
				if response.StatusCode != 200 || err != nil || string(got) != text {
					t.Errorf("%s: %d %q %v", method, response.StatusCode, got, err)
					failed.Add(1)
				}
			}
		})
	}
	for i := 2; i <= 6; i++ {
		before := sent.Load()
		until(t, "requests", func() bool { return sent.Load() > before+200 })
		next := []*httptest.Server{start(), start()}
		f := shop(id.Build(int64(i)), address(next[0]), address(next[1]))
		set(t, b, f)
		if err := b.Drained(t.Context(), "test", "shop", ids(current)); err != nil {
			t.Fatal(err)
		}
		for _, s := range servers {
			s.CloseClientConnections() // at once: after draining nothing may be on them
			s.Close()
		}
		servers, current = next, f
	}
	close(stop)
	clients.Wait()
	for _, s := range servers {
		s.Close()
	}
	if failed.Load() > 0 || dials.Load() != 8 {
		t.Errorf("%d of %d requests failed; %d client connections, want 8", failed.Load(), sent.Load(), dials.Load())
	}
	t.Logf("%d requests over 5 switches", sent.Load())
}

func TestBackendDiesUnderLoad(t *testing.T) {
	b := open(t, databasetest.SQLite(t), nil)
	hello := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }
	one, two := httptest.NewServer(http.HandlerFunc(hello)), node(t, hello)
	at := set(t, b, shop("b1", address(one), address(two)))
	for i := range 200 {
		if i == 100 {
			one.CloseClientConnections()
			one.Listener.Close() // no drain, no switch
		}
		if code, body, _ := get(t, at); code != 200 || body != "hello" {
			t.Fatalf("request %d: %d %q", i, code, body)
		}
	}
	until(t, "dead node left out", func() bool { return b.Status()[0].Healthy == 1 })
	var l net.Listener
	until(t, "its port is free", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", address(one))
		return err == nil
	})
	go http.Serve(l, http.HandlerFunc(hello))
	defer l.Close()
	until(t, "node is back", func() bool { return b.Status()[0].Healthy == 2 })
}

func TestHealthPathDecides(t *testing.T) {
	var sick atomic.Bool
	s := node(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" && sick.Load() {
			w.WriteHeader(500)
		}
	})
	figures := &figures{}
	b := open(t, databasetest.SQLite(t), func(o *Options) { o.Samples = figures.take })
	f := shop("b1", address(s))
	f.Health.Path = "/healthz"
	at := set(t, b, f)
	if code, _, h := get(t, at); code != 200 || h.Get("X-Steer-Version") != "b1" {
		t.Fatal(code, h)
	}
	sick.Store(true)
	until(t, "unhealthy", func() bool { return b.Status()[0].Healthy == 0 })
	if n := b.Status()[0].Backends[0]; !strings.Contains(n.Reason, "status 500") {
		t.Errorf("reason %q", n.Reason)
	}
	code, body, h := get(t, at)
	if code != 503 || body != "503: shop in test: no healthy node\n" || h.Get("X-Steer-Version") != "b1" {
		t.Errorf("%d %q %v", code, body, h)
	}
	sick.Store(false)
	until(t, "healthy", func() bool { return b.Status()[0].Healthy == 1 })
	get(t, at)
	for name, want := range map[string]float64{"requests": 3, "errors": 1, "latency": 2, "status.2xx": 2, "status.5xx": 1} {
		if got := figures.of("balance.test.shop.b1." + name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestNothingDeployed(t *testing.T) {
	b := open(t, databasetest.SQLite(t), nil)
	if code, body, _ := get(t, set(t, b, shop("b1"))); code != 503 || !strings.Contains(body, "no node is deployed") {
		t.Errorf("%d %q", code, body)
	}
}

func TestNodeThatStalls(t *testing.T) {
	stop := make(chan struct{})
	s := node(t, func(w http.ResponseWriter, r *http.Request) { <-stop })
	defer close(stop)
	b := open(t, databasetest.SQLite(t), func(o *Options) { o.AnswerTimeout = config.Duration(30 * time.Millisecond) })
	if code, body, _ := get(t, set(t, b, shop("b1", address(s)))); code != 504 || !strings.Contains(body, "in time") {
		t.Errorf("%d %q", code, body)
	}
}

func TestDrainWaitsForRequests(t *testing.T) {
	started, finish := make(chan struct{}), make(chan struct{})
	s := node(t, func(w http.ResponseWriter, r *http.Request) {
		close(started)
		<-finish
		io.WriteString(w, "old")
	})
	b := open(t, databasetest.SQLite(t), nil)
	old := shop("b1", address(s))
	at := set(t, b, old)
	got := make(chan string)
	go func() {
		r, err := http.Get("http://" + at + "/")
		if err != nil {
			got <- err.Error()
			return
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		got <- string(body)
	}()
	<-started
	set(t, b, shop("b2", address(node(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "new") }))))
	if _, body, _ := get(t, at); body != "new" {
		t.Fatalf("after the switch: %q", body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := b.Drained(ctx, "test", "shop", ids(old)); err == nil || !strings.Contains(err.Error(), "1 requests still under way") {
		t.Fatal(err)
	}
	if st := b.Status()[0]; len(st.Backends) != 2 || !st.Backends[1].Leaving || st.InFlight != 1 {
		t.Fatalf("%+v", st)
	}
	close(finish)
	if body := <-got; body != "old" {
		t.Fatalf("the request under way got %q", body)
	}
	if err := b.Drained(t.Context(), "test", "shop", ids(old)); err != nil {
		t.Fatal(err)
	}
}

func TestUpgradePasses(t *testing.T) {
	s := node(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		io.Copy(c, rw)
	})
	b := open(t, databasetest.SQLite(t), nil)
	old := shop("b1", address(s))
	at := set(t, b, old)
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	in := bufio.NewReader(c)
	if r, err := http.ReadResponse(in, nil); err != nil || r.StatusCode != 101 {
		t.Fatal(r, err)
	}
	for i := range 3 {
		if i == 1 { // survives a switch
			set(t, b, shop("b2", "127.0.0.1:1"))
		}
		fmt.Fprintf(c, "line %d\n", i)
		if got, err := in.ReadString('\n'); err != nil || got != fmt.Sprintf("line %d\n", i) {
			t.Fatalf("%q %v", got, err)
		}
	}
	c.Close()
	if err := b.Drained(t.Context(), "test", "shop", ids(old)); err != nil {
		t.Fatal(err)
	}
}

func TestForwardedHeaders(t *testing.T) {
	s := node(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s|%s", r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.URL.RawQuery)
	})
	for trust, want := range map[bool]string{
		false: "shop.example|127.0.0.1|http|a=1;b",
		true:  "shop.example|9.9.9.9, 127.0.0.1|https|a=1;b",
	} {
		b := open(t, databasetest.SQLite(t), func(o *Options) { o.TrustForwarded = trust })
		r, _ := http.NewRequest("GET", "http://"+set(t, b, shop("b1", address(s)))+"/?a=1;b", nil)
		r.Host = "shop.example"
		r.Header.Set("X-Forwarded-For", "9.9.9.9")
		r.Header.Set("X-Forwarded-Proto", "https")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if string(got) != want {
			t.Errorf("trust %v: %s, want %s", trust, got, want)
		}
	}
}

func TestWeightsAndLoadDecide(t *testing.T) {
	p := newPool(key{"test", "shop"})
	var next []Backend
	for i, w := range []int{1, 3} {
		next = append(next, Backend{ID: fmt.Sprint(i), Weight: w, Address: map[string]string{"http": "127.0.0.1:1"}})
	}
	p.replace(next, func(n Backend) *backend {
		return &backend{Backend: n, transport: &http.Transport{}, stop: func() {}}
	})
	for range 4000 { // all stay in flight
		if _, err := p.pick("http", nil); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.current[1].inFlight; n < 2900 || n > 3100 {
		t.Errorf("the backend of weight 3 of 4 has %d of 4000", n)
	}
	if _, err := p.pick("other", nil); !errors.Is(err, errNoBackend) {
		t.Error(err)
	}
}
