package deploy_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"steer/base/config"
	"steer/base/database"
	"steer/base/id"
	"steer/base/journal"
	"steer/base/work"
	"steer/catalog"
	"steer/deliver/balance"
	"steer/deliver/deploy"
	"steer/deliver/deploy/process"
)

// The test binary plays three parts: the tests, a node of the service, and a
// Steer that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv("PART") {
	case "node":
		node()
	case "steer":
		killed()
	default:
		os.Exit(m.Run())
	}
}

// node serves its version until SIGTERM, then finishes what it has.
func node() {
	if os.Getenv("STEER_VERSION") == "b9" {
		fmt.Println("b9 cannot start")
		os.Exit(3)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(2 * time.Millisecond)
		fmt.Fprintf(w, "%s %d %s", os.Getenv("STEER_VERSION"), os.Getpid(), body)
	})
	s := &http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Handler: mux}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		<-stop
		s.Shutdown(context.Background())
		close(done)
	}()
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
	<-done
}

// stack is deploy, process and balance joined as the server joins them.
type stack struct {
	deploys  *deploy.Deployer
	balancer *balance.Balancer
	driver   *process.Driver
	run      func(context.Context) // until the context ends
}

// front is what package app does: the same records under other names.
type front struct{ *balance.Balancer }

func (f front) Set(ctx context.Context, in deploy.Frontend) error {
	out := balance.Frontend{Environment: in.Environment, Service: in.Service, Ports: map[string]balance.Port{},
		Health: balance.Health{Path: in.Health.Path, Port: in.Health.Port}}
	for name, p := range in.Ports {
		out.Ports[name] = balance.Port(p)
	}
	for _, b := range in.Backends {
		out.Backends = append(out.Backends, balance.Backend{ID: b.ID, Version: b.Version, Address: b.Address})
	}
	return f.Balancer.Set(ctx, out)
}

func open(dir string) (*stack, error) {
	ctx := context.Background()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	db, err := database.Open(ctx, "sqlite:"+filepath.Join(dir, "steer.db"))
	if err != nil {
		return nil, err
	}
	j, err := journal.New(ctx, db)
	if err != nil {
		return nil, err
	}
	queue, err := work.New(ctx, work.Options{DB: db, Instance: "test", Poll: 5 * time.Millisecond, Log: quiet})
	if err != nil {
		return nil, err
	}
	s := &stack{}
	if s.balancer, err = balance.New(ctx, balance.Options{DB: db, Log: quiet, Config: balance.Config{Ports: "24000-24099", Drain: config.Duration(time.Second)}}); err != nil {
		return nil, err
	}
	if s.driver, err = process.New(process.Options{Dir: filepath.Join(dir, "nodes"), Log: quiet, Config: process.Config{Ports: "24100-24999"},
		Unpack: func(_ context.Context, digest, dir string) error {
			return os.WriteFile(filepath.Join(dir, "digest"), []byte(digest), 0o644)
		}}); err != nil {
		return nil, err
	}
	manifest := catalog.Manifest{Service: "shop", Run: catalog.Run{Command: self, Ports: map[string]int{"http": 8080}, Env: map[string]string{"PART": "node"},
		Health: catalog.Health{HTTP: "/healthz", Within: config.Duration(20 * time.Second)}, Grace: config.Duration(10 * time.Second)}}
	s.deploys, err = deploy.New(ctx, deploy.Options{DB: db, Work: queue, Journal: j, Log: quiet, Driver: s.driver, Balancer: front{s.balancer},
		Artifact: func(_ context.Context, _ id.Service, v id.Version) (deploy.Artifact, error) {
			return deploy.Artifact{Version: v, Digest: "sha256:" + string(v), Manifest: manifest}, nil
		},
		Environment: func(id.Environment, id.Service) (catalog.Environment, int, error) {
			return catalog.Environment{Watch: config.Duration(time.Minute), Warm: config.Duration(time.Minute)}, 2, nil
		}})
	s.run = func(ctx context.Context) {
		var wg sync.WaitGroup
		for _, run := range []func(context.Context) error{s.balancer.Run, s.deploys.Run, queue.Run} {
			wg.Go(func() { run(ctx) })
		}
		nodes, cancel := context.WithCancel(context.WithoutCancel(ctx))
		var driver sync.WaitGroup
		driver.Go(func() { s.driver.Run(nodes) })
		wg.Wait()
		cancel() // nodes go last
		driver.Wait()
		db.Close()
	}
	return s, err
}

func begin(t *testing.T, dir string) *stack {
	t.Helper()
	s, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// killed deploys b1, then b2, says how far it is, and never ends by itself.
func killed() {
	s, err := open(os.Getenv("DIR"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go s.run(context.Background())
	for _, v := range []id.Version{"b1", "b2"} {
		y, err := s.deploys.Request(context.Background(), nil, deploy.Request{Service: "shop", Environment: "production", Version: v})
		fmt.Println("requested", v, err)
		for y.Finished == nil {
			if y, err = s.deploys.Get(context.Background(), y.ID); err != nil {
				fmt.Println(err)
			}
			time.Sleep(time.Millisecond)
		}
		fmt.Println("ended", v, y.State)
	}
	select {}
}

func (s *stack) end(t *testing.T, number int64) deploy.Deploy {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		y, err := s.deploys.Get(t.Context(), number)
		if err != nil {
			t.Fatal(err)
		}
		if y.Finished != nil {
			return y
		}
	}
	t.Fatal("the deploy does not end")
	return deploy.Deploy{}
}

func (s *stack) deploy(t *testing.T, v id.Version) deploy.Deploy {
	t.Helper()
	y, err := s.deploys.Request(t.Context(), nil, deploy.Request{Service: "shop", Environment: "production", Version: v, Actor: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	return s.end(t, y.ID)
}

func (s *stack) url() string {
	return "http://" + s.balancer.Address("production", "shop")["http"] + "/"
}

// Blue/green switches, a failed deploy, a rollback and a killed node under steady
// load: not one request fails.
func TestNoRequestFails(t *testing.T) {
	s := begin(t, t.TempDir())
	if y := s.deploy(t, "b1"); y.State != deploy.Passed {
		t.Fatalf("%+v", y.Failure)
	}
	url := s.url()
	stop := make(chan struct{})
	var sent, failed atomic.Int64
	seen := sync.Map{}
	var clients sync.WaitGroup
	for i := range 6 {
		client := &http.Client{Transport: &http.Transport{}}
		clients.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				method, body := http.MethodGet, ""
				if i%3 == 0 {
					method, body = http.MethodPost, "order"
				}
				r, _ := http.NewRequest(method, url, strings.NewReader(body))
				sent.Add(1)
				response, err := client.Do(r)
				if err != nil {
					failed.Add(1)
					t.Error(err)
					continue
				}
				text, err := io.ReadAll(response.Body)
				response.Body.Close()
				if version := response.Header.Get("X-Steer-Version"); response.StatusCode != 200 || err != nil ||
					!strings.HasPrefix(string(text), version+" ") || !strings.HasSuffix(string(text), " "+body) {
					failed.Add(1)
					t.Errorf("%d %q %v", response.StatusCode, text, err)
				} else {
					seen.Store(version, true)
				}
			}
		})
	}
	for _, v := range []id.Version{"b2", "b3", "b4"} {
		if y := s.deploy(t, v); y.State != deploy.Passed {
			t.Fatalf("%+v", y.Failure)
		}
	}
	bad := s.deploy(t, "b9")
	if bad.State != deploy.Failed || !strings.Contains(bad.Failure.Message, "of b9 ended 3 times before it was healthy (exit status 3)") || !slices.Contains(bad.Failure.Log, "b9 cannot start") {
		t.Errorf("%+v", bad.Failure)
	}
	back, err := s.deploys.Rollback(t.Context(), "shop", "production", "", "ada", "")
	if err != nil {
		t.Fatal(err)
	}
	if back = s.end(t, back.ID); back.State != deploy.Passed || back.Version != "b3" {
		t.Fatalf("%+v", back)
	}
	t.Logf("rollback to warm nodes took %s", back.Finished.Sub(back.Created).Round(time.Millisecond))
	close(stop)
	clients.Wait()
	versions := slices.Sorted(maps.Keys(func() map[string]bool {
		m := map[string]bool{}
		seen.Range(func(k, _ any) bool { m[k.(string)] = true; return true })
		return m
	}()))
	if failed.Load() > 0 || !slices.Equal(versions, []string{"b1", "b2", "b3", "b4"}) {
		t.Fatalf("%d of %d requests failed; versions %v", failed.Load(), sent.Load(), versions)
	}
	t.Logf("%d requests over 3 deploys, a failed deploy and a rollback: none failed", sent.Load())
}

// Steer is killed by SIGKILL at several moments of a deploy. Its nodes go on, the
// next Steer serves from them at once, and the deploy comes to its end.
func TestKilledInTheMiddleOfADeploy(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond, 120 * time.Millisecond, 250 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			dir := t.TempDir()
			steer := exec.Command(self)
			steer.Env = append(os.Environ(), "PART=steer", "DIR="+dir)
			out, err := steer.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := steer.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != "requested b2 <nil>" {
				if strings.HasPrefix(lines.Text(), "ended b1") && lines.Text() != "ended b1 passed" {
					t.Error(lines.Text())
				}
			}
			time.Sleep(after) // the moment of death is the point of this test
			steer.Process.Kill()
			steer.Wait()

			s := begin(t, dir)
			response, err := http.Get(s.url())
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if v := response.Header.Get("X-Steer-Version"); response.StatusCode != 200 || v != "b1" && v != "b2" {
				t.Fatalf("right after the start: %d %q", response.StatusCode, text)
			}
			y := s.end(t, 2)
			if y.State != deploy.Passed {
				t.Fatalf("%+v", y.Failure)
			}
			if response, err = http.Get(s.url()); err != nil || response.Header.Get("X-Steer-Version") != "b2" {
				t.Fatal(response, err)
			}
			response.Body.Close()
			for _, p := range func() []deploy.Placement { l, _ := s.deploys.Placements(t.Context()); return l }() {
				healthy := 0
				for _, n := range p.Nodes {
					if n.Version == "b1" && n.Restarts > 0 {
						t.Errorf("a node of the old version was restarted: %+v", n)
					}
					if n.Serving {
						healthy++
					}
				}
				if healthy != 2 || p.Version != "b2" {
					t.Errorf("%+v", p)
				}
			}
		})
	}
}
